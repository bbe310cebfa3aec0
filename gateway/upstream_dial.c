#include "gateway/upstream_dial.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/proxy_protocol.h"
#include "gateway/config.h"
#include "gateway/gateway_int.h"
#include "gateway/prefix_stream.h"
#include "gateway/relay.h"
#include "gateway/tls_client.h"
#include "gateway/tls_stream.h"
#include "tunnel/endpoint.h"

enum { PROBLEMS_BURST = 5 }; /* lines a second; a visitor can cause one with each request */

static void on_problem(void *arg, struct endpoint *ep, const char *problem)
{
    struct gateway *g = arg;
    uint64_t suppressed;

    if (ep->agent.ops->on_problem != NULL)
        ep->agent.ops->on_problem(&ep->agent, problem);
    if (log_limit_pass(&g->upstream_log, PROBLEMS_BURST, clock_mono_ms(), &suppressed))
        log_info("upstream.tls_failed", LS("endpoint", ep->id), LS("upstream", ep->upstream_url),
                 LS("reason", problem), LU("suppressed", suppressed));
}

/* Events that nobody gets: a wrapper takes over before the first. */
static const struct stream_events no_events = { 0 };

static struct stream *wrap_prefix(const struct upstream_dial_params *params, struct stream *inner,
                                  const struct stream_events *events, void *arg)
{
    const struct proxy_header header = { .source = *params->client,
                                         .destination = *params->server };
    struct buf prefix;
    struct stream *s;

    buf_init(&prefix, PROXY_PROTOCOL_MAX_BYTES);
    proxy_protocol_format(params->ep->upstream.proxy_protocol, &header, &prefix);
    s = prefix_stream_new(params->gateway->worker, inner, buf_str(&prefix), events, arg);
    buf_fini(&prefix);
    return s;
}

static struct stream *dial_plain(const struct upstream_dial_params *params,
                                 const struct stream_events *events, void *arg,
                                 enum close_reason *why)
{
    struct stream *inner;

    if (params->ep->upstream.proxy_protocol == 0)
        return relay_dial(params->ep, params->client, events, arg, why);
    inner = relay_dial(params->ep, params->client, &no_events, NULL, why);
    return inner != NULL ? wrap_prefix(params, inner, events, arg) : NULL;
}

static enum tls_client_alpn alpn_of(enum upstream_dial_protocol protocol)
{
    switch (protocol) {
    case UPSTREAM_DIAL_RAW:
        return TLS_CLIENT_NO_ALPN;
    case UPSTREAM_DIAL_HTTP1:
        return TLS_CLIENT_HTTP1;
    case UPSTREAM_DIAL_HTTP2:
        return TLS_CLIENT_HTTP2;
    }
    return TLS_CLIENT_NO_ALPN;
}

struct stream *upstream_dial(const struct upstream_dial_params *params,
                             const struct stream_events *events, void *arg, enum close_reason *why)
{
    struct gateway *g = params->gateway;
    struct tls_stream_params tls = {
        .worker = g->worker,
        .handshake_ms = g->config->upstream_tls_timeout_ms,
        .ep = params->ep,
        .on_problem = on_problem,
        .arg = g,
    };
    struct err e;

    if (!params->ep->upstream.tls)
        return dial_plain(params, events, arg, why);
    tls.ssl = tls_client_session(g->tls_client, params->ep, alpn_of(params->protocol), &e);
    if (tls.ssl == NULL) {
        on_problem(g, params->ep, e.msg);
        *why = CLOSE_TLS_ERROR;
        return NULL;
    }
    tls.inner = dial_plain(params, &no_events, NULL, why);
    if (tls.inner == NULL) {
        tls_client_session_free(tls.ssl);
        return NULL;
    }
    return tls_stream_new(&tls, events, arg);
}

bool upstream_dial_is_http2(const struct endpoint *ep, const struct stream *s)
{
    return ep->upstream.tls ? str_eq(tls_stream_alpn(s), STR("h2"))
                            : ep->upstream.protocol == UPSTREAM_HTTP2;
}
