/*
 * The policy_host of an exchange. Header calls act on the message of the phase that is running; Host
 * is kept apart from the other request fields because it is always sent first and only once.
 */
#include "gateway/exchange_int.h"
#include "tunnel/endpoint.h"

static struct http_headers *message_of(struct exchange *x)
{
    return x->state == EXCHANGE_NEW ? &x->request.headers : &x->response.headers;
}

static bool is_request_host(const struct exchange *x, struct str name)
{
    return x->state == EXCHANGE_NEW && str_eq_nocase(name, STR("host"));
}

static const struct addr *host_client_addr(void *ctx)
{
    const struct exchange *x = ctx;

    return &x->origin->client;
}

static struct str host_header_find(void *ctx, struct str name, size_t index)
{
    struct exchange *x = ctx;
    const struct http_header *h;

    if (is_request_host(x, name))
        return index == 0 ? x->host : STR_NONE;
    h = http_headers_find(message_of(x), name, index);
    return h == NULL ? STR_NONE : h->value;
}

static void host_header_add(void *ctx, struct str name, struct str value)
{
    struct exchange *x = ctx;

    value = arena_str(&x->arena, value);
    if (is_request_host(x, name)) {
        x->host = value;
        x->host_rewritten = true;
        return;
    }
    http_headers_add(message_of(x), &x->arena, arena_str(&x->arena, name), value);
}

static size_t host_header_remove(void *ctx, struct str name)
{
    return http_headers_remove(message_of(ctx), name);
}

static const struct policy_host exchange_policy_host = {
    .client_addr = host_client_addr,
    .header_find = host_header_find,
    .header_add = host_header_add,
    .header_remove = host_header_remove,
};

enum policy_verdict exchange_run_policy(struct exchange *x, enum policy_phase phase)
{
    const struct counted *policy = x->endpoint->policy;

    if (policy == NULL || !policy_has_phase(policy, phase))
        return POLICY_CONTINUE;
    return policy_run(policy, phase, &exchange_policy_host, x, &x->arena, &x->policy);
}
