/*
 * Both bodies stream through without being gathered: a piece that came from one side is given to the
 * other side's codec at once, and while that codec is blocked the first side is not read. So an
 * exchange holds a head and a few pieces whatever the size of its bodies.
 *
 * One timer serves all waits. It is not restarted for every piece: it looks, when it fires, how long
 * ago bytes last moved, and sleeps for the rest.
 */
#include "gateway/exchange.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/error_page.h"
#include "gateway/exchange_int.h"
#include "gateway/gateway_int.h"
#include "gateway/headers.h"
#include "gateway/outbuf.h"
#include "gateway/upstream.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

#define BIT(n) (1U << (n))

static const struct {
    const char *name;
    unsigned next;
} exchange_states[] = {
    [EXCHANGE_NEW] = { "new", BIT(EXCHANGE_WAIT) | BIT(EXCHANGE_DONE) },
    [EXCHANGE_WAIT] = { "wait",
                        BIT(EXCHANGE_RESPONSE) | BIT(EXCHANGE_TUNNEL) | BIT(EXCHANGE_DONE) },
    [EXCHANGE_RESPONSE] = { "response", BIT(EXCHANGE_DONE) },
    [EXCHANGE_TUNNEL] = { "tunnel", BIT(EXCHANGE_DONE) },
    [EXCHANGE_DONE] = { "done", 0 },
};

static void set_state(struct exchange *x, enum exchange_state next)
{
    assert(exchange_states[x->state].next & BIT(next));
    x->state = next;
}

static struct metrics *metrics_of(const struct exchange *x)
{
    return worker_metrics(x->gateway->worker);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents);

struct exchange *exchange_new(struct gateway *g, struct downstream *d,
                              const struct exchange_origin *origin)
{
    struct exchange *x = mem_zalloc(sizeof(*x));

    x->gateway = g;
    x->down = d;
    x->origin = origin;
    arena_init(&x->arena);
    ev_init(&x->timer, on_timer);
    x->timer.data = x;
    return x;
}

void exchange_discard(struct exchange *x)
{
    if (x == NULL)
        return;
    assert(x->state == EXCHANGE_NEW);
    endpoint_unref(x->endpoint);
    arena_fini(&x->arena);
    mem_free(x);
}

static void free_exchange(struct worker *w, void *arg)
{
    struct exchange *x = arg;

    (void)w;
    endpoint_unref(x->endpoint);
    arena_fini(&x->arena);
    mem_free(x);
}

struct http_request *exchange_request(struct exchange *x)
{
    return &x->request;
}

struct arena *exchange_arena(struct exchange *x)
{
    return &x->arena;
}

void exchange_move(struct exchange *x, struct gateway *g)
{
    assert(x->state == EXCHANGE_NEW);
    x->gateway = g;
    /* The other worker's table gave the endpoint; this one's may differ by now. */
    endpoint_unref(x->endpoint);
    x->endpoint = NULL;
}

struct endpoint *exchange_route(struct exchange *x)
{
    struct endpoint *ep;

    if (x->endpoint != NULL)
        return x->endpoint;
    ep = routes_find(x->gateway->routes, x->origin->scheme, str_from(x->request.host),
                     scheme_default_port(x->origin->scheme));
    if (ep != NULL)
        endpoint_ref(ep);
    x->endpoint = ep;
    return ep;
}

/* The one end of every exchange that was started. */
static void finish(struct exchange *x, enum exchange_end how, enum close_reason why)
{
    if (x->state == EXCHANGE_DONE)
        return;
    set_state(x, EXCHANGE_DONE);
    x->why = why;
    ev_timer_stop(worker_loop(x->gateway->worker), &x->timer);
    upstream_close(x->upstream, why);
    exchange_publish(x);
    metrics_add(metrics_of(x), METRIC_EXCHANGES, -1);
    metrics_add(metrics_of(x), METRIC_REQUESTS_TOTAL, 1);
    x->down->ops->finished(x->down, how);
    worker_defer(x->gateway->worker, free_exchange, x); /* callers may be on the stack */
}

