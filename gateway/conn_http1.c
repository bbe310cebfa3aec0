/*
 * conn_http1: a connection that speaks HTTP/1.1, and the downstream codec of its exchanges.
 * Reads one request at a time: what a visitor pipelines waits in the socket until its turn.
 *
 * It is a small state machine; independent of it, the request side of the exchange under way knows
 * whether its body is read (body) and the response side what is still to be written (out).
 *
 * Moving: when the first request turns out to be for a session of another worker, the whole
 * connection goes there, since nothing else is in flight on it; later requests for other workers use
 * a relay (relay.c). So a visitor of one endpoint costs no relay at all.
 */
#include <assert.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_int.h"
#include "gateway/gateway_int.h"
#include "gateway/head_buf.h"
#include "gateway/http1.h"
#include "gateway/http2.h"
#include "gateway/outbuf.h"
#include "gateway/sock.h"
#include "gateway/tls.h"
#include "tunnel/endpoint.h"

enum http1_state {
    HTTP1_IDLE,     /* waiting for the first byte of a request */
    HTTP1_HEAD,     /* a request head has begun */
    HTTP1_MOVING,   /* on its way to another worker */
    HTTP1_EXCHANGE, /* a request is being answered */
    HTTP1_FLUSHING, /* the rest of the response is being written; then the next request, or the end */
    HTTP1_LEFT,     /* the connection speaks HTTP/2 from here on */
    HTTP1_CLOSED,
};

#define BIT(n) (1U << (n))

static const unsigned http1_next[] = {
    [HTTP1_IDLE] = BIT(HTTP1_HEAD) | BIT(HTTP1_CLOSED),
    [HTTP1_HEAD] = BIT(HTTP1_MOVING) | BIT(HTTP1_EXCHANGE) | BIT(HTTP1_LEFT) | BIT(HTTP1_CLOSED),
    [HTTP1_MOVING] = BIT(HTTP1_EXCHANGE) | BIT(HTTP1_CLOSED),
    [HTTP1_EXCHANGE] = BIT(HTTP1_FLUSHING) | BIT(HTTP1_CLOSED),
    [HTTP1_FLUSHING] = BIT(HTTP1_IDLE) | BIT(HTTP1_CLOSED),
    [HTTP1_LEFT] = 0,
    [HTTP1_CLOSED] = 0,
};

struct http1_conn {
    struct downstream down; /* first: what the exchange holds */
    struct conn *conn;      /* borrowed: owns us */
    enum http1_state state;
    struct exchange *exchange; /* owned while NEW, borrowed while it runs */
    struct head_buf head;      /* of the request that comes in */
    struct http1_body body;    /* of the request under way */
    bool body_done;            /* it was read whole */
    bool tunnel;               /* after 101: raw bytes both ways */
    bool keep_alive;           /* after the exchange under way, or just over */
    bool peer_ended;           /* the visitor half-closed */
    bool moved;                /* once is enough */
    struct outbuf out;
};

static void set_state(struct http1_conn *h, enum http1_state next)
{
    assert(http1_next[h->state] & BIT(next));
    h->state = next;
}

