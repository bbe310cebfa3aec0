/*
 * conn_raw: connections whose bytes go to one endpoint unread, of TCP endpoints and of TLS endpoints.
 * conn_start_raw() (conn_int.h) makes one of a connection.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_CONN_RAW_H
#define GATEWAY_CONN_RAW_H

struct endpoint;
struct gateway;

/* The endpoint is offline: ends the connections that it has on this worker. */
void conn_raw_drop(struct gateway *g, const struct endpoint *ep);

#endif
