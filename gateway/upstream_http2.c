/*
 * The upstream codec for HTTP/2: a request is one h2_stream of a session that carries many.
 *
 * No body is taken from the exchange before the session is open. So a request that the upstream
 * declares unprocessed, or that must go over HTTP/1.1 after all, can go again whole as long as none
 * of its body was taken.
 *
 * nghttp2 checks messages as RFC 9113 section 8 demands (pseudo fields, names, values, lengths
 * against content); a field that it would only skip resets the h2_stream here.
 */
#include <string.h>

#include <nghttp2/nghttp2.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/config.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/http1.h"
#include "gateway/http2.h"
#include "gateway/outbuf.h"
#include "gateway/upstream_http2_int.h"
#include "gateway/upstream_http2_pool.h"
#include "gateway/websocket.h"
#include "tunnel/endpoint.h"

static struct upstream_http2 *http2_of(struct upstream *base)
{
    return (struct upstream_http2 *)(void *)base;
}

static bool is_live(const struct upstream_http2 *u)
{
    return u->state < H2_REQUEST_DONE;
}

/* The response has begun and not ended. */
static bool is_receiving(const struct upstream_http2 *u)
{
    return u->state == H2_REQUEST_BODY || u->state == H2_REQUEST_TUNNEL;
}

static void fail(struct upstream_http2 *u, enum close_reason why, const struct err *e)
{
    if (!is_live(u))
        return;
    u->state = H2_REQUEST_FAILED;
    exchange_on_upstream_failed(u->base.exchange, why, e);
}

static void fail_malformed(struct upstream_http2 *u, const char *what)
{
    struct err e;

    (void)err_set(&e, E_UPSTREAM_INVALID, "the upstream's response is malformed: %s", what);
    fail(u, CLOSE_PROTOCOL, &e);
}

/* ---- the response ---------------------------------------------------------------------------- */

static bool has_no_body(const struct upstream_http2 *u)
{
    unsigned status = u->response.status;

    return status < 200 || status == 204 || status == 304 || str_eq(u->method, STR("HEAD"));
}

static void complete(struct upstream_http2 *u)
{
    struct http_headers *trailers = &u->response_trailers;

    if (u->state == H2_REQUEST_BODY)
        u->state = H2_REQUEST_DONE; /* a tunnel goes on in the other direction */
    exchange_on_response_end(u->base.exchange, trailers->count > 0 ? trailers : NULL);
}

static void on_end(struct upstream_http2 *u)
{
    if (!is_receiving(u) || u->in_ended)
        return;
    u->in_ended = true;
    if (u->in.len == 0)
        complete(u);
}

static void frame_response(struct upstream_http2 *u, bool ends)
{
    struct http_response *r = &u->response;
    const struct http_header *length = http_headers_find(&r->headers, STR("content-length"), 0);

    r->reason = str_from(http_reason(r->status));
    r->version_minor = 1;
    r->keep_alive = true;
    r->has_content_length = length != NULL;
    if (length != NULL)
        (void)str_to_u64(length->value, UINT64_MAX,
                         &r->content_length); /* nghttp2 has checked it */
    if (has_no_body(u))
        return;
    if (ends) {
        r->has_content_length = true;
        r->content_length = 0;
    } else if (length == NULL) {
        r->body = HTTP_BODY_CHUNKED;
    } else if (r->content_length > 0) {
        r->body = HTTP_BODY_LENGTH;
    }
}

/* RFC 8441: a 200 to the extended CONNECT is what 101 is in HTTP/1.1. */
static void become_tunnel(struct upstream_http2 *u)
{
    struct arena *a = exchange_arena(u->base.exchange);
    struct http_response *r = &u->response;

    r->status = 101;
    r->reason = str_from(http_reason(101));
    r->body = HTTP_BODY_NONE;
    r->has_content_length = false;
    r->upgrade = STR("websocket");
    (void)http_headers_remove(&r->headers, STR("sec-websocket-accept"));
    if (u->websocket_key.n > 0)
        http_headers_add(&r->headers, a, STR("sec-websocket-accept"),
                         websocket_accept(a, u->websocket_key));
    u->state = H2_REQUEST_TUNNEL;
}

