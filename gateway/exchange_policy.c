/*
 * The policy_host of an exchange: what a running policy may read, change and ask for. Host is kept
 * apart from the other request fields because it is always sent first and only once.
 */
#include <assert.h>

#include "gateway/config.h"
#include "gateway/exchange_int.h"
#include "gateway/fetch.h"
#include "gateway/gateway_int.h"
#include "gateway/policy_data.h"
#include "gateway/policy_vars.h"
#include "policy/decode_filter.h"
#include "policy/media_type.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

/* ---- messages --------------------------------------------------------------------------------- */

/* The hop whose policy asks. */
static struct exchange *exchange_of(void *ctx)
{
    return ((struct exchange_hop *)ctx)->exchange;
}

static struct http_headers *message_of(struct exchange *x, enum policy_message m)
{
    return m == POLICY_REQUEST ? &x->request.headers : &x->response.headers;
}

static bool is_request_host(enum policy_message m, struct str name)
{
    return m == POLICY_REQUEST && str_eq_nocase(name, STR("host"));
}

static struct cel_value host_var(void *ctx, enum policy_var var, struct arena *arena)
{
    return policy_vars_get(ctx, var, arena);
}

static const struct addr *host_client_addr(void *ctx)
{
    const struct exchange *x = exchange_of(ctx);

    return &x->client;
}

static struct str host_header_find(void *ctx, enum policy_message m, struct str name, size_t index)
{
    struct exchange *x = exchange_of(ctx);
    const struct http_header *h;

    if (is_request_host(m, name))
        return index == 0 ? x->host : STR_NONE;
    h = http_headers_find(message_of(x, m), name, index);
    return h == NULL ? STR_NONE : h->value;
}

static void host_header_add(void *ctx, enum policy_message m, struct str name, struct str value)
{
    struct exchange *x = exchange_of(ctx);

    value = arena_str(&x->arena, value);
    if (is_request_host(m, name)) {
        x->host = value;
        x->host_rewritten = true;
        policy_facts_forget_url(x);
        return;
    }
    http_headers_add(message_of(x, m), &x->arena, arena_str(&x->arena, name), value);
}

static size_t host_header_remove(void *ctx, enum policy_message m, struct str name)
{
    return http_headers_remove(message_of(exchange_of(ctx), m), name);
}

static void host_set_target(void *ctx, struct str path_and_query)
{
    struct exchange *x = exchange_of(ctx);
    struct http_request *r = &x->request;
    size_t question;

    r->target = arena_str(&x->arena, path_and_query);
    question = str_find_char(r->target, '?');
    r->path = str_slice(r->target, 0, question);
    r->query = str_skip(r->target, question + 1);
    policy_facts_forget_url(x);
}

/* ---- bodies ----------------------------------------------------------------------------------- */

static bool host_has_body(void *ctx, enum policy_message m)
{
    const struct exchange *x = exchange_of(ctx);

    if (m == POLICY_REQUEST)
        return x->request.upgrade.n == 0 && !str_eq(x->request.method, STR("CONNECT"));
    return x->response.status != 101 && x->response.body != HTTP_BODY_NONE;
}

static bool is_complete(const struct exchange *x, enum policy_message m)
{
    if (m == POLICY_REQUEST)
        return x->request.body == HTTP_BODY_NONE;
    return x->response.body == HTTP_BODY_NONE || x->response_ended;
}

/* What the message says of itself is believed when it is too much. */
static bool is_announced_too_large(const struct exchange *x, enum policy_message m, size_t max)
{
    if (m == POLICY_REQUEST)
        return x->request.body == HTTP_BODY_LENGTH && x->request.content_length > max;
    return x->response.body == HTTP_BODY_LENGTH && x->response.content_length > max;
}

/* A client that waits for permission to send its body gets it from us. */
static void ask_for_body(struct exchange *x)
{
    struct http_response interim = { .status = 100, .reason = STR("Continue") };

    if (!x->request.expect_continue)
        return;
    x->request.expect_continue = false;
    (void)http_headers_remove(&x->request.headers, STR("expect"));
    x->down->ops->send_head(x->down, &interim, true);
    x->down->ops->flush(x->down);
}

