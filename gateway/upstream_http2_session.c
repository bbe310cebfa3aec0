/*
 * What nghttp2 is given it takes at once, so the stream is never held back: what bounds memory is
 * flow control. The window of the connection is given back as data arrives, and that of each
 * h2_stream only when its exchange has taken the data, so a slow visitor holds up nobody else and at
 * most one window of bytes waits for each request.
 *
 * Sending waits for the end of the loop turn: what many requests did in one turn leaves in one
 * write, and nghttp2 is never entered twice.
 */
#include "gateway/upstream_http2_session.h"

#include <assert.h>
#include <stdio.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/config.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/head_buf.h"
#include "gateway/idle.h"
#include "gateway/outbuf.h"
#include "gateway/upstream_dial.h"
#include "gateway/upstream_http2_int.h"
#include "gateway/upstream_http2_pool.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"
#include "tunnel/stream.h"

enum {
    H2_FRAME_BYTES = 16 * 1024 + 9, /* the largest that is sent */
    H2_CONNECTION_WINDOW_BYTES = 1024 * 1024,
    /* Window updates answer the data that was sent; that many for a frame of it cost nothing, however
     * late they come. */
    H2_CONTROL_FRAMES_PER_DATA = 4,
};

/* ---- the end -------------------------------------------------------------------------------- */

static void free_session(struct worker *w, void *arg)
{
    struct upstream_http2_session *s = arg;

    (void)w;
    nghttp2_session_del(s->ng);
    worker_timer_free(s->idle);
    buf_fini(&s->out);
    endpoint_unref(s->ep);
    mem_free(s);
}

static void leave_pool(struct upstream_http2_session *s)
{
    s->retired = true;
    if (s->pooled)
        upstream_http2_pool_remove(s->gateway->http2, s);
}

/* Gives up everything but the stream. */
static void finish(struct upstream_http2_session *s)
{
    leave_pool(s);
    s->state = H2_SESSION_OVER;
    worker_timer_stop(s->idle);
    worker_defer(s->worker, free_session, s); /* nghttp2 may be on the stack */
}

static void end_session(struct upstream_http2_session *s, enum close_reason why)
{
    struct stream *stream = s->stream;

    if (s->state == H2_SESSION_OVER)
        return;
    finish(s);
    s->stream = NULL;
    if (stream == NULL)
        return;
    metrics_add(worker_metrics(s->worker), METRIC_STREAMS, -1);
    stream_close(stream, why);
}

/* Ends the session and then tells the requests it had, which may try others at once. */
static void tell_lost(struct upstream_http2_session *s, enum close_reason why, const struct err *e,
                      bool refused)
{
    while (s->requests != NULL) {
        struct upstream_http2 *u = s->requests;

        DL_DELETE(s->requests, u);
        s->count--;
        u->session = NULL;
        upstream_http2_on_lost(u, why, e, refused);
    }
}

static void fail(struct upstream_http2_session *s, enum close_reason why)
{
    struct err e;

    if (s->state == H2_SESSION_OVER)
        return;
    if (s->problem[0] != '\0')
        (void)err_set(&e, E_UPSTREAM_INVALID, "the upstream broke HTTP/2: %s", s->problem);
    else
        (void)err_set(&e, close_error(why), "%s", close_text(why));
    end_session(s, why);
    tell_lost(s, why, &e, false);
}

