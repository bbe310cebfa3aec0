/*
 * The upstream codec for HTTP/1.1. A stream carries one request at a time.
 *
 * No body is taken from the exchange before the stream is open, so a request that found no way to its
 * upstream is still whole.
 *
 * The life of an upstream is one enum. A stream goes back to the idle ones only from
 * UPSTREAM_DONE, with the request sent whole and nothing unexpected behind the response; everything
 * else closes it.
 */

#include <assert.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/head_buf.h"
#include "gateway/http1.h"
#include "gateway/idle.h"
#include "gateway/outbuf.h"
#include "gateway/upstream_dial.h"
#include "gateway/upstream_int.h"
#include "tunnel/endpoint.h"
#include "tunnel/stream.h"

enum upstream_state {
    UPSTREAM_OPENING, /* the stream is being dialled */
    UPSTREAM_HEAD,    /* waiting for a response head */
    UPSTREAM_BODY,    /* the response body is coming */
    UPSTREAM_TUNNEL,  /* after 101: raw bytes */
    UPSTREAM_DONE,    /* the response is complete */
    UPSTREAM_FAILED,
    UPSTREAM_CLOSED,
};

struct upstream_http1 {
    struct upstream base;  /* first */
    struct stream *stream; /* owned; NULL before the dial and after the end */
    enum upstream_state state;
    bool reused;
    bool opened; /* the stream was */
    bool request_done;
    bool body_taken;        /* the exchange has it no longer, or its trailers */
    bool any_byte;          /* of the response came */
    bool response_ended;    /* of a tunnel: the upstream half-closed */
    bool keep_alive;        /* the response allows another request */
    bool is_tunnel_request; /* the visitor asked for an upgrade */
    bool in_data;           /* on_data is on the stack: it decides what becomes of the stream */
    enum close_reason dial_failure;
    struct str method; /* in the exchange's arena */
    struct outbuf out;
    struct head_buf head; /* of the response that is awaited */
    size_t interim_bytes; /* of 1xx heads so far */
    struct http1_body body;
};

static struct upstream_http1 *http1_of(struct upstream *base)
{
    return (struct upstream_http1 *)(void *)base;
}

static void set_state(struct upstream_http1 *u, enum upstream_state next)
{
    assert(u->state != UPSTREAM_CLOSED);
    u->state = next;
}

static void fail(struct upstream_http1 *u, enum close_reason why, const struct err *e)
{
    struct err own = { 0 };

    if (u->state >= UPSTREAM_DONE)
        return;
    set_state(u, UPSTREAM_FAILED);
    if (e == NULL) {
        (void)err_set(&own, close_error(why), "%s", close_text(why));
        e = &own;
    }
    exchange_on_upstream_failed(u->base.exchange, why, e);
}

/* ---- the response ------------------------------------------------------------------------- */

static void on_response_complete(struct upstream_http1 *u, struct http_headers *trailers)
{
    set_state(u, UPSTREAM_DONE);
    exchange_on_response_end(u->base.exchange, trailers);
}

/* Handles one parsed head. */
static void on_head(struct upstream_http1 *u, struct http_response *response)
{
    if (response->status == 101) {
        /* RFC 9110 section 7.8: neither unasked nor in the middle of the request. */
        if (!u->is_tunnel_request || !u->request_done) {
            struct err e;

            (void)err_set(&e, E_UPSTREAM_INVALID, "the upstream switched protocols unasked");
            fail(u, CLOSE_PROTOCOL, &e);
            return;
        }
        set_state(u, UPSTREAM_TUNNEL);
        exchange_on_response(u->base.exchange, response);
        return;
    }
    if (response->status < 200) {
        exchange_on_response(u->base.exchange, response);
        return;
    }
    set_state(u, UPSTREAM_BODY);
    u->keep_alive = response->keep_alive && response->body != HTTP_BODY_CLOSE;
    http1_body_init(&u->body, response->body, response->content_length);
    exchange_on_response(u->base.exchange, response);
    if (u->state == UPSTREAM_BODY && http1_body_is_done(&u->body))
        on_response_complete(u, NULL);
}

/* How large the next head may be: all heads of one response together have the limit of one, as they
 * all lie in the arena of the exchange. */
static size_t head_room(const struct upstream_http1 *u)
{
    size_t max = (size_t)u->base.gateway->config->response_head_max_bytes;

    return max > u->interim_bytes ? max - u->interim_bytes : 0;
}

