/*
 * conn_raw: a connection whose bytes go to one endpoint unread, both ways, by a splice.
 * Until both ends are open nothing is read of the visitor, so what it sends waits in the kernel. There
 * is no way to tell a visitor what went wrong, so on any error the connection is just closed (spec
 * endpoints 5.11).
 *
 * A dial that fails goes on to another member of the pool, which need not be on the same worker.
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
    [RAW_OPENING] = BIT(RAW_OPENING) | BIT(RAW_JOINED) | BIT(RAW_OVER),
    [RAW_JOINED] = BIT(RAW_OVER),
    [RAW_OVER] = 0,
};

struct raw_conn {
    struct raw_conn *prev; /* of the gateway's list; in none while it moves */
    struct raw_conn *next;
    struct conn *conn; /* borrowed: owns us */
    enum raw_state state;
    struct endpoint *endpoint; /* entered (endpoint_enter()) */
    struct pool_tried tried;   /* members that could not take it */
    struct conn_policy_use connect;
    struct stream *upstream; /* owned until the splice has it */
    struct splice *splice;   /* owned; NULL but while bytes pass */
    struct splice_stats stats;
    struct event
        *event; /* counted: made while the connection can be asked; NULL: not yet, or unwanted */
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

/* Copies what goes with the sock or with the policy. */
static void prepare_event(struct raw_conn *r)
{
    const struct policy_run *run = conn_policy_run(&r->connect);
    const struct policy_outcome *o;
    struct event *ev;

    if (r->event != NULL || !visit_event_is_wanted(r->conn->gateway, EVENT_TCP_CLOSED, r->endpoint))
        return;
    ev = visit_event_new(EVENT_TCP_CLOSED, &r->conn->origin, r->endpoint);
    if (run != NULL) {
        o = policy_run_outcome(run);
        ev->ip_policy_decision = arena_str(&ev->arena, o->ip_policy_decision);
        ev->policy_logs = arena_str(&ev->arena, o->logs);
    }
    r->event = ev;
}

static void publish(struct raw_conn *r, enum close_reason why)
{
    const uint64_t duration_us = clock_mono_us() - r->start_us;
    const struct endpoint_visit visit = { .connections = 1,
                                          .bytes_in = r->stats.from_a,
                                          .bytes_out = r->stats.from_b,
                                          .duration_us = duration_us };
    struct event *ev;

    visit_event_count(r->conn->gateway, r->endpoint, &visit);
    prepare_event(r);
    ev = r->event;
    r->event = NULL;
    if (ev == NULL)
        return;
    ev->wall_ms = clock_wall_ms();
    ev->conn_bytes_in = r->stats.from_a;
    ev->conn_bytes_out = r->stats.from_b;
    ev->close_reason = str_from(close_name(why));
    ev->duration_us = duration_us;
    ev->upstream_us = r->upstream_us;
    visit_event_publish(r->conn->gateway, ev, r->endpoint, LOG_INFO);
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
    prepare_event(r);
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

static void dial(struct raw_conn *r);

/* Nothing was read of the visitor yet, so another member with the same rules is as good. */
static bool move_on(struct raw_conn *r, enum close_reason why)
{
    struct endpoint *other = routes_choose_other(r->conn->gateway->routes, r->endpoint, &r->tried);

    if (other == NULL)
        return false;
    metrics_add(metrics_of(r), METRIC_POOL_MOVES_TOTAL, 1);
    if (r->upstream != NULL)
        stream_close(r->upstream, why);
    r->upstream = NULL;
    endpoint_enter(other);
    r->endpoint = other; /* the one before stays with those that were tried */
    dial(r);
    return true;
}

static void on_refused(void *arg, enum close_reason why)
{
    struct raw_conn *r = arg;

    if (!move_on(r, why))
        conn_close(r->conn, why);
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
        .ep = r->endpoint,
        .client = &c->origin.client,
        .server = &c->origin.server,
        .protocol = UPSTREAM_DIAL_RAW,
    };
    enum close_reason why;

    set_state(r, RAW_OPENING);
    r->dial_us = clock_mono_us();
    conn_arm_timer(c, c->gateway->config->connection_idle_timeout_ms);
    r->upstream = upstream_dial(&params, &upstream_events, r, &why);
    if (r->upstream == NULL && !move_on(r, why))
        conn_close(c, why);
}

/* ---- on_tcp_connect ------------------------------------------------------------------------------- */

static void on_verdict(void *arg, enum policy_verdict verdict)
{
    struct raw_conn *r = arg;

    if (verdict == POLICY_CONTINUE && endpoint_has_agent(r->endpoint))
        dial(r);
    else
        conn_close(r->conn, CLOSE_POLICY);
}

static void ask_policy(struct raw_conn *r)
{
    struct conn *c = r->conn;
    enum policy_verdict verdict;

    set_state(r, RAW_POLICY);
    enlist(r);
    r->connect = (struct conn_policy_use){ .done = on_verdict, .arg = r, .has_event = true };
    conn_arm_timer(c, c->gateway->config->stall_timeout_ms);
    verdict = conn_policy_ask(c->gateway, &c->origin, &c->origin.client, r->endpoint, &r->connect);
    if (verdict != POLICY_SUSPEND)
        on_verdict(r, verdict);
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
    if (r->state == RAW_MOVING && !conn_move(r->conn, r->endpoint->agent.worker, on_arrived))
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
    conn_policy_forget(&r->connect);
    if (!listed)
        return; /* nothing has happened to it */
    publish(r, why);
    metrics_add(metrics_of(r), METRIC_RAW_CONNS_TOTAL, 1);
    metrics_add(metrics_of(r), METRIC_BYTES_IN_TOTAL, (int64_t)r->stats.from_a);
    metrics_add(metrics_of(r), METRIC_BYTES_OUT_TOTAL, (int64_t)r->stats.from_b);
    delist(r);
}

static void raw_free(void *state)
{
    struct raw_conn *r = state;

    conn_policy_leave(&r->connect);
    endpoint_leave(r->endpoint);
    pool_tried_fini(&r->tried);
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
    r->endpoint = ep;
    endpoint_enter(ep);
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

void conn_raw_drop(struct gateway *g, const struct endpoint *ep)
{
    struct raw_conn *r;
    struct raw_conn *next;

    DL_FOREACH_SAFE(g->raws, r, next)
    {
        if (r->endpoint != ep || (r->state == RAW_POLICY && ep->pooling))
            continue; /* the dial will find another member */
        if (r->state != RAW_OPENING || !move_on(r, CLOSE_SESSION_LOST))
            conn_close(r->conn, CLOSE_SESSION_LOST);
    }
}
