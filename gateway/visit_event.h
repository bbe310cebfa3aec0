/*
 * visit_event: the events of exchanges and of raw connections: what both tell of the connection and
 * the endpoint, and where they go: the access log, and the SSH session if it shows them.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_VISIT_EVENT_H
#define GATEWAY_VISIT_EVENT_H

#include <stdbool.h>

#include "tunnel/event.h"

struct endpoint;
struct exchange_origin;

/* False: nobody would see an event, so none has to be made. `ep` may be NULL. */
bool visit_event_is_wanted(const struct endpoint *ep);
/* An event of now with one reference; `ep` may be NULL. */
struct event *visit_event_new(enum event_kind kind, const struct exchange_origin *origin,
                              const struct endpoint *ep);
/* Says where its policy forwarded to: the endpoint that got it in the end, so many hops away. */
void visit_event_set_forward(struct event *ev, const struct endpoint *ep, unsigned hops);
/* Takes the reference. */
void visit_event_publish(struct event *ev, const struct endpoint *ep);
/* The same for an internal endpoint that a visit was forwarded to. The visit has its line in the log by
 * the endpoint it came to, so only the session is told, if it shows events. */
void visit_event_tell(struct event *ev, const struct endpoint *ep);

#endif