/* The upstream broke the protocol. */
static void fail_protocol(struct upstream_http2_session *s)
{
    if (!s->settings)
        (void)snprintf(s->problem, sizeof(s->problem), "it does not speak it at all");
    else if (s->problem[0] == '\0')
        (void)snprintf(s->problem, sizeof(s->problem), "the connection cannot go on");
    fail(s, CLOSE_PROTOCOL);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Lets nghttp2 write frames until there is a good piece of them. */
static void fill_out(struct upstream_http2_session *s)
{
    while (s->out.len + H2_FRAME_BYTES <= OUTBUF_HIGH_BYTES) {
        const uint8_t *p;
        ssize_t n;

        n = nghttp2_session_mem_send(s->ng, &p);
        if (n <= 0)
            return; /* running out of memory aborts, so nothing else can fail */
        buf_add(&s->out, p, (size_t)n);
        assert(!buf_failed(&s->out)); /* frames have at most H2_FRAME_BYTES */
    }
}

static bool flush_out(struct upstream_http2_session *s)
{
    struct str left = buf_str(&s->out);

    if (left.n > 0)
        buf_consume(&s->out, stream_write(s->stream, left.p, left.n));
    return s->out.len == 0;
}

static void send_all(struct upstream_http2_session *s)
{
    while (flush_out(s)) {
        fill_out(s);
        if (s->out.len == 0)
            return;
    }
}

static bool is_over(const struct upstream_http2_session *s)
{
    return s->out.len == 0 && nghttp2_session_want_read(s->ng) == 0 &&
           nghttp2_session_want_write(s->ng) == 0;
}

static void on_send(struct worker *w, void *arg)
{
    struct upstream_http2_session *s = arg;

    (void)w;
    s->send_queued = false;
    if (s->state != H2_SESSION_OPEN) {
        if (s->state == H2_SESSION_OPENING && s->retired && s->count == 0)
            end_session(s, CLOSE_CANCELLED);
        return;
    }
    if (s->retired && s->count == 0)
        (void)nghttp2_session_terminate_session(s->ng, NGHTTP2_NO_ERROR);
    send_all(s);
    if (is_over(s) && s->count > 0)
        fail_protocol(s);
    else if (is_over(s))
        end_session(s, CLOSE_DONE);
}

void upstream_http2_session_flush(struct upstream_http2_session *s)
{
    if (s->send_queued || s->state == H2_SESSION_OVER)
        return;
    s->send_queued = true;
    worker_defer(s->worker, on_send, s);
}

/* ---- what the upstream sends ------------------------------------------------------------------ */

/* True for a frame that brings a request further, if only to its end. */
static bool has_content(nghttp2_session *ng, const nghttp2_frame_hd *hd)
{
    bool is_empty = hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0;

    if (hd->type != NGHTTP2_HEADERS && (hd->type != NGHTTP2_DATA || is_empty))
        return false;
    return nghttp2_session_get_stream_user_data(ng, hd->stream_id) != NULL;
}

/* One more frame that only costs the gateway work. */
static int count_control_frame(struct upstream_http2_session *s)
{
    uint64_t second = clock_mono_ms() / 1000;

    if (s->second != second) {
        s->second = second;
        s->control_frames = 0;
    }
    s->control_frames++;
    if (s->control_frames <= s->control_frames_max)
        return 0;
    if (s->answers_due > 0) {
        s->answers_due--;
        return 0;
    }
    (void)snprintf(s->problem, sizeof(s->problem), "too many frames without content");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
    return has_content(ng, hd) ? 0 : count_control_frame(arg);
}

/* DATA that turned out to be nothing but padding; padlen counts its length, too. */
static bool is_padding(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_DATA && frame->hd.length > 0 &&
           frame->hd.length <= frame->data.padlen &&
           (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct upstream_http2_session *s = arg;

    (void)ng;
    if (frame->hd.type == NGHTTP2_DATA)
        s->answers_due += H2_CONTROL_FRAMES_PER_DATA;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        s->failing = true;
    return 0;
}

static void on_settings(struct upstream_http2_session *s)
{
    struct upstream_http2 *u;
    struct upstream_http2 *next;

    if (s->settings)
        return;
    s->settings = true;
    DL_FOREACH_SAFE(s->requests, u, next)
    upstream_http2_on_ready(u);
}

static void on_goaway(struct upstream_http2_session *s)
{
    s->goaway = true;
    upstream_http2_session_retire(s);
}

/* Those of requests are upstream_http2.c's; it passes the others here. */
static void on_connection_frame(struct upstream_http2_session *s, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        on_settings(s);
    else if (frame->hd.type == NGHTTP2_GOAWAY)
        on_goaway(s);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct upstream_http2 *u = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    if (frame->hd.stream_id == 0)
        on_connection_frame(arg, frame);
    else if (u != NULL)
        upstream_http2_on_frame(u, frame);
    return u != NULL && is_padding(frame) ? count_control_frame(arg) : 0;
}

static int on_error(nghttp2_session *ng, int code, const char *text, size_t n, void *arg)
{
    struct upstream_http2_session *s = arg;

    (void)ng;
    (void)code;
    if (s->problem[0] == '\0')
        (void)snprintf(s->problem, sizeof(s->problem), "%.*s", (int)n, text);
    return 0;
}

static void flush_responses(struct upstream_http2_session *s)
{
    struct upstream_http2 *u;

    DL_FOREACH(s->requests, u)
    {
        if (u->state >= H2_REQUEST_HEAD && u->state <= H2_REQUEST_TUNNEL)
            exchange_on_response_flush(u->base.exchange);
    }
}

static size_t on_data(void *arg, struct str data)
{
    struct upstream_http2_session *s = arg;
    ssize_t n;

    if (s->state != H2_SESSION_OPEN)
        return data.n;
    s->heard_ms = clock_mono_ms();
    n = nghttp2_session_mem_recv(s->ng, (const uint8_t *)data.p, data.n);
    if (n < 0) {
        fail_protocol(s);
        return data.n;
    }
    flush_responses(s);
    upstream_http2_session_flush(s);
    return data.n;
}

/* ---- life ----------------------------------------------------------------------------------- */

static nghttp2_option *make_options(const struct config *c)
{
    nghttp2_option *o = NULL;

    (void)nghttp2_option_new(&o); /* running out of memory aborts */
    assert(o != NULL);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_peer_max_concurrent_streams(o, (uint32_t)c->upstream_http2_streams_max);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    nghttp2_option_set_max_send_header_block_length(o, (size_t)HEAD_BUF_MAX_BYTES +
                                                           EXCHANGE_HEAD_GROWTH_BYTES);
    nghttp2_option_set_max_outbound_ack(o, UPSTREAM_HTTP2_ACKS_MAX);
    /* A head of the largest size in frames of the smallest one that must be accepted. */
    nghttp2_option_set_max_continuations(o, (size_t)c->response_head_max_bytes / (16 * 1024) + 8);
    nghttp2_option_set_no_closed_streams(o, 1);
    return o;
}

/* nghttp2 takes its memory from where everything else does. */
static void *ng_malloc(size_t n, void *arg)
{
    (void)arg;
    return mem_alloc(n);
}

static void ng_free(void *p, void *arg)
{
    (void)arg;
    mem_free(p);
}

static void *ng_calloc(size_t count, size_t n, void *arg)
{
    (void)arg;
    return mem_zalloc_array(count, n);
}

static void *ng_realloc(void *p, size_t n, void *arg)
{
    (void)arg;
    return mem_realloc(p, n);
}

static nghttp2_session *make_nghttp2(struct upstream_http2_session *s)
{
    nghttp2_mem mem = {
        .malloc = ng_malloc,
        .free = ng_free,
        .calloc = ng_calloc,
        .realloc = ng_realloc,
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = make_options(s->gateway->config);
    nghttp2_session *ng = NULL;

    (void)nghttp2_session_callbacks_new(&callbacks);
    assert(callbacks != NULL);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    upstream_http2_set_callbacks(callbacks);
    (void)nghttp2_session_client_new3(&ng, callbacks, s, options, &mem);
    assert(ng != NULL);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    return ng;
}

static void submit_settings(struct upstream_http2_session *s)
{
    const struct config *c = s->gateway->config;
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)c->upstream_http2_window_bytes },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->response_head_max_bytes },
    };

    (void)nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings,
                                  sizeof(settings) / sizeof(settings[0]));
    (void)nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0,
                                                H2_CONNECTION_WINDOW_BYTES);
}

