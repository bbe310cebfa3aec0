/*
 * upstream_http2_int: a request of an HTTP/2 connection to an upstream, as its session sees it. For
 * upstream_http2*.c only.
 * Thread: that of the session.
 */
#ifndef GATEWAY_UPSTREAM_HTTP2_INT_H
#define GATEWAY_UPSTREAM_HTTP2_INT_H

#include "base/buf.h"
#include "base/err.h"
#include "gateway/http.h"
#include "gateway/upstream_http2_session.h"
#include "gateway/upstream_int.h"

enum upstream_http2_state {
    H2_REQUEST_WAITS, /* for the session to open */
    H2_REQUEST_HEAD,  /* the response head is awaited */
    H2_REQUEST_BODY,
    H2_REQUEST_TUNNEL,
    H2_REQUEST_DONE, /* the response is complete */
    H2_REQUEST_FAILED,
    H2_REQUEST_CLOSED,
};

struct upstream_http2 {
    struct upstream base;        /* first */
    struct upstream_http2 *prev; /* of the session's list */
    struct upstream_http2 *next;
    struct upstream_http2_session *session; /* borrowed; NULL when it is over */
    enum upstream_http2_state state;
    bool submitted;    /* to nghttp2, so that the upstream may know of it */
    uint64_t asked_ms; /* when that was */
    int32_t id;        /* of its h2_stream; 0: none, or it is closed */

    /* The request. */
    nghttp2_nv *fields; /* in the exchange's arena, like what they point to */
    size_t field_count;
    bool has_body;
    bool is_tunnel_request;
    struct str websocket_key;
    struct buf out;               /* body that is not sent */
    bool ended;                   /* all of it is in `out` */
    bool end_sent;                /* with the last of it */
    struct http_headers trailers; /* behind it */
    bool body_taken;              /* the exchange has it no longer */
    bool wants_writable;          /* the exchange waits for room */
    bool step_queued;
    bool reused; /* the session had served before */

    /* The response. */
    struct str method; /* decides whether it has a body */
    struct http_response response;
    struct http_headers response_trailers;
    size_t head_bytes; /* of all its heads so far */
    size_t trailer_bytes;
    bool any_byte;
    const char *failure; /* static; on_step() tells it. NULL: none */
    bool refused;        /* the upstream says that it was not processed */
    struct buf in;       /* body that the exchange does not take yet */
    bool in_ended;       /* the end is behind it */
};

/* ---- upstream_http2_head.c ---- */

/* What of a request goes into its head, and how it is to be treated. */
void upstream_http2_take_request(struct upstream_http2 *u, const struct upstream_params *params);
/* The fields for nghttp2, in the arena. */
nghttp2_nv *upstream_http2_fields(struct arena *a, const struct http_headers *h);

/* ---- from the session ---- */

/* The session is open, or its settings came. */
void upstream_http2_on_ready(struct upstream_http2 *u);
/* The session is over; u->session is NULL. `refused`: nothing of the request was processed. */
void upstream_http2_on_lost(struct upstream_http2 *u, enum close_reason why, const struct err *e,
                            bool refused);

/* A whole frame of its h2_stream came. */
void upstream_http2_on_frame(struct upstream_http2 *u, const nghttp2_frame *frame);
/* Registers the other callbacks that concern one request. */
void upstream_http2_set_callbacks(nghttp2_session_callbacks *callbacks);

#endif