static void begin(struct exchange *x)
{
    x->start_us = clock_mono_us();
    x->active_ms = x->start_us / 1000;
    metrics_add(metrics_of(x), METRIC_EXCHANGES, 1);
}

/* True while the visitor still owes bytes of its request. */
static bool is_body_awaited(const struct exchange *x)
{
    return !x->request_done && x->request.body != HTTP_BODY_NONE;
}

/* ---- answers of the gateway itself -------------------------------------------------------------- */

/* RFC 9110 section 6.4.1: what stands behind such a head would be taken for the next response. */
static bool may_have_body(const struct exchange *x, unsigned status)
{
    return status >= 200 && status != 204 && status != 304 &&
           !str_eq(x->request.method, STR("HEAD"));
}

static void send_whole(struct exchange *x, struct str body)
{
    bool has_body = may_have_body(x, x->response.status);

    x->response.reason = str_from(http_reason(x->response.status));
    x->response.has_content_length = true;
    x->response.content_length = body.n;
    x->response.body = has_body && body.n > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    x->response.keep_alive = !is_body_awaited(x); /* unread bytes would be taken for a request */
    x->status = x->response.status;
    x->down->ops->send_head(x->down, &x->response, false);
    if (x->response.body == HTTP_BODY_LENGTH) {
        assert(body.n <= OUTBUF_HIGH_BYTES); /* pages and policies' answers are far below */
        x->down->ops->send_body(x->down, body);
        x->response_bytes += body.n;
    }
    x->down->ops->send_end(x->down, NULL);
    finish(x, EXCHANGE_COMPLETE, x->why);
}

static void answer_error(struct exchange *x, const struct err *e, enum close_reason why)
{
    const struct http_header *accept = http_headers_find(&x->request.headers, STR("accept"), 0);
    struct error_page page = { 0 };

    x->why = why;
    x->error_number = err_number(e->code);
    metrics_add(metrics_of(x), METRIC_ERRORS_TOTAL, 1);
    error_page_make(e, accept == NULL ? STR_NONE : accept->value,
                    x->gateway->config->ngrok_error_header, &x->arena, &page);
    x->response = (struct http_response){ .status = page.status, .headers = page.headers };
    send_whole(x, page.body);
}

/* The response of a policy action. */
static void answer_policy(struct exchange *x)
{
    const struct policy_response *r = &x->policy.response;
    struct err e = { .code = r->error };

    if (r->error != E_OK) {
        (void)err_set(&e, r->error, "%s", r->message);
        answer_error(x, &e, CLOSE_POLICY);
        return;
    }
    x->why = CLOSE_POLICY;
    x->response = (struct http_response){ .status = r->status };
    for (size_t i = 0; i < r->header_count; i++)
        http_headers_add(&x->response.headers, &x->arena, r->headers[i].name, r->headers[i].value);
    send_whole(x, r->body);
}

/* Acts on a verdict; returns true when the exchange goes on. */
static bool obey(struct exchange *x, enum policy_verdict verdict)
{
    switch (verdict) {
    case POLICY_CONTINUE:
        return true;
    case POLICY_RESPOND:
        answer_policy(x);
        return false;
    case POLICY_CLOSE:
        finish(x, EXCHANGE_CUT, CLOSE_POLICY);
        return false;
    }
    return false;
}

/* ---- timeouts ----------------------------------------------------------------------------------- */

/* How long bytes may stand still in the present state; 0: for ever. */
static uint64_t patience_ms(const struct exchange *x)
{
    const struct config *c = x->gateway->config;

    /* A tunnel of which one side has ended is no WebSocket that may be silent for ever. */
    if (x->state == EXCHANGE_TUNNEL && !x->request_done && !x->response_done)
        return c->upgrade_idle_timeout_ms;
    if (x->state == EXCHANGE_WAIT && !is_body_awaited(x))
        return c->response_head_timeout_ms;
    return c->stall_timeout_ms;
}

