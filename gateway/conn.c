#include "gateway/conn_int.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

#include "base/cidr_set.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_member.h"
#include "gateway/conn_policy.h"
#include "gateway/gateway_int.h"
#include "gateway/inside.h"
#include "gateway/preface.h"
#include "gateway/sock.h"
#include "gateway/tls.h"
#include "gateway/visit_event.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

enum { PROXY_LOG_BURST = 5 }; /* lines a second about connections without a proper PROXY header */

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
    conn_policy_leave(&c->connect);
    conn_policies_free(c->connects);
    conn_members_free(c->members);
    inside_unref(c->inside);
    endpoint_unref(c->tls_endpoint);
    endpoint_unref(c->endpoint);
    mem_free(c->server_name);
    mem_free(c);
}

/* The connection is still its descriptor, or its sock. */
static void let_go(struct conn *c, enum close_reason why)
{
    preface_free(c->preface);
    c->preface = NULL;
    if (c->sock != NULL)
        stream_close(sock_stream(c->sock), why);
    c->sock = NULL;
    if (c->fd != -1)
        (void)close(c->fd); /* nothing was sent that could get lost */
    c->fd = -1;
}

void conn_note_endpoint(struct conn *c, struct endpoint *ep)
{
    if (c->endpoint != NULL)
        return;
    endpoint_ref(ep);
    c->endpoint = ep;
}

/* Of connections that carried requests; a raw one has told its end itself. In the log each of their
 * requests has a line already. */
static void publish(const struct conn *c, enum close_reason why)
{
    const struct gateway *g = c->gateway;
    struct event *ev;

    if (g == NULL || c->endpoint == NULL ||
        (!visit_event_is_subscribed(g, EVENT_TCP_CLOSED) && !log_enabled(LOG_DEBUG)))
        return;
    ev = visit_event_new(EVENT_TCP_CLOSED, &c->origin, c->endpoint);
    if (ev->server_name.n == 0)
        ev->server_name = arena_str(&ev->arena, str_from(c->endpoint->url.host));
    ev->conn_bytes_in = c->origin.bytes_in;
    ev->conn_bytes_out = c->origin.bytes_out;
    ev->close_reason = str_from(close_name(why));
    ev->duration_us = (ev->wall_ms - c->origin.conn_start_wall_ms) * 1000;
    visit_event_publish(g, ev, c->endpoint, LOG_DEBUG);
}