/* Returns how many bytes of `in` it used; 0 when it failed. */
static size_t read_head(struct upstream_http1 *u, struct str in)
{
    struct http_response response = { 0 };
    struct err e = { 0 };
    struct str head;
    size_t used;
    int found = head_buf_read(&u->head, in, head_room(u), &head, &used, &e);

    if (found == 0)
        return used;
    if (found == -1 || http1_parse_response(head, u->method, exchange_arena(u->base.exchange),
                                            &response, &e) == -1) {
        e.code = E_UPSTREAM_INVALID; /* whatever was wrong, it is the upstream's fault */
        fail(u, CLOSE_PROTOCOL, &e);
        return 0;
    }
    u->interim_bytes += head.n;
    head_buf_reset(&u->head);
    on_head(u, &response);
    return used;
}

static void on_body_end(struct upstream_http1 *u)
{
    struct http_headers trailers = { 0 };
    struct err e = { 0 };

    if (http1_body_trailers(&u->body, exchange_arena(u->base.exchange), &trailers, &e) == -1) {
        e.code = E_UPSTREAM_INVALID;
        fail(u, CLOSE_PROTOCOL, &e);
        return;
    }
    on_response_complete(u, &trailers);
}

static size_t read_body(struct upstream_http1 *u, struct str in)
{
    struct str data;
    struct err e = { 0 };
    size_t used;

    if (http1_body_read(&u->body, str_slice(in, 0, OUTBUF_HIGH_BYTES), &data, &used, &e) == -1) {
        e.code = E_UPSTREAM_INVALID;
        fail(u, CLOSE_PROTOCOL, &e);
        return 0;
    }
    if (data.n > 0)
        exchange_on_response_data(u->base.exchange, data);
    if (u->state == UPSTREAM_BODY && http1_body_is_done(&u->body))
        on_body_end(u);
    return used;
}

static size_t read_tunnel(struct upstream_http1 *u, struct str in)
{
    in = str_slice(in, 0, OUTBUF_HIGH_BYTES);
    exchange_on_response_data(u->base.exchange, in);
    return in.n;
}

/* Reads what it can from the front of `in`; returns how many bytes. */
static size_t read_some(struct upstream_http1 *u, struct str in)
{
    if (exchange_is_response_blocked(u->base.exchange))
        return 0; /* interim heads too fill the visitor's buffer */
    switch (u->state) {
    case UPSTREAM_HEAD:
        return read_head(u, in);
    case UPSTREAM_BODY:
        return read_body(u, in);
    case UPSTREAM_TUNNEL:
        return read_tunnel(u, in);
    case UPSTREAM_OPENING:
    case UPSTREAM_DONE:
    case UPSTREAM_FAILED:
    case UPSTREAM_CLOSED:
        return 0; /* what is left shows that the stream is not fit for another request */
    }
    return 0;
}

static size_t read_all(struct upstream_http1 *u, struct str in)
{
    size_t total = 0;

    while (total < in.n) {
        size_t n = read_some(u, str_skip(in, total));

        if (n == 0)
            break;
        total += n;
    }
    return total;
}

/* ---- events of the stream ------------------------------------------------------------------- */

static void release_stream(struct upstream_http1 *u, enum close_reason why);

static size_t on_data(void *arg, struct str data)
{
    struct upstream_http1 *u = arg;
    size_t used;

    u->any_byte = true;
    u->in_data = true;
    used = read_all(u, data);
    u->in_data = false;
    /* Nobody asked for what stands behind the response; of a policy's exchange the end may come
     * later. */
    if (used < data.n && (u->state == UPSTREAM_CLOSED || u->state == UPSTREAM_DONE))
        u->keep_alive = false;
    if (u->state == UPSTREAM_CLOSED) {
        release_stream(u, CLOSE_DONE);
        return data.n;
    }
    exchange_on_response_flush(u->base.exchange);
    return used;
}

static void on_open(void *arg)
{
    struct upstream_http1 *u = arg;

    set_state(u, UPSTREAM_HEAD);
    u->opened = true;
    outbuf_open(&u->out, u->stream);
    (void)outbuf_flush(&u->out);
    exchange_on_upstream_writable(u->base.exchange);
}

static void on_writable(void *arg)
{
    struct upstream_http1 *u = arg;
    size_t before = u->out.buf.len;

    if (outbuf_flush(&u->out)) {
        if (u->state < UPSTREAM_DONE)
            exchange_on_upstream_writable(u->base.exchange);
    } else if (u->out.buf.len < before) {
        exchange_on_progress(u->base.exchange);
    }
}