static void on_head(struct upstream_http2 *u, bool ends)
{
    struct http_response response;

    if (u->response.status == 101 || u->response.status < 100) {
        fail_malformed(u, "a status that HTTP/2 does not have");
        return;
    }
    frame_response(u, ends);
    if (u->response.status >= 200 && u->is_tunnel_request && u->response.status < 300)
        become_tunnel(u);
    else if (u->response.status >= 200)
        u->state = H2_REQUEST_BODY;
    response = u->response;
    u->response = (struct http_response){ 0 };
    exchange_on_response(u->base.exchange, &response);
    if (ends)
        on_end(u);
}

void upstream_http2_on_frame(struct upstream_http2 *u, const nghttp2_frame *frame)
{
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.type == NGHTTP2_HEADERS && u->state == H2_REQUEST_HEAD)
        on_head(u, ends);
    else if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && ends)
        on_end(u);
}

/* A field of a head. Returns false when it is too much. */
static bool add_field(struct upstream_http2 *u, struct str name, struct str value)
{
    struct arena *a = exchange_arena(u->base.exchange);

    /* As announced; and no less than what HTTP/1.1 makes of it, for all interim heads together. */
    u->head_bytes += name.n + value.n + HTTP2_FIELD_OVERHEAD_BYTES;
    if (u->head_bytes > u->base.gateway->config->response_head_max_bytes ||
        u->response.headers.count == HTTP1_HEADERS_MAX)
        return false;
    if (str_eq(name, STR(":status"))) {
        for (size_t i = 0; i < value.n; i++) /* three digits, says nghttp2 */
            u->response.status = u->response.status * 10 + (unsigned)(value.p[i] - '0');
        return true;
    }
    http_headers_add(&u->response.headers, a, arena_str(a, name), arena_str(a, value));
    return true;
}

static bool add_trailer(struct upstream_http2 *u, struct str name, struct str value)
{
    struct arena *a = exchange_arena(u->base.exchange);

    u->trailer_bytes += name.n + value.n + sizeof(": \r\n") - 1;
    if (u->trailer_bytes > HTTP1_TRAILERS_MAX_BYTES)
        return false;
    if (http_may_be_trailer(name))
        http_headers_add(&u->response_trailers, a, arena_str(a, name), arena_str(a, value));
    return true;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    struct str n = str_of((const char *)name, name_bytes);
    struct str v = str_of((const char *)value, value_bytes);

    (void)flags;
    (void)arg;
    if (u == NULL || !is_live(u))
        return 0;
    u->any_byte = true;
    if (u->state == H2_REQUEST_HEAD ? add_field(u, n, v) : add_trailer(u, n, v))
        return 0;
    fail_malformed(u, "its head or its trailers are too large");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the h2_stream */
}

/* Without this nghttp2 would skip the field. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_bytes, const uint8_t *value, size_t value_bytes,
                             uint8_t flags, void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    (void)name;
    (void)name_bytes;
    (void)value;
    (void)value_bytes;
    (void)flags;
    (void)arg;
    if (u != NULL)
        fail_malformed(u, "a field that HTTP/2 does not allow");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    (void)arg;
    if (u != NULL)
        fail_malformed(u, nghttp2_strerror(code));
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                         void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, id);

    (void)flags;
    (void)arg;
    (void)nghttp2_session_consume_connection(ng, n);
    if (u == NULL || !is_receiving(u)) {
        (void)nghttp2_session_consume_stream(ng, id, n);
    } else if (u->in.len > 0 || exchange_is_response_blocked(u->base.exchange)) {
        /* At most the window of the h2_stream. nghttp2 hands out what goes beyond, too, but resets the
         * h2_stream then: here it is dropped, with all behind it. */
        buf_add(&u->in, p, n);
    } else {
        (void)nghttp2_session_consume_stream(ng, id, n);
        exchange_on_response_data(u->base.exchange, str_of((const char *)p, n));
    }
    return 0;
}

