/*
 * event_plan: where events go: destinations, and subscriptions that choose events for them. Whoever
 * configures events (the configuration file, the API) makes a plan of its own, whole, and hands it to
 * the sink (tunnel/event_sink.h); a later one of the same origin takes its place.
 * Owns:   copies of everything added, in one arena; counted.
 * Thread: that of its maker while it is filled, then any: immutable.
 */
#ifndef TUNNEL_EVENT_PLAN_H
#define TUNNEL_EVENT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"
#include "tunnel/event.h"

enum event_target {
    EVENT_TARGET_FILE, /* a line of JSON each, appended */
    EVENT_TARGET_HTTP, /* POST; delivered when the answer is 2xx */
};

enum event_body {
    EVENT_BODY_LIST, /* a JSON list of events */
    EVENT_BODY_ONE,  /* one event a request, without a list around it */
};

struct event_destination {
    struct str name; /* also what it keeps its queue under when a new plan comes */
    enum event_target target;
    struct str path;                    /* FILE: absolute */
    struct str url;                     /* HTTP: http or https */
    const struct event_header *headers; /* HTTP: sent with every request */
    size_t header_count;
    enum event_body body;
    struct str members; /* HTTP: of JSON, a comma behind each, that every event begins with */
    bool
        public_only; /* HTTP: private addresses are refused, as a user other than the operator asked */
    size_t queue_max; /* events that wait, those being sent included; then the oldest are dropped */
    size_t batch_max; /* events in one request or write */
    uint64_t timeout_ms; /* HTTP: of one request */
};

/* Do both send the same to the same place? How much waits meanwhile may differ. */
bool event_destination_is_same(const struct event_destination *a,
                               const struct event_destination *b);

struct event_source {
    enum event_type type;
    struct str filter; /* an expression (gateway/event_filter.h); empty: all events pass */
    uint64_t fields;   /* tunnel/event_field.h; EVENT_FIELD_ALL unless some were chosen */
};

struct event_subscription {
    struct str account; /* whose events; empty: all, those of nobody included */
    struct event_source *sources;
    size_t source_count;
    size_t *destinations; /* places in the plan's list */
    size_t destination_count;
};

struct event_plan {
    struct ref ref;
    struct arena arena;
    struct event_destination *destinations; /* owned array; texts in the arena */
    size_t destination_count;
    struct event_subscription *subscriptions; /* owned array; lists and texts in the arena */
    size_t subscription_count;
};

/* An empty plan with one reference. */
struct event_plan *event_plan_new(void);
/* NULL is fine for both. */
void event_plan_ref(struct event_plan *p);
void event_plan_unref(struct event_plan *p);

/*
 * Adds a copy of `d`. -1 with E_EVENT_TARGET: a path that is not absolute, a URL that is none of http or
 * https, a header that cannot be sent; with E_EVENT_DESTINATION: its name is taken or empty.
 */
int event_plan_add_destination(struct event_plan *p, const struct event_destination *d,
                               struct err *e);

struct event_source_params {
    struct str type;
    struct str filter;
    const struct str *fields; /* none: all */
    size_t field_count;
};

struct event_subscription_params {
    struct str account;
    const struct event_source_params *sources;
    size_t source_count;
    const struct str *destinations; /* by name; they are in the plan already */
    size_t destination_count;
};

/*
 * Adds a subscription. -1 with E_EVENT_TYPE, E_EVENT_TYPE_TWICE, E_EVENT_FIELD, E_EVENT_AUDIT_FIELDS,
 * E_EVENT_AUDIT_FILTER or E_EVENT_DESTINATION. Whether a filter is an expression is for the sink to say.
 */
int event_plan_add_subscription(struct event_plan *p, const struct event_subscription_params *s,
                                struct err *e);

#endif