static void on_eof(void *arg)
{
    struct upstream_http1 *u = arg;
    struct err e = { 0 };

    switch (u->state) {
    case UPSTREAM_TUNNEL:
        if (u->response_ended)
            break;
        u->response_ended = true;
        exchange_on_response_end(u->base.exchange, NULL);
        break;
    case UPSTREAM_BODY:
        if (u->body.kind == HTTP_BODY_CLOSE) {
            on_response_complete(u, NULL);
            break;
        }
        (void)err_set(&e, E_UPSTREAM_INVALID, "the upstream closed in the middle of the response");
        fail(u, CLOSE_RESET, &e);
        break;
    case UPSTREAM_OPENING:
    case UPSTREAM_HEAD:
        (void)err_set(&e, E_UPSTREAM_INVALID,
                      "the upstream closed the connection without a complete response");
        fail(u, CLOSE_RESET, &e);
        break;
    case UPSTREAM_DONE:
    case UPSTREAM_FAILED:
    case UPSTREAM_CLOSED:
        break;
    }
    u->keep_alive = false;
}

static void on_closed(void *arg, enum close_reason why)
{
    struct upstream_http1 *u = arg;

    u->keep_alive = false;
    if (why == CLOSE_DONE && u->state != UPSTREAM_OPENING)
        on_eof(u);
    if (why != CLOSE_DONE || u->state == UPSTREAM_OPENING || u->state == UPSTREAM_TUNNEL)
        fail(u, why, NULL);
}

static const struct stream_events upstream_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

/* ---- the request ---------------------------------------------------------------------------- */

static void write_head(struct upstream_http1 *u, const struct upstream_params *params)
{
    const struct http_request *request = params->request;
    struct buf *out = &u->out.buf;

    http1_write_request_line(out, request->method, request->target);
    http1_write_header(out, STR("host"), params->host);
    http1_write_headers(out, &request->headers);
    if (u->is_tunnel_request) {
        http1_write_header(out, STR("connection"), STR("upgrade"));
        http1_write_header(out, STR("upgrade"), request->upgrade);
    }
    if (request->expect_continue)
        http1_write_header(out, STR("expect"), STR("100-continue"));
    if (request->has_content_length)
        buf_add_fmt(out, "content-length: %llu\r\n", (unsigned long long)request->content_length);
    if (request->body == HTTP_BODY_CHUNKED) {
        http1_write_header(out, STR("transfer-encoding"), STR("chunked"));
        u->out.framing = OUTBUF_CHUNKED;
    }
    http1_write_head_end(out);
    assert(!buf_failed(out)); /* the exchange has checked its size */
}

static void on_dial_failed(struct worker *w, void *arg)
{
    struct upstream_http1 *u = arg;

    (void)w;
    if (u->state == UPSTREAM_OPENING)
        fail(u, u->dial_failure, NULL);
}

static void dial(struct upstream_http1 *u, const struct upstream_params *params)
{
    const struct upstream_dial_params dialled = {
        .gateway = params->gateway,
        .ep = params->endpoint,
        .client = params->client,
        .server = params->server,
        .protocol = UPSTREAM_DIAL_HTTP1,
    };
    struct worker *w = u->base.gateway->worker;

    u->stream = upstream_dial(&dialled, &upstream_events, u, &u->dial_failure);
    if (u->stream == NULL) {
        worker_defer(w, on_dial_failed, u);
        return;
    }
    metrics_add(worker_metrics(w), METRIC_STREAMS, 1);
}

static void http1_send_body(struct upstream *base, struct str data)
{
    struct upstream_http1 *u = http1_of(base);

    u->body_taken = u->body_taken || data.n > 0;
    outbuf_send_body(&u->out, data);
}

static bool http1_is_blocked(struct upstream *base)
{
    struct upstream_http1 *u = http1_of(base);

    return u->state == UPSTREAM_OPENING || outbuf_is_blocked(&u->out);
}

static bool http1_is_flushed(struct upstream *base)
{
    return http1_of(base)->out.buf.len == 0;
}

static void http1_send_end(struct upstream *base, const struct http_headers *trailers)
{
    struct upstream_http1 *u = http1_of(base);

    u->request_done = true;
    u->body_taken = u->body_taken || (trailers != NULL && trailers->count > 0);
    outbuf_send_end(&u->out, trailers);
    if (u->state == UPSTREAM_TUNNEL)
        outbuf_end(&u->out);
}

