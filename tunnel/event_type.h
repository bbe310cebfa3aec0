/*
 * event_type: the types of events by number and by name (spec endpoints 9, api 3.11.4). Those of traffic
 * come first; they alone have fields and filters. Audit events tell what happened to an object.
 * Thread: any; const.
 */
#ifndef TUNNEL_EVENT_TYPE_H
#define TUNNEL_EVENT_TYPE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum event_noun {
#define AUDIT(symbol, noun) symbol,
#include "tunnel/event_nouns.def"
#undef AUDIT
    EVENT_NOUN_COUNT
};

enum event_action { EVENT_CREATED, EVENT_UPDATED, EVENT_DELETED };
enum { EVENT_ACTIONS = EVENT_DELETED + 1 };

enum event_type {
    EVENT_HTTP_REQUEST,
    EVENT_TCP_CLOSED,
    EVENT_SESSION_START,
    EVENT_SESSION_STOP,
    EVENT_AUDIT_FIRST, /* then each noun with each action */
};
enum {
    EVENT_TRAFFIC_TYPES = EVENT_TCP_CLOSED + 1,
    EVENT_TYPES = EVENT_AUDIT_FIRST + EVENT_NOUN_COUNT * EVENT_ACTIONS,
};

static inline enum event_type event_type_audit(enum event_noun noun, enum event_action action)
{
    return (enum event_type)(EVENT_AUDIT_FIRST + (unsigned)noun * EVENT_ACTIONS + (unsigned)action);
}

static inline bool event_type_is_traffic(enum event_type type)
{
    return (unsigned)type < EVENT_TRAFFIC_TYPES;
}

/* "http_request_complete.v0", "domain_created.v0". */
const char *event_type_name(enum event_type type);
/* The type of a name. -1 with E_EVENT_TYPE. */
int event_type_find(struct str name, enum event_type *out, struct err *e);

#endif
