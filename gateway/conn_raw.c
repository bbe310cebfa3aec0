/*
 * conn_raw: a connection whose bytes go to one endpoint unread, both ways, by a splice.
 * Until both ends are open nothing is read of the visitor, so what it sends waits in the kernel. There
 * is no way to tell a visitor what went wrong, so on any error the connection is just closed (spec
 * endpoints 5.11).
 *
 * A policy may forward the connection to an internal endpoint, whose on_tcp_connect runs then, and which
 * may forward in turn: a chain of hops, of which the last is dialled. A dial that fails goes on to another
 * member of that hop's pool, which need not be on the same worker. When there is none, the hop is taken
 * off the chain, and the policy that forwarded to it goes on.
 *
 * Moving: when the endpoint's session is on another worker, the connection goes there before anything
 * else happens to it, so it needs no relay for all of its life; unless it may not (conn_can_move()).
 */
#include "gateway/conn_raw.h"

#include <assert.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_int.h"
#include "gateway/conn_policy.h"
#include "gateway/endpoint_stats.h"
#include "gateway/gateway_int.h"
#include "gateway/sock.h"
#include "gateway/upstream_dial.h"
#include "gateway/visit_event.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"
#include "tunnel/splice.h"

enum raw_state {
    RAW_MOVING,  /* to the worker of the session */
    RAW_POLICY,  /* on_tcp_connect runs; it may wait for something, such as a TLS handshake */
    RAW_OPENING, /* the upstream was dialled */
    RAW_JOINED,  /* bytes pass */
    RAW_OVER,
};

#define BIT(n) (1U << (n))

static const unsigned raw_next[] = {
    [RAW_MOVING] = BIT(RAW_POLICY) | BIT(RAW_OVER),
    [RAW_POLICY] = BIT(RAW_OPENING) | BIT(RAW_OVER),
    [RAW_OPENING] = BIT(RAW_OPENING) | BIT(RAW_POLICY) | BIT(RAW_JOINED) | BIT(RAW_OVER),
    [RAW_JOINED] = BIT(RAW_OVER),
    [RAW_OVER] = 0,
};

/* An endpoint that the connection has come to. */
struct raw_hop {
    struct raw_hop *outer;     /* owned: whose policy forwarded here; NULL: the visitor came here */
    unsigned depth;            /* hops in front of it */
    struct endpoint *endpoint; /* entered (endpoint_enter()) */
    struct pool_tried tried;   /* members of its pool that could not take it */
    struct conn_policy_use connect;
    struct event
        *event; /* counted: made while the connection can be asked; NULL: not yet, or unwanted */
};

struct raw_conn {
    struct raw_conn *prev; /* of the gateway's list; in none while it moves */
    struct raw_conn *next;
    struct conn *conn; /* borrowed: owns us */
    enum raw_state state;
    struct raw_hop *hop;     /* owned: the last one */
    unsigned forwards;       /* that were tried */
    struct stream *upstream; /* owned until the splice has it */
    struct splice *splice;   /* owned; NULL but while bytes pass */
    struct splice_stats stats;
    uint64_t start_us;
    uint64_t dial_us;
    uint64_t upstream_us; /* until the upstream was open; 0: it never was */
};

static void set_state(struct raw_conn *r, enum raw_state next)
{
    assert(raw_next[r->state] & BIT(next));
    r->state = next;
}

static struct metrics *metrics_of(const struct raw_conn *r)
{
    return worker_metrics(r->conn->gateway->worker);
}

static void enlist(struct raw_conn *r)
{
    DL_APPEND(r->conn->gateway->raws, r);
    metrics_add(metrics_of(r), METRIC_RAW_CONNS, 1);
}

static void delist(struct raw_conn *r)
{
    DL_DELETE(r->conn->gateway->raws, r);
    metrics_add(metrics_of(r), METRIC_RAW_CONNS, -1);
}

/* ---- the event ----------------------------------------------------------------------------------- */

static bool is_event_wanted(const struct raw_conn *r, const struct raw_hop *hop)
{
    return hop->outer == NULL
               ? visit_event_is_wanted(r->conn->gateway, EVENT_TCP_CLOSED, hop->endpoint)
               : hop->endpoint->wants_events;
}

