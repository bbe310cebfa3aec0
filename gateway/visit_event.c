#include "gateway/visit_event.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/endpoint_stats.h"
#include "gateway/exchange.h"
#include "gateway/gateway_int.h"
#include "gateway/tls.h"
#include "gateway/tls_cert.h"
#include "tunnel/endpoint.h"
#include "tunnel/event_sink.h"

static void copy_endpoint(struct event *ev, const struct endpoint *ep)
{
    char url[URL_TEXT_BYTES];

    ev->endpoint_id = arena_str(&ev->arena, str_from(ep->id));
    ev->endpoint_url =
        arena_str(&ev->arena, str_from(url_format(&ep->url, scheme_default_port(SCHEME_HTTP),
                                                  scheme_default_port(SCHEME_HTTPS), url)));
    ev->session_id = arena_str(&ev->arena, str_from(ep->session_id));
    ev->account = arena_str(&ev->arena, str_from(ep->account));
}

static void copy_client(struct event *ev, const struct tls_cert *cert)
{
    if (cert == NULL)
        return;
    ev->tls_client_serial = arena_str(&ev->arena, cert->serial_number);
    ev->tls_client_cn = arena_str(&ev->arena, cert->subject.common_name);
}

static void copy_origin(struct event *ev, const struct exchange_origin *origin)
{
    ev->client = origin->client;
    ev->server = origin->server;
    ev->conn_start_wall_ms = origin->conn_start_wall_ms;
    ev->server_name = arena_str(&ev->arena, origin->server_name);
    ev->tls_version = arena_str(&ev->arena, origin->tls_version);
    ev->tls_cipher = arena_str(&ev->arena, origin->tls_cipher);
    ev->ja4 = arena_str(&ev->arena, origin->ja4);
    copy_client(ev, origin->tls == NULL ? NULL : tls_client_cert(origin->tls));
}

bool visit_event_is_subscribed(const struct gateway *g, enum event_type type)
{
    return event_sink_wants(gateway_events(g), type);
}

bool visit_event_is_wanted(const struct gateway *g, enum event_type type, const struct endpoint *ep)
{
    return (ep != NULL && ep->wants_events) || log_enabled(LOG_INFO) ||
           visit_event_is_subscribed(g, type);
}

struct event *visit_event_new(enum event_type type, const struct exchange_origin *origin,
                              const struct endpoint *ep)
{
    struct event *ev = event_new();

    ev->type = type;
    ev->wall_ms = clock_wall_ms();
    id_new("ev", ev->wall_ms, ev->id);
    if (ep != NULL)
        copy_endpoint(ev, ep);
    copy_origin(ev, origin);
    return ev;
}

void visit_event_publish(const struct gateway *g, struct event *ev, const struct endpoint *ep,
                         enum log_level level)
{
    struct event_sink *sink = gateway_events(g);
    struct log_field fields[EVENT_FIELDS_MAX];

    if (log_enabled(level))
        log_write(level, event_name(ev), fields, event_fields(ev, fields));
    if (level == LOG_INFO && ep != NULL && ep->wants_events)
        ep->agent.ops->on_event(&ep->agent, ev);
    if (event_sink_wants(sink, ev->type))
        sink->ops->publish(sink, ev);
    else
        event_unref(ev);
}

void visit_event_count(const struct gateway *g, struct endpoint *ep,
                       const struct endpoint_visit *visit)
{
    if (ep != NULL && g->peers->endpoint_stats != NULL)
        endpoint_stats_count(g->peers->endpoint_stats, worker_id(g->worker), ep, visit,
                             clock_mono_ms());
}
