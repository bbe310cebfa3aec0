/*
 * A connection is a small state machine; independent of it, the request side of the exchange under
 * way knows whether its body is read (conn.body) and the response side what is still to be written
 * (conn.out).
 *
 * Moving: when the first request turns out to be for a session of another worker, the whole
 * connection goes there, since nothing else is in flight on it; later requests for other workers use
 * a relay (relay.c). So a visitor of one endpoint costs no relay at all.
 */
#include "gateway/conn.h"

#include <assert.h>
#include <ev.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/head_buf.h"
#include "gateway/http1.h"
#include "gateway/outbuf.h"
#include "gateway/sock.h"
#include "gateway/tls.h"
#include "tunnel/endpoint.h"

enum conn_state {
    CONN_HANDSHAKE, /* TLS */
    CONN_IDLE,      /* waiting for the first byte of a request */
    CONN_HEAD,      /* a request head has begun */
    CONN_MOVING,    /* on its way to another worker */
    CONN_EXCHANGE,  /* a request is being answered */
    CONN_FLUSHING, /* the rest of the response is being written; then the next request, or the end */
    CONN_CLOSED,
};

#define BIT(n) (1U << (n))

static const struct {
    const char *name;
    unsigned next;
} conn_states[] = {
    [CONN_HANDSHAKE] = { "handshake", BIT(CONN_IDLE) | BIT(CONN_CLOSED) },
    [CONN_IDLE] = { "idle", BIT(CONN_HEAD) | BIT(CONN_CLOSED) },
    [CONN_HEAD] = { "head", BIT(CONN_MOVING) | BIT(CONN_EXCHANGE) | BIT(CONN_CLOSED) },
    [CONN_MOVING] = { "moving", BIT(CONN_EXCHANGE) | BIT(CONN_CLOSED) },
    [CONN_EXCHANGE] = { "exchange", BIT(CONN_FLUSHING) | BIT(CONN_CLOSED) },
    [CONN_FLUSHING] = { "flushing", BIT(CONN_IDLE) | BIT(CONN_CLOSED) },
    [CONN_CLOSED] = { "closed", 0 },
};

struct conn {
    struct downstream down; /* first: what the exchange holds */
    struct conn *prev;      /* of the gateway's list */
    struct conn *next;
    struct gateway *gateway;     /* borrowed: outlives us, but on the way to another worker */
    struct gateway_peers *peers; /* borrowed: outlives us */
    struct sock *sock;           /* owned; NULL once closed */
    enum conn_state state;
    struct exchange_origin origin;
    struct exchange_connect *connects; /* owned: of origin */
    struct exchange *exchange;         /* owned while NEW, borrowed while it runs */
    struct head_buf head;              /* of the request that comes in */
    struct http1_body body;            /* of the request under way */
    bool body_done;                    /* it was read whole */
    bool tunnel;                       /* after 101: raw bytes both ways */
    bool keep_alive;                   /* after the exchange under way, or just over */
    bool peer_ended;                   /* the visitor half-closed */
    bool moved;                        /* once is enough */
    struct outbuf out;
    ev_timer timer;
};

static const struct downstream_ops conn_downstream_ops;

static void set_state(struct conn *c, enum conn_state next)
{
    assert(conn_states[c->state].next & BIT(next));
    c->state = next;
}

static struct ev_loop *loop_of(const struct conn *c)
{
    return worker_loop(c->gateway->worker);
}

static struct conn *conn_of(struct downstream *d)
{
    return (struct conn *)(void *)d;
}

