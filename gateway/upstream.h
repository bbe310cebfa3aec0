/*
 * upstream: one request on its way to an endpoint and the response coming back, over HTTP/1.1
 * (upstream_http1.c) or HTTP/2 (upstream_http2.c), as the endpoint asks for.
 * With HTTP/1.1 it takes an idle stream of the endpoint or dials one, and gives the stream back for
 * reuse when both messages were complete. With HTTP/2 it is one of many on a connection
 * (upstream_http2_session.h).
 * Owns:   its stream. Borrows the exchange, which owns the upstream.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_UPSTREAM_H
#define GATEWAY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/str.h"
#include "gateway/http.h"
#include "tunnel/close.h"

struct endpoint;
struct exchange;
struct gateway;
struct upstream;

struct upstream_params {
    struct gateway *gateway;
    struct exchange *exchange;          /* gets the events */
    struct endpoint *endpoint;          /* counted for the upstream's life */
    const struct http_request *request; /* headers ready to be sent; without Host */
    struct str host;                    /* of the Host field */
    const struct addr *client;          /* the ends of the visitor's connection */
    const struct addr *server;
    bool fresh; /* dial, even when an idle stream is there */
};

/*
 * Starts. The outcome comes by the exchange's events, never before this returned: a failure to dial
 * too.
 */
struct upstream *upstream_new(const struct upstream_params *params);

/* Takes request body, at most OUTBUF_HIGH_BYTES at once; not to be called while blocked. */
void upstream_send_body(struct upstream *u, struct str data);
/* True while the upstream reads too slowly; exchange_on_upstream_writable() follows. */
bool upstream_is_blocked(struct upstream *u);
/* True when the stream has taken everything that was sent. */
bool upstream_is_flushed(struct upstream *u);
/* The end of the request body; in a tunnel, of this direction. */
void upstream_send_end(struct upstream *u, const struct http_headers *trailers);
void upstream_flush(struct upstream *u);
/* The response is blocked no longer. */
void upstream_resume(struct upstream *u);

/* True when the stream served an earlier request. */
bool upstream_is_reused(struct upstream *u);

/* What became of a request that failed. */
enum upstream_fate {
    UPSTREAM_PROCESSED,   /* the upstream may have acted on it */
    UPSTREAM_STALE,       /* the same, but more likely it had closed the reused stream before */
    UPSTREAM_UNPROCESSED, /* it has not, and none of the body was sent */
    UPSTREAM_UNSENT,      /* there was no way to it, and none of the body was taken */
};
enum upstream_fate upstream_fate(struct upstream *u);
/* True if no byte of the response came and none of the body was taken: the request is still whole. */
bool upstream_is_untouched(struct upstream *u);
/* Ends it in any state; a stream that is fit for it goes to the idle ones. No event follows. */
void upstream_close(struct upstream *u, enum close_reason why);

#endif
