/* What is told of a finished exchange: metrics, and its event. */
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn.h"
#include "gateway/endpoint_stats.h"
#include "gateway/exchange_int.h"
#include "gateway/gateway_int.h"
#include "gateway/upstream.h"
#include "gateway/visit_event.h"
#include "tunnel/endpoint.h"
#include "tunnel/event_json.h"

enum { STATUS_END = 1000 }; /* of METRIC_GROUP_RESPONSES */

static struct str lower(struct event *ev, struct str s)
{
    char *p = arena_alloc(&ev->arena, s.n);

    for (size_t i = 0; i < s.n; i++)
        p[i] = char_lower(s.p[i]);
    return str_of(p, s.n);
}

static void copy_request(struct event *ev, const struct http_request *r)
{
    const struct http_header *agent = http_headers_find(&r->headers, STR("user-agent"), 0);

    ev->method = arena_str(&ev->arena, r->method);
    ev->method_lower = lower(ev, r->method);
    ev->url_host = arena_str(&ev->arena, str_from(r->host));
    ev->url_path = arena_str(&ev->arena, r->path);
    ev->url_query = arena_str(&ev->arena, r->query);
    ev->version = r->method.n > 0 ? http_request_version(r) : STR_NONE;
    if (agent != NULL)
        ev->user_agent = arena_str(&ev->arena, agent->value);
}

static void copy_outcome(struct event *ev, const struct policy_outcome *o)
{
    ev->basic_auth_decision = arena_str(&ev->arena, o->basic_auth_decision);
    ev->basic_auth_username = arena_str(&ev->arena, o->basic_auth_username);
    ev->ip_policy_decision = arena_str(&ev->arena, o->ip_policy_decision);
    ev->circuit_breaker_decision = arena_str(&ev->arena, o->circuit_breaker_decision);
    ev->webhook_decision = arena_str(&ev->arena, o->webhook_decision);
    ev->compression_algorithm = arena_str(&ev->arena, o->compression_algorithm);
    ev->compression_saved_bytes = o->compression_saved_bytes;
    ev->policy_logs = arena_str(&ev->arena, o->logs);
}

/* Two JSON lists as one. */
static struct str join_lists(struct event *ev, struct str a, struct str b)
{
    if (a.n == 0 || b.n == 0)
        return a.n == 0 ? b : a;
    return arena_fmt(&ev->arena, "%.*s,%.*s", STR_ARG(str_slice(a, 0, a.n - 1)),
                     STR_ARG(str_skip(b, 1)));
}

/* on_tcp_connect ran with this exchange, which is the one to tell what came of it. */
static void add_connect_outcome(struct event *ev, const struct policy_outcome *o)
{
    if (ev->ip_policy_decision.n == 0)
        ev->ip_policy_decision = arena_str(&ev->arena, o->ip_policy_decision);
    ev->policy_logs = join_lists(ev, arena_str(&ev->arena, o->logs), ev->policy_logs);
}

/* What became of the request where this endpoint sees it: those in front may have changed the answer. */
static void copy_answer(struct event *ev, const struct exchange *x, const struct exchange_hop *hop)
{
    ev->status = hop->status != 0 ? hop->status : x->status;
    ev->error_number = hop->status != 0 ? hop->error_number : x->error_number;
}

/* `request`: as it left this endpoint. */
static struct event *make_event(const struct exchange *x, const struct exchange_hop *hop,
                                const struct http_request *request, uint64_t duration_us)
{
    struct event *ev = visit_event_new(EVENT_HTTP_REQUEST, x->origin, hop->endpoint);

    ev->wall_ms = clock_wall_ms();
    ev->client = x->client;
    ev->url_scheme = str_from(scheme_name(x->origin->scheme));
    copy_request(ev, request);
    ev->request_body_bytes = x->request_bytes;
    copy_answer(ev, x, hop);
    ev->response_body_bytes = x->response_bytes;
    ev->close_reason = str_from(close_name(x->why));
    ev->duration_us = duration_us;
    ev->upstream_us = x->upstream_us;
    ev->connection_reused = x->upstream != NULL && upstream_is_reused(x->upstream);
    if (x->last != hop)
        visit_event_set_forward(ev, x->last->endpoint, x->last->depth - hop->depth);
    if (hop->run != NULL)
        copy_outcome(ev, policy_run_outcome(hop->run));
    if (hop->outer == NULL && x->connect.is_first)
        add_connect_outcome(ev, policy_run_outcome(conn_policy_run(&x->connect)));
    return ev;
}

/* ---- what a destination may get ---------------------------------------------------------------- */