struct conn *conn_next(const struct conn *c)
{
    return c->next;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void arm_timer(struct conn *c, uint64_t ms)
{
    ev_timer_stop(loop_of(c), &c->timer);
    if (ms == 0)
        return;
    ev_timer_set(&c->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(loop_of(c), &c->timer);
}

static void refuse(struct conn *c, const struct err *e);

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct conn *c = watcher->data;
    struct err e;

    (void)loop;
    (void)revents;
    switch (c->state) {
    case CONN_HEAD:
        (void)err_set(&e, E_REQUEST_TIMEOUT, "the request head did not arrive in time");
        refuse(c, &e);
        break;
    case CONN_IDLE:
        conn_close(c, CLOSE_IDLE);
        break;
    case CONN_HANDSHAKE:
    case CONN_FLUSHING:
    case CONN_EXCHANGE:
    case CONN_MOVING:
    case CONN_CLOSED:
        conn_close(c, CLOSE_TIMEOUT);
        break;
    }
}

/* ---- life ------------------------------------------------------------------------------------- */

static void free_conn(struct worker *w, void *arg)
{
    struct conn *c = arg;

    (void)w;
    head_buf_reset(&c->head);
    outbuf_fini(&c->out);
    http1_body_fini(&c->body);
    exchange_connects_free(c->connects);
    mem_free(c);
}

static void join_list(struct conn *c, struct gateway *g)
{
    c->gateway = g;
    DL_APPEND(g->conns, c);
    g->conn_count++;
    metrics_add(worker_metrics(g->worker), METRIC_CONNS, 1);
}

static void leave_list(struct conn *c)
{
    struct gateway *g = c->gateway;

    DL_DELETE(g->conns, c);
    g->conn_count--;
    metrics_add(worker_metrics(g->worker), METRIC_CONNS, -1);
    gateway_on_conn_gone(g);
}

static void log_tls_failure(const struct conn *c, enum close_reason why)
{
    const struct tls_session *tls = sock_tls(c->sock);

    if (c->state != CONN_HANDSHAKE || why != CLOSE_TLS_ERROR || tls == NULL)
        return;
    log_debug("tls.failed", LADDR("client", &c->origin.client),
              LS("reason", tls_session_error(tls)));
}

void conn_close(struct conn *c, enum close_reason why)
{
    struct exchange *x = c->exchange;
    enum conn_state was = c->state;

    if (c->state == CONN_CLOSED)
        return;
    log_tls_failure(c, why);
    set_state(c, CONN_CLOSED);
    c->exchange = NULL;
    if (was == CONN_EXCHANGE && x != NULL)
        exchange_on_lost(x, why);
    else
        exchange_discard(x);
    ev_timer_stop(loop_of(c), &c->timer);
    stream_close(sock_stream(c->sock), why);
    c->sock = NULL;
    leave_list(c);
    worker_defer(c->gateway->worker, free_conn, c); /* an event of ours may be on the stack */
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void new_exchange(struct conn *c)
{
    set_state(c, CONN_HEAD);
    c->exchange = exchange_new(c->gateway, &c->down, &c->origin);
    arm_timer(c, c->gateway->config->request_head_timeout_ms);
}

static void begin_exchange(struct conn *c)
{
    set_state(c, CONN_EXCHANGE);
    ev_timer_stop(loop_of(c), &c->timer);
}

/* Answers a request that cannot be understood; the connection cannot go on behind it. */
static void refuse(struct conn *c, const struct err *e)
{
    begin_exchange(c);
    c->keep_alive = false;
    exchange_refuse(c->exchange, e);
}

static void start_exchange(struct conn *c)
{
    const struct http_request *r = exchange_request(c->exchange);

    c->keep_alive = r->keep_alive;
    http1_body_fini(&c->body); /* that of the request before */
    http1_body_init(&c->body, r->body, r->content_length);
    c->body_done = http1_body_is_done(&c->body);
    begin_exchange(c);
    exchange_start(c->exchange);
}

static void move_now(struct worker *w, void *arg);

/* Moves the connection when its first request is for another worker's session. */
static bool try_move(struct conn *c)
{
    const struct endpoint *ep = exchange_route(c->exchange);

    if (c->moved || c->gateway->draining || ep == NULL || ep->agent.worker == c->gateway->worker)
        return false;
    c->moved = true;
    set_state(c, CONN_MOVING);
    ev_timer_stop(loop_of(c), &c->timer);
    worker_defer(c->gateway->worker, move_now, c); /* its sock's event is on the stack */
    return true;
}

/* Returns how many bytes of `in` it used; 0 when the head was refused. */
static size_t read_head(struct conn *c, struct str in)
{
    size_t max = (size_t)c->gateway->config->request_head_max_bytes;
    struct err e = { 0 };
    struct str head;
    size_t used;
    int found;

    if (c->state == CONN_IDLE)
        new_exchange(c);
    found = head_buf_read(&c->head, in, max, &head, &used, &e);
    if (found != -1)
        c->origin.bytes_in += used;
    if (found == 0)
        return used;
    if (found == -1 || http1_parse_request(head, exchange_arena(c->exchange),
                                           exchange_request(c->exchange), &e) == -1) {
        refuse(c, &e);
        return 0;
    }
    head_buf_reset(&c->head);
    if (!try_move(c))
        start_exchange(c);
    return used;
}

static void on_body_end(struct conn *c)
{
    struct http_headers trailers = { 0 };
    struct err e = { 0 };

    c->body_done = true;
    if (http1_body_trailers(&c->body, exchange_arena(c->exchange), &trailers, &e) == -1) {
        c->keep_alive = false;
        exchange_on_request_bad(c->exchange, &e);
        return;
    }
    exchange_on_request_end(c->exchange, &trailers);
}

static size_t read_body(struct conn *c, struct str in)
{
    struct err e = { 0 };
    struct str data;
    size_t used;

    if (http1_body_read(&c->body, str_slice(in, 0, OUTBUF_HIGH_BYTES), &data, &used, &e) == -1) {
        c->keep_alive = false;
        exchange_on_request_bad(c->exchange, &e);
        return 0;
    }
    if (data.n > 0)
        exchange_on_request_data(c->exchange, data);
    if (c->state == CONN_EXCHANGE && http1_body_is_done(&c->body))
        on_body_end(c);
    return used;
}

/* Reads what it can of the exchange under way. */
static size_t read_exchange(struct conn *c, struct str in)
{
    if (exchange_is_request_blocked(c->exchange))
        return 0;
    if (c->tunnel) {
        in = str_slice(in, 0, OUTBUF_HIGH_BYTES);
        exchange_on_request_data(c->exchange, in);
        return in.n;
    }
    return c->body_done ? 0 : read_body(c, in);
}

static size_t read_some(struct conn *c, struct str in)
{
    size_t used;

    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        return read_head(c, in);
    case CONN_EXCHANGE:
        used = read_exchange(c, in);
        c->origin.bytes_in += used;
        return used;
    case CONN_FLUSHING:
        return c->keep_alive ? 0 : in.n; /* nothing that comes before a close can be answered */
    case CONN_HANDSHAKE:
    case CONN_MOVING:
    case CONN_CLOSED:
        return 0;
    }
    return 0;
}

static size_t read_all(struct conn *c, struct str in)
{
    size_t total = 0;

    while (total < in.n) {
        size_t n = read_some(c, str_skip(in, total));

        if (n == 0)
            break;
        total += n;
    }
    if (c->state == CONN_EXCHANGE)
        exchange_on_request_flush(c->exchange);
    return total;
}

/* ---- events of the sock --------------------------------------------------------------------------- */

static size_t on_data(void *arg, struct str data)
{
    struct conn *c = arg;
    size_t used = read_all(c, data);

    return c->state == CONN_CLOSED ? data.n : used;
}

static void on_flushed(struct conn *c);

static void on_writable(void *arg)
{
    struct conn *c = arg;
    size_t before = c->out.buf.len;
    bool flushed = outbuf_flush(&c->out);
    bool progress = c->out.buf.len < before;

    switch (c->state) {
    case CONN_EXCHANGE:
        if (flushed)
            exchange_on_writable(c->exchange);
        else if (progress)
            exchange_on_progress(c->exchange);
        break;
    case CONN_FLUSHING:
        if (flushed)
            on_flushed(c);
        else if (progress)
            arm_timer(c, c->gateway->config->stall_timeout_ms);
        break;
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_HEAD:
    case CONN_MOVING:
    case CONN_CLOSED:
        break;
    }
}

/* A visitor may half-close behind a whole request and still read the answer. */
static bool is_gone(const struct conn *c)
{
    const struct tls_session *tls = sock_tls(c->sock);

    return !c->body_done || (tls != NULL && tls_is_cut(tls));
}

static void on_eof(void *arg)
{
    struct conn *c = arg;

    c->peer_ended = true;
    switch (c->state) {
    case CONN_EXCHANGE:
        if (c->tunnel)
            exchange_on_request_end(c->exchange, NULL);
        else if (is_gone(c))
            conn_close(c, CLOSE_RESET);
        break;
    case CONN_MOVING:
    case CONN_FLUSHING:
        break;
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_HEAD:
    case CONN_CLOSED:
        conn_close(c, CLOSE_DONE);
        break;
    }
}

static void on_closed(void *arg, enum close_reason why)
{
    struct conn *c = arg;

    /* Both directions of a tunnel have ended. What the visitor sent last may still be on its way to
     * the upstream; the exchange ends when it is not. */
    if (c->state == CONN_EXCHANGE && c->tunnel && why == CLOSE_DONE)
        return;
    conn_close(c, why);
}

static const struct stream_events conn_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void on_secure(void *arg)
{
    struct conn *c = arg;
    const struct tls_session *tls = sock_tls(c->sock);

    c->origin.tls = tls;
    c->origin.server_name = tls_server_name(tls);
    c->origin.tls_version = str_from(tls_version(tls));
    c->origin.tls_cipher = str_from(tls_cipher(tls));
    metrics_add(worker_metrics(c->gateway->worker), METRIC_TLS_HANDSHAKES_TOTAL, 1);
    set_state(c, CONN_IDLE);
    arm_timer(c, c->gateway->config->keepalive_timeout_ms);
}

/* ---- moving ---------------------------------------------------------------------------------------- */

/* Starts what was held back for the move. */
static void start_moved(struct conn *c)
{
    start_exchange(c);
    if (c->state == CONN_EXCHANGE)
        exchange_on_request_flush(c->exchange);
    if (c->state == CONN_EXCHANGE && c->peer_ended && is_gone(c))
        conn_close(c, CLOSE_RESET);
}

/* The worker is about to be freed and has no gateway any more. */
static void drop_arrival(struct conn *c)
{
    exchange_discard(c->exchange);
    stream_close(sock_stream(c->sock), CLOSE_DRAIN);
    free_conn(NULL, c);
}

static void arrive(struct worker *w, void *arg)
{
    struct conn *c = arg;
    struct gateway *g = c->peers->gateways[worker_id(w)];

    sock_attach(c->sock, w); /* offers what it holds again, once this is over */
    if (g == NULL) {
        drop_arrival(c);
        return;
    }
    join_list(c, g);
    gateway_on_conn_arrived(g);
    metrics_add(worker_metrics(w), METRIC_HANDOFFS_TOTAL, 1);
    exchange_move(c->exchange, g);
    start_moved(c);
}

static void move_now(struct worker *w, void *arg)
{
    struct conn *c = arg;
    struct worker *to;

    (void)w;
    if (c->state != CONN_MOVING)
        return;
    to = exchange_route(c->exchange)->agent.worker;
    if (c->gateway->draining || !gateway_expect_conn(c->peers->gateways[worker_id(to)])) {
        start_moved(c);
        if (c->state != CONN_CLOSED)
            stream_resume(sock_stream(c->sock));
        return;
    }
    sock_detach(c->sock);
    leave_list(c);
    c->gateway = NULL;
    worker_post(to, arrive, c);
}

/* ---- the downstream codec --------------------------------------------------------------------------- */

/* May another request come, and may it be answered? The end of what the visitor sends is told only
 * when all before it was read. */
static bool has_future(const struct conn *c)
{
    return !c->gateway->draining && !c->peer_ended;
}

/* A response of unknown length needs chunks; all visitors here speak HTTP/1.1. */
static void write_framing(struct conn *c, const struct http_response *r)
{
    struct buf *out = &c->out.buf;

    c->out.framing = OUTBUF_PLAIN;
    if (r->body == HTTP_BODY_CHUNKED || r->body == HTTP_BODY_CLOSE) {
        c->out.framing = OUTBUF_CHUNKED;
        http1_write_header(out, STR("transfer-encoding"), STR("chunked"));
    } else if (r->has_content_length && r->status != 204) {
        buf_add_fmt(out, "content-length: %llu\r\n", (unsigned long long)r->content_length);
    }
}

static void send_head(struct downstream *d, const struct http_response *r, bool interim)
{
    struct conn *c = conn_of(d);
    struct buf *out = &c->out.buf;
    size_t before = out->len;

    http1_write_status_line(out, r->status, r->reason);
    http1_write_headers(out, &r->headers);
    if (!interim && r->status != 101) {
        write_framing(c, r);
        if (!r->keep_alive || !has_future(c))
            c->keep_alive = false;
        if (!c->keep_alive)
            http1_write_header(out, STR("connection"), STR("close"));
    }
    http1_write_head_end(out);
    assert(!buf_failed(out)); /* the exchange has checked its size */
    c->origin.bytes_out += out->len - before;
    if (r->status == 101)
        c->tunnel = true;
}

static void send_body(struct downstream *d, struct str data)
{
    struct conn *c = conn_of(d);

    c->origin.bytes_out += data.n;
    outbuf_send_body(&c->out, data);
}

static bool is_blocked(struct downstream *d)
{
    return outbuf_is_blocked(&conn_of(d)->out);
}

static void send_end(struct downstream *d, const struct http_headers *trailers)
{
    struct conn *c = conn_of(d);

    outbuf_send_end(&c->out, trailers);
    if (c->tunnel)
        outbuf_end(&c->out);
}

static void flush(struct downstream *d)
{
    (void)outbuf_flush(&conn_of(d)->out);
}

static void end_tunnel(struct worker *w, void *arg)
{
    struct conn *c = arg;

    (void)w;
    if (c->state == CONN_EXCHANGE)
        exchange_on_request_end(c->exchange, NULL);
}

static void resume(struct downstream *d)
{
    struct conn *c = conn_of(d);

    /* The visitor may have ended before the tunnel began. */
    if (c->tunnel && c->peer_ended)
        worker_defer(c->gateway->worker, end_tunnel, c);
    else
        stream_resume(sock_stream(c->sock));
}

/* The response is out: the next request, which may wait already, or the end. */
static void on_flushed(struct conn *c)
{
    if (!c->keep_alive || !has_future(c)) {
        conn_close(c, CLOSE_DONE);
        return;
    }
    set_state(c, CONN_IDLE);
    outbuf_release(&c->out); /* most of the memory of an idle connection */
    arm_timer(c, c->gateway->config->keepalive_timeout_ms);
    stream_resume(sock_stream(c->sock));
}

static void finished(struct downstream *d, enum exchange_end how)
{
    struct conn *c = conn_of(d);
    bool flushed;

    c->exchange = NULL;
    if (c->state != CONN_EXCHANGE)
        return;
    if (how == EXCHANGE_ABORTED) {
        conn_close(c, CLOSE_POLICY);
        return;
    }
    flushed = outbuf_flush(&c->out);
    if (how == EXCHANGE_CUT) {
        conn_close(c, CLOSE_RESET);
        return;
    }
    if (!c->body_done || c->tunnel)
        c->keep_alive = false;
    set_state(c, CONN_FLUSHING);
    if (flushed)
        on_flushed(c);
    else
        arm_timer(c, c->gateway->config->stall_timeout_ms);
}

static const struct downstream_ops conn_downstream_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .is_blocked = is_blocked,
    .send_end = send_end,
    .flush = flush,
    .resume = resume,
    .finished = finished,
};

