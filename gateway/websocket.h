/*
 * websocket: the part of the WebSocket handshake that HTTP/2 leaves out (RFC 8441 section 5.1).
 * Thread: any; pure.
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include "base/arena.h"
#include "base/str.h"

/* The value of Sec-WebSocket-Accept for this Sec-WebSocket-Key (RFC 6455 section 4.2.2), in the
 * arena. */
struct str websocket_accept(struct arena *a, struct str key);

#endif
