/*
 * conn: one accepted downstream connection: its place among the worker's connections, its sock, the
 * TLS handshake, and the timer. What it says after that is its protocol's matter (conn_int.h).
 * Owns:   its sock and the state of its protocol; frees itself when it closes.
 * Thread: that of its worker; it may move once, to the worker of the SSH session it asks for.
 */
#ifndef GATEWAY_CONN_H
#define GATEWAY_CONN_H

#include "base/addr.h"
#include "tunnel/close.h"
#include "tunnel/url.h"

struct conn;
struct endpoint;
struct gateway;
struct inside_visit;

/* Takes the accepted fd; `scheme` is HTTP, HTTPS or TCP, as its listener says, and `port` that of the
 * endpoints it stands for: 80, 443 or that of the TCP endpoint. */
void conn_open(struct gateway *g, int fd, enum scheme scheme, uint16_t port,
               const struct addr *peer);

/* The same of a user who connects to the address of `v` (counted) from inside. */
void conn_open_inside(struct gateway *g, int fd, struct inside_visit *v, const struct addr *client,
                      const struct addr *server);

/* No further request after those under way; an idle connection closes now. */
void conn_drain(struct conn *c);
/* Ends it in any state. */
void conn_close(struct conn *c, enum close_reason why);

/* It carried a request to an endpoint: the first one is told of when it closes. */
void conn_note_endpoint(struct conn *c, struct endpoint *ep);

/* The gateway's list of connections. */
struct conn *conn_next(const struct conn *c);

#endif