static void queue_step(struct upstream_http2 *u);

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, id);
    const struct upstream_http2_session *s = arg;
    struct err e;

    if (u == NULL)
        return 0;
    u->id = 0;
    if (!is_live(u) || s->failing) /* then all its requests will be told why */
        return 0;
    /* What waits for a slow visitor is whole; a tunnel goes on only if it was not reset. */
    if (is_receiving(u) && u->in_ended &&
        (u->state == H2_REQUEST_BODY || code == NGHTTP2_NO_ERROR)) {
        if (u->wants_writable)
            queue_step(u);
        return 0;
    }
    u->refused = code == NGHTTP2_REFUSED_STREAM;
    if (u->refused)
        (void)err_set(&e, E_UPSTREAM_DECLINED, "the upstream refused the request");
    else
        (void)err_set(&e, E_UPSTREAM_INVALID, "the upstream reset the request (%s)",
                      nghttp2_http2_strerror(code));
    fail(u, CLOSE_RESET, &e);
    return 0;
}

/* A request that waited in nghttp2 cannot be sent any more, as after a GOAWAY. */
static int on_frame_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *arg)
{
    struct upstream_http2_session *s = arg;
    struct upstream_http2 *u;
    struct err e;

    (void)ng;
    (void)code;
    if (!s->goaway || frame->hd.type != NGHTTP2_HEADERS ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    DL_SEARCH_SCALAR(s->requests, u, id, frame->hd.stream_id);
    if (u == NULL)
        return 0;
    u->id = 0;
    u->refused = true;
    (void)err_set(&e, E_UPSTREAM_DECLINED, "the upstream takes no more requests");
    fail(u, CLOSE_RESET, &e);
    return 0;
}

void upstream_http2_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
}

/* Hands on what waited for the visitor. */
static void drain_in(struct upstream_http2 *u)
{
    while (is_receiving(u) && u->in.len > 0 && !exchange_is_response_blocked(u->base.exchange)) {
        struct str piece = str_slice(buf_str(&u->in), 0, OUTBUF_HIGH_BYTES);

        if (u->session != NULL && u->id != 0)
            (void)nghttp2_session_consume_stream(u->session->ng, u->id, piece.n);
        exchange_on_response_data(u->base.exchange, piece);
        buf_consume(&u->in, piece.n);
        if (u->in.len == 0 && u->in_ended && is_receiving(u))
            complete(u);
    }
}

/* ---- the request ---------------------------------------------------------------------------- */

static bool is_full(const struct upstream_http2 *u)
{
    return u->state == H2_REQUEST_WAITS || u->out.len >= OUTBUF_HIGH_BYTES;
}

/* Does what may not be done inside a call of the exchange, or of nghttp2. */
static void on_step(struct worker *w, void *arg)
{
    struct upstream_http2 *u = arg;
    struct err e;

    (void)w;
    u->step_queued = false;
    if (is_live(u) && u->failure != NULL) {
        (void)err_set(&e, E_UPSTREAM_DECLINED, "%s", u->failure);
        fail(u, CLOSE_PROTOCOL, &e);
        return;
    }
    if (is_live(u) && u->wants_writable && !is_full(u)) {
        u->wants_writable = false;
        exchange_on_upstream_writable(u->base.exchange);
    }
    if (!is_receiving(u))
        return;
    drain_in(u);
    if (u->state != H2_REQUEST_CLOSED)
        exchange_on_response_flush(u->base.exchange);
    if (u->session != NULL)
        upstream_http2_session_flush(u->session);
}

static void queue_step(struct upstream_http2 *u)
{
    if (u->step_queued || u->state == H2_REQUEST_CLOSED)
        return;
    u->step_queued = true;
    worker_defer(u->base.gateway->worker, on_step, u);
}