static void arm_timer(struct exchange *x)
{
    uint64_t patience = patience_ms(x);
    uint64_t idle = clock_mono_ms() - x->active_ms;
    struct ev_loop *loop = worker_loop(x->gateway->worker);

    ev_timer_stop(loop, &x->timer);
    if (patience == 0)
        return;
    ev_timer_set(&x->timer, (double)(patience > idle ? patience - idle : 1) / 1000.0, 0.0);
    ev_timer_start(loop, &x->timer);
}

/* True when the upstream takes no more of the request. */
static bool is_upstream_stuck(struct exchange *x)
{
    return x->upstream != NULL && upstream_is_blocked(x->upstream);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct exchange *x = watcher->data;
    uint64_t patience = patience_ms(x);
    struct err e;

    (void)loop;
    (void)revents;
    /* A reload may have changed the limit since the timer was set, also to "for ever". */
    if (patience == 0 || clock_mono_ms() - x->active_ms < patience) {
        arm_timer(x);
        return;
    }
    if (x->state != EXCHANGE_WAIT) {
        finish(x, EXCHANGE_CUT, CLOSE_IDLE);
    } else if (is_body_awaited(x) && !is_upstream_stuck(x)) {
        (void)err_set(&e, E_REQUEST_TIMEOUT, "the request body did not arrive in time");
        answer_error(x, &e, CLOSE_TIMEOUT);
    } else {
        (void)err_set(&e, E_UPSTREAM_TIMEOUT, "gateway timeout: the upstream sent no response");
        answer_error(x, &e, CLOSE_TIMEOUT);
    }
}

static void note_activity(struct exchange *x)
{
    x->active_ms = clock_mono_ms();
}

void exchange_on_progress(struct exchange *x)
{
    note_activity(x);
}

/* ---- heads ---------------------------------------------------------------------------------------- */

/* True when what policies and rewriting made of a head is too much for one: the codecs have room for
 * its limit and EXCHANGE_HEAD_GROWTH_BYTES. */
static bool is_overgrown(const struct http_headers *h, uint64_t start_line_bytes, uint64_t limit)
{
    uint64_t bytes = start_line_bytes;

    for (size_t i = 0; i < h->count; i++)
        bytes += h->items[i].name.n + h->items[i].value.n + sizeof(": \r\n") - 1;
    return bytes > limit + EXCHANGE_HEAD_GROWTH_BYTES / 2; /* the other half is for the codec */
}

/* ---- the request ---------------------------------------------------------------------------------- */

static void dial(struct exchange *x, bool fresh)
{
    const struct upstream_params params = {
        .gateway = x->gateway,
        .exchange = x,
        .endpoint = x->endpoint,
        .request = &x->request,
        .host = x->host,
        .client = &x->origin->client,
        .fresh = fresh,
    };

    x->upstream_start_us = clock_mono_us();
    x->upstream = upstream_new(&params);
}

static void prepare_headers(struct exchange *x)
{
    struct http_headers *h = &x->request.headers;

    headers_strip_hop_by_hop(h);
    headers_strip_request_reserved(h);
    headers_add_forwarded(h, &x->arena, &x->origin->client,
                          str_from(scheme_name(x->origin->scheme)), x->request.authority);
    x->host = x->request.authority;
}

void exchange_start(struct exchange *x)
{
    struct err e;

    begin(x);
    x->request_done = x->request.body == HTTP_BODY_NONE && x->request.upgrade.n == 0;
    if (exchange_route(x) == NULL) {
        (void)err_set(&e, E_ENDPOINT_OFFLINE, "the endpoint %s://%s is offline",
                      scheme_name(x->origin->scheme), x->request.host);
        answer_error(x, &e, CLOSE_DONE);
        return;
    }
    prepare_headers(x);
    if (!obey(x, exchange_run_policy(x, POLICY_ON_HTTP_REQUEST)))
        return;
    if (is_overgrown(&x->request.headers, x->request.target.n + x->host.n,
                     x->gateway->config->request_head_max_bytes)) {
        (void)err_set(&e, E_HEAD_TOO_LARGE, "the head is too large with the endpoint's headers");
        answer_error(x, &e, CLOSE_LIMIT);
        return;
    }
    dial(x, false);
    set_state(x, EXCHANGE_WAIT);
    arm_timer(x);
    if (x->request_done)
        upstream_flush(x->upstream);
}

