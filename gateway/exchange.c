/*
 * Both bodies stream through without being gathered: a piece that came from one side is given to the
 * other side's codec at once, and while that codec is blocked the first side is not read. So an
 * exchange holds a head and a few pieces whatever the size of its bodies.
 *
 * One timer serves all waits. It is not restarted for every piece: it looks, when it fires, how long
 * ago bytes last moved, and sleeps for the rest.
 */
#include "gateway/exchange.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_member.h"
#include "gateway/exchange_int.h"
#include "gateway/forwarded_for.h"
#include "gateway/gateway_int.h"
#include "gateway/headers.h"
#include "gateway/inside.h"
#include "gateway/policy_data.h"
#include "gateway/tls.h"
#include "gateway/upstream.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

#define BIT(n) (1U << (n))

static const struct {
    const char *name;
    unsigned next;
} exchange_states[] = {
    [EXCHANGE_NEW] = { "new", BIT(EXCHANGE_POLICY) | BIT(EXCHANGE_WAIT) | BIT(EXCHANGE_JUDGED) |
                                  BIT(EXCHANGE_RESPONSE) | BIT(EXCHANGE_DONE) },
    [EXCHANGE_POLICY] = { "policy", BIT(EXCHANGE_WAIT) | BIT(EXCHANGE_JUDGED) |
                                        BIT(EXCHANGE_RESPONSE) | BIT(EXCHANGE_DONE) },
    /* Back to the policy that forwarded, when the target's upstream has failed. */
    [EXCHANGE_WAIT] = { "wait", BIT(EXCHANGE_POLICY) | BIT(EXCHANGE_JUDGED) |
                                    BIT(EXCHANGE_RESPONSE) | BIT(EXCHANGE_TUNNEL) |
                                    BIT(EXCHANGE_DONE) },
    [EXCHANGE_JUDGED] = { "judged",
                          BIT(EXCHANGE_RESPONSE) | BIT(EXCHANGE_TUNNEL) | BIT(EXCHANGE_DONE) },
    [EXCHANGE_RESPONSE] = { "response", BIT(EXCHANGE_DONE) },
    [EXCHANGE_TUNNEL] = { "tunnel", BIT(EXCHANGE_DONE) },
    [EXCHANGE_DONE] = { "done", 0 },
};

void exchange_set_state(struct exchange *x, enum exchange_state next)
{
    assert(exchange_states[x->state].next & BIT(next));
    x->state = next;
}

struct metrics *exchange_metrics(const struct exchange *x)
{
    return worker_metrics(x->gateway->worker);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents);

struct exchange *exchange_new(struct gateway *g, struct downstream *d,
                              const struct exchange_origin *origin)
{
    struct exchange *x = mem_zalloc(sizeof(*x));

    x->gateway = g;
    x->down = d;
    x->origin = origin;
    x->first.exchange = x;
    x->hop = x->last = &x->first;
    arena_init(&x->arena);
    ev_init(&x->timer, on_timer);
    x->timer.data = x;
    return x;
}

void exchange_discard(struct exchange *x)
{
    if (x == NULL)
        return;
    assert(x->state == EXCHANGE_NEW);
    exchange_free_hops(x);
    arena_fini(&x->arena);
    mem_free(x);
}

static void free_exchange(struct worker *w, void *arg)
{
    struct exchange *x = arg;

    (void)w;
    exchange_free_filters(x);
    exchange_free_hops(x);
    conn_policy_leave(&x->connect);
    policy_data_unref(x->data);
    gather_fini(&x->request_body);
    gather_fini(&x->response_body);
    buf_fini(&x->pending);
    arena_fini(&x->arena);
    mem_free(x);
}

struct http_request *exchange_request(struct exchange *x)
{
    return &x->request;
}

struct arena *exchange_arena(struct exchange *x)
{
    return &x->arena;
}

void exchange_move(struct exchange *x, struct gateway *g)
{
    assert(x->state == EXCHANGE_NEW);
    x->gateway = g;
    if (x->first.endpoint == NULL || !endpoint_is_withdrawn(x->first.endpoint))
        return;
    /* It was there when the other worker looked. */
    endpoint_leave(x->first.endpoint);
    x->first.endpoint = NULL;
}

