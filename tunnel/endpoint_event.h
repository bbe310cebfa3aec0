/*
 * endpoint_event: endpoint_created.v0 and endpoint_deleted.v0 of endpoints that a session holds; those of
 * the cloud type are told by the API, which makes them.
 * Thread: any.
 */
#ifndef TUNNEL_ENDPOINT_EVENT_H
#define TUNNEL_ENDPOINT_EVENT_H

#include "tunnel/event_type.h"

struct endpoint;
struct event_sink;

/* `sink` may be NULL. */
void endpoint_event_publish(struct event_sink *sink, const struct endpoint *ep,
                            enum event_action action);

#endif
