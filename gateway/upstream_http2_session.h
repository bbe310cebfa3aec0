/*
 * upstream_http2_session: one HTTP/2 connection to an upstream, carrying many requests (RFC 9113).
 * It moves the bytes between stream and nghttp2, bounds what the upstream may do, and says to the
 * requests (upstream_http2_int.h) what became of the connection. It ends when it has been idle for
 * upstream_idle_ms, when the upstream or the pool retires it, or when it fails.
 * Owns:   its stream and itself; borrows its requests.
 * Thread: its worker's.
 * Limits: upstream_http2_* of the configuration; UPSTREAM_HTTP2_*_MAX below.
 */
#ifndef GATEWAY_UPSTREAM_HTTP2_SESSION_H
#define GATEWAY_UPSTREAM_HTTP2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "tunnel/close.h"

struct endpoint;
struct err;
struct gateway;
struct stream;
struct upstream_http2;
struct upstream_params;
struct worker;
struct worker_timer;

enum {
    UPSTREAM_HTTP2_ACKS_MAX = 100, /* answers to PING and SETTINGS that wait to be sent */
    UPSTREAM_HTTP2_PROBLEM_BYTES = 120,
};

enum upstream_http2_session_state {
    H2_SESSION_OPENING, /* the stream is being dialled */
    H2_SESSION_OPEN,
    H2_SESSION_OVER, /* the memory goes at the end of the turn */
};

struct upstream_http2_session {
    struct upstream_http2_session *prev; /* of the pool's list */
    struct upstream_http2_session *next;
    bool pooled;
    bool goaway;             /* the upstream said so: it has not processed what it was not sent */
    bool failing;            /* the gateway has ended it, for something the upstream did */
    bool retired;            /* it takes no more requests */
    struct gateway *gateway; /* borrowed: not looked at once retired, which may be its end */
    struct worker *worker;   /* borrowed: outlives us */
    struct endpoint *ep;     /* counted */
    struct stream *stream;   /* owned */
    nghttp2_session *ng;     /* owned; NULL until open */
    enum upstream_http2_session_state state;
    struct upstream_http2 *requests; /* list; borrowed */
    size_t count;
    bool served;   /* it had requests before */
    bool settings; /* the upstream's have come */
    bool send_queued;
    uint64_t heard_ms; /* when bytes last came */
    struct buf out;    /* that the stream did not take */
    enum close_reason dial_failure;
    struct worker_timer *idle;
    uint64_t second;         /* of the monotonic clock, for: */
    uint64_t control_frames; /* that came without content */
    uint64_t answers_due;    /* such frames that may come beyond the limit */
    uint64_t control_frames_max;
    char problem[UPSTREAM_HTTP2_PROBLEM_BYTES]; /* what the upstream did wrong; "": nothing */
};

/* Dials; `for_one`: it is retired from the start, for the request that comes next. Never NULL: when
 * dialling fails, the requests are told later. */
struct upstream_http2_session *upstream_http2_session_new(const struct upstream_params *params,
                                                          bool for_one);
bool upstream_http2_session_has_room(const struct upstream_http2_session *s);
/* Takes no more requests; ends with the last one. */
void upstream_http2_session_retire(struct upstream_http2_session *s);

/* A request joins before it is submitted, and leaves when it is closed. */
void upstream_http2_session_join(struct upstream_http2_session *s, struct upstream_http2 *u);
void upstream_http2_session_leave(struct upstream_http2_session *s, struct upstream_http2 *u);
/* Sends what there is to send at the end of the loop turn. */
void upstream_http2_session_flush(struct upstream_http2_session *s);

#endif