/* Both were offered and the upstream has chosen HTTP/1.1: the requests go again, and the first of
 * them takes the stream. */
static void give_up_http2(struct upstream_http2_session *s)
{
    struct gateway *g = s->gateway;
    struct err e;

    upstream_http2_pool_note_http1(g->http2, s->ep);
    if (s->count > 0 && s->ep->upstream.proxy_protocol == 0) {
        idle_put(g->idle, s->ep, s->stream, (size_t)g->config->upstream_idle_max,
                 g->config->upstream_idle_ms);
        s->stream = NULL;
    }
    (void)err_set(&e, E_UPSTREAM_DECLINED, "the upstream does not speak HTTP/2");
    end_session(s, CLOSE_DONE);
    tell_lost(s, CLOSE_DONE, &e, true);
    if (endpoint_is_withdrawn(s->ep)) { /* nobody else may tell that it has gone */
        upstream_http2_pool_drop(g->http2, s->ep);
        idle_drop(g->idle, s->ep);
    }
}

static void on_open(void *arg)
{
    struct upstream_http2_session *s = arg;
    struct upstream_http2 *u;
    struct upstream_http2 *next;

    if (!upstream_dial_is_http2(s->ep, s->stream)) {
        give_up_http2(s);
        return;
    }
    s->state = H2_SESSION_OPEN;
    s->ng = make_nghttp2(s);
    submit_settings(s);
    DL_FOREACH_SAFE(s->requests, u, next)
    upstream_http2_on_ready(u);
    upstream_http2_session_flush(s);
}