static struct http1_conn *http1_of(struct downstream *d)
{
    return (struct http1_conn *)(void *)d;
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void new_exchange(struct http1_conn *h)
{
    set_state(h, HTTP1_HEAD);
    h->exchange = exchange_new(h->conn->gateway, &h->down, &h->conn->origin);
    conn_arm_timer(h->conn, h->conn->gateway->config->request_head_timeout_ms);
}

static void begin_exchange(struct http1_conn *h)
{
    set_state(h, HTTP1_EXCHANGE);
    conn_arm_timer(h->conn, 0);
}

/* Answers a request that cannot be understood; the connection cannot go on behind it. */
static void refuse(struct http1_conn *h, const struct err *e)
{
    begin_exchange(h);
    h->keep_alive = false;
    exchange_refuse(h->exchange, e);
}

static void start_exchange(struct http1_conn *h)
{
    const struct http_request *r = exchange_request(h->exchange);

    h->keep_alive = r->keep_alive;
    http1_body_fini(&h->body); /* that of the request before */
    http1_body_init(&h->body, r->body, r->content_length);
    h->body_done = http1_body_is_done(&h->body);
    begin_exchange(h);
    exchange_start(h->exchange);
}

static void move_now(struct worker *w, void *arg);

/* Moves the connection when its first request is for another worker's session. */
static bool try_move(struct http1_conn *h)
{
    if (h->moved || conn_worker_for(h->conn, h->exchange) == NULL)
        return false;
    h->moved = true;
    set_state(h, HTTP1_MOVING);
    conn_arm_timer(h->conn, 0);
    worker_defer(h->conn->gateway->worker, move_now, h); /* its sock's event is on the stack */
    return true;
}

static void free_left(struct worker *w, void *arg);

/* HTTP/2 with prior knowledge (RFC 9113 section 3.3): the preface, in place of a first request. With
 * TLS it is agreed on in the handshake. */
static bool is_http2(const struct http1_conn *h, struct str head)
{
    return h->conn->origin.tls == NULL && h->conn->origin.bytes_in == head.n &&
           str_eq(head, STR(HTTP2_PREFACE_HEAD));
}

static void leave_to_http2(struct http1_conn *h, struct str head)
{
    exchange_discard(h->exchange);
    h->exchange = NULL;
    set_state(h, HTTP1_LEFT);
    conn_start_http2(h->conn, head);
    stream_resume(sock_stream(h->conn->sock));            /* what stands behind the head */
    worker_defer(h->conn->gateway->worker, free_left, h); /* its callers are on the stack */
}

/* Returns how many bytes of `in` it used; 0 when the head was refused. */
static size_t read_head(struct http1_conn *h, struct str in)
{
    size_t max = (size_t)h->conn->gateway->config->request_head_max_bytes;
    struct err e = { 0 };
    struct str head;
    size_t used;
    int found;

    if (h->state == HTTP1_IDLE)
        new_exchange(h);
    found = head_buf_read(&h->head, in, max, &head, &used, &e);
    if (found != -1)
        h->conn->origin.bytes_in += used;
    if (found == 0)
        return used;
    if (found == 1 && is_http2(h, head)) {
        leave_to_http2(h, head);
        return used;
    }
    if (found == -1 || http1_parse_request(head, exchange_arena(h->exchange),
                                           exchange_request(h->exchange), &e) == -1) {
        refuse(h, &e);
        return 0;
    }
    head_buf_reset(&h->head);
    if (!try_move(h))
        start_exchange(h);
    return used;
}

static void on_body_end(struct http1_conn *h)
{
    struct http_headers trailers = { 0 };
    struct err e = { 0 };

    h->body_done = true;
    if (http1_body_trailers(&h->body, exchange_arena(h->exchange), &trailers, &e) == -1) {
        h->keep_alive = false;
        exchange_on_request_bad(h->exchange, &e);
        return;
    }
    exchange_on_request_end(h->exchange, &trailers);
}

static size_t read_body(struct http1_conn *h, struct str in)
{
    struct err e = { 0 };
    struct str data;
    size_t used;

    if (http1_body_read(&h->body, str_slice(in, 0, OUTBUF_HIGH_BYTES), &data, &used, &e) == -1) {
        h->keep_alive = false;
        exchange_on_request_bad(h->exchange, &e);
        return 0;
    }
    if (data.n > 0)
        exchange_on_request_data(h->exchange, data);
    if (h->state == HTTP1_EXCHANGE && http1_body_is_done(&h->body))
        on_body_end(h);
    return used;
}

/* Reads what it can of the exchange under way. */
static size_t read_exchange(struct http1_conn *h, struct str in)
{
    if (exchange_is_request_blocked(h->exchange))
        return 0;
    if (h->tunnel) {
        in = str_slice(in, 0, OUTBUF_HIGH_BYTES);
        exchange_on_request_data(h->exchange, in);
        return in.n;
    }
    return h->body_done ? 0 : read_body(h, in);
}

static size_t read_some(struct http1_conn *h, struct str in)
{
    size_t used;

    switch (h->state) {
    case HTTP1_IDLE:
    case HTTP1_HEAD:
        return read_head(h, in);
    case HTTP1_EXCHANGE:
        used = read_exchange(h, in);
        h->conn->origin.bytes_in += used;
        return used;
    case HTTP1_FLUSHING:
        return h->keep_alive ? 0 : in.n; /* nothing that comes before a close can be answered */
    case HTTP1_MOVING:
    case HTTP1_LEFT:
    case HTTP1_CLOSED:
        return 0;
    }
    return 0;
}

static size_t read_all(struct http1_conn *h, struct str in)
{
    size_t total = 0;

    while (total < in.n) {
        size_t n = read_some(h, str_skip(in, total));

        if (n == 0)
            break;
        total += n;
    }
    if (h->state == HTTP1_EXCHANGE)
        exchange_on_request_flush(h->exchange);
    return total;
}

/* ---- events of the sock --------------------------------------------------------------------------- */

static size_t on_data(void *arg, struct str data)
{
    struct http1_conn *h = arg;
    size_t used = read_all(h, data);

    return h->state == HTTP1_CLOSED ? data.n : used;
}

static void on_flushed(struct http1_conn *h);

static void on_writable(void *arg)
{
    struct http1_conn *h = arg;
    size_t before = h->out.buf.len;
    bool flushed = outbuf_flush(&h->out);
    bool progress = h->out.buf.len < before;

    switch (h->state) {
    case HTTP1_EXCHANGE:
        if (flushed)
            exchange_on_writable(h->exchange);
        else if (progress)
            exchange_on_progress(h->exchange);
        break;
    case HTTP1_FLUSHING:
        if (flushed)
            on_flushed(h);
        else if (progress)
            conn_arm_timer(h->conn, h->conn->gateway->config->stall_timeout_ms);
        break;
    case HTTP1_IDLE:
    case HTTP1_HEAD:
    case HTTP1_MOVING:
    case HTTP1_LEFT:
    case HTTP1_CLOSED:
        break;
    }
}

/* A visitor may half-close behind a whole request and still read the answer. */
static bool is_gone(const struct http1_conn *h)
{
    const struct tls_session *tls = sock_tls(h->conn->sock);

    return !h->body_done || (tls != NULL && tls_is_cut(tls));
}

static void on_eof(void *arg)
{
    struct http1_conn *h = arg;

    h->peer_ended = true;
    switch (h->state) {
    case HTTP1_EXCHANGE:
        if (h->tunnel)
            exchange_on_request_end(h->exchange, NULL);
        else if (is_gone(h))
            conn_close(h->conn, CLOSE_RESET);
        break;
    case HTTP1_MOVING:
    case HTTP1_FLUSHING:
        break;
    case HTTP1_IDLE:
    case HTTP1_HEAD:
    case HTTP1_LEFT:
    case HTTP1_CLOSED:
        conn_close(h->conn, CLOSE_DONE);
        break;
    }
}

static void on_closed(void *arg, enum close_reason why)
{
    struct http1_conn *h = arg;

    /* Both directions of a tunnel have ended. What the visitor sent last may still be on its way to
     * the upstream; the exchange ends when it is not. */
    if (h->state == HTTP1_EXCHANGE && h->tunnel && why == CLOSE_DONE)
        return;
    conn_close(h->conn, why);
}

static const struct stream_events http1_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

/* ---- moving ---------------------------------------------------------------------------------------- */

/* Starts what was held back for the move. */
static void start_moved(struct http1_conn *h)
{
    start_exchange(h);
    if (h->state == HTTP1_EXCHANGE)
        exchange_on_request_flush(h->exchange);
    if (h->state == HTTP1_EXCHANGE && h->peer_ended && is_gone(h))
        conn_close(h->conn, CLOSE_RESET);
}

static void on_arrived(void *state)
{
    struct http1_conn *h = state;

    exchange_move(h->exchange, h->conn->gateway);
    start_moved(h);
}

static void move_now(struct worker *w, void *arg)
{
    struct http1_conn *h = arg;

    (void)w;
    if (h->state != HTTP1_MOVING ||
        conn_move(h->conn, exchange_route(h->exchange)->agent.worker, on_arrived))
        return;
    start_moved(h);
    if (h->state != HTTP1_CLOSED)
        stream_resume(sock_stream(h->conn->sock));
}

/* ---- the downstream codec --------------------------------------------------------------------------- */

/* May another request come, and may it be answered? The end of what the visitor sends is told only
 * when all before it was read. */
static bool has_future(const struct http1_conn *h)
{
    return !h->conn->gateway->draining && !h->peer_ended;
}

/* A response of unknown length needs chunks; all visitors here speak HTTP/1.1. */
static void write_framing(struct http1_conn *h, const struct http_response *r)
{
    struct buf *out = &h->out.buf;

    h->out.framing = OUTBUF_PLAIN;
    if (r->body == HTTP_BODY_CHUNKED || r->body == HTTP_BODY_CLOSE) {
        h->out.framing = OUTBUF_CHUNKED;
        http1_write_header(out, STR("transfer-encoding"), STR("chunked"));
    } else if (r->has_content_length && r->status != 204) {
        buf_add_fmt(out, "content-length: %llu\r\n", (unsigned long long)r->content_length);
    }
}

static void send_head(struct downstream *d, const struct http_response *r, bool interim)
{
    struct http1_conn *h = http1_of(d);
    struct buf *out = &h->out.buf;
    size_t before = out->len;

    http1_write_status_line(out, r->status, r->reason);
    http1_write_headers(out, &r->headers);
    if (!interim && r->status != 101) {
        write_framing(h, r);
        if (!r->keep_alive || !has_future(h))
            h->keep_alive = false;
        if (!h->keep_alive)
            http1_write_header(out, STR("connection"), STR("close"));
    }
    http1_write_head_end(out);
    assert(!buf_failed(out)); /* the exchange has checked its size */
    h->conn->origin.bytes_out += out->len - before;
    if (r->status == 101)
        h->tunnel = true;
}

static void send_body(struct downstream *d, struct str data)
{
    struct http1_conn *h = http1_of(d);

    h->conn->origin.bytes_out += data.n;
    outbuf_send_body(&h->out, data);
}

static bool is_blocked(struct downstream *d)
{
    return outbuf_is_blocked(&http1_of(d)->out);
}

static void send_end(struct downstream *d, const struct http_headers *trailers)
{
    struct http1_conn *h = http1_of(d);

    outbuf_send_end(&h->out, trailers);
    if (h->tunnel)
        outbuf_end(&h->out);
}

static void flush(struct downstream *d)
{
    (void)outbuf_flush(&http1_of(d)->out);
}

static void end_tunnel(struct worker *w, void *arg)
{
    struct http1_conn *h = arg;

    (void)w;
    if (h->state == HTTP1_EXCHANGE)
        exchange_on_request_end(h->exchange, NULL);
}

static void resume(struct downstream *d)
{
    struct http1_conn *h = http1_of(d);

    /* The visitor may have ended before the tunnel began. */
    if (h->tunnel && h->peer_ended)
        worker_defer(h->conn->gateway->worker, end_tunnel, h);
    else
        stream_resume(sock_stream(h->conn->sock));
}

/* The response is out: the next request, which may wait already, or the end. */
static void on_flushed(struct http1_conn *h)
{
    if (!h->keep_alive || !has_future(h)) {
        conn_close(h->conn, CLOSE_DONE);
        return;
    }
    set_state(h, HTTP1_IDLE);
    outbuf_release(&h->out); /* most of the memory of an idle connection */
    conn_arm_timer(h->conn, h->conn->gateway->config->keepalive_timeout_ms);
    stream_resume(sock_stream(h->conn->sock));
}

static void finished(struct downstream *d, enum exchange_end how)
{
    struct http1_conn *h = http1_of(d);
    bool flushed;

    h->exchange = NULL;
    if (h->state != HTTP1_EXCHANGE)
        return;
    if (how == EXCHANGE_ABORTED) {
        conn_close(h->conn, CLOSE_POLICY);
        return;
    }
    flushed = outbuf_flush(&h->out);
    if (how == EXCHANGE_CUT) {
        conn_close(h->conn, CLOSE_RESET);
        return;
    }
    if (!h->body_done || h->tunnel)
        h->keep_alive = false;
    set_state(h, HTTP1_FLUSHING);
    if (flushed)
        on_flushed(h);
    else
        conn_arm_timer(h->conn, h->conn->gateway->config->stall_timeout_ms);
}

static const struct downstream_ops http1_downstream_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .is_blocked = is_blocked,
    .send_end = send_end,
    .flush = flush,
    .resume = resume,
    .finished = finished,
};