static void end(struct conn *c, enum close_reason why)
{
    const struct tls_session *tls = c->sock != NULL ? sock_tls(c->sock) : NULL;

    /* It may also be the TLS of the upstream that has failed. */
    if (why == CLOSE_TLS_ERROR && tls != NULL && c->origin.tls == NULL)
        conn_log_tls_failure(c, tls_session_error(tls));
    c->state = CONN_CLOSED;
    if (c->protocol != NULL)
        c->protocol->lost(c->protocol_state, why);
    publish(c, why);
    conn_policy_forget(&c->connect);
    conn_policies_cancel(c->connects);
    let_go(c, why);
    if (c->inside != NULL)
        inside_on_closed(c->inside, why);
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

/* ---- moving ---------------------------------------------------------------------------------------- */

static void arrive(struct worker *w, void *arg)
{
    struct conn *c = arg;
    struct gateway *g = c->peers->gateways[worker_id(w)];

    sock_attach(c->sock, w); /* offers what it holds again, once this is over */
    if (g == NULL) {         /* the worker is about to be freed */
        conn_discard(c, CLOSE_DRAIN);
        return;
    }
    conn_join(c, g);
    gateway_on_conn_arrived(g);
    metrics_add(worker_metrics(w), METRIC_HANDOFFS_TOTAL, 1);
    c->arrived(c->protocol_state);
    if (g->draining && c->state != CONN_CLOSED) /* since it was sent here */
        conn_drain(c);
}

bool conn_can_move(const struct conn *c)
{
    return c->inside == NULL && !c->gateway->draining;
}

struct worker *conn_worker_for(const struct conn *c, struct exchange *x)
{
    const struct endpoint *ep = exchange_route(x);

    if (!conn_can_move(c) || ep == NULL || endpoint_is_at(ep, c->gateway->worker))
        return NULL;
    return ep->agent.worker;
}

bool conn_move(struct conn *c, struct worker *to, void (*arrived)(void *state))
{
    if (!conn_can_move(c) || !gateway_expect_conn(c->peers->gateways[worker_id(to)]))
        return false;
    sock_detach(c->sock);
    conn_leave(c);
    c->gateway = NULL;
    c->arrived = arrived;
    worker_post(to, arrive, c);
    return true;
}

/* ---- where the protocol begins --------------------------------------------------------------------------------- */

/* A TCP port is that of one pool, which may have gone a moment ago. */
static void begin_tcp(struct conn *c)
{
    struct endpoint *ep = routes_find(c->gateway->routes, SCHEME_TCP,
                                      str_from(c->gateway->config->tcp.host), c->port);

    if (ep != NULL)
        conn_start_raw(c, ep);
    else
        conn_close(c, CLOSE_SESSION_LOST);
}

void conn_begin(struct conn *c)
{
    c->state = CONN_OPEN;
    if (c->origin.scheme == SCHEME_TCP)
        begin_tcp(c);
    else if (c->origin.tls != NULL && str_eq(tls_alpn(c->origin.tls), STR("h2")))
        conn_start_http2(c, STR_NONE);
    else
        conn_start_http1(c);
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

void conn_open_sock(struct conn *c, struct tls_session *tls)
{
    int fd = c->fd;

    c->fd = -1;
    c->sock = sock_new(c->gateway->worker, fd, tls, &handshake_events, c);
}

/* ---- what comes before it ---------------------------------------------------------------------------- */

/* A name of nobody, too, gets a handshake: it ends in an error page or in an alert (spec 4.1). */
static void route_tls(struct conn *c)
{
    const struct routes *routes = c->gateway->routes;
    struct endpoint *ep = conn_member_choose(
        &c->members, routes, routes_pool_secure(routes, c->origin.server_name, c->port));

    if (ep != NULL && ep->url.scheme == SCHEME_TLS) {
        c->origin.scheme = SCHEME_TLS;
        conn_open_sock(c, NULL);
        conn_start_raw(c, ep);
    } else {
        conn_start_tls(c, ep);
    }
}

/* An https endpoint takes both from inside; what began with no ClientHello is no TLS. */
static void route_inside(struct conn *c)
{
    const struct routes *routes = c->gateway->routes;
    struct endpoint *ep =
        conn_member_choose(&c->members, routes, inside_pool(routes, c->origin.inside));

    if (ep == NULL) {
        conn_close(c, CLOSE_SESSION_LOST);
        return;
    }
    if (c->origin.scheme == SCHEME_HTTPS && c->origin.ja4.n > 0) {
        conn_start_tls(c, ep);
        return;
    }
    conn_open_sock(c, NULL);
    if (c->origin.scheme == SCHEME_TCP || c->origin.scheme == SCHEME_TLS) {
        conn_start_raw(c, ep);
        return;
    }
    c->origin.scheme = SCHEME_HTTP;
    conn_begin(c);
}

static void route(struct conn *c)
{
    if (c->inside != NULL) {
        route_inside(c);
        return;
    }
    if (c->origin.scheme == SCHEME_HTTPS) {
        route_tls(c);
        return;
    }
    conn_open_sock(c, NULL);
    conn_begin(c);
}

/* The visitor's address is the one that the balancer gives, as if there were no balancer. */
static void on_preface(void *arg, const struct preface_facts *facts)
{
    struct conn *c = arg;

    if (!facts->proxy.local) {
        c->origin.client = facts->proxy.source;
        c->origin.server = facts->proxy.destination;
    }
    memcpy(c->ja4, facts->ja4, sizeof(c->ja4));
    c->origin.ja4 = str_from(c->ja4);
    c->server_name = str_dup(str_from(facts->server_name));
    c->origin.server_name = str_from(c->server_name);
    preface_free(c->preface);
    c->preface = NULL;
    route(c);
}

static void on_preface_failed(void *arg, enum close_reason why, const char *text)
{
    struct conn *c = arg;
    struct gateway *g = c->gateway;
    uint64_t suppressed;

    if (!preface_awaits_proxy(c->preface)) {
        conn_log_tls_failure(c, text);
    } else {
        metrics_add(worker_metrics(g->worker), METRIC_PROXY_REFUSED_TOTAL, 1);
        if (log_limit_pass(&g->proxy_log, PROXY_LOG_BURST, clock_mono_ms(), &suppressed))
            log_info("proxy_protocol.refused", LADDR("from", &c->origin.client),
                     LADDR("listener", &c->origin.server), LS("reason", text),
                     LU("suppressed", suppressed));
    }
    conn_close(c, why);
}

static const struct preface_events preface_events = {
    .on_read = on_preface,
    .on_failed = on_preface_failed,
};

/* False: nothing comes before the protocol. */
static bool await_preface(struct conn *c)
{
    const struct config *config = c->gateway->config;
    const struct preface_params params = {
        .worker = c->gateway->worker,
        .fd = c->fd,
        .wants_proxy = c->inside == NULL &&
                       cidr_set_has(config_balancers(config, c->origin.scheme), &c->origin.client),
        .wants_hello = c->origin.scheme == SCHEME_HTTPS || c->origin.scheme == SCHEME_TLS,
        .proxy_timeout_ms = config->proxy_header_timeout_ms,
        .hello_timeout_ms = config->client_hello_timeout_ms,
    };

    if (!params.wants_proxy && !params.wants_hello)
        return false;
    c->preface = preface_new(&params, &preface_events, c);
    return true;
}

static struct conn *conn_new(struct gateway *g, int fd, enum scheme scheme, uint16_t port)
{
    struct conn *c = mem_zalloc(sizeof(*c));

    c->fd = fd;
    c->peers = g->peers;
    c->origin.connects = &c->connects;
    c->origin.members = &c->members;
    c->origin.conn = c;
    c->origin.scheme = scheme;
    c->port = port;
    c->origin.conn_start_wall_ms = clock_wall_ms();
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    conn_join(c, g);
    metrics_add(worker_metrics(g->worker), METRIC_CONNS_TOTAL, 1);
    return c;
}

void conn_open(struct gateway *g, int fd, enum scheme scheme, uint16_t port,
               const struct addr *peer)
{
    struct conn *c = conn_new(g, fd, scheme, port);

    c->origin.client = *peer;
    c->origin.server = addr_of_socket(fd);
    if (!await_preface(c))
        route(c);
}

void conn_open_inside(struct gateway *g, int fd, struct inside_visit *v, const struct addr *client,
                      const struct addr *server)
{
    const struct exchange_inside *address = inside_address(v);
    struct conn *c = conn_new(g, fd, address->scheme, address->port);

    c->origin.client = *client;
    c->origin.server = *server;
    c->origin.inside = address;
    c->inside = v;
    inside_ref(v);
    inside_on_opened(v, c);
    if (!await_preface(c))
        route(c);
}
