#include "sshd/forward.h"

#include <string.h>

#include <utlist.h>

#include "base/mem.h"

static bool label_is_used(const struct forwards *fs, uint32_t port)
{
    const struct forward *f;

    DL_FOREACH(fs->list, f)
    {
        if (!f->cancelled && f->port == port)
            return true;
    }
    return false;
}

/* The number is only a label, but clients find a forward by (address, number). */
static uint32_t free_label(const struct forwards *fs)
{
    uint32_t port = FORWARD_FIRST_LABEL;

    while (label_is_used(fs, port))
        port++;
    return port;
}

struct forward *forwards_add(struct forwards *fs, struct str host, uint32_t port, uint32_t max,
                             struct err *e)
{
    struct forward *f;

    if (fs->count >= max) {
        (void)err_set(e, E_FORWARD_LIMIT, "a session may have %u forwards", (unsigned)max);
        return NULL;
    }
    if (host.n > FORWARD_HOST_MAX_BYTES) {
        (void)err_set(e, E_LIMIT, "the name of the forward is longer than %d bytes",
                      (int)FORWARD_HOST_MAX_BYTES);
        return NULL;
    }
    if (port > UINT16_MAX) {
        (void)err_set(e, E_FORWARD_PORT, "%u is not a port", (unsigned)port);
        return NULL;
    }
    if (port != 0 && forwards_find(fs, host, port) != NULL) {
        (void)err_set(e, E_DUPLICATE_FORWARD,
                      "port %u of \"%.*s\" is forwarded already; name the second one or use port 0",
                      (unsigned)port, STR_ARG(host));
        return NULL;
    }
    f = mem_zalloc(sizeof(*f));
    f->id = ++fs->last_id;
    f->host = str_dup(host);
    f->asked_port = port;
    f->port = port != 0 ? port : free_label(fs);
    DL_APPEND(fs->list, f);
    fs->count++;
    return f;
}

struct forward *forwards_find(const struct forwards *fs, struct str host, uint32_t port)
{
    struct forward *f;

    DL_FOREACH(fs->list, f)
    {
        if (!f->cancelled && f->port == port && str_eq(str_from(f->host), host))
            return f;
    }
    return NULL;
}

struct forward *forwards_find_id(const struct forwards *fs, uint32_t id)
{
    struct forward *f;

    DL_FOREACH(fs->list, f)
    {
        if (f->id == id)
            return f;
    }
    return NULL;
}

void forwards_cancel(struct forwards *fs, struct forward *f)
{
    if (f->cancelled)
        return;
    f->cancelled = true;
    fs->count--;
}

void forward_reset(struct forward *f)
{
    for (size_t i = 0; i < FORWARD_SLOTS; i++) {
        endpoint_unref(f->slots[i].ep);
        f->slots[i] = (struct slot){ .state = SLOT_WAITING };
    }
    f->slot_count = 0;
    f->exec = NULL;
    f->announced = false;
}

void forwards_remove(struct forwards *fs, struct forward *f)
{
    forwards_cancel(fs, f);
    DL_DELETE(fs->list, f);
    forward_reset(f);
    mem_free(f->host);
    mem_free(f);
}

void forwards_fini(struct forwards *fs)
{
    while (fs->list != NULL)
        forwards_remove(fs, fs->list);
}

uint32_t forward_slot_number(const struct forward *f, size_t slot)
{
    return f->id * FORWARD_SLOTS + (uint32_t)slot;
}

struct forward *forwards_find_slot(const struct forwards *fs, uint32_t number, size_t *slot)
{
    *slot = number % FORWARD_SLOTS;
    return forwards_find_id(fs, number / FORWARD_SLOTS);
}
