/*
 * Joining a user's channel to the upstream's directly would save the copies through the socketpair, but
 * only for TCP and TLS endpoints, and it would need its own policy runs, events, limits and drain.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include <ev.h>

#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/sock.h"
#include "tunnel/endpoint.h"
#include "tunnel/host.h"
#include "tunnel/routes.h"

enum { INSIDE_DRAIN_MS = 30000 }; /* for the upstream to take what the user wrote last */

struct inside_visit {
    struct stream stream; /* first: what the front holds */
    unsigned users;
    struct worker *worker; /* borrowed: outlives us */
    char account[ENDPOINT_ACCOUNT_MAX_BYTES + 1];
    char host[HOST_MAX_BYTES + 1];
    struct exchange_inside address;

    struct stream *sock; /* owned: the front's end; NULL once closed */
    bool ended;          /* it brings nothing more */
    bool told;           /* on_closed was called */
    struct conn *conn;   /* borrowed; NULL once it closed, and why: */
    enum close_reason why;
    ev_timer drain; /* runs while only the user's last bytes are still passed on */
};

/* ---- addresses ------------------------------------------------------------------------------- */

const struct pool *inside_pool(const struct routes *r, const struct exchange_inside *address)
{
    return routes_pool_internal(r, address->account, address->scheme, address->host, address->port);
}

/* One port may have an endpoint of each scheme: those that carry any bytes come first. */
static struct endpoint *find_any(const struct routes *r, struct str account, struct str host,
                                 uint16_t port)
{
    static const enum scheme order[] = { SCHEME_TCP, SCHEME_TLS, SCHEME_HTTPS, SCHEME_HTTP };

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct endpoint *ep = routes_find_internal(r, account, order[i], host, port);

        if (ep != NULL)
            return ep;
    }
    return NULL;
}

static bool inside_has(void *ctx, struct str account, struct str host, uint16_t port)
{
    const struct gateway *g = ctx;

    return find_any(g->routes, account, host, port) != NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct inside_visit *visit_of(struct stream *s)
{
    return (struct inside_visit *)(void *)s;
}

void inside_ref(struct inside_visit *v)
{
    v->users++;
}

void inside_unref(struct inside_visit *v)
{
    if (v == NULL || --v->users > 0)
        return;
    mem_free(v);
}

const struct exchange_inside *inside_address(const struct inside_visit *v)
{
    return &v->address;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void tell_closed(struct inside_visit *v, enum close_reason why)
{
    if (v->told)
        return;
    v->told = true;
    v->stream.events->on_closed(v->stream.arg, why);
}

static void tell_closed_later(struct worker *w, void *arg)
{
    struct inside_visit *v = arg;

    (void)w;
    if (v->sock != NULL)
        tell_closed(v, v->why);
    inside_unref(v);
}

void inside_on_opened(struct inside_visit *v, struct conn *c)
{
    v->conn = c;
}

void inside_on_closed(struct inside_visit *v, enum close_reason why)
{
    v->conn = NULL;
    v->why = why;
    ev_timer_stop(worker_loop(v->worker), &v->drain);
    /* Otherwise the end of the socket tells, behind the last byte. */
    if (v->sock != NULL && v->ended) {
        inside_ref(v);
        worker_defer(v->worker, tell_closed_later, v);
    }
}

static void on_drain_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct inside_visit *v = watcher->data;

    (void)loop;
    (void)revents;
    conn_close(v->conn, CLOSE_TIMEOUT);
}

/* ---- the front's end: its socket ------------------------------------------------------------- */

static size_t on_data(void *arg, struct str data)
{
    struct inside_visit *v = arg;

    return v->stream.events->on_data(v->stream.arg, data);
}

static void on_writable(void *arg)
{
    struct inside_visit *v = arg;

    v->stream.events->on_writable(v->stream.arg);
}

static void on_eof(void *arg)
{
    struct inside_visit *v = arg;

    v->ended = true;
    inside_ref(v); /* the front may close in the first event */
    if (v->conn != NULL || v->why == CLOSE_DONE)
        v->stream.events->on_eof(v->stream.arg);
    if (v->conn == NULL && v->sock != NULL)
        tell_closed(v, v->why);
    inside_unref(v);
}

/* The socket knows only that its peer is gone; the connection has the true reason. */
static void on_closed(void *arg, enum close_reason why)
{
    struct inside_visit *v = arg;

    v->ended = true;
    tell_closed(v, v->conn == NULL ? v->why : why);
}

static const struct stream_events sock_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

/* ---- the front's end: its stream ------------------------------------------------------------- */

static size_t visit_write(struct stream *s, const char *p, size_t n)
{
    return stream_write(visit_of(s)->sock, p, n);
}

static void visit_end(struct stream *s)
{
    stream_end(visit_of(s)->sock);
}

static void visit_resume(struct stream *s)
{
    stream_resume(visit_of(s)->sock);
}

static void visit_close(struct stream *s, enum close_reason why)
{
    struct inside_visit *v = visit_of(s);

    stream_close(v->sock, why);
    v->sock = NULL;
    if (v->conn != NULL && why == CLOSE_DONE)
        ev_timer_start(worker_loop(v->worker), &v->drain);
    else if (v->conn != NULL)
        conn_close(v->conn, CLOSE_RESET);
    inside_unref(v);
}

static const struct stream_ops visit_ops = {
    .name = "inside",
    .write = visit_write,
    .end = visit_end,
    .resume = visit_resume,
    .close = visit_close,
};

static void copy(char *to, size_t room, struct str from)
{
    assert(from.n < room);
    memcpy(to, from.p, from.n);
    to[from.n] = '\0';
}

static struct inside_visit *visit_new(struct worker *w, const struct inside_target *to,
                                      enum scheme scheme)
{
    struct inside_visit *v = mem_zalloc(sizeof(*v));

    v->stream.ops = &visit_ops;
    v->users = 1;
    v->worker = w;
    copy(v->account, sizeof(v->account), to->account);
    copy(v->host, sizeof(v->host), to->host);
    v->address = (struct exchange_inside){
        .account = str_from(v->account),
        .host = str_from(v->host),
        .scheme = scheme,
        .port = to->port,
    };
    ev_timer_init(&v->drain, on_drain_over, INSIDE_DRAIN_MS / 1000.0, 0.0);
    v->drain.data = v;
    return v;
}

static struct stream *inside_open(void *ctx, const struct inside_target *to,
                                  const struct stream_events *events, void *arg,
                                  enum close_reason *why)
{
    struct gateway *g = ctx;
    struct endpoint *ep = find_any(g->routes, to->account, to->host, to->port);
    struct inside_visit *v;
    int fds[2];

    *why = ep == NULL ? CLOSE_SESSION_LOST : g->draining ? CLOSE_DRAIN : CLOSE_BUSY;
    if (ep == NULL || g->draining || !gateway_has_room(g))
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1) {
        *why = CLOSE_LIMIT; /* descriptors or memory ran out */
        return NULL;
    }
    v = visit_new(g->worker, to, ep->url.scheme);
    stream_set_events(&v->stream, events, arg);
    v->sock = sock_stream(sock_new(g->worker, fds[0], NULL, &sock_events, v));
    conn_open_inside(g, fds[1], v, &to->client, &to->server);
    return &v->stream;
}

const struct inside_ops gateway_inside_ops = {
    .has = inside_has,
    .open = inside_open,
};