static void http1_flush(struct upstream *base)
{
    struct upstream_http1 *u = http1_of(base);

    if (u->state != UPSTREAM_OPENING)
        (void)outbuf_flush(&u->out);
}

static void http1_resume(struct upstream *base)
{
    struct upstream_http1 *u = http1_of(base);

    if (u->stream != NULL && u->state < UPSTREAM_DONE)
        stream_resume(u->stream);
}

static bool http1_is_reused(struct upstream *base)
{
    return http1_of(base)->reused;
}

static enum upstream_fate http1_fate(struct upstream *base)
{
    const struct upstream_http1 *u = http1_of(base);

    if (!u->opened && !u->body_taken)
        return UPSTREAM_UNSENT;
    return u->reused && !u->any_byte ? UPSTREAM_STALE : UPSTREAM_PROCESSED;
}

static bool http1_is_untouched(struct upstream *base)
{
    const struct upstream_http1 *u = http1_of(base);

    return !u->any_byte && !u->body_taken;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void free_upstream(struct worker *w, void *arg)
{
    struct upstream_http1 *u = arg;

    (void)w;
    upstream_fini(&u->base);
    outbuf_fini(&u->out);
    head_buf_reset(&u->head);
    http1_body_fini(&u->body);
    mem_free(u);
}

static bool is_reusable(const struct upstream_http1 *u)
{
    /* The header of the PROXY protocol speaks for one visitor. */
    if (u->base.endpoint->upstream.proxy_protocol != 0)
        return false;
    return u->keep_alive && u->request_done && !u->is_tunnel_request && u->out.buf.len == 0 &&
           !u->base.gateway->draining && !endpoint_is_withdrawn(u->base.endpoint);
}

static void release_stream(struct upstream_http1 *u, enum close_reason why)
{
    struct gateway *g = u->base.gateway;

    if (u->stream == NULL)
        return;
    if (is_reusable(u)) {
        idle_put(g->idle, u->base.endpoint, u->stream, (size_t)g->config->upstream_idle_max,
                 g->config->upstream_idle_ms);
    } else {
        metrics_add(worker_metrics(g->worker), METRIC_STREAMS, -1);
        stream_close(u->stream, why);
    }
    u->stream = NULL;
}

static void http1_close(struct upstream *base, enum close_reason why)
{
    struct upstream_http1 *u = http1_of(base);

    if (u->state == UPSTREAM_CLOSED)
        return;
    if (u->state != UPSTREAM_DONE)
        u->keep_alive = false;
    set_state(u, UPSTREAM_CLOSED);
    if (!u->in_data)
        release_stream(u, why);
    worker_defer(base->gateway->worker, free_upstream,
                 u); /* an event of ours may be on the stack */
}

static const struct upstream_ops http1_ops = {
    .send_body = http1_send_body,
    .is_blocked = http1_is_blocked,
    .is_flushed = http1_is_flushed,
    .send_end = http1_send_end,
    .flush = http1_flush,
    .resume = http1_resume,
    .is_reused = http1_is_reused,
    .fate = http1_fate,
    .is_untouched = http1_is_untouched,
    .close = http1_close,
};

/* An idle stream that may carry this request, or NULL. */
static struct stream *take_idle(const struct upstream_params *params)
{
    if (params->fresh || params->request->upgrade.n > 0)
        return NULL;
    return idle_take(params->gateway->idle, params->endpoint);
}

struct upstream *upstream_http1_new(const struct upstream_params *params)
{
    struct upstream_http1 *u = mem_zalloc(sizeof(*u));

    upstream_init(&u->base, &http1_ops, params);
    u->method = params->request->method;
    u->is_tunnel_request = params->request->upgrade.n > 0;
    u->request_done = params->request->body == HTTP_BODY_NONE;
    outbuf_init(&u->out, (size_t)HEAD_BUF_MAX_BYTES + EXCHANGE_HEAD_GROWTH_BYTES);
    head_buf_init(&u->head);
    write_head(u, params);

    u->stream = take_idle(params);
    if (u->stream == NULL) {
        dial(u, params);
        return &u->base;
    }
    u->reused = true;
    u->opened = true;
    metrics_add(worker_metrics(params->gateway->worker), METRIC_STREAMS_REUSED_TOTAL, 1);
    set_state(u, UPSTREAM_HEAD);
    stream_set_events(u->stream, &upstream_events, u);
    outbuf_open(&u->out, u->stream);
    return &u->base;
}