/* Copies what goes with the sock or with the policy. */
static void prepare_event(const struct raw_conn *r, struct raw_hop *hop)
{
    const struct policy_run *run = conn_policy_run(&hop->connect);
    const struct policy_outcome *o;

    if (hop->event != NULL || !is_event_wanted(r, hop))
        return;
    hop->event = visit_event_new(EVENT_TCP_CLOSED, &r->conn->origin, hop->endpoint);
    if (run == NULL)
        return;
    o = policy_run_outcome(run);
    hop->event->ip_policy_decision = arena_str(&hop->event->arena, o->ip_policy_decision);
    hop->event->policy_logs = arena_str(&hop->event->arena, o->logs);
}

static void publish(const struct raw_conn *r, struct raw_hop *hop, enum close_reason why)
{
    const uint64_t duration_us = clock_mono_us() - r->start_us;
    const struct endpoint_visit visit = { .connections = 1,
                                          .bytes_in = r->stats.from_a,
                                          .bytes_out = r->stats.from_b,
                                          .duration_us = duration_us };
    struct event *ev;

    if (hop->outer == NULL)
        visit_event_count(r->conn->gateway, hop->endpoint, &visit);
    prepare_event(r, hop);
    ev = hop->event;
    hop->event = NULL;
    if (ev == NULL)
        return;
    ev->wall_ms = clock_wall_ms();
    ev->conn_bytes_in = r->stats.from_a;
    ev->conn_bytes_out = r->stats.from_b;
    ev->close_reason = str_from(close_name(why));
    ev->duration_us = duration_us;
    ev->upstream_us = r->upstream_us;
    if (hop != r->hop)
        visit_event_set_forward(ev, r->hop->endpoint, r->hop->depth - hop->depth);
    if (hop->outer == NULL)
        visit_event_publish(r->conn->gateway, ev, hop->endpoint, LOG_INFO);
    else
        visit_event_tell(ev, hop->endpoint);
}

/* ---- hops ----------------------------------------------------------------------------------------- */

/* Takes ep, which is entered (endpoint_enter()). */
static void push_hop(struct raw_conn *r, struct endpoint *ep)
{
    struct raw_hop *hop = mem_zalloc(sizeof(*hop));

    hop->outer = r->hop;
    hop->depth = r->hop == NULL ? 0 : r->hop->depth + 1;
    hop->endpoint = ep;
    r->hop = hop;
}

static void pop_hop(struct raw_conn *r)
{
    struct raw_hop *hop = r->hop;

    r->hop = hop->outer;
    conn_policy_leave(&hop->connect);
    endpoint_leave(hop->endpoint);
    pool_tried_fini(&hop->tried);
    mem_free(hop);
}

/* ---- bytes pass ----------------------------------------------------------------------------------- */

static void on_spliced(void *arg, enum close_reason why)
{
    struct raw_conn *r = arg;

    r->stats = *splice_stats(r->splice);
    r->splice = NULL;
    conn_close(r->conn, why);
}

/* From here on the splice has both streams. */
static void join(struct raw_conn *r)
{
    struct conn *c = r->conn;
    struct stream *visitor = sock_stream(c->sock);
    struct stream *upstream = r->upstream;

    set_state(r, RAW_JOINED);
    for (struct raw_hop *hop = r->hop; hop != NULL; hop = hop->outer)
        prepare_event(r, hop);
    c->sock = NULL;
    c->origin.tls = NULL; /* it goes with the sock, and its name with it */
    c->origin.server_name = str_from(c->server_name);
    r->upstream = NULL;
    r->splice = splice_new(c->gateway->worker, visitor, upstream, on_spliced, r);
    conn_arm_timer(c, c->gateway->config->connection_idle_timeout_ms);
}

/* Any byte in either direction counts (spec endpoints 11.1, U-31). */
static void check_idle(struct raw_conn *r)
{
    uint64_t patience = r->conn->gateway->config->connection_idle_timeout_ms;
    uint64_t idle = clock_mono_ms() - splice_stats(r->splice)->active_ms;

    if (patience != 0 && idle >= patience)
        conn_close(r->conn, CLOSE_IDLE);
    else if (patience != 0)
        conn_arm_timer(r->conn, patience - idle);
}

/* ---- the upstream --------------------------------------------------------------------------------- */

static void on_upstream_open(void *arg)
{
    struct raw_conn *r = arg;

    r->upstream_us = clock_mono_us() - r->dial_us;
    join(r);
}

static size_t on_early_data(void *arg, struct str data)
{
    (void)arg;
    (void)data;
    return 0; /* stays in the stream until the splice takes over */
}

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_dial_failed(struct raw_conn *r, enum close_reason why);

/* The upstream, which was not open yet, will not be. */
static void lose_upstream(struct raw_conn *r, enum close_reason why)
{
    stream_close(r->upstream, why);
    r->upstream = NULL;
    on_dial_failed(r, why);
}

