/*
 * exchange: one HTTP request and its response, from the parsed head to the last byte.
 * It routes, runs the policy, chooses and feeds the upstream, and answers errors. It knows neither
 * wire format: the downstream codec (conn.c) stands behind struct downstream, the upstream codec
 * behind upstream.h.
 * Owns:   its arena, request, response, event, and its upstream.
 * Ends:   once, by downstream_ops.finished(); the memory goes at the end of the loop turn, so calls
 *         that are on the stack may still look at it.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "gateway/http.h"
#include "tunnel/close.h"
#include "tunnel/url.h"

struct conn;
struct conn_member;
struct conn_policy;
struct downstream;
struct endpoint;
struct exchange;
struct gateway;
struct tls_session;

/* By how much a head may outgrow its limit through what the gateway and policies put into it. */
enum { EXCHANGE_HEAD_GROWTH_BYTES = 256 * 1024 };

/* How an exchange ended, for the codec that carried it. */
enum exchange_end {
    EXCHANGE_COMPLETE, /* a whole response was handed over */
    EXCHANGE_CUT,      /* the response stops short: the connection (or h2 stream) must break */
    EXCHANGE_ABORTED,  /* the connection is reset, whatever else it carries */
};

/* What an exchange asks of its downstream codec. None of these may call the exchange back. */
struct downstream_ops {
    /* A response head; `interim` ones (1xx) come before the final one. After 101 both directions are
     * raw bytes. */
    void (*send_head)(struct downstream *d, const struct http_response *head, bool interim);
    /* Takes body bytes, at most OUTBUF_HIGH_BYTES at once; not called while blocked. */
    void (*send_body)(struct downstream *d, struct str data);
    /* True while the visitor reads too slowly; exchange_on_writable() follows. */
    bool (*is_blocked)(struct downstream *d);
    void (*send_end)(struct downstream *d, const struct http_headers *trailers);
    /* The end of a batch: what was sent so far should leave now. */
    void (*flush)(struct downstream *d);
    /* The request is blocked no longer, or a tunnel has begun. */
    void (*resume)(struct downstream *d);
    /* The last call; the exchange is over and will not use the codec again. */
    void (*finished)(struct downstream *d, enum exchange_end how);
};

struct downstream {
    const struct downstream_ops *ops; /* borrowed: static */
};

/* The one internal endpoint, or pool, that a user has connected to from inside (inside.h). */
struct exchange_inside {
    struct str account;
    struct str host; /* folded; of a wildcard endpoint: the name that was asked for */
    enum scheme scheme;
    uint16_t port;
};

/* Where a request came from. Strings are borrowed and outlive the exchange. */
struct exchange_origin {
    struct addr client;
    struct addr server;
    enum scheme scheme; /* of its listener; TLS: passed through, or for a tls endpoint */
    const struct exchange_inside *inside; /* NULL: from outside */
    struct str server_name;               /* SNI, or empty */
    struct str ja4;                       /* fingerprint of the ClientHello, or empty */
    struct str tls_version;
    struct str tls_cipher;
    const struct tls_session *tls;       /* NULL: plain, or before the handshake */
    const struct endpoint *tls_endpoint; /* whose policy ran before the handshake; NULL: none did */
    struct conn *conn; /* itself, for what policies do to it; NULL: it has none (tests) */
    uint64_t conn_start_wall_ms;
    uint64_t bytes_in; /* that the connection has carried so far, without TLS */
    uint64_t bytes_out;
    struct conn_policy **connects; /* of the connection: what its endpoints said to it */
    struct conn_member **members;  /* the same: of pools, those it keeps to */
};

/* `d` and the origin are borrowed until finished(). */
struct exchange *exchange_new(struct gateway *g, struct downstream *d,
                              const struct exchange_origin *origin);
/* Frees an exchange that was never started. */
void exchange_discard(struct exchange *x);

/* Where the codec puts the request before exchange_start(). */
struct http_request *exchange_request(struct exchange *x);
struct arena *exchange_arena(struct exchange *x);
/* The endpoint the request will go to, borrowed, or NULL; for moving the connection beforehand. */
struct endpoint *exchange_route(struct exchange *x);
/* Continues on another worker: to be called there, before exchange_start(). */
void exchange_move(struct exchange *x, struct gateway *g);

/* Runs the request. */
void exchange_start(struct exchange *x);
/* Answers with an error instead, for a request that could not be parsed (its head may be empty). */
void exchange_refuse(struct exchange *x, const struct err *e);

/* ---- from the downstream codec ---- */

/* Takes request body bytes, at most OUTBUF_HIGH_BYTES at once; not to be called while blocked. */
void exchange_on_request_data(struct exchange *x, struct str data);
/* True while the upstream reads too slowly; downstream_ops.resume follows. */
bool exchange_is_request_blocked(struct exchange *x);
/* The request body is complete; trailers may be NULL. In a tunnel: the visitor half-closed. */
void exchange_on_request_end(struct exchange *x, const struct http_headers *trailers);
/* The request body cannot be read further (bad chunk): the exchange fails. */
void exchange_on_request_bad(struct exchange *x, const struct err *e);
/* The end of a batch of the above. */
void exchange_on_request_flush(struct exchange *x);
void exchange_on_writable(struct exchange *x);
/* The visitor is gone. */
void exchange_on_lost(struct exchange *x, enum close_reason why);

/* ---- from either codec ---- */

/* Its peer has taken some bytes, while others still wait. */
void exchange_on_progress(struct exchange *x);

/* ---- from the upstream codec ---- */

void exchange_on_response(struct exchange *x, struct http_response *head);
/* Takes at most OUTBUF_HIGH_BYTES at once; not to be called while blocked. */
void exchange_on_response_data(struct exchange *x, struct str data);
/* True while the visitor reads too slowly; upstream_resume() follows. */
bool exchange_is_response_blocked(struct exchange *x);
void exchange_on_response_end(struct exchange *x, struct http_headers *trailers);
void exchange_on_response_flush(struct exchange *x);
void exchange_on_upstream_writable(struct exchange *x);
/* The upstream failed. With a response head out already the response is cut short. */
void exchange_on_upstream_failed(struct exchange *x, enum close_reason why, const struct err *e);

#endif
