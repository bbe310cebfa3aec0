#include "gateway/admin.h"

#include <ev.h>
#include <unistd.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "gateway/gateway_int.h"
#include "gateway/http1.h"
#include "gateway/metrics_page.h"
#include "gateway/outbuf.h"
#include "gateway/sock.h"

struct admin_conn {
    struct admin_conn *prev;
    struct admin_conn *next;
    struct gateway *gateway; /* borrowed: outlives us */
    struct sock *sock;       /* owned; NULL once closed */
    struct buf in;
    size_t scanned;
    struct outbuf out;
    bool answered;
    ev_timer timer;
};

enum { ADMIN_BODY_MAX_BYTES = METRICS_PAGE_MAX_BYTES };

static void free_conn(struct worker *w, void *arg)
{
    struct admin_conn *c = arg;

    (void)w;
    buf_fini(&c->in);
    outbuf_fini(&c->out);
    mem_free(c);
}

static void conn_end(struct admin_conn *c, enum close_reason why)
{
    struct gateway *g = c->gateway;

    if (c->sock == NULL)
        return;
    ev_timer_stop(worker_loop(g->worker), &c->timer);
    stream_close(sock_stream(c->sock), why);
    c->sock = NULL;
    DL_DELETE(g->admin_conns, c);
    g->admin_count--;
    worker_defer(g->worker, free_conn, c); /* an event of ours may be on the stack */
}

/* ---- answers ---------------------------------------------------------------------------------- */

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
    if (g->draining)
        *status = 503;
    buf_add_str(body, g->draining ? STR("draining\n") : STR("ready\n"));
}

static const struct admin_route admin_routes[] = {
    { "/metrics", fill_metrics },
    { "/healthz", fill_health },
    { "/readyz", fill_ready },
};

static unsigned fill_answer(struct gateway *g, const struct http_request *r, struct buf *body)
{
    unsigned status = 200;

    if (!str_eq(r->method, STR("GET"))) {
        buf_add_str(body, STR("only GET is answered here\n"));
        return 405;
    }
    for (size_t i = 0; i < sizeof(admin_routes) / sizeof(admin_routes[0]); i++) {
        if (!str_eq(r->path, str_from(admin_routes[i].path)))
            continue;
        admin_routes[i].fill(g, body, &status);
        return status;
    }
    buf_add_str(body, STR("there are /metrics, /healthz and /readyz\n"));
    return 404;
}

static void answer(struct admin_conn *c, struct str head)
{
    struct http_request request = { 0 };
    struct err e = { 0 };
    struct arena arena;
    struct buf body;
    unsigned status;
    struct buf *out = &c->out.buf;

    arena_init(&arena);
    buf_init(&body, ADMIN_BODY_MAX_BYTES);
    if (http1_parse_request(head, &arena, &request, &e) == -1) {
        buf_add_fmt(&body, "%s\n", e.msg);
        status = 400;
    } else {
        status = fill_answer(c->gateway, &request, &body);
    }
    c->answered = true;
    http1_write_status_line(out, status, str_from(http_reason(status)));
    http1_write_header(out, STR("content-type"), STR("text/plain; charset=utf-8"));
    http1_write_header(out, STR("connection"), STR("close"));
    buf_add_fmt(out, "content-length: %zu\r\n\r\n", body.len);
    buf_add_str(out, buf_str(&body));
    buf_fini(&body);
    arena_fini(&arena);
    if (outbuf_flush(&c->out))
        conn_end(c, CLOSE_DONE);
}

/* ---- events -------------------------------------------------------------------------------------- */

static size_t on_data(void *arg, struct str data)
{
    struct admin_conn *c = arg;
    struct err e;
    ptrdiff_t n;

    if (c->answered)
        return data.n;
    buf_add_str(&c->in, str_slice(data, 0, buf_room(&c->in)));
    n = http1_find_head(buf_str(&c->in), ADMIN_HEAD_MAX_BYTES, &c->scanned, &e);
    if (n < 0)
        conn_end(c, CLOSE_PROTOCOL);
    else if (n > 0)
        answer(c, str_slice(buf_str(&c->in), 0, (size_t)n));
    return data.n;
}

static void on_writable(void *arg)
{
    struct admin_conn *c = arg;

    if (c->answered && outbuf_flush(&c->out))
        conn_end(c, CLOSE_DONE);
}

static void on_eof(void *arg)
{
    struct admin_conn *c = arg;

    if (!c->answered)
        conn_end(c, CLOSE_DONE);
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

void admin_open(struct gateway *g, int fd)
{
    struct admin_conn *c;

    if (g->admin_count >= ADMIN_CONNS_MAX) {
        (void)close(fd);
        return;
    }
    c = mem_zalloc(sizeof(*c));
    c->gateway = g;
    buf_init(&c->in, ADMIN_HEAD_MAX_BYTES + 1);
    outbuf_init(&c->out, ADMIN_BODY_MAX_BYTES);
    c->sock = sock_new(g->worker, fd, NULL, &admin_events, c);
    outbuf_open(&c->out, sock_stream(c->sock));
    DL_APPEND(g->admin_conns, c);
    g->admin_count++;
    ev_timer_init(&c->timer, on_timer, ADMIN_TIMEOUT_MS / 1000.0, 0.0);
    c->timer.data = c;
    ev_timer_start(worker_loop(g->worker), &c->timer);
}

void admin_close_all(struct gateway *g)
{
    while (g->admin_conns != NULL)
        conn_end(g->admin_conns, CLOSE_DRAIN);
}