static const struct pool *find_pool(const struct exchange *x)
{
    const struct routes *routes = x->gateway->routes;
    enum scheme scheme = x->origin->scheme;

    if (x->origin->inside != NULL)
        return inside_pool(routes, x->origin->inside);
    return routes_pool(routes, scheme, str_from(x->request.host), scheme_default_port(scheme));
}

struct endpoint *exchange_route(struct exchange *x)
{
    struct endpoint *ep;

    if (x->first.endpoint != NULL)
        return x->first.endpoint;
    ep = conn_member_choose(x->origin->members, x->gateway->routes, find_pool(x));
    if (ep != NULL)
        endpoint_enter(ep);
    x->first.endpoint = ep;
    return ep;
}

/* The one end of every exchange that was started. */
void exchange_finish(struct exchange *x, enum exchange_end how, enum close_reason why)
{
    if (x->state == EXCHANGE_DONE)
        return;
    exchange_set_state(x, EXCHANGE_DONE);
    x->why = why;
    exchange_cancel_waits(x);
    ev_timer_stop(worker_loop(x->gateway->worker), &x->timer);
    upstream_close(x->upstream, why);
    exchange_publish(x);
    metrics_add(exchange_metrics(x), METRIC_EXCHANGES, -1);
    x->down->ops->finished(x->down, how);
    worker_defer(x->gateway->worker, free_exchange, x); /* callers may be on the stack */
}

static void begin(struct exchange *x)
{
    x->start_us = clock_mono_us();
    x->start_wall_ms = clock_wall_ms();
    x->active_ms = x->start_us / 1000;
    x->client = forwarded_for_client(&x->request.headers, x->gateway->config->trusted_proxies,
                                     &x->origin->client);
    metrics_add(exchange_metrics(x), METRIC_EXCHANGES, 1);
    exchange_note_request(x);
}

/* True while the visitor still owes bytes of its request. */
bool exchange_is_body_awaited(const struct exchange *x)
{
    return !x->request_done && x->request.body != HTTP_BODY_NONE;
}

/* ---- timeouts ----------------------------------------------------------------------------------- */

/* How long bytes may stand still in the present state; 0: for ever. */
static uint64_t patience_ms(const struct exchange *x)
{
    const struct config *c = x->gateway->config;

    /* A tunnel of which one side has ended is no WebSocket that may be silent for ever. */
    if (x->state == EXCHANGE_TUNNEL && !x->request_done && !x->response_done)
        return c->upgrade_idle_timeout_ms;
    if (x->state == EXCHANGE_WAIT && !exchange_is_body_awaited(x))
        return c->response_head_timeout_ms;
    return c->stall_timeout_ms;
}

void exchange_arm_timer(struct exchange *x)
{
    uint64_t patience = patience_ms(x);
    uint64_t idle = clock_mono_ms() - x->active_ms;
    struct ev_loop *loop = worker_loop(x->gateway->worker);

    ev_timer_stop(loop, &x->timer);
    if (patience == 0)
        return;
    ev_timer_set(&x->timer, (double)(patience > idle ? patience - idle : 1) / 1000.0, 0.0);
    ev_timer_start(loop, &x->timer);
}

/* True when the upstream takes no more of the request. */
static bool is_upstream_stuck(struct exchange *x)
{
    return x->upstream != NULL && upstream_is_blocked(x->upstream);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct exchange *x = watcher->data;
    uint64_t patience = patience_ms(x);
    struct err e;

    (void)loop;
    (void)revents;
    /* A reload may have changed the limit since the timer was set, also to "for ever". */
    if (patience == 0 || clock_mono_ms() - x->active_ms < patience) {
        exchange_arm_timer(x);
        return;
    }
    if (x->state == EXCHANGE_JUDGED) {
        (void)err_set(&e, E_UPSTREAM_TIMEOUT, "gateway timeout: the response body did not arrive");
        exchange_answer_error(x, &e, CLOSE_TIMEOUT);
    } else if (x->state != EXCHANGE_WAIT && x->state != EXCHANGE_POLICY) {
        exchange_finish(x, EXCHANGE_CUT, CLOSE_IDLE);
    } else if (exchange_is_body_awaited(x) && !is_upstream_stuck(x)) {
        (void)err_set(&e, E_REQUEST_TIMEOUT, "the request body did not arrive in time");
        exchange_answer_error(x, &e, CLOSE_TIMEOUT);
    } else {
        (void)err_set(&e, E_UPSTREAM_TIMEOUT, "gateway timeout: the upstream sent no response");
        if (x->state == EXCHANGE_WAIT)
            exchange_give_up_upstream(x, &e, CLOSE_TIMEOUT);
        else
            exchange_answer_error(x, &e, CLOSE_TIMEOUT);
    }
}

