/* The event of a finished exchange. */
#include "base/clock.h"
#include "gateway/exchange_int.h"
#include "gateway/upstream.h"
#include "gateway/visit_event.h"
#include "tunnel/endpoint.h"

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
                                const struct http_request *request)
{
    struct event *ev = visit_event_new(EVENT_HTTP_REQUEST, x->origin, hop->endpoint);

    ev->client = x->client;
    ev->url_scheme = str_from(scheme_name(x->origin->scheme));
    copy_request(ev, request);
    ev->request_body_bytes = x->request_bytes;
    copy_answer(ev, x, hop);
    ev->response_body_bytes = x->response_bytes;
    ev->close_reason = str_from(close_name(x->why));
    ev->duration_us = clock_mono_us() - x->start_us;
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

static void tell(const struct exchange *x, const struct exchange_hop *hop,
                 const struct http_request *request)
{
    if (hop->endpoint->wants_events)
        visit_event_tell(make_event(x, hop, request), hop->endpoint);
}

void exchange_publish_last(struct exchange *x)
{
    tell(x, x->last, &x->request);
}

void exchange_publish(struct exchange *x)
{
    const struct http_request *request = &x->request;
    const struct exchange_hop *hop = x->last;

    for (; hop->outer != NULL; hop = hop->outer) {
        tell(x, hop, request);
        request = &hop->before->request;
    }
    if (visit_event_is_wanted(hop->endpoint))
        visit_event_publish(make_event(x, hop, request), hop->endpoint);
}
