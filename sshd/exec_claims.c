/*
 * Endpoints are claimed one after the other, in the order of the forwards: the second scheme of a
 * forward without a name needs the random name that the first one got, and random names of one key
 * are handed out in order, so that a reconnecting session finds each forward at its old name.
 */
#include <string.h>

#include <utlist.h>

#include "base/mem.h"
#include "sshd/exec_int.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"
#include "tunnel/control.h"

/* A claim under way; the session may be gone when it is answered. */
struct claim {
    struct sshd *front; /* counted */
    uint64_t session;   /* serial */
    uint32_t slot;      /* number, see forward_slot_number() */
};

size_t exec_count_slots(const struct exec *x, enum slot_state state)
{
    const struct forward *f;
    size_t n = 0;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && i < f->slot_count; i++)
            n += f->slots[i].state == state;
    }
    return n;
}

void exec_announce_slot(struct exec *x, const struct slot *slot)
{
    const struct sshd_settings *settings = &x->session->front->settings;
    char text[URL_TEXT_BYTES];

    if (slot->state == SLOT_ONLINE && x->terminal != NULL)
        terminal_line(x->terminal, SESSION_STDOUT, "%s",
                      url_format(&slot->ep->url, settings->http_port, settings->https_port, text));
}

/* All claims are answered: shows what is new. */
static void announce(struct exec *x)
{
    struct forward *f;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && !f->announced && i < f->slot_count; i++)
            exec_announce_slot(x, &f->slots[i]);
        if (f->exec == x)
            f->announced = true;
    }
    if (x->state != EXEC_CLAIMS)
        return;
    x->state = EXEC_RUNS;
    if (exec_count_slots(x, SLOT_ONLINE) == 0)
        exec_end(x, 1);
}

static struct forward *next_waiting(const struct exec *x, size_t *slot)
{
    struct forward *f;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && !f->cancelled && i < f->slot_count; i++) {
            *slot = i;
            if (f->slots[i].state == SLOT_WAITING)
                return f;
        }
    }
    return NULL;
}

static void on_claimed(void *arg, struct endpoint *ep, const struct err *e);

static void claim_slot(struct exec *x, struct forward *f, size_t i)
{
    struct session *s = x->session;
    struct slot *slot = &f->slots[i];
    struct claim *cl = mem_zalloc(sizeof(*cl));

    /* Both schemes of one forward have one name, also when it is a random one. */
    if (i > 0 && slot->ep->url.host[0] == '\0' && f->slots[0].state == SLOT_ONLINE)
        memcpy(slot->ep->url.host, f->slots[0].ep->url.host, sizeof(slot->ep->url.host));
    slot->state = SLOT_CLAIMING;
    x->claiming = true;
    cl->front = s->front;
    sshd_ref(s->front);
    s->front->claims++;
    cl->session = s->serial;
    cl->slot = forward_slot_number(f, i);
    endpoint_ref(slot->ep); /* the claim's, until it is answered */
    control_claim(s->front->shared->control, s->front->worker, slot->ep, &s->auth.key->acl,
                  on_claimed, cl);
}

void exec_claim_next(struct exec *x)
{
    struct forward *f;
    size_t slot;

    if (x->claiming || x->state == EXEC_DONE || x->state == EXEC_WAITS || x->state == EXEC_READS)
        return;
    f = next_waiting(x, &slot);
    if (f != NULL)
        claim_slot(x, f, slot);
    else
        announce(x);
}

void exec_slot_gone(struct slot *slot, enum slot_state state)
{
    slot->state = state;
    endpoint_unref(slot->ep);
    slot->ep = NULL;
}

/* The answer of the control thread. */
static void claim_answered(const struct claim *cl, struct endpoint *ep, const struct err *e)
{
    struct session *s = sshd_find(cl->front, cl->session);
    struct forward *f = NULL;
    size_t i = 0;

    if (s != NULL)
        f = forwards_find_slot(&s->forwards, cl->slot, &i);
    if (f == NULL || f->slots[i].ep != ep || f->slots[i].state != SLOT_CLAIMING) {
        /* Nobody waits any more: the forward was cancelled, or the session ended. */
        if (e->code == E_OK)
            control_release(cl->front->shared->control, ep,
                            s != NULL && f == NULL ? REGISTRY_LET_GO : REGISTRY_HOLD);
        return;
    }
    f->exec->claiming = false;
    if (e->code == E_OK) {
        f->slots[i].state = SLOT_ONLINE;
    } else {
        exec_url_refused(f->exec, f, &ep->url, e);
        exec_slot_gone(&f->slots[i], SLOT_FAILED);
    }
    exec_claim_next(f->exec);
    session_wake(s);
}

static void on_claimed(void *arg, struct endpoint *ep, const struct err *e)
{
    struct claim *cl = arg;
    struct sshd *front = cl->front;

    claim_answered(cl, ep, e);
    endpoint_unref(ep);
    mem_free(cl);
    front->claims--;
    sshd_check_closed(front);
    sshd_unref(front);
}