void exchange_note_activity(struct exchange *x)
{
    x->active_ms = clock_mono_ms();
}

void exchange_on_progress(struct exchange *x)
{
    exchange_note_activity(x);
}

/* ---- heads ---------------------------------------------------------------------------------------- */

/* True when what policies and rewriting made of a head is too much for one: the codecs have room for
 * its limit and EXCHANGE_HEAD_GROWTH_BYTES. */
bool exchange_is_overgrown(const struct http_headers *h, uint64_t start_line_bytes, uint64_t limit)
{
    uint64_t bytes = start_line_bytes;

    for (size_t i = 0; i < h->count; i++)
        bytes += h->items[i].name.n + h->items[i].value.n + sizeof(": \r\n") - 1;
    return bytes > limit + EXCHANGE_HEAD_GROWTH_BYTES / 2; /* the other half is for the codec */
}

/* ---- the request ---------------------------------------------------------------------------------- */

void exchange_dial(struct exchange *x, bool fresh)
{
    const struct gather *g = &x->request_body;
    const struct upstream_params params = {
        .gateway = x->gateway,
        .exchange = x,
        .endpoint = x->hop->endpoint,
        .request = &x->request,
        .host = x->host,
        .client = &x->client,
        .server = &x->origin->server,
        .fresh = fresh,
    };

    x->upstream_start_us = clock_mono_us();
    x->upstream = upstream_new(&params);
    /* An empty body has ended already and will not do so again. */
    if (g->state == GATHER_WHOLE)
        (void)exchange_pump_request(x);
    else if (x->request_done && x->request.body != HTTP_BODY_NONE)
        upstream_send_end(x->upstream, g->has_trailers ? &g->trailers : NULL);
}

static void prepare_headers(struct exchange *x)
{
    struct http_headers *h = &x->request.headers;

    headers_strip_hop_by_hop(h);
    headers_strip_request_reserved(h);
    headers_add_forwarded(h, &x->arena, &x->origin->client,
                          str_from(scheme_name(x->origin->scheme)), x->request.authority);
    if (x->origin->tls != NULL && tls_client_cert(x->origin->tls) != NULL)
        headers_add_mtls(h, &x->arena, tls_client_cert(x->origin->tls));
    x->host = x->request.authority;
}

static void send_request(struct exchange *x)
{
    bool gathered = x->request_body.state == GATHER_WHOLE;
    struct err e;

    if (!endpoint_has_agent(x->hop->endpoint)) {
        (void)err_set(&e, E_UNHANDLED, "the traffic policy does not handle this request");
        exchange_answer_rejection(x, &e, CLOSE_POLICY);
        return;
    }
    if (exchange_is_overgrown(&x->request.headers, x->request.target.n + x->host.n,
                              x->gateway->config->request_head_max_bytes)) {
        (void)err_set(&e, E_HEAD_TOO_LARGE, "the head is too large with the endpoint's headers");
        exchange_answer_error(x, &e, CLOSE_LIMIT);
        return;
    }
    exchange_frame_request(x);
    exchange_dial(x, false);
    exchange_set_state(x, EXCHANGE_WAIT);
    exchange_arm_timer(x);
    if (x->request_done || gathered)
        upstream_flush(x->upstream);
}