static void start_gathering(struct exchange *x, enum policy_message m, size_t max_bytes)
{
    struct gather *g = m == POLICY_REQUEST ? &x->request_body : &x->response_body;

    buf_init(&g->data, max_bytes);
    g->max_bytes = max_bytes;
    g->state = is_complete(x, m) ? GATHER_WHOLE : GATHER_RUNS;
    if (g->state == GATHER_RUNS && is_announced_too_large(x, m, max_bytes))
        g->state = GATHER_TOO_LARGE;
    if (m == POLICY_REQUEST && g->state == GATHER_RUNS)
        ask_for_body(x);
}

static enum policy_ready host_body(void *ctx, enum policy_message m, size_t max_bytes,
                                   struct str *out, struct err *e)
{
    struct exchange *x = exchange_of(ctx);
    struct gather *g = m == POLICY_REQUEST ? &x->request_body : &x->response_body;

    if (g->state == GATHER_NOT)
        start_gathering(x, m, max_bytes);
    switch (g->state) {
    case GATHER_NOT:
    case GATHER_RUNS:
        return POLICY_PENDING;
    case GATHER_WHOLE:
        if (m == POLICY_RESPONSE && exchange_apply_inner_filters(x, max_bytes, e) == -1)
            return POLICY_FAILED;
        if (g->data.len <= max_bytes) {
            *out = buf_str(&g->data);
            return POLICY_READY;
        }
        break;
    case GATHER_TOO_LARGE:
        break;
    }
    (void)err_set(e, m == POLICY_REQUEST ? E_POLICY_BODY_TOO_LARGE : E_POLICY_RESPONSE_TOO_LARGE,
                  "the body is larger than %zu bytes, which the traffic policy can handle",
                  max_bytes);
    return POLICY_FAILED;
}

static void host_set_body(void *ctx, enum policy_message m, struct str body)
{
    struct exchange *x = exchange_of(ctx);
    struct gather *g = m == POLICY_REQUEST ? &x->request_body : &x->response_body;
    struct buf data;

    assert(g->state == GATHER_WHOLE);
    buf_init(&data, SIZE_MAX / 2);
    buf_add_str(&data, body);
    if (m == POLICY_RESPONSE || !exchange_keep_body(ctx, g))
        buf_fini(&g->data);
    g->data = data;
    g->has_trailers = false; /* they may tell of the old body */
    if (m == POLICY_RESPONSE && x->response.body == HTTP_BODY_NONE)
        x->response.body = HTTP_BODY_LENGTH;
}