static void on_refused(void *arg, enum close_reason why)
{
    struct raw_conn *r = arg;

    lose_upstream(r, why);
}

static const struct stream_events upstream_events = {
    .on_open = on_upstream_open,
    .on_data = on_early_data,
    .on_writable = on_nothing,
    .on_eof = on_nothing,
    .on_closed = on_refused,
};

static void dial(struct raw_conn *r)
{
    struct conn *c = r->conn;
    const struct upstream_dial_params params = {
        .gateway = c->gateway,
        .ep = r->hop->endpoint,
        .client = &c->origin.client,
        .server = &c->origin.server,
        .protocol = UPSTREAM_DIAL_RAW,
    };
    enum close_reason why;

    set_state(r, RAW_OPENING);
    r->dial_us = clock_mono_us();
    conn_arm_timer(c, c->gateway->config->connection_idle_timeout_ms);
    r->upstream = upstream_dial(&params, &upstream_events, r, &why);
    if (r->upstream == NULL)
        on_dial_failed(r, why);
}

/* ---- on_tcp_connect ------------------------------------------------------------------------------- */

static enum policy_verdict ask_hop(struct raw_conn *r);

/* The policy of the last hop forwards; returns the verdict of the next. */
static enum policy_verdict step_in(struct raw_conn *r)
{
    const struct config *c = r->conn->gateway->config;
    struct raw_hop *hop = r->hop;
    struct endpoint *target = conn_policy_target(&hop->connect);
    struct err e;

    if (hop->depth < c->forward_hops_max && r->forwards < c->forwards_max) {
        r->forwards++;
        push_hop(r, target);
        return ask_hop(r);
    }
    endpoint_leave(target);
    (void)err_set(&e, E_FORWARD_HOPS, "the connection was forwarded %u times", r->forwards);
    return conn_policy_forward_failed(&hop->connect, &e);
}

/* The policy of the last hop lets the connection in. */
static void reach(struct raw_conn *r)
{
    if (endpoint_has_agent(r->hop->endpoint))
        dial(r);
    else
        conn_close(r->conn, CLOSE_POLICY);
}

/* `why`: the connection is to be closed with that when the policy does not let it go on. */
static void go_on(struct raw_conn *r, enum policy_verdict verdict, enum close_reason why)
{
    while (verdict == POLICY_FORWARD)
        verdict = step_in(r);
    switch (verdict) {
    case POLICY_CONTINUE:
        reach(r);
        return;
    case POLICY_SUSPEND:
        return;
    case POLICY_CLOSE:
    case POLICY_RESPOND: /* there is no answer before a request */
    case POLICY_FORWARD: /* dealt with above */
        conn_close(r->conn, why);
        return;
    }
}

static void on_verdict(void *arg, enum policy_verdict verdict)
{
    go_on(arg, verdict, CLOSE_POLICY);
}

static enum policy_verdict ask_hop(struct raw_conn *r)
{
    struct conn *c = r->conn;
    struct raw_hop *hop = r->hop;

    hop->connect = (struct conn_policy_use){
        .done = on_verdict, .arg = r, .has_event = true, .is_alone = true
    };
    conn_arm_timer(c, c->gateway->config->stall_timeout_ms);
    return conn_policy_ask(c->gateway, &c->origin, &c->origin.client, hop->endpoint, &hop->connect);
}

static void ask_policy(struct raw_conn *r)
{
    set_state(r, RAW_POLICY);
    enlist(r);
    go_on(r, ask_hop(r), CLOSE_POLICY);
}

/* Another member with the same rules is as good; false if there is none. */
static bool move_on(struct raw_conn *r)
{
    struct raw_hop *hop = r->hop;
    struct endpoint *other =
        routes_choose_other(r->conn->gateway->routes, hop->endpoint, &hop->tried);

    if (other == NULL)
        return false;
    metrics_add(metrics_of(r), METRIC_POOL_MOVES_TOTAL, 1);
    endpoint_enter(other);
    hop->endpoint = other; /* the one before stays with those that were tried */
    dial(r);
    return true;
}

/* Nothing was read of the visitor yet, so the connection may go to another member, or where the policy
 * that forwarded sends it next. */