/* ---- what every protocol has ------------------------------------------------------------------------- */

static void http1_drain(void *state)
{
    struct http1_conn *h = state;

    if (h->state == HTTP1_IDLE)
        conn_close(h->conn, CLOSE_DRAIN);
}

static void http1_on_timer(void *state)
{
    struct http1_conn *h = state;
    struct err e;

    switch (h->state) {
    case HTTP1_HEAD:
        (void)err_set(&e, E_REQUEST_TIMEOUT, "the request head did not arrive in time");
        refuse(h, &e);
        break;
    case HTTP1_IDLE:
        conn_close(h->conn, CLOSE_IDLE);
        break;
    case HTTP1_FLUSHING:
    case HTTP1_EXCHANGE:
    case HTTP1_MOVING:
    case HTTP1_LEFT:
    case HTTP1_CLOSED:
        conn_close(h->conn, CLOSE_TIMEOUT);
        break;
    }
}

static void http1_lost(void *state, enum close_reason why)
{
    struct http1_conn *h = state;
    struct exchange *x = h->exchange;
    enum http1_state was = h->state;

    set_state(h, HTTP1_CLOSED);
    h->exchange = NULL;
    if (was == HTTP1_EXCHANGE && x != NULL)
        exchange_on_lost(x, why);
    else
        exchange_discard(x);
}

static void http1_free(void *state)
{
    struct http1_conn *h = state;

    head_buf_reset(&h->head);
    outbuf_fini(&h->out);
    http1_body_fini(&h->body);
    mem_free(h);
}

static void free_left(struct worker *w, void *arg)
{
    (void)w;
    http1_free(arg);
}

static const struct conn_protocol http1_protocol = {
    .name = "http1",
    .drain = http1_drain,
    .on_timer = http1_on_timer,
    .lost = http1_lost,
    .free = http1_free,
};

void conn_start_http1(struct conn *c)
{
    struct http1_conn *h = mem_zalloc(sizeof(*h));

    h->down.ops = &http1_downstream_ops;
    h->conn = c;
    h->state = HTTP1_IDLE;
    head_buf_init(&h->head);
    outbuf_init(&h->out, (size_t)HEAD_BUF_MAX_BYTES + EXCHANGE_HEAD_GROWTH_BYTES);
    outbuf_open(&h->out, sock_stream(c->sock));
    c->protocol = &http1_protocol;
    c->protocol_state = h;
    stream_set_events(sock_stream(c->sock), &http1_events, h);
    conn_arm_timer(c, c->gateway->config->keepalive_timeout_ms);
}
