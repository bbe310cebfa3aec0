#include "gateway/admin.h"

#include <ev.h>
#include <unistd.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "gateway/api_http.h"
#include "gateway/gateway_int.h"
#include "gateway/http1.h"
#include "gateway/metrics_page.h"
#include "gateway/outbuf.h"
#include "gateway/sock.h"

enum { ADMIN_TEXT_MAX_BYTES = 256 * 1024 };

/* What a connection does; one request at a time. */
enum admin_state {
    ADMIN_HEAD,   /* reads a request head, or waits for one */
    ADMIN_BODY,   /* reads a body */
    ADMIN_CALL,   /* the API works on an answer */
    ADMIN_ANSWER, /* writes the answer */
};

struct admin_conn {
    struct admin_conn *prev;
    struct admin_conn *next;
    struct gateway *gateway; /* borrowed: outlives us */
    struct sock *sock;       /* owned; NULL once closed */
    enum admin_peer peer;
    enum admin_state state;
    struct buf in;
    size_t scanned;
    struct arena arena; /* of the request */
    struct http_request request;
    struct http1_body framing;
    struct buf body;
    struct api_http_call *call; /* borrowed: under way; NULL: none */
    struct outbuf out;
    bool keep_alive; /* after this answer */
    ev_timer timer;
};

static void free_conn(struct worker *w, void *arg)
{
    struct admin_conn *c = arg;

    (void)w;
    buf_fini(&c->in);
    buf_fini(&c->body);
    http1_body_fini(&c->framing);
    arena_fini(&c->arena);
    outbuf_fini(&c->out);
    mem_free(c);
}

static void conn_end(struct admin_conn *c, enum close_reason why)
{
    struct gateway *g = c->gateway;

    if (c->sock == NULL)
        return;
    if (c->call != NULL)
        api_http_cancel(c->call);
    ev_timer_stop(worker_loop(g->worker), &c->timer);
    stream_close(sock_stream(c->sock), why);
    c->sock = NULL;
    DL_DELETE(g->admin_conns, c);
    g->admin_counts[c->peer]--;
    worker_defer(g->worker, free_conn, c); /* an event of ours may be on the stack */
}

static void start_timer(struct admin_conn *c, unsigned ms)
{
    struct ev_loop *loop = worker_loop(c->gateway->worker);

    ev_timer_stop(loop, &c->timer);
    ev_timer_set(&c->timer, ms / 1000.0, 0.0);
    ev_timer_start(loop, &c->timer);
}

/* ---- answers from memory ---------------------------------------------------------------------- */

struct admin_route {
    const char *path;
    void (*fill)(struct gateway *g, struct buf *body, unsigned *status);
};

static void fill_metrics(struct gateway *g, struct buf *body, unsigned *status)
{
    (void)status;
    metrics_page_add(g, body);
}

static void fill_health(struct gateway *g, struct buf *body, unsigned *status)
{
    (void)g;
    (void)status;
    buf_add_str(body, STR("ok\n"));
}

static void fill_ready(struct gateway *g, struct buf *body, unsigned *status)
{
    bool is_well = g->api_http == NULL || api_http_is_well(g->api_http);

    if (g->draining || !is_well)
        *status = 503;
    if (g->draining)
        buf_add_str(body, STR("draining\n"));
    else
        buf_add_str(body, is_well ? STR("ready\n") : STR("the database cannot be written\n"));
}

static const struct admin_route admin_routes[] = {
    { "/metrics", fill_metrics },
    { "/healthz", fill_health },
    { "/readyz", fill_ready },
};

static const struct admin_route *find_route(struct str path)
{
    for (size_t i = 0; i < sizeof(admin_routes) / sizeof(admin_routes[0]); i++) {
        if (str_eq(path, str_from(admin_routes[i].path)))
            return &admin_routes[i];
    }
    return NULL;
}

static unsigned fill_answer(struct gateway *g, const struct http_request *r, struct buf *body)
{
    const struct admin_route *route = find_route(r->path);
    unsigned status = 200;

    if (!str_eq(r->method, STR("GET"))) {
        buf_add_str(body, STR("only GET is answered here\n"));
        return 405;
    }
    if (route == NULL) {
        buf_add_str(body, STR("there are /metrics, /healthz and /readyz\n"));
        return 404;
    }
    route->fill(g, body, &status);
    return status;
}

