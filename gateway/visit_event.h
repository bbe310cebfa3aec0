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
struct event *visit_event_new(enum event_type type, const struct exchange_origin *origin,
                              const struct endpoint *ep);
/* Takes the reference. */
void visit_event_publish(struct event *ev, const struct endpoint *ep);

#endif