void exchange_refuse(struct exchange *x, const struct err *e)
{
    begin(x);
    answer_error(x, e, CLOSE_PROTOCOL);
}

void exchange_on_request_data(struct exchange *x, struct str data)
{
    if (x->state == EXCHANGE_DONE)
        return;
    note_activity(x);
    x->request_bytes += data.n;
    metrics_add(metrics_of(x), METRIC_BYTES_IN_TOTAL, (int64_t)data.n);
    upstream_send_body(x->upstream, data);
}

bool exchange_is_request_blocked(struct exchange *x)
{
    /* An upgrade request has no body: what follows it waits for the 101. */
    if (x->state == EXCHANGE_WAIT && x->request.upgrade.n > 0 && x->request.body == HTTP_BODY_NONE)
        return true;
    return x->upstream != NULL && upstream_is_blocked(x->upstream);
}

/* A tunnel ends when both directions have, and all bytes are on their way to the upstream. */
static void end_tunnel(struct exchange *x)
{
    if (x->request_done && x->response_done && upstream_is_flushed(x->upstream))
        finish(x, EXCHANGE_COMPLETE, CLOSE_DONE);
    else
        arm_timer(x);
}

void exchange_on_request_end(struct exchange *x, const struct http_headers *trailers)
{
    if (x->state == EXCHANGE_DONE || x->request_done)
        return;
    note_activity(x);
    x->request_done = true;
    upstream_send_end(x->upstream, trailers);
    upstream_flush(x->upstream);
    if (x->state == EXCHANGE_TUNNEL)
        end_tunnel(x);
    else
        arm_timer(x);
}

void exchange_on_request_bad(struct exchange *x, const struct err *e)
{
    if (x->state == EXCHANGE_WAIT)
        answer_error(x, e, CLOSE_PROTOCOL);
    else if (x->state != EXCHANGE_DONE)
        finish(x, EXCHANGE_CUT, CLOSE_PROTOCOL);
}

void exchange_on_request_flush(struct exchange *x)
{
    if (x->state != EXCHANGE_DONE && x->upstream != NULL)
        upstream_flush(x->upstream);
}

void exchange_on_writable(struct exchange *x)
{
    if (x->state == EXCHANGE_DONE)
        return;
    note_activity(x);
    if (x->upstream != NULL)
        upstream_resume(x->upstream);
}

void exchange_on_lost(struct exchange *x, enum close_reason why)
{
    finish(x, EXCHANGE_CUT, why);
}

/* ---- the response ---------------------------------------------------------------------------------- */

static void start_tunnel(struct exchange *x)
{
    set_state(x, EXCHANGE_TUNNEL);
    x->request_done = false; /* from now on: the visitor half-closed */
    x->status = 101;
    x->down->ops->send_head(x->down, &x->response, false);
    arm_timer(x);
    x->down->ops->resume(x->down);
}

static void pass_interim(struct exchange *x)
{
    headers_strip_hop_by_hop(&x->response.headers);
    (void)headers_strip_error_codes(&x->response.headers);
    x->down->ops->send_head(x->down, &x->response, true);
}

static void strip_response(struct exchange *x)
{
    size_t forged = headers_strip_error_codes(&x->response.headers);

    headers_strip_hop_by_hop(&x->response.headers);
    if (forged > 0)
        metrics_add(metrics_of(x), METRIC_UPSTREAM_ERROR_HEADERS_TOTAL, (int64_t)forged);
}