static void write_text(struct admin_conn *c, unsigned status, struct str text)
{
    struct buf *out = &c->out.buf;

    http1_write_status_line(out, status, str_from(http_reason(status)));
    http1_write_header(out, STR("content-type"), STR("text/plain; charset=utf-8"));
    if (!c->keep_alive)
        http1_write_header(out, STR("connection"), STR("close"));
    buf_add_fmt(out, "content-length: %zu\r\n\r\n", text.n);
    buf_add_str(out, text);
}

/* ---- the way of a request ----------------------------------------------------------------------- */

static void send_answer(struct admin_conn *c)
{
    c->state = ADMIN_ANSWER;
    start_timer(c, ADMIN_TIMEOUT_MS);
}

/* Answers what cannot be read on from. */
static void refuse(struct admin_conn *c, enum api_http_refusal why, const char *msg)
{
    struct api_http *api = c->gateway->api_http;

    c->keep_alive = false;
    if (api != NULL)
        api_http_refuse(api, why, msg, &c->out.buf);
    else
        write_text(c, 400, str_from(msg));
    send_answer(c);
}

static void on_called(void *arg, struct api_http_call *call);

static void dispatch(struct admin_conn *c)
{
    struct gateway *g = c->gateway;
    bool is_own = c->peer != ADMIN_PEER_PUBLIC &&
                  (find_route(c->request.path) != NULL || g->api_http == NULL);
    struct buf text;
    unsigned status;

    c->keep_alive = c->request.keep_alive && !g->draining;
    if (is_own) {
        buf_init(&text, ADMIN_TEXT_MAX_BYTES);
        status = fill_answer(g, &c->request, &text);
        write_text(c, status, buf_str(&text));
        buf_fini(&text);
        send_answer(c);
        return;
    }
    ev_timer_stop(worker_loop(g->worker), &c->timer); /* the API has limits of its own */
    c->state = ADMIN_CALL;
    c->call = api_http_start(g->api_http, g->worker,
                             c->peer == ADMIN_PEER_OPERATOR ? API_HTTP_OPERATOR : API_HTTP_NETWORK,
                             &c->request, buf_str(&c->body), on_called, c);
}

/* Returns true when there was a whole head. */
static bool read_head(struct admin_conn *c)
{
    struct err e = { 0 };
    ptrdiff_t n = http1_find_head(buf_str(&c->in), ADMIN_HEAD_MAX_BYTES, &c->scanned, &e);

    if (n == 0)
        return false;
    if (n < 0 || http1_parse_request(str_slice(buf_str(&c->in), 0, (size_t)n), &c->arena,
                                     &c->request, &e) == -1) {
        refuse(c, API_HTTP_UNREADABLE, e.msg);
        return true;
    }
    buf_consume(&c->in, (size_t)n);
    c->scanned = 0;
    http1_body_fini(&c->framing);
    http1_body_init(&c->framing, c->request.body, c->request.content_length);
    if (c->request.content_length > API_HTTP_BODY_MAX_BYTES) {
        refuse(c, API_HTTP_TOO_LARGE, "The request body is too large; it may have 1 MiB.");
        return true;
    }
    c->state = ADMIN_BODY;
    if (c->request.expect_continue && c->in.len == 0) {
        buf_add_str(&c->out.buf, STR("HTTP/1.1 100 Continue\r\n\r\n"));
        (void)outbuf_flush(&c->out); /* the rest goes with the answer */
    }
    return true;
}

/* Returns true when something was read, or the body is there. */
static bool read_body(struct admin_conn *c)
{
    struct str data = STR_NONE;
    struct err e = { 0 };
    size_t used = 0;

    if (c->request.body != HTTP_BODY_NONE &&
        http1_body_read(&c->framing, buf_str(&c->in), &data, &used, &e) == -1) {
        refuse(c, API_HTTP_UNREADABLE, e.msg);
        return true;
    }
    buf_add_str(&c->body, data);
    buf_consume(&c->in, used);
    if (buf_failed(&c->body)) {
        refuse(c, API_HTTP_TOO_LARGE, "The request body is too large; it may have 1 MiB.");
        return true;
    }
    if (c->request.body == HTTP_BODY_NONE || http1_body_is_done(&c->framing)) {
        dispatch(c);
        return true;
    }
    return used > 0;
}

