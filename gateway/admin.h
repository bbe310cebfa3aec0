/*
 * admin: the operator's listener: GET /metrics (Prometheus text), /healthz, /readyz.
 * Small answers from memory, one request a connection; no TLS, so it listens on loopback by default.
 * Owns:   each connection frees itself.
 * Thread: the worker's that accepted it.
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

struct gateway;

enum { ADMIN_HEAD_MAX_BYTES = 8192, ADMIN_CONNS_MAX = 256, ADMIN_TIMEOUT_MS = 10000 };

/* Takes the accepted fd. */
void admin_open(struct gateway *g, int fd);
/* Closes all connections of this worker. */
void admin_close_all(struct gateway *g);

#endif