void exchange_on_response(struct exchange *x, struct http_response *head)
{
    struct err e;

    if (x->state != EXCHANGE_WAIT)
        return;
    note_activity(x);
    x->response = *head;
    x->response.keep_alive = true; /* the upstream's connection says nothing about the visitor's */
    if (head->status < 200 && head->status != 101) {
        pass_interim(x);
        return;
    }
    x->upstream_us = clock_mono_us() - x->upstream_start_us;
    strip_response(x);
    if (!obey(x, exchange_run_policy(x, POLICY_ON_HTTP_RESPONSE)))
        return;
    if (x->host_rewritten)
        headers_rewrite_back(&x->response.headers, &x->arena, x->host,
                             str_from(scheme_name(x->origin->scheme)), x->request.authority);
    if (is_overgrown(&x->response.headers, x->response.reason.n,
                     x->gateway->config->response_head_max_bytes)) {
        (void)err_set(&e, E_UPSTREAM_INVALID,
                      "the head of the response is too large with the endpoint's headers");
        answer_error(x, &e, CLOSE_LIMIT);
        return;
    }
    if (head->status == 101) {
        http_headers_add(&x->response.headers, &x->arena, STR("connection"), STR("upgrade"));
        http_headers_add(&x->response.headers, &x->arena, STR("upgrade"), x->response.upgrade);
        start_tunnel(x);
        return;
    }
    set_state(x, EXCHANGE_RESPONSE);
    x->status = head->status;
    x->down->ops->send_head(x->down, &x->response, false);
    arm_timer(x);
}

void exchange_on_response_data(struct exchange *x, struct str data)
{
    if (x->state == EXCHANGE_DONE)
        return;
    note_activity(x);
    x->response_bytes += data.n;
    metrics_add(metrics_of(x), METRIC_BYTES_OUT_TOTAL, (int64_t)data.n);
    x->down->ops->send_body(x->down, data);
}

bool exchange_is_response_blocked(struct exchange *x)
{
    return x->state != EXCHANGE_DONE && x->down->ops->is_blocked(x->down);
}

void exchange_on_response_end(struct exchange *x, struct http_headers *trailers)
{
    if (x->state == EXCHANGE_DONE)
        return;
    if (trailers != NULL) {
        size_t forged = headers_strip_error_codes(trailers);

        if (forged > 0)
            metrics_add(metrics_of(x), METRIC_UPSTREAM_ERROR_HEADERS_TOTAL, (int64_t)forged);
    }
    note_activity(x);
    x->down->ops->send_end(x->down, trailers);
    if (x->state == EXCHANGE_TUNNEL) {
        x->response_done = true;
        x->down->ops->flush(x->down);
        end_tunnel(x);
        return;
    }
    finish(x, EXCHANGE_COMPLETE, CLOSE_DONE);
}

void exchange_on_response_flush(struct exchange *x)
{
    if (x->state != EXCHANGE_DONE)
        x->down->ops->flush(x->down);
}

void exchange_on_upstream_writable(struct exchange *x)
{
    if (x->state == EXCHANGE_DONE)
        return;
    note_activity(x);
    if (x->state == EXCHANGE_TUNNEL)
        end_tunnel(x);
    if (x->state != EXCHANGE_DONE)
        x->down->ops->resume(x->down);
}

/* RFC 9112 section 9.3.1: a request that changes nothing may be sent again when a kept connection
 * turns out to have been closed. */
static bool may_retry(const struct exchange *x)
{
    return x->state == EXCHANGE_WAIT && upstream_is_stale(x->upstream) &&
           x->request.body == HTTP_BODY_NONE && http_method_is_idempotent(x->request.method);
}

void exchange_on_upstream_failed(struct exchange *x, enum close_reason why, const struct err *e)
{
    if (may_retry(x)) {
        metrics_add(metrics_of(x), METRIC_RETRIES_TOTAL, 1);
        upstream_close(x->upstream, why);
        dial(x, true);
        upstream_flush(x->upstream);
        return;
    }
    switch (x->state) {
    case EXCHANGE_NEW:
    case EXCHANGE_WAIT:
        answer_error(x, e, why);
        break;
    case EXCHANGE_RESPONSE:
        finish(x, EXCHANGE_CUT, why);
        break;
    case EXCHANGE_TUNNEL:
        finish(x, why == CLOSE_DONE ? EXCHANGE_COMPLETE : EXCHANGE_CUT, why);
        break;
    case EXCHANGE_DONE:
        break;
    }
}
