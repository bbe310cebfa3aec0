/*
 * websocket: the two fields by which the ends of a WebSocket over HTTP/1.1 know that the other one
 * means it (RFC 6455 section 4). HTTP/2 has neither (RFC 8441 section 5), so who carries a WebSocket
 * from one version to the other makes up the one and checks the other.
 * Thread: any.
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include "base/arena.h"
#include "base/str.h"

/* A fresh value of Sec-WebSocket-Key. */
struct str websocket_key_new(struct arena *a);
/* The Sec-WebSocket-Accept that answers this key. */
struct str websocket_accept(struct arena *a, struct str key);

#endif
