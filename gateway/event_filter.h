/*
 * event_filter: an expression that decides whether an event of traffic is told (spec endpoints 9.5): CEL
 * over `ev`, which has the fields of tunnel/event_fields.def: ev.http.response.status_code >= 500.
 * A field that an event has no value for reads as the empty value of its type, and has() of it is false.
 * Owns:   its program and memory to evaluate in.
 * Thread: making one: any; matching: one at a time.
 * Limits: those of expressions (policy/cel).
 */
#ifndef GATEWAY_EVENT_FILTER_H
#define GATEWAY_EVENT_FILTER_H

#include "base/err.h"
#include "base/str.h"
#include "tunnel/event_type.h"

struct event;
struct event_filter;

/* NULL with E_EVENT_FILTER, and where in the expression. `type` is one of traffic. */
struct event_filter *event_filter_new(enum event_type type, struct str source, struct err *e);
/* NULL is fine. */
void event_filter_free(struct event_filter *f);

enum event_filter_answer {
    EVENT_PASSES,
    EVENT_STOPS,
    EVENT_FILTER_FAILS, /* at run time: the event is dropped (R of 9.5) */
};
/* NULL lets everything pass. */
enum event_filter_answer event_filter_match(struct event_filter *f, const struct event *ev);

#endif
