#include "gateway/upstream.h"

#include "gateway/gateway_int.h"
#include "gateway/upstream_http2_pool.h"
#include "gateway/upstream_int.h"
#include "tunnel/endpoint.h"

void upstream_init(struct upstream *u, const struct upstream_ops *ops,
                   const struct upstream_params *params)
{
    u->ops = ops;
    u->gateway = params->gateway;
    u->exchange = params->exchange;
    u->endpoint = params->endpoint;
    endpoint_ref(u->endpoint);
}

void upstream_fini(struct upstream *u)
{
    endpoint_unref(u->endpoint);
}

struct upstream *upstream_new(const struct upstream_params *params)
{
    if (upstream_http2_pool_may_speak(params->gateway->http2, params->endpoint))
        return upstream_http2_new(params);
    return upstream_http1_new(params);
}

void upstream_send_body(struct upstream *u, struct str data)
{
    u->ops->send_body(u, data);
}

bool upstream_is_blocked(struct upstream *u)
{
    return u->ops->is_blocked(u);
}

bool upstream_is_flushed(struct upstream *u)
{
    return u->ops->is_flushed(u);
}

void upstream_send_end(struct upstream *u, const struct http_headers *trailers)
{
    u->ops->send_end(u, trailers);
}

void upstream_flush(struct upstream *u)
{
    u->ops->flush(u);
}

void upstream_resume(struct upstream *u)
{
    u->ops->resume(u);
}

bool upstream_is_reused(struct upstream *u)
{
    return u->ops->is_reused(u);
}

enum upstream_fate upstream_fate(struct upstream *u)
{
    return u->ops->fate(u);
}

bool upstream_is_untouched(struct upstream *u)
{
    return u->ops->is_untouched(u);
}

void upstream_close(struct upstream *u, enum close_reason why)
{
    if (u != NULL)
        u->ops->close(u, why);
}