/* ---- opening and draining ---------------------------------------------------------------------------- */

static struct addr local_addr(int fd)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &n) == -1)
        return (struct addr){ 0 };
    return addr_from_sockaddr((struct sockaddr *)&ss);
}

void conn_open(struct gateway *g, int fd, enum scheme scheme, const struct addr *peer)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    struct tls_session *tls = NULL;

    c->down.ops = &conn_downstream_ops;
    c->peers = g->peers;
    c->origin.client = *peer;
    c->origin.connects = &c->connects;
    c->origin.server = local_addr(fd);
    c->origin.scheme = scheme;
    c->origin.conn_start_wall_ms = clock_wall_ms();
    head_buf_init(&c->head);
    outbuf_init(&c->out, (size_t)HEAD_BUF_MAX_BYTES + EXCHANGE_HEAD_GROWTH_BYTES);
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    join_list(c, g);
    metrics_add(worker_metrics(g->worker), METRIC_CONNS_TOTAL, 1);

    if (scheme == SCHEME_HTTPS)
        tls = tls_session_new(g->tls, fd, gateway_may_mint, g);
    c->sock = sock_new(g->worker, fd, tls, &conn_events, c);
    outbuf_open(&c->out, sock_stream(c->sock));
    c->state = tls != NULL ? CONN_HANDSHAKE : CONN_IDLE;
    if (tls != NULL) {
        sock_on_secure(c->sock, on_secure);
        arm_timer(c, g->config->tls_handshake_timeout_ms);
    } else {
        arm_timer(c, g->config->keepalive_timeout_ms);
    }
}

void conn_drain(struct conn *c)
{
    if (c->state == CONN_IDLE || c->state == CONN_HANDSHAKE)
        conn_close(c, CLOSE_DRAIN);
}