static void on_dial_failed(struct raw_conn *r, enum close_reason why)
{
    struct err e;

    if (move_on(r))
        return;
    if (r->hop->outer == NULL) {
        conn_close(r->conn, why);
        return;
    }
    (void)err_set(&e, close_error(why), "%s", close_text(why));
    publish(r, r->hop, why);
    pop_hop(r);
    set_state(r, RAW_POLICY);
    conn_arm_timer(r->conn, r->conn->gateway->config->stall_timeout_ms);
    go_on(r, conn_policy_forward_failed(&r->hop->connect, &e), why);
}

/* ---- moving --------------------------------------------------------------------------------------- */

static void on_arrived(void *state)
{
    ask_policy(state);
}

static void move_now(struct worker *w, void *arg)
{
    struct raw_conn *r = arg;

    (void)w;
    if (r->state == RAW_MOVING && !conn_move(r->conn, r->hop->endpoint->agent.worker, on_arrived))
        ask_policy(r);
}

/* ---- events of the sock, until the splice has it --------------------------------------------------- */

static void on_closed(void *arg, enum close_reason why)
{
    struct raw_conn *r = arg;

    conn_close(r->conn, why);
}

static const struct stream_events visitor_events = {
    .on_data = on_early_data,
    .on_writable = on_nothing,
    .on_eof = on_nothing, /* cannot come: nothing is read */
    .on_closed = on_closed,
};

/* ---- what every protocol has ----------------------------------------------------------------------- */

/* It has no end between two requests, so it may use all of the time that a drain has. */
static void raw_drain(void *state)
{
    (void)state;
}

static void raw_on_timer(void *state)
{
    struct raw_conn *r = state;

    if (r->state == RAW_JOINED)
        check_idle(r);
    else
        conn_close(r->conn, CLOSE_TIMEOUT);
}

static void raw_lost(void *state, enum close_reason why)
{
    struct raw_conn *r = state;
    bool listed = r->state != RAW_MOVING;

    set_state(r, RAW_OVER);
    if (r->splice != NULL) {
        r->stats = *splice_stats(r->splice);
        splice_close(r->splice, why);
        r->splice = NULL;
    }
    if (r->upstream != NULL)
        stream_close(r->upstream, why);
    r->upstream = NULL;
    if (!listed)
        return; /* nothing has happened to it */
    for (struct raw_hop *hop = r->hop; hop != NULL; hop = hop->outer) {
        conn_policy_forget(&hop->connect);
        publish(r, hop, why);
    }
    metrics_add(metrics_of(r), METRIC_RAW_CONNS_TOTAL, 1);
    metrics_add(metrics_of(r), METRIC_BYTES_IN_TOTAL, (int64_t)r->stats.from_a);
    metrics_add(metrics_of(r), METRIC_BYTES_OUT_TOTAL, (int64_t)r->stats.from_b);
    delist(r);
}

static void raw_free(void *state)
{
    struct raw_conn *r = state;

    while (r->hop != NULL)
        pop_hop(r);
    mem_free(r);
}

static const struct conn_protocol raw_protocol = {
    .name = "raw",
    .drain = raw_drain,
    .on_timer = raw_on_timer,
    .lost = raw_lost,
    .free = raw_free,
};

void conn_start_raw(struct conn *c, struct endpoint *ep)
{
    struct raw_conn *r = mem_zalloc(sizeof(*r));

    r->conn = c;
    r->state = RAW_MOVING;
    endpoint_enter(ep);
    push_hop(r, ep);
    r->start_us = clock_mono_us();
    c->state = CONN_OPEN;
    c->protocol = &raw_protocol;
    c->protocol_state = r;
    stream_set_events(sock_stream(c->sock), &visitor_events, r);
    sock_hold(c->sock);
    conn_arm_timer(c, 0);
    if (endpoint_is_at(ep, c->gateway->worker) || !conn_can_move(c))
        ask_policy(r);
    else
        worker_defer(c->gateway->worker, move_now, r); /* its sock's event may be on the stack */
}

static bool has_hop(const struct raw_hop *last, const struct endpoint *ep)
{
    while (last != NULL && last->endpoint != ep)
        last = last->outer;
    return last != NULL;
}

void conn_raw_drop(struct gateway *g, const struct endpoint *ep)
{
    struct raw_conn *r;
    struct raw_conn *next;

    DL_FOREACH_SAFE(g->raws, r, next)
    {
        if (!has_hop(r->hop, ep) || (r->state == RAW_POLICY && ep->pooling))
            continue; /* the dial will find another member */
        if (r->state == RAW_OPENING && !has_hop(r->hop->outer, ep))
            lose_upstream(r, CLOSE_SESSION_LOST);
        else
            conn_close(r->conn, CLOSE_SESSION_LOST);
    }
}
