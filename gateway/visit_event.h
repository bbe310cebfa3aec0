/*
 * visit_event: the events of exchanges and of connections: what both tell of the connection and the
 * endpoint, and where they go: the access log, the SSH session if it shows them, event destinations.
 * It also counts what an endpoint carried, so that metrics and events tell the same.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_VISIT_EVENT_H
#define GATEWAY_VISIT_EVENT_H

#include <stdbool.h>

#include "base/log.h"
#include "tunnel/event.h"

struct endpoint;
struct endpoint_visit;
struct exchange_origin;
struct gateway;

/* False: nobody would see an event, so none has to be made. `ep` may be NULL. */
bool visit_event_is_wanted(const struct gateway *g, enum event_type type,
                           const struct endpoint *ep);
/* True if a destination may get it: then it is told whole. */
bool visit_event_is_subscribed(const struct gateway *g, enum event_type type);
/* An event of now with one reference; `ep` may be NULL. */
struct event *visit_event_new(enum event_type type, const struct exchange_origin *origin,
                              const struct endpoint *ep);
/* Takes the reference. `level` is that of its line in the log; `ep` may be NULL. */
void visit_event_publish(const struct gateway *g, struct event *ev, const struct endpoint *ep,
                         enum log_level level);

/* Counts for the metrics of an endpoint; NULL: of none. */
void visit_event_count(const struct gateway *g, struct endpoint *ep,
                       const struct endpoint_visit *visit);

#endif
