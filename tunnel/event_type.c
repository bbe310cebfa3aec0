#include "tunnel/event_type.h"

/* clang-format off */
static const char *const names[EVENT_TYPES] = {
    [EVENT_HTTP_REQUEST] = "http_request_complete.v0",
    [EVENT_TCP_CLOSED] = "tcp_connection_closed.v0",
    [EVENT_SESSION_START] = "agent_session_start.v0",
    [EVENT_SESSION_STOP] = "agent_session_stop.v0",
#define AUDIT(symbol, noun)                                                                        \
    [EVENT_AUDIT_FIRST + (symbol) * EVENT_ACTIONS + EVENT_CREATED] = noun "_created.v0",           \
    [EVENT_AUDIT_FIRST + (symbol) * EVENT_ACTIONS + EVENT_UPDATED] = noun "_updated.v0",           \
    [EVENT_AUDIT_FIRST + (symbol) * EVENT_ACTIONS + EVENT_DELETED] = noun "_deleted.v0",
#include "tunnel/event_nouns.def"
#undef AUDIT
};
/* clang-format on */

const char *event_type_name(enum event_type type)
{
    return names[type];
}

int event_type_find(struct str name, enum event_type *out, struct err *e)
{
    size_t best = 0;

    for (size_t i = 0; i < EVENT_TYPES; i++) {
        if (str_eq(name, str_from(names[i]))) {
            *out = (enum event_type)i;
            return 0;
        }
        if (str_distance(name, str_from(names[i])) < str_distance(name, str_from(names[best])))
            best = i;
    }
    return err_set(e, E_EVENT_TYPE, "there is no event type \"%.*s\"; did you mean \"%s\"?",
                   STR_ARG(str_slice(name, 0, 60)), names[best]);
}
