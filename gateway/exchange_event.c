/*
 * The event of a finished exchange: one line of the access log, and a line for the SSH session that
 * holds the endpoint if it shows them.
 */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/config.h"
#include "gateway/exchange_int.h"
#include "gateway/gateway_int.h"
#include "gateway/upstream.h"
#include "tunnel/endpoint.h"
#include "tunnel/event.h"

static void copy_endpoint(struct event *ev, const struct endpoint *ep)
{
    char url[URL_TEXT_BYTES];

    ev->endpoint_id = arena_str(&ev->arena, str_from(ep->id));
    ev->endpoint_url =
        arena_str(&ev->arena, str_from(url_format(&ep->url, scheme_default_port(SCHEME_HTTP),
                                                  scheme_default_port(SCHEME_HTTPS), url)));
    ev->session_id = arena_str(&ev->arena, str_from(ep->session_id));
}

static void copy_origin(struct event *ev, const struct exchange_origin *origin)
{
    ev->client = origin->client;
    ev->server = origin->server;
    ev->conn_start_wall_ms = origin->conn_start_wall_ms;
    ev->server_name = arena_str(&ev->arena, origin->server_name);
    ev->tls_version = arena_str(&ev->arena, origin->tls_version);
    ev->tls_cipher = arena_str(&ev->arena, origin->tls_cipher);
    ev->url_scheme = str_from(scheme_name(origin->scheme));
}

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

static struct event *make_event(const struct exchange *x)
{
    struct event *ev = event_new();

    ev->wall_ms = clock_wall_ms();
    id_new("ev", ev->wall_ms, ev->id);
    if (x->endpoint != NULL)
        copy_endpoint(ev, x->endpoint);
    copy_origin(ev, x->origin);
    copy_request(ev, &x->request);
    ev->request_body_bytes = x->request_bytes;
    ev->status = x->status;
    ev->response_body_bytes = x->response_bytes;
    ev->error_number = x->error_number;
    ev->close_reason = str_from(close_name(x->why));
    ev->duration_us = clock_mono_us() - x->start_us;
    ev->upstream_us = x->upstream_us;
    ev->connection_reused = x->upstream != NULL && upstream_is_reused(x->upstream);
    if (x->run != NULL)
        copy_outcome(ev, policy_run_outcome(x->run));
    if (x->connect_outcome != NULL)
        add_connect_outcome(ev, x->connect_outcome);
    return ev;
}

void exchange_publish(struct exchange *x)
{
    bool for_session = x->endpoint != NULL && x->endpoint->wants_events;
    struct log_field fields[EVENT_FIELDS_MAX];
    struct event *ev;

    if (!for_session && !log_enabled(LOG_INFO))
        return;
    ev = make_event(x);
    log_write(LOG_INFO, "http_request_complete", fields, event_fields(ev, fields));
    if (for_session)
        x->endpoint->agent.ops->on_event(&x->endpoint->agent, ev);
    event_unref(ev);
}
