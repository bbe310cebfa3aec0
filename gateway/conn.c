#include "gateway/conn_int.h"

#include <assert.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/gateway_int.h"
#include "gateway/sock.h"
#include "gateway/tls.h"

struct conn *conn_next(const struct conn *c)
{
    return c->next;
}

/* ---- the timer ---------------------------------------------------------------------------------- */

void conn_arm_timer(struct conn *c, uint64_t ms)
{
    struct ev_loop *loop = worker_loop(c->gateway->worker);

    ev_timer_stop(loop, &c->timer);
    if (ms == 0)
        return;
    ev_timer_set(&c->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(loop, &c->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct conn *c = watcher->data;

    (void)loop;
    (void)revents;
    if (c->protocol != NULL)
        c->protocol->on_timer(c->protocol_state);
    else
        conn_close(c, CLOSE_TIMEOUT);
}

/* ---- life ------------------------------------------------------------------------------------------ */

void conn_join(struct conn *c, struct gateway *g)
{
    c->gateway = g;
    DL_APPEND(g->conns, c);
    g->conn_count++;
    metrics_add(worker_metrics(g->worker), METRIC_CONNS, 1);
}

void conn_leave(struct conn *c)
{
    struct gateway *g = c->gateway;

    DL_DELETE(g->conns, c);
    g->conn_count--;
    metrics_add(worker_metrics(g->worker), METRIC_CONNS, -1);
    gateway_on_conn_gone(g);
}

static void free_conn(struct worker *w, void *arg)
{
    struct conn *c = arg;

    (void)w;
    if (c->protocol != NULL)
        c->protocol->free(c->protocol_state);
    exchange_connects_free(c->connects);
    mem_free(c);
}

static void log_tls_failure(const struct conn *c, enum close_reason why)
{
    const struct tls_session *tls = sock_tls(c->sock);

    if (c->state != CONN_HANDSHAKE || why != CLOSE_TLS_ERROR || tls == NULL)
        return;
    log_debug("tls.failed", LADDR("client", &c->origin.client),
              LS("reason", tls_session_error(tls)));
}

static void end(struct conn *c, enum close_reason why)
{
    log_tls_failure(c, why);
    c->state = CONN_CLOSED;
    if (c->protocol != NULL)
        c->protocol->lost(c->protocol_state, why);
    stream_close(sock_stream(c->sock), why);
    c->sock = NULL;
}

void conn_close(struct conn *c, enum close_reason why)
{
    if (c->state == CONN_CLOSED)
        return;
    end(c, why);
    conn_arm_timer(c, 0);
    conn_leave(c);
    worker_defer(c->gateway->worker, free_conn, c); /* an event of ours may be on the stack */
}

void conn_discard(struct conn *c, enum close_reason why)
{
    assert(c->gateway == NULL && c->state != CONN_CLOSED);
    end(c, why);
    free_conn(NULL, c);
}

void conn_drain(struct conn *c)
{
    if (c->protocol != NULL)
        c->protocol->drain(c->protocol_state);
    else
        conn_close(c, CLOSE_DRAIN);
}

/* ---- the handshake --------------------------------------------------------------------------------- */

static void begin(struct conn *c)
{
    c->state = CONN_OPEN;
    if (c->origin.tls != NULL && str_eq(tls_alpn(c->origin.tls), STR("h2")))
        conn_start_http2(c, STR_NONE);
    else
        conn_start_http1(c);
}

static void on_secure(void *arg)
{
    struct conn *c = arg;
    const struct tls_session *tls = sock_tls(c->sock);

    c->origin.tls = tls;
    c->origin.server_name = tls_server_name(tls);
    c->origin.tls_version = str_from(tls_version(tls));
    c->origin.tls_cipher = str_from(tls_cipher(tls));
    metrics_add(worker_metrics(c->gateway->worker), METRIC_TLS_HANDSHAKES_TOTAL, 1);
    begin(c);
}

static size_t on_data(void *arg, struct str data)
{
    (void)arg;
    (void)data;
    assert(false && "no data comes before the handshake is done, and then the protocol gets it");
    return 0;
}

static void on_writable(void *arg)
{
    (void)arg; /* nothing was written */
}

static void on_eof(void *arg)
{
    conn_close(arg, CLOSE_DONE);
}

static void on_closed(void *arg, enum close_reason why)
{
    conn_close(arg, why);
}

static const struct stream_events handshake_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

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

    c->peers = g->peers;
    c->origin.client = *peer;
    c->origin.connects = &c->connects;
    c->origin.server = local_addr(fd);
    c->origin.scheme = scheme;
    c->origin.conn_start_wall_ms = clock_wall_ms();
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    conn_join(c, g);
    metrics_add(worker_metrics(g->worker), METRIC_CONNS_TOTAL, 1);

    if (scheme == SCHEME_HTTPS)
        tls = tls_session_new(g->tls, fd, gateway_may_mint, g);
    c->sock = sock_new(g->worker, fd, tls, &handshake_events, c);
    if (tls != NULL) {
        sock_on_secure(c->sock, on_secure);
        conn_arm_timer(c, g->config->tls_handshake_timeout_ms);
    } else {
        begin(c);
    }
}