void exchange_note_request(struct exchange *x)
{
    const struct http_headers *h = &x->request.headers;
    struct http_header *items;

    if (h->count == 0 || !visit_event_is_subscribed(x->gateway, EVENT_HTTP_REQUEST))
        return;
    /* The texts stay in the arena, whatever policies put into the list in their place. */
    items = arena_alloc(&x->arena, h->count * sizeof(*items));
    memcpy(items, h->items, h->count * sizeof(*items));
    x->seen = (struct http_headers){ .items = items, .count = h->count };
}

void exchange_note_head(struct exchange *x)
{
    x->status = x->response.status;
    x->head_sent_ms = clock_wall_ms();
}

static void copy_headers(const struct exchange *x, struct event *ev, struct event_headers *out,
                         const struct http_headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        event_add_header(ev, out, h->items[i].name, h->items[i].value,
                         x->gateway->config->event_headers);
}

static struct str url_raw(struct event *ev, const struct http_request *r)
{
    if (r->method.n == 0)
        return STR_NONE;
    return arena_fmt(&ev->arena, "%.*s://%.*s%.*s", STR_ARG(ev->url_scheme), STR_ARG(r->authority),
                     STR_ARG(str_slice(r->target, 0, EVENT_TEXT_MAX_BYTES)));
}

/* `request`: as in make_event(). */
static void add_whole(const struct exchange *x, const struct http_request *request,
                      struct event *ev)
{
    if (ev->server_name.n == 0)
        ev->server_name = ev->url_host;
    ev->url_raw = url_raw(ev, request);
    if (request->authority.n > 0)
        event_add_header(ev, &ev->request_headers, STR("Host"), request->authority,
                         x->gateway->config->event_headers);
    copy_headers(x, ev, &ev->request_headers, &x->seen);
    ev->request_first_byte_ms = x->start_wall_ms;
    ev->request_last_byte_ms =
        request->body == HTTP_BODY_NONE ? x->start_wall_ms : x->body_received_ms;
    if (x->status == 0)
        return;
    copy_headers(x, ev, &ev->response_headers, &x->response.headers);
    ev->response_first_byte_ms = x->head_sent_ms;
    ev->response_last_byte_ms = ev->wall_ms;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void count(struct exchange *x, uint64_t duration_us)
{
    const struct endpoint_visit visit = { .requests = 1,
                                          .bytes_in = x->request_bytes,
                                          .bytes_out = x->response_bytes,
                                          .duration_us = duration_us };
    struct metrics *m = exchange_metrics(x);

    metrics_add(m, METRIC_REQUESTS_TOTAL, 1);
    metrics_add_to_group(m, METRIC_GROUP_RESPONSES, x->status < STATUS_END ? x->status : 0, 1);
    metrics_observe(m, HISTOGRAM_REQUEST, duration_us);
    if (x->upstream_us > 0)
        metrics_observe(m, HISTOGRAM_FIRST_BYTE, x->upstream_us);
    visit_event_count(x->gateway, x->first.endpoint, &visit);
}

/* The session of an internal endpoint. */
static void tell(const struct exchange *x, const struct exchange_hop *hop,
                 const struct http_request *request, uint64_t duration_us)
{
    if (hop->endpoint->wants_events)
        visit_event_tell(make_event(x, hop, request, duration_us), hop->endpoint);
}

void exchange_publish_last(struct exchange *x)
{
    tell(x, x->last, &x->request, clock_mono_us() - x->start_us);
}

/* What the visitor asked for, and got. */
static void publish_first(const struct exchange *x, const struct http_request *request,
                          uint64_t duration_us)
{
    const struct gateway *g = x->gateway;
    struct event *ev;

    if (!visit_event_is_wanted(g, EVENT_HTTP_REQUEST, x->first.endpoint))
        return;
    ev = make_event(x, &x->first, request, duration_us);
    if (visit_event_is_subscribed(g, EVENT_HTTP_REQUEST))
        add_whole(x, request, ev);
    visit_event_publish(g, ev, x->first.endpoint, LOG_INFO);
}

/* All that is told of an exchange is told here, so that metrics, log and events agree. */
void exchange_publish(struct exchange *x)
{
    const struct http_request *request = &x->request;
    uint64_t duration_us = clock_mono_us() - x->start_us;

    count(x, duration_us);
    if (x->first.endpoint != NULL && x->origin->conn != NULL)
        conn_note_endpoint(x->origin->conn, x->first.endpoint);
    for (const struct exchange_hop *hop = x->last; hop->outer != NULL; hop = hop->outer) {
        tell(x, hop, request, duration_us);
        request = &hop->before->request;
    }
    publish_first(x, request, duration_us);
}
