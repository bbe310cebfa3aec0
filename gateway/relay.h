/*
 * relay: dialling an endpoint whose SSH session lives on another worker.
 * The dialling worker (near) gets a stream over one end of a socketpair; the session's worker (far)
 * joins the other end to the agent's stream. Bytes and half-closes travel through the socketpair;
 * what a socket cannot say (opened, refused, why it closed) travels by message.
 * Owns:   a relay is shared by both workers through a count; each side touches its own half only.
 * Thread: relay_dial() on any worker; it is the gateway's dial_fn (tunnel/dial.h).
 */
#ifndef GATEWAY_RELAY_H
#define GATEWAY_RELAY_H

#include "tunnel/dial.h"

/* A dial_fn: direct when the session is on this worker, through a relay otherwise. */
struct stream *relay_dial(struct endpoint *ep, const struct addr *client,
                          const struct stream_events *events, void *arg, enum close_reason *why);

#endif