static void on_writable(void *arg)
{
    struct upstream_http2_session *s = arg;

    if (s->state == H2_SESSION_OPEN)
        upstream_http2_session_flush(s);
}

static void on_eof(void *arg)
{
    fail(arg, CLOSE_RESET);
}

static void on_closed(void *arg, enum close_reason why)
{
    fail(arg, why == CLOSE_DONE ? CLOSE_RESET : why);
}

static const struct stream_events session_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void on_dial_failed(struct worker *w, void *arg)
{
    struct upstream_http2_session *s = arg;

    (void)w;
    fail(s, s->dial_failure);
}

static void on_idle(struct worker *w, void *arg)
{
    (void)w;
    upstream_http2_session_retire(arg);
}

struct upstream_http2_session *upstream_http2_session_new(const struct upstream_params *params,
                                                          bool for_one)
{
    const struct upstream_dial_params dialled = {
        .gateway = params->gateway,
        .ep = params->endpoint,
        .client = params->client,
        .server = params->server,
        .protocol = UPSTREAM_DIAL_HTTP2,
    };
    struct upstream_http2_session *s = mem_zalloc(sizeof(*s));

    s->gateway = params->gateway;
    s->worker = params->gateway->worker;
    endpoint_ref(params->endpoint);
    s->ep = params->endpoint;
    s->retired = for_one;
    s->control_frames_max = params->gateway->config->upstream_http2_control_frames_max;
    s->idle = worker_timer_new(s->worker, on_idle, s);
    buf_init(&s->out, OUTBUF_HIGH_BYTES);
    s->stream = upstream_dial(&dialled, &session_events, s, &s->dial_failure);
    if (s->stream == NULL)
        worker_defer(s->worker, on_dial_failed, s);
    else
        metrics_add(worker_metrics(s->worker), METRIC_STREAMS, 1);
    return s;
}

bool upstream_http2_session_has_room(const struct upstream_http2_session *s)
{
    uint64_t max = s->gateway->config->upstream_http2_streams_max;

    if (s->retired || s->state == H2_SESSION_OVER)
        return false;
    if (s->settings) {
        uint32_t theirs =
            nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

        max = theirs < max ? theirs : max;
    }
    return s->count < max && (s->ng == NULL || nghttp2_session_check_request_allowed(s->ng) != 0);
}

void upstream_http2_session_retire(struct upstream_http2_session *s)
{
    leave_pool(s);
    if (s->count == 0)
        upstream_http2_session_flush(s); /* which ends it */
}

void upstream_http2_session_join(struct upstream_http2_session *s, struct upstream_http2 *u)
{
    worker_timer_stop(s->idle);
    DL_APPEND(s->requests, u);
    s->count++;
    u->session = s;
    u->reused = s->served;
    s->served = true;
}

void upstream_http2_session_leave(struct upstream_http2_session *s, struct upstream_http2 *u)
{
    DL_DELETE(s->requests, u);
    s->count--;
    u->session = NULL;
    if (s->count == 0 && !s->retired) {
        const struct gateway *g = s->gateway;

        if (g->draining || g->config->upstream_idle_ms == 0 || g->config->upstream_idle_max == 0 ||
            endpoint_is_withdrawn(s->ep))
            leave_pool(s);
        else
            worker_timer_start(s->idle, g->config->upstream_idle_ms);
    }
    upstream_http2_session_flush(s);
}
