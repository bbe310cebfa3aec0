#include "gateway/gateway.h"

#include <assert.h>
#include <ev.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/admin.h"
#include "gateway/config.h"
#include "gateway/conn.h"
#include "gateway/conn_raw.h"
#include "gateway/event_hub.h"
#include "gateway/fetch.h"
#include "gateway/fetch_shared.h"
#include "gateway/gateway_int.h"
#include "gateway/idle.h"
#include "gateway/listener.h"
#include "gateway/operator_socket.h"
#include "gateway/policy_data.h"
#include "gateway/tcp_ports.h"
#include "gateway/tls.h"
#include "gateway/tls_client.h"
#include "gateway/tls_profile.h"
#include "gateway/upstream_http2_pool.h"
#include "policy/run.h"
#include "tunnel/host.h"
#include "tunnel/routes.h"

enum { GATEWAY_LOG_BURST = 5 }; /* lines a second about what strangers cause */

/* ---- accepting ------------------------------------------------------------------------------- */

bool gateway_has_room(struct gateway *g)
{
    uint64_t suppressed;

    if (g->conn_count < g->config->max_connections)
        return true;
    if (log_limit_pass(&g->full_log, GATEWAY_LOG_BURST, clock_mono_ms(), &suppressed))
        log_info("connections.full", LU("max_connections", g->config->max_connections),
                 LU("suppressed", suppressed));
    return false;
}

void gateway_accept(struct gateway *g, int fd, enum scheme scheme, uint16_t port,
                    const struct addr *peer)
{
    if (gateway_has_room(g))
        conn_open(g, fd, scheme, port, peer);
    else
        (void)close(fd);
}

static void on_http(void *arg, int fd, const struct addr *peer)
{
    gateway_accept(arg, fd, SCHEME_HTTP, scheme_default_port(SCHEME_HTTP), peer);
}

static void on_https(void *arg, int fd, const struct addr *peer)
{
    gateway_accept(arg, fd, SCHEME_HTTPS, scheme_default_port(SCHEME_HTTPS), peer);
}

static void on_admin(void *arg, int fd, const struct addr *peer)
{
    (void)peer;
    (void)admin_open(arg, fd, ADMIN_PEER_NETWORK); /* a refusal is a closed connection */
}

static void on_operator(void *arg, int fd, const struct addr *peer)
{
    (void)peer;
    if (operator_socket_is_allowed(fd))
        (void)admin_open(arg, fd, ADMIN_PEER_OPERATOR); /* likewise */
    else
        (void)close(fd);
}

static void add_listener(struct gateway *g, int fd, listener_accept_fn *fn)
{
    assert(g->listener_count < GATEWAY_LISTENERS_MAX);
    g->listeners[g->listener_count++] = listener_new(g->worker, fd, fn, g);
}

static void add_listeners(struct gateway *g, const struct gateway_params *params)
{
    for (size_t i = 0; i < params->http_count; i++)
        add_listener(g, params->http_fds[i], on_http);
    for (size_t i = 0; i < params->https_count; i++)
        add_listener(g, params->https_fds[i], on_https);
    assert(params->admin_count + params->operator_count <= GATEWAY_LISTENERS_MAX);
    for (size_t i = 0; i < params->admin_count; i++)
        g->admin_listeners[i] = listener_new(g->worker, params->admin_fds[i], on_admin, g);
    g->admin_listener_count = params->admin_count;
    for (size_t i = 0; i < params->operator_count; i++)
        g->admin_listeners[g->admin_listener_count++] =
            listener_new(g->worker, params->operator_fds[i], on_operator, g);
}

/* Closing, and not only pausing, them: what waits in their queues is told so at once. */
static void close_public_listeners(struct gateway *g)
{
    for (size_t i = 0; i < g->listener_count; i++)
        listener_free(g->listeners[i]);
    g->listener_count = 0;
    tcp_ports_stop_all(g);
}

/* A certificate may be made for a name that is an endpoint here, or could become one: the base domain
 * and one label below it. Deeper names only while an endpoint has them. */
bool gateway_may_mint(void *arg, struct str host)
{
    const struct gateway *g = arg;
    struct str base = host_suffixes_base(g->suffixes);

    if (routes_pool(g->routes, SCHEME_HTTPS, host, scheme_default_port(SCHEME_HTTPS)) != NULL)
        return true;
    return host_is_below_or_equal(host, base) &&
           (host.n == base.n || str_find_char(host, '.') == host.n - base.n - 1);
}

struct event_sink *gateway_events(const struct gateway *g)
{
    return g->peers->events == NULL ? NULL : event_hub_sink(g->peers->events);
}

struct policy_local *gateway_policy_local(struct gateway *g)
{
    if (g->policy_local == NULL)
        g->policy_local = policy_local_new();
    return g->policy_local;
}

/* ---- life --------------------------------------------------------------------------------------- */

/* An ssh client does not end while connections of its forwards are open, so idle ones must not keep a
 * user who stopped a command waiting. Raw connections end with their endpoint (spec section 1.4). */