/* Gives the trailers to nghttp2, which ends the h2_stream with them. */
static void submit_trailers(struct upstream_http2 *u)
{
    nghttp2_nv *nvs = upstream_http2_fields(exchange_arena(u->base.exchange), &u->trailers);

    (void)nghttp2_submit_trailer(u->session->ng, u->id, nvs, u->trailers.count);
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *p, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, id);
    struct str piece;

    (void)source;
    (void)arg;
    if (u == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it is being reset anyhow */
    piece = str_slice(buf_str(&u->out), 0, room);
    if (piece.n == 0 && !u->ended)
        return NGHTTP2_ERR_DEFERRED;
    if (piece.n > 0) {
        memcpy(p, piece.p, piece.n);
        buf_consume(&u->out, piece.n);
        exchange_on_progress(u->base.exchange);
    }
    if (u->out.len == 0 && u->ended) {
        u->end_sent = true;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (u->trailers.count > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(u);
        }
    }
    if (u->wants_writable && !is_full(u))
        queue_step(u);
    return (ssize_t)piece.n;
}

/* RFC 8441 section 3: not to be tried before the upstream has said so. */
static bool takes_tunnels(const struct upstream_http2_session *s)
{
    return nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) ==
           1;
}

static void submit(struct upstream_http2 *u)
{
    const nghttp2_data_provider body = { .read_callback = read_body };

    u->state = H2_REQUEST_HEAD;
    u->submitted = true;
    u->asked_ms = clock_mono_ms();
    u->id = nghttp2_submit_request(u->session->ng, NULL, u->fields, u->field_count,
                                   u->has_body ? &body : NULL, u);
    if (u->id > 0)
        return;
    u->id = 0;
    u->refused = true;
    u->failure = "the connection to the upstream is used up";
    upstream_http2_session_retire(u->session);
}

void upstream_http2_on_ready(struct upstream_http2 *u)
{
    struct upstream_http2_session *s = u->session;

    if (u->state != H2_REQUEST_WAITS || s->state != H2_SESSION_OPEN)
        return;
    if (u->is_tunnel_request && !s->settings)
        return;
    if (u->is_tunnel_request && !takes_tunnels(s))
        u->failure = "the upstream does not take WebSockets over HTTP/2 (RFC 8441)";
    else
        submit(u);
    upstream_http2_session_flush(s);
    if (u->wants_writable || u->failure != NULL)
        queue_step(u);
}

void upstream_http2_on_lost(struct upstream_http2 *u, enum close_reason why, const struct err *e,
                            bool refused)
{
    bool is_closed = u->id == 0;

    u->id = 0;
    u->refused = refused;
    /* All that waits for a slow visitor is here: of a response, or of a tunnel that both ended. */
    if (!is_receiving(u) || !u->in_ended || (u->state == H2_REQUEST_TUNNEL && !is_closed))
        fail(u, why, e);
}

/* ---- what the exchange does ------------------------------------------------------------------- */

static void http2_send_body(struct upstream *base, struct str data)
{
    struct upstream_http2 *u = http2_of(base);

    if (!is_live(u) || data.n == 0)
        return; /* the response is complete without it */
    u->body_taken = true;
    buf_add_str(&u->out, data);
    if (u->session != NULL && u->id != 0)
        (void)nghttp2_session_resume_data(u->session->ng, u->id);
}

static bool http2_is_blocked(struct upstream *base)
{
    struct upstream_http2 *u = http2_of(base);

    if (!is_live(u) || !is_full(u))
        return false;
    u->wants_writable = true;
    if (u->session != NULL)
        upstream_http2_session_flush(u->session);
    return true;
}

static bool http2_is_flushed(struct upstream *base)
{
    struct upstream_http2 *u = http2_of(base);

    /* Asked at the end of a tunnel: nghttp2 closes the h2_stream once both ends have passed. */
    if (u->id == 0)
        return true;
    u->wants_writable = true;
    return false;
}

static void http2_send_end(struct upstream *base, const struct http_headers *trailers)
{
    struct upstream_http2 *u = http2_of(base);

    /* An upgrade has no body; in a tunnel this ends our direction. */
    if (!is_live(u) || (u->is_tunnel_request && u->state != H2_REQUEST_TUNNEL))
        return;
    u->ended = true;
    if (trailers != NULL)
        u->trailers = *trailers;
    if (u->session != NULL && u->id != 0)
        (void)nghttp2_session_resume_data(u->session->ng, u->id);
}

