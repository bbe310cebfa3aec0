/*
 * The fields borrow everything from the event, so that a sink can format them without memory of its
 * own.
 */
#include "tunnel/event.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/event_field.h"

static void event_free(struct counted *self)
{
    struct event *ev = (struct event *)self; /* counted is the first member */

    arena_fini(&ev->arena);
    mem_free(ev);
}

struct event *event_new(void)
{
    struct event *ev = mem_zalloc(sizeof(*ev));

    static_assert(offsetof(struct event, counted) == 0, "event_free() relies on it");
    ref_init(&ev->counted.ref);
    ev->counted.free = event_free;
    arena_init(&ev->arena);
    return ev;
}

/* ---- headers --------------------------------------------------------------------------- */

/* Words that are in the names of fields which carry credentials. */
static const struct str secret_words[] = {
    STR_INIT("auth"),   STR_INIT("cookie"),     STR_INIT("token"),   STR_INIT("secret"),
    STR_INIT("passw"),  STR_INIT("api-key"),    STR_INIT("apikey"),  STR_INIT("api_key"),
    STR_INIT("signat"), STR_INIT("credential"), STR_INIT("session"), STR_INIT("access-key"),
    STR_INIT("-key"),   STR_INIT("jwt"),        STR_INIT("csrf"),    STR_INIT("xsrf"),
};

bool event_header_is_secret(struct str name)
{
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
        for (size_t k = 0; k + secret_words[i].n <= name.n; k++) {
            if (str_starts_nocase(str_skip(name, k), secret_words[i]))
                return true;
        }
    }
    return false;
}

static struct str copy_name(struct event *ev, struct str name, enum event_header_case how)
{
    struct str copy = arena_str(&ev->arena, str_slice(name, 0, EVENT_HEADER_MAX_BYTES));
    char *p = (char *)(uintptr_t)copy.p; /* ours, of the arena */

    for (size_t i = 0; how == EVENT_HEADER_NORMAL && i < copy.n; i++) {
        bool is_first = i == 0 || p[i - 1] == '-';

        p[i] = is_first ? char_upper(p[i]) : char_lower(p[i]);
    }
    return copy;
}

static struct str copy_value(struct event *ev, struct str value, enum event_header_case how)
{
    struct str copy = arena_str(&ev->arena, str_slice(value, 0, EVENT_HEADER_MAX_BYTES));
    char *p = (char *)(uintptr_t)copy.p; /* ours, of the arena */

    for (size_t i = 0; how == EVENT_HEADER_NORMAL && i < copy.n; i++)
        p[i] = char_lower(p[i]);
    return copy;
}

void event_add_header(struct event *ev, struct event_headers *out, struct str name,
                      struct str value, enum event_header_case how)
{
    struct event_header *items = (struct event_header *)(uintptr_t)out->items; /* ours to fill */

    if (out->count == EVENT_HEADERS_MAX)
        return;
    if (items == NULL)
        out->items = items = arena_alloc(&ev->arena, EVENT_HEADERS_MAX * sizeof(*items));
    items[out->count++] = (struct event_header){
        .name = copy_name(ev, name, how),
        .value = event_header_is_secret(name) ? STR("***") : copy_value(ev, value, how),
    };
}

/* ---- for the log ----------------------------------------------------------------------- */

const char *event_name(const struct event *ev)
{
    static const char *const names[EVENT_TRAFFIC_TYPES] = {
        [EVENT_HTTP_REQUEST] = "http_request_complete",
        [EVENT_TCP_CLOSED] = "tcp_connection_closed",
    };

    assert(event_type_is_traffic(ev->type));
    return names[ev->type];
}

static struct log_field log_field(const char *name, const struct event_value *v)
{
    switch (v->kind) {
    case EVENT_VALUE_IP:
        return LIP(name, v->as.ip);
    case EVENT_VALUE_TIME:
        return LTIME(name, v->as.u64);
    case EVENT_VALUE_U64:
        return LU(name, v->as.u64);
    case EVENT_VALUE_BOOL:
        return LB(name, v->as.b);
    case EVENT_VALUE_STR:
    case EVENT_VALUE_JSON:
        return LSTR(name, v->as.str);
    case EVENT_VALUE_HEADERS: /* too long for a line */
    case EVENT_VALUE_PORT:    /* these are U64 or STR by now */
    case EVENT_VALUE_UINT:
    case EVENT_VALUE_MICROS:
    case EVENT_VALUE_ERROR:
        break;
    }
    return LNONE;
}

size_t event_fields(const struct event *ev, struct log_field out[EVENT_FIELDS_MAX])
{
    size_t count = 0;

    static_assert((int)EVENT_FIELD_COUNT < (int)EVENT_FIELDS_MAX,
                  "a line has no room for all fields");
    if (ev->id[0] != '\0')
        out[count++] = LS("event_id", ev->id);
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        const struct event_field *f = &event_field_table[i];
        struct event_value v;

        if (f->is_logged && event_field_get(ev, f, &v))
            out[count++] = log_field(f->name, &v);
    }
    return count;
}