/* Returns true when the answer is out and the next request may be read. */
static bool finish_answer(struct admin_conn *c)
{
    if (!outbuf_flush(&c->out))
        return false;
    if (!c->keep_alive) {
        conn_end(c, CLOSE_DONE);
        return false;
    }
    arena_reset(&c->arena);
    buf_clear(&c->body);
    c->state = ADMIN_HEAD;
    start_timer(c, c->in.len > 0 ? ADMIN_TIMEOUT_MS : ADMIN_KEEPALIVE_MS);
    return true;
}

/* Goes on as far as there are bytes. */
static void step(struct admin_conn *c)
{
    bool moved = true;

    while (moved && c->sock != NULL) {
        switch (c->state) {
        case ADMIN_HEAD:
            moved = read_head(c);
            break;
        case ADMIN_BODY:
            moved = read_body(c);
            break;
        case ADMIN_CALL:
            moved = false;
            break;
        case ADMIN_ANSWER:
            moved = finish_answer(c);
            break;
        }
    }
}

/* After an answer: what the peer had to wait with. */
static void go_on(struct admin_conn *c)
{
    step(c);
    if (c->sock != NULL && (c->state == ADMIN_HEAD || c->state == ADMIN_BODY))
        stream_resume(sock_stream(c->sock));
}

static void on_called(void *arg, struct api_http_call *call)
{
    struct admin_conn *c = arg;

    c->call = NULL;
    c->keep_alive = c->keep_alive && !c->gateway->draining;
    api_http_write(call, c->keep_alive, &c->out.buf);
    send_answer(c);
    go_on(c);
}

/* ---- events -------------------------------------------------------------------------------------- */

static size_t on_data(void *arg, struct str data)
{
    struct admin_conn *c = arg;
    size_t taken = 0;

    if (c->state == ADMIN_HEAD && c->in.len == 0)
        start_timer(c, ADMIN_TIMEOUT_MS);
    while (c->sock != NULL && taken < data.n &&
           (c->state == ADMIN_HEAD || c->state == ADMIN_BODY)) {
        struct str piece = str_slice(data, taken, taken + buf_room(&c->in));

        buf_add_str(&c->in, piece);
        taken += piece.n;
        step(c);
    }
    return c->sock != NULL ? taken : data.n;
}

static void on_writable(void *arg)
{
    struct admin_conn *c = arg;

    if (c->state == ADMIN_ANSWER)
        go_on(c);
}

static void on_eof(void *arg)
{
    struct admin_conn *c = arg;

    if (c->state == ADMIN_HEAD || c->state == ADMIN_BODY)
        conn_end(c, CLOSE_DONE);
    else
        c->keep_alive = false;
}

static void on_closed(void *arg, enum close_reason why)
{
    conn_end(arg, why);
}

static const struct stream_events admin_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop;
    (void)revents;
    conn_end(watcher->data, CLOSE_TIMEOUT);
}

bool admin_open(struct gateway *g, int fd, enum admin_peer peer)
{
    struct admin_conn *c;

    if (g->admin_counts[peer] >= ADMIN_CONNS_MAX) {
        (void)close(fd); /* nothing was written */
        return false;
    }
    c = mem_zalloc(sizeof(*c));
    c->gateway = g;
    c->peer = peer;
    buf_init(&c->in, ADMIN_HEAD_MAX_BYTES + 1);
    buf_init(&c->body, API_HTTP_BODY_MAX_BYTES);
    arena_init(&c->arena);
    http1_body_init(&c->framing, HTTP_BODY_NONE, 0);
    outbuf_init(&c->out, API_HTTP_ANSWER_MAX_BYTES);
    c->sock = sock_new(g->worker, fd, NULL, &admin_events, c);
    outbuf_open(&c->out, sock_stream(c->sock));
    DL_APPEND(g->admin_conns, c);
    g->admin_counts[peer]++;
    ev_timer_init(&c->timer, on_timer, ADMIN_TIMEOUT_MS / 1000.0, 0.0);
    c->timer.data = c;
    ev_timer_start(worker_loop(g->worker), &c->timer);
    return true;
}

void admin_close_all(struct gateway *g)
{
    while (g->admin_conns != NULL)
        conn_end(g->admin_conns, CLOSE_DRAIN);
}