static void on_endpoint_gone(void *arg, struct endpoint *ep)
{
    struct gateway *g = arg;

    idle_drop(g->idle, ep);
    upstream_http2_pool_drop(g->http2, ep);
    conn_raw_drop(g, ep);
}

struct gateway *gateway_new(const struct gateway_params *params)
{
    struct gateway *g = mem_zalloc(sizeof(*g));

    g->worker = params->worker;
    g->peers = params->peers;
    g->peers->gateways[worker_id(g->worker)] = g;
    g->routes = params->routes;
    g->suffixes = params->suffixes;
    config_ref(params->config);
    g->config = params->config;
    tls_ref(params->tls);
    g->tls = params->tls;
    g->tls_profiles = tls_profiles_new();
    g->idle = idle_new(g->worker);
    g->http2 = upstream_http2_pool_new(g);
    g->tls_client = tls_client_new();
    policy_data_ref(params->policy_data);
    g->policy_data = params->policy_data;
    g->jobs = params->jobs;
    g->api_http = params->api_http;
    g->fetcher = fetcher_new(g->worker, &fetch_for_policies);
    g->shared = fetch_shared_new(g->fetcher);
    add_listeners(g, params);
    routes_on_gone(g->routes, on_endpoint_gone, g);
    return g;
}

void gateway_start(struct gateway *g)
{
    for (size_t i = 0; i < g->listener_count; i++)
        listener_start(g->listeners[i]);
    for (size_t i = 0; i < g->admin_listener_count; i++)
        listener_start(g->admin_listeners[i]);
}

void gateway_configure(struct gateway *g, struct config *config, struct tls *tls,
                       struct policy_data *policy_data)
{
    config_ref(config);
    config_unref(g->config);
    g->config = config;
    tls_ref(tls);
    tls_unref(g->tls);
    g->tls = tls;
    policy_data_ref(policy_data);
    policy_data_unref(g->policy_data);
    g->policy_data = policy_data;
}

void gateway_free(struct gateway *g)
{
    if (g == NULL)
        return;
    g->peers->gateways[worker_id(g->worker)] = NULL; /* for connections still on their way here */
    g->draining = true;
    routes_on_gone(g->routes, NULL, NULL);
    while (g->conns != NULL)
        conn_close(g->conns, CLOSE_DRAIN);
    admin_close_all(g);
    close_public_listeners(g);
    for (size_t i = 0; i < g->admin_listener_count; i++)
        listener_free(g->admin_listeners[i]);
    ev_timer_stop(worker_loop(g->worker), &g->drain_timer);
    idle_free(g->idle);
    upstream_http2_pool_free(g->http2);
    tls_client_free(g->tls_client);
    fetch_shared_free(g->shared);
    fetcher_free(g->fetcher);
    policy_local_free(g->policy_local);
    policy_data_unref(g->policy_data);
    config_unref(g->config);
    tls_unref(g->tls);
    tls_profiles_free(g->tls_profiles);
    mem_free(g);
}

/* ---- draining ------------------------------------------------------------------------------------- */

void gateway_on_conn_gone(struct gateway *g)
{
    worker_fn *drained = g->drained;

    if (!g->draining || g->conn_count > 0 || g->arriving > 0 || drained == NULL)
        return;
    g->drained = NULL; /* said once */
    ev_timer_stop(worker_loop(g->worker), &g->drain_timer);
    worker_defer(g->worker, drained, g->drained_arg);
}

static void on_not_arriving(struct worker *w, void *arg)
{
    struct gateway_peers *peers = arg;
    struct gateway *g = peers->gateways[worker_id(w)];

    if (g != NULL)
        gateway_on_conn_gone(g);
}

/* First counted, then asked: a drain that begins in between sees the count. */
bool gateway_expect_conn(struct gateway *g)
{
    g->arriving++;
    if (!g->draining)
        return true;
    g->arriving--;
    worker_post(g->worker, on_not_arriving, g->peers); /* it may have waited for that */
    return false;
}

void gateway_on_conn_arrived(struct gateway *g)
{
    g->arriving--;
}

static void on_drain_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct gateway *g = watcher->data;

    (void)loop;
    (void)revents;
    log_warn("drain.cut", LU("connections", g->conn_count));
    while (g->conns != NULL)
        conn_close(g->conns, CLOSE_DRAIN);
}

void gateway_drain(struct gateway *g, worker_fn *done, void *arg)
{
    struct conn *c = g->conns;

    g->draining = true;
    g->drained = done;
    g->drained_arg = arg;
    close_public_listeners(g);
    while (c != NULL) {
        struct conn *next = conn_next(c);

        conn_drain(c);
        c = next;
    }
    idle_clear(g->idle);
    upstream_http2_pool_clear(g->http2);
    ev_timer_init(&g->drain_timer, on_drain_over, (double)g->config->drain_ms / 1000.0, 0.0);
    g->drain_timer.data = g;
    ev_timer_start(worker_loop(g->worker), &g->drain_timer);
    gateway_on_conn_gone(g);
}
