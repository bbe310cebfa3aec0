/*
 * admin: the operator's listener: GET /metrics (Prometheus text), /healthz, /readyz, and the
 * management API (api_http.h) for all other paths, if there is one.
 * No TLS, so it listens on loopback by default. One request of a connection at a time.
 * Owns:   each connection frees itself.
 * Thread: the worker's that accepted it.
 * Limits: ADMIN_CONNS_MAX connections of each kind of peer a worker, each with a head and a body
 *         (API_HTTP_BODY_MAX_BYTES).
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include <stdbool.h>

struct gateway;

enum {
    ADMIN_HEAD_MAX_BYTES = 32 * 1024,
    ADMIN_CONNS_MAX = 256,
    ADMIN_TIMEOUT_MS = 10000,   /* for a whole request to arrive, and for an answer to be taken */
    ADMIN_KEEPALIVE_MS = 60000, /* between two requests */
};

/* Who is at the other end. */
enum admin_peer {
    ADMIN_PEER_NETWORK,
    ADMIN_PEER_OPERATOR, /* of the local socket in state_dir: needs no API key */
    ADMIN_PEER_PUBLIC, /* whoever knows the public name (api_public.h): the management API alone */
};
enum { ADMIN_PEERS = ADMIN_PEER_PUBLIC + 1 };

/* Takes the connected fd. False: there are as many connections of such peers as may be, and it was closed. */
bool admin_open(struct gateway *g, int fd, enum admin_peer peer);
/* Closes all connections of this worker. */
void admin_close_all(struct gateway *g);

#endif