static void host_add_filter(void *ctx, struct policy_filter *filter)
{
    exchange_add_filter(&exchange_of(ctx)->filters, filter);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static enum policy_ready host_job(void *ctx, struct policy_job *job)
{
    struct exchange *x = exchange_of(ctx);

    return policy_wait_job(&x->waiter, job);
}

static enum policy_ready host_fetch(void *ctx, const struct policy_fetch *request,
                                    struct policy_fetched *out, struct err *e)
{
    struct exchange *x = exchange_of(ctx);

    return policy_wait_fetch(&x->waiter, request, out, e);
}

static enum policy_ready host_fetch_shared(void *ctx, const struct policy_shared_fetch *request,
                                           struct policy_shared_fetched *out, struct err *e)
{
    struct exchange *x = exchange_of(ctx);

    return policy_wait_fetch_shared(&x->waiter, request, out, e);
}

static void wake(void *arg)
{
    exchange_wake(arg);
}

void exchange_cancel_waits(struct exchange *x)
{
    conn_policy_forget(&x->connect);
    policy_wait_cancel(&x->waiter);
}

/* ---- what the operator lends ------------------------------------------------------------------- */

static struct str host_secret(void *ctx, struct str vault, struct str name)
{
    const struct exchange_hop *hop = ctx;

    return policy_data_secret(hop->exchange->data, str_from(hop->endpoint->account), vault, name);
}

static const struct policy_ip_rules *host_ip_policy(void *ctx, struct str name)
{
    const struct exchange_hop *hop = ctx;

    return policy_data_ip_policy(hop->exchange->data, str_from(hop->endpoint->account), name);
}

/* Whatever brought the request here has ended TLS before. */
static enum policy_ready host_terminate_tls(void *ctx, const struct policy_tls *settings,
                                            struct err *e)
{
    (void)ctx;
    (void)settings;
    (void)err_set(e, E_GATEWAY, "TLS cannot end in the middle of a connection");
    return POLICY_FAILED;
}

static int host_forward(void *ctx, struct str url, struct err *e)
{
    return exchange_find_target(ctx, url, e);
}

static const struct policy_host exchange_policy_host = {
    .var = host_var,
    .client_addr = host_client_addr,
    .header_find = host_header_find,
    .header_add = host_header_add,
    .header_remove = host_header_remove,
    .set_target = host_set_target,
    .body = host_body,
    .set_body = host_set_body,
    .has_body = host_has_body,
    .add_filter = host_add_filter,
    .fetch = host_fetch,
    .fetch_shared = host_fetch_shared,
    .job = host_job,
    .secret = host_secret,
    .ip_policy = host_ip_policy,
    .terminate_tls = host_terminate_tls,
    .forward = host_forward,
};

/* ---- the run ---------------------------------------------------------------------------------- */

enum policy_verdict exchange_ask_connect(struct exchange *x, conn_policy_done_fn *done)
{
    x->connect.done = done;
    x->connect.arg = x;
    x->connect.has_event = true;
    return conn_policy_ask(x->gateway, x->origin, &x->client, x->first.endpoint, &x->connect);
}

/* What the policies of all hops share. */
static void prepare_policies(struct exchange *x)
{
    struct gateway *g = x->gateway;

    if (x->waiter.gateway != NULL)
        return; /* it is done */
    policy_data_ref(g->policy_data);
    x->data = g->policy_data;
    x->waiter = (struct policy_waiter){
        .gateway = g,
        .hops = fetch_hops(&x->request.headers), /* before a rule can remove it */
        .wake = wake,
        .arg = x,
    };
    buf_init(&x->pending, FILTER_OUTPUT_MAX_BYTES + g->config->policy_body_max_bytes);
}

void exchange_start_policy(struct exchange *x)
{
    struct exchange_hop *hop = x->hop;
    struct policy_run_params params;

    if (hop->endpoint->policy == NULL)
        return;
    prepare_policies(x);
    params = (struct policy_run_params){
        .policy = hop->endpoint->policy,
        .host = &exchange_policy_host,
        .ctx = hop,
        .arena = &x->arena,
        .local = gateway_policy_local(x->gateway),
        .endpoint = str_from(hop->endpoint->url.host),
        .connection = hop->outer == NULL ? conn_policy_run(&x->connect) : NULL,
    };
    hop->run = policy_run_new(&params);
}

static bool has_phase(const struct exchange_hop *hop, enum policy_phase phase)
{
    return hop->run != NULL && policy_has_phase(hop->endpoint->policy, phase);
}

enum policy_verdict exchange_run_phase(struct exchange *x, enum policy_phase phase)
{
    return has_phase(x->hop, phase) ? policy_run_phase(x->hop->run, phase) : POLICY_CONTINUE;
}

static bool is_event_stream(const struct exchange *x)
{
    const struct http_header *type =
        http_headers_find(&x->response.headers, STR("content-type"), 0);

    return type != NULL && x->response.body != HTTP_BODY_NONE &&
           media_type_is(type->value, STR("text/event-stream"));
}

/* Messages are read in the clear; false when the stream is in a coding that is not known. */
static bool decode_stream(struct exchange *x)
{
    struct http_headers *h = &x->response.headers;
    const struct http_header *encoding = http_headers_find(h, STR("content-encoding"), 0);
    struct policy_filter *f;
    enum coding coding;

    if (encoding == NULL || str_eq_nocase(str_trim_ows(encoding->value), STR("identity")))
        return true;
    if (coding_find(str_trim_ows(encoding->value), &coding) == -1)
        return false;
    f = decode_filter_new(coding);
    if (f == NULL)
        return false;
    exchange_add_filter(&x->filters, f);
    (void)http_headers_remove(h, STR("content-encoding"));
    return true;
}

void exchange_add_event_stream_filter(struct exchange *x)
{
    struct policy_filter *f;

    if (x->hop->run == NULL || !is_event_stream(x))
        return;
    x->flushes = true;
    if (!has_phase(x->hop, POLICY_ON_EVENT_STREAM_MESSAGE) || !decode_stream(x))
        return;
    f = policy_run_event_stream_filter(x->hop->run);
    if (f != NULL)
        exchange_add_filter(&x->filters, f);
}