void exchange_on_request_verdict(struct exchange *x, enum policy_verdict verdict)
{
    while (verdict == POLICY_FORWARD)
        verdict = exchange_step_in(x);
    switch (verdict) {
    case POLICY_CONTINUE:
        send_request(x);
        return;
    case POLICY_SUSPEND:
        if (x->state == EXCHANGE_NEW)
            exchange_set_state(x, EXCHANGE_POLICY);
        exchange_arm_timer(x);
        return;
    case POLICY_RESPOND:
        exchange_answer_policy(x);
        return;
    case POLICY_CLOSE:
    case POLICY_FORWARD: /* dealt with above */
        exchange_finish(x, EXCHANGE_ABORTED, CLOSE_POLICY);
        return;
    }
}

/* The endpoint lets the connection in. */
static void start_request(struct exchange *x)
{
    exchange_start_policy(x);
    exchange_on_request_verdict(x, exchange_run_phase(x, POLICY_ON_HTTP_REQUEST));
}

void exchange_after_policy(struct exchange *x)
{
    /* The visitor may wait for the upstream's word before it sends more. */
    if (x->state == EXCHANGE_WAIT)
        upstream_flush(x->upstream);
    /* A body that was held back while the policy waited may come now. */
    if (x->state != EXCHANGE_DONE && exchange_is_body_awaited(x))
        x->down->ops->resume(x->down);
}

static void on_connect_verdict(void *arg, enum policy_verdict verdict)
{
    struct exchange *x = arg;

    if (verdict != POLICY_CONTINUE) {
        exchange_finish(x, EXCHANGE_ABORTED, CLOSE_POLICY);
        return;
    }
    exchange_note_activity(x); /* what comes next has all of its time */
    start_request(x);
    exchange_after_policy(x);
    if (x->state != EXCHANGE_DONE)
        x->down->ops->flush(x->down);
}

static void ask_connect(struct exchange *x)
{
    switch (exchange_ask_connect(x, on_connect_verdict)) {
    case POLICY_CONTINUE:
        start_request(x);
        return;
    case POLICY_SUSPEND:
        exchange_set_state(x, EXCHANGE_POLICY);
        exchange_arm_timer(x);
        return;
    case POLICY_RESPOND:
    case POLICY_FORWARD:
    case POLICY_CLOSE:
        exchange_finish(x, EXCHANGE_ABORTED, CLOSE_POLICY);
        return;
    }
}

static void on_wake(struct worker *w, void *arg)
{
    struct exchange *x = arg;

    (void)w;
    x->waking = false;
    exchange_note_activity(x); /* what comes next has all of its time */
    if (x->state == EXCHANGE_POLICY) {
        exchange_on_request_verdict(x, policy_run_resume(x->hop->run));
        exchange_after_policy(x);
    } else if (x->state == EXCHANGE_JUDGED) {
        exchange_on_response_verdict(x, policy_run_resume(x->hop->run));
        if (x->state != EXCHANGE_DONE && x->upstream != NULL)
            upstream_resume(x->upstream);
    }
    if (x->state != EXCHANGE_DONE)
        x->down->ops->flush(x->down);
}

void exchange_wake(struct exchange *x)
{
    if (x->waking || (x->state != EXCHANGE_POLICY && x->state != EXCHANGE_JUDGED))
        return;
    x->waking = true;
    worker_defer(x->gateway->worker, on_wake, x);
}

/* Spec endpoints 4.1: what TLS has asked of this visitor was meant for another endpoint. */
static bool is_misdirected(const struct exchange *x)
{
    const struct exchange_origin *o = x->origin;

    if (o->tls == NULL)
        return false;
    if (o->tls_endpoint != NULL && conn_policy_covers(o->tls_endpoint, x->first.endpoint))
        return false;
    return policy_ends_tls(x->first.endpoint->policy) || tls_session_profile(o->tls) != NULL;
}