static void http2_flush(struct upstream *base)
{
    struct upstream_http2 *u = http2_of(base);

    if (u->session != NULL)
        upstream_http2_session_flush(u->session);
}

static void http2_resume(struct upstream *base)
{
    struct upstream_http2 *u = http2_of(base);

    if (u->in.len > 0)
        queue_step(u);
}

static bool http2_is_reused(struct upstream *base)
{
    return http2_of(base)->reused;
}

static bool http2_is_untouched(struct upstream *base)
{
    const struct upstream_http2 *u = http2_of(base);

    return !u->any_byte && !u->body_taken && u->trailers.count == 0;
}

static enum upstream_fate http2_fate(struct upstream *base)
{
    const struct upstream_http2 *u = http2_of(base);

    if (u->refused && http2_is_untouched(base))
        return UPSTREAM_UNPROCESSED;
    if (!u->submitted && u->failure == NULL)
        return UPSTREAM_UNREACHED;
    return u->reused && !u->any_byte ? UPSTREAM_STALE : UPSTREAM_PROCESSED;
}

static void free_request(struct worker *w, void *arg)
{
    struct upstream_http2 *u = arg;

    (void)w;
    upstream_fini(&u->base);
    buf_fini(&u->out);
    buf_fini(&u->in);
    mem_free(u);
}

/* Leaves the h2_stream to nghttp2, which forgets whose it was. */
static void abandon_stream(struct upstream_http2 *u)
{
    nghttp2_session *ng = u->session->ng;
    bool is_complete = u->state == H2_REQUEST_DONE;

    if (u->id == 0)
        return;
    (void)nghttp2_session_set_stream_user_data(ng, u->id, NULL);
    (void)nghttp2_session_consume_stream(ng, u->id, u->in.len);
    if (is_complete && nghttp2_session_get_stream_local_close(ng, u->id) == 1)
        return; /* nghttp2 closes it itself */
    /* Also when the response came before the end of the request (RFC 9113 section 8.1). */
    (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, u->id,
                                    is_complete ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

static void http2_close(struct upstream *base, enum close_reason why)
{
    struct upstream_http2 *u = http2_of(base);

    if (u->state == H2_REQUEST_CLOSED)
        return;
    if (u->session != NULL) {
        /* A connection that has said nothing all the time may be dead. */
        if (why == CLOSE_TIMEOUT && u->session->heard_ms <= u->asked_ms)
            upstream_http2_session_retire(u->session);
        abandon_stream(u);
        upstream_http2_session_leave(u->session, u);
    }
    u->state = H2_REQUEST_CLOSED;
    worker_defer(base->gateway->worker, free_request, u); /* an event of ours may be on the stack */
}

static const struct upstream_ops http2_ops = {
    .send_body = http2_send_body,
    .is_blocked = http2_is_blocked,
    .is_flushed = http2_is_flushed,
    .send_end = http2_send_end,
    .flush = http2_flush,
    .resume = http2_resume,
    .is_reused = http2_is_reused,
    .fate = http2_fate,
    .is_untouched = http2_is_untouched,
    .close = http2_close,
};

struct upstream *upstream_http2_new(const struct upstream_params *params)
{
    struct upstream_http2 *u = mem_zalloc(sizeof(*u));
    struct gateway *g = params->gateway;

    upstream_init(&u->base, &http2_ops, params);
    buf_init(&u->out, 3 * (size_t)OUTBUF_HIGH_BYTES);
    buf_init(&u->in, (size_t)g->config->upstream_http2_window_bytes);
    upstream_http2_take_request(u, params);
    upstream_http2_session_join(upstream_http2_pool_take(g->http2, params), u);
    if (u->reused)
        metrics_add(worker_metrics(g->worker), METRIC_STREAMS_REUSED_TOTAL, 1);
    if (u->session->state == H2_SESSION_OPEN)
        upstream_http2_on_ready(u);
    return &u->base;
}
