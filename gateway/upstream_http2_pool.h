/*
 * upstream_http2_pool: the HTTP/2 connections to upstreams, by endpoint, and which one a request
 * takes. Also remembers, for a while, that an upstream chose HTTP/1.1 when it was offered both.
 * Owns:   the sessions in it; those that take no more requests own themselves until they end.
 * Thread: its worker's.
 * Limits: upstream_http2_conns_max sessions an endpoint.
 */
#ifndef GATEWAY_UPSTREAM_HTTP2_POOL_H
#define GATEWAY_UPSTREAM_HTTP2_POOL_H

#include <stdbool.h>

struct endpoint;
struct gateway;
struct upstream_http2_pool;
struct upstream_http2_session;
struct upstream_params;

struct upstream_http2_pool *upstream_http2_pool_new(struct gateway *g);
/* Closes all; requests have ended before. */
void upstream_http2_pool_free(struct upstream_http2_pool *p);

/* True if the endpoint asks for HTTP/2 and its upstream is not known to speak only HTTP/1.1. */
bool upstream_http2_pool_may_speak(struct upstream_http2_pool *p, const struct endpoint *ep);
/* The upstream chose HTTP/1.1. */
void upstream_http2_pool_note_http1(struct upstream_http2_pool *p, struct endpoint *ep);

/* The session for a request: one with room, a new one, or the one with the fewest requests. */
struct upstream_http2_session *upstream_http2_pool_take(struct upstream_http2_pool *p,
                                                        const struct upstream_params *params);
/* A session takes no more requests; it leaves the pool. */
void upstream_http2_pool_remove(struct upstream_http2_pool *p, struct upstream_http2_session *s);

/* Those of one endpoint, or all, take no more requests and end with the last one they have. */
void upstream_http2_pool_drop(struct upstream_http2_pool *p, const struct endpoint *ep);
void upstream_http2_pool_clear(struct upstream_http2_pool *p);

#endif