void exchange_start(struct exchange *x)
{
    struct err e;

    begin(x);
    x->request_done = x->request.body == HTTP_BODY_NONE && x->request.upgrade.n == 0;
    if (exchange_route(x) == NULL) {
        (void)err_set(&e, E_ENDPOINT_OFFLINE, "the endpoint %s://%s is offline",
                      scheme_name(x->origin->scheme), x->request.host);
        exchange_answer_error(x, &e, CLOSE_DONE);
        return;
    }
    if (is_misdirected(x)) {
        (void)err_set(&e, E_MISDIRECTED, "this connection was secured for another name than %s",
                      x->request.host);
        exchange_answer_error(x, &e, CLOSE_DONE);
        return;
    }
    prepare_headers(x);
    ask_connect(x);
}

void exchange_refuse(struct exchange *x, const struct err *e)
{
    begin(x);
    exchange_answer_error(x, e, CLOSE_PROTOCOL);
}

void exchange_on_request_data(struct exchange *x, struct str data)
{
    if (x->state == EXCHANGE_DONE)
        return;
    exchange_note_activity(x);
    x->request_bytes += data.n;
    metrics_add(exchange_metrics(x), METRIC_BYTES_IN_TOTAL, (int64_t)data.n);
    if (x->state == EXCHANGE_POLICY)
        gather_add(x, &x->request_body, data);
    else if (x->upstream != NULL)
        exchange_send_body(x, data);
    /* else the policy has answered, and nobody reads the rest */
}

bool exchange_is_request_blocked(struct exchange *x)
{
    /* An upgrade request has no body: what follows it waits for the 101. */
    if ((x->state == EXCHANGE_WAIT || x->state == EXCHANGE_JUDGED) && x->request.upgrade.n > 0 &&
        x->request.body == HTTP_BODY_NONE)
        return true;
    if (x->state == EXCHANGE_POLICY)
        return x->request_body.state != GATHER_RUNS;
    return x->upstream != NULL && upstream_is_blocked(x->upstream);
}

/* A tunnel ends when both directions have, and all bytes are on their way to the upstream. */
void exchange_end_tunnel(struct exchange *x)
{
    if (x->request_done && x->response_done && upstream_is_flushed(x->upstream))
        exchange_finish(x, EXCHANGE_COMPLETE, CLOSE_DONE);
    else
        exchange_arm_timer(x);
}

void exchange_on_request_end(struct exchange *x, const struct http_headers *trailers)
{
    if (x->state == EXCHANGE_DONE || x->request_done)
        return;
    exchange_note_activity(x);
    x->request_done = true;
    x->body_received_ms = clock_wall_ms();
    if (x->state == EXCHANGE_POLICY) {
        gather_end(x, &x->request_body, trailers);
        exchange_arm_timer(x);
        return;
    }
    if (x->upstream == NULL)
        return; /* an answer of the policy is on its way */
    x->request_sent = x->request_sent || trailers != NULL;
    upstream_send_end(x->upstream, trailers);
    upstream_flush(x->upstream);
    if (x->state == EXCHANGE_TUNNEL)
        exchange_end_tunnel(x);
    else
        exchange_arm_timer(x);
}

void exchange_on_request_bad(struct exchange *x, const struct err *e)
{
    if (x->state == EXCHANGE_WAIT || x->state == EXCHANGE_POLICY || x->state == EXCHANGE_JUDGED)
        exchange_answer_error(x, e, CLOSE_PROTOCOL);
    else if (x->state != EXCHANGE_DONE)
        exchange_finish(x, EXCHANGE_CUT, CLOSE_PROTOCOL);
}

void exchange_on_request_flush(struct exchange *x)
{
    if (x->state != EXCHANGE_DONE && x->upstream != NULL)
        upstream_flush(x->upstream);
}

void exchange_on_writable(struct exchange *x)
{
    if (x->state == EXCHANGE_DONE)
        return;
    exchange_note_activity(x);
    if (x->pending.len > 0 && x->state == EXCHANGE_RESPONSE && !exchange_pump_response(x)) {
        if (x->state != EXCHANGE_DONE)
            x->down->ops->flush(x->down);
        return;
    }
    if (x->upstream != NULL)
        upstream_resume(x->upstream);
}

void exchange_on_lost(struct exchange *x, enum close_reason why)
{
    exchange_finish(x, EXCHANGE_CUT, why);
}
