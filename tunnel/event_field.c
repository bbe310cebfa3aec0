#include "tunnel/event_field.h"

#include <assert.h>

#include "tunnel/event.h"

/* Fields that the specification has and no event of this gateway can have yet: they may be chosen, and
 * are absent. */
static const char *const unknown_fields[] = {
    "oauth.app_client_id", "oauth.decision", "oauth.user.id", "oauth.user.name", "trace_id",
};

/* ---- what is present ------------------------------------------------------------------- */

static bool is_always(const struct event *ev)
{
    (void)ev;
    return true;
}

static bool has_server(const struct event *ev)
{
    return ev->server.family != 0;
}

static bool has_response(const struct event *ev)
{
    return ev->status != 0;
}

static bool has_upstream(const struct event *ev)
{
    return ev->upstream_us != 0;
}

static bool has_backend(const struct event *ev)
{
    return ev->upstream_us != 0 || ev->connection_reused;
}

static bool has_error(const struct event *ev)
{
    return ev->error_number != 0;
}

static bool has_close_reason(const struct event *ev)
{
    return ev->close_reason.n > 0 && !str_eq(ev->close_reason, STR("done"));
}

static bool has_savings(const struct event *ev)
{
    return ev->compression_saved_bytes > 0;
}

/* ---- the table ------------------------------------------------------------------------- */

enum { LOGGED = true, UNLOGGED = false };
enum { HTTP = 1 << EVENT_HTTP_REQUEST, TCP = 1 << EVENT_TCP_CLOSED, TRAFFIC = HTTP | TCP };

const struct event_field event_field_table[EVENT_FIELD_COUNT] = {
#define EVENT_FIELD(name, kind, member, types, log, present)                                       \
    { name, EVENT_VALUE_##kind, offsetof(struct event, member), types, log, present },
#include "tunnel/event_fields.def"
#undef EVENT_FIELD
};

static_assert(EVENT_FIELD_COUNT <= 64, "a choice of fields has 64 bits");

/* ---- error codes ----------------------------------------------------------------------- */

static const struct {
    unsigned number;
    const char *text;
} error_codes[] = {
#define ERR(symbol, number, status, text) { (number), "ERR_SALLYPORT_" #number },
#include "base/err.def"
#undef ERR
};

static struct str error_code(unsigned number)
{
    for (size_t i = 0; i < sizeof(error_codes) / sizeof(error_codes[0]); i++) {
        if (error_codes[i].number == number)
            return str_from(error_codes[i].text);
    }
    return STR_NONE;
}

/* ---- reading --------------------------------------------------------------------------- */

enum event_value_kind event_field_kind(const struct event_field *f)
{
    switch (f->kind) {
    case EVENT_VALUE_PORT:
    case EVENT_VALUE_UINT:
    case EVENT_VALUE_MICROS:
        return EVENT_VALUE_U64;
    case EVENT_VALUE_ERROR:
        return EVENT_VALUE_STR;
    case EVENT_VALUE_STR:
    case EVENT_VALUE_IP:
    case EVENT_VALUE_TIME:
    case EVENT_VALUE_U64:
    case EVENT_VALUE_BOOL:
    case EVENT_VALUE_HEADERS:
    case EVENT_VALUE_JSON:
        break;
    }
    return f->kind;
}

/* Reads the member; returns whether it is other than empty. */
static bool read_member(const struct event *ev, const struct event_field *f,
                        struct event_value *out)
{
    const void *at = (const char *)ev + f->offset;

    switch (f->kind) {
    case EVENT_VALUE_STR:
    case EVENT_VALUE_JSON:
        out->as.str = *(const struct str *)at;
        return out->as.str.n > 0;
    case EVENT_VALUE_IP:
        out->as.ip = at;
        return out->as.ip->family != 0;
    case EVENT_VALUE_PORT:
        out->as.u64 = ((const struct addr *)at)->port;
        return true;
    case EVENT_VALUE_TIME:
        out->as.u64 = *(const uint64_t *)at;
        return out->as.u64 != 0;
    case EVENT_VALUE_U64:
        out->as.u64 = *(const uint64_t *)at;
        return true;
    case EVENT_VALUE_UINT:
        out->as.u64 = *(const unsigned *)at;
        return true;
    case EVENT_VALUE_MICROS:
        out->as.u64 = *(const uint64_t *)at / 1000;
        return true;
    case EVENT_VALUE_BOOL:
        out->as.b = *(const bool *)at;
        return true;
    case EVENT_VALUE_ERROR:
        out->as.str = error_code(*(const unsigned *)at);
        return out->as.str.n > 0;
    case EVENT_VALUE_HEADERS:
        out->as.headers = at;
        return out->as.headers->count > 0;
    }
    return false;
}

bool event_field_is_of(const struct event_field *f, enum event_type type)
{
    return event_type_is_traffic(type) && (f->types >> type & 1) != 0;
}

bool event_field_get(const struct event *ev, const struct event_field *f, struct event_value *out)
{
    bool is_there;

    if (!event_field_is_of(f, ev->type))
        return false;
    out->kind = event_field_kind(f);
    is_there = read_member(ev, f, out);
    return f->present != NULL ? f->present(ev) : is_there;
}

/* ---- choosing -------------------------------------------------------------------------- */

int event_field_choose(enum event_type type, struct str name, uint64_t *choice, struct err *e)
{
    const char *best = "";

    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        const struct event_field *f = &event_field_table[i];

        if (!event_field_is_of(f, type))
            continue;
        if (str_eq(name, str_from(f->name))) {
            *choice |= UINT64_C(1) << i;
            return 0;
        }
        if (best[0] == '\0' ||
            str_distance(name, str_from(f->name)) < str_distance(name, str_from(best)))
            best = f->name;
    }
    for (size_t i = 0; i < sizeof(unknown_fields) / sizeof(unknown_fields[0]); i++) {
        if (type == EVENT_HTTP_REQUEST && str_eq(name, str_from(unknown_fields[i])))
            return 0;
    }
    return err_set(e, E_EVENT_FIELD, "%s has no field \"%.*s\"; did you mean \"%s\"?",
                   event_type_name(type), STR_ARG(str_slice(name, 0, 60)), best);
}
