/* The way of a response: the upstream's events, the rules for responses, the visitor. */
#include "gateway/exchange_int.h"

#include <assert.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/error_page.h"
#include "gateway/gateway_int.h"
#include "gateway/headers.h"
#include "gateway/outbuf.h"
#include "gateway/upstream.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

enum { EXCHANGE_RETRIES_MAX = 5 };

static void start_tunnel(struct exchange *x)
{
    exchange_set_state(x, EXCHANGE_TUNNEL);
    x->request_done = false; /* from now on: the visitor half-closed */
    exchange_note_head(x);
    x->down->ops->send_head(x->down, &x->response, false);
    exchange_arm_timer(x);
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
        metrics_add(exchange_metrics(x), METRIC_UPSTREAM_ERROR_HEADERS_TOTAL, (int64_t)forged);
}

void exchange_tell_breakers(struct exchange *x, bool failed)
{
    if (x->run == NULL || x->upstream_told)
        return;
    x->upstream_told = true;
    policy_run_upstream_result(x->run, failed);
}

void exchange_complete(struct exchange *x)
{
    x->down->ops->send_end(x->down,
                           x->response_body.has_trailers ? &x->response_body.trailers : NULL);
    exchange_finish(x, EXCHANGE_COMPLETE, x->why);
}

static void start_response(struct exchange *x)
{
    bool gathered = x->response_body.state == GATHER_WHOLE;
    bool ended = x->response_ended;
    struct buf body = x->response_body.data;

    x->response_ended = false; /* not before filters have made the end of theirs */
    exchange_frame_response(x);
    exchange_set_state(x, EXCHANGE_RESPONSE);
    exchange_note_head(x);
    x->down->ops->send_head(x->down, &x->response, false);
    exchange_arm_timer(x);
    x->response_body.data = (struct buf){ 0 };
    if (gathered && x->response.body != HTTP_BODY_NONE)
        exchange_pass_response(x, buf_str(&body));
    buf_fini(&body);
    if (x->state == EXCHANGE_RESPONSE && ended)
        exchange_end_response(x);
}

/* The policy lets the response pass. */
void exchange_deliver_response(struct exchange *x)
{
    struct err e;

    if (x->host_rewritten)
        headers_rewrite_back(&x->response.headers, &x->arena, x->host,
                             str_from(scheme_name(x->origin->scheme)), x->request.authority);
    if (exchange_is_overgrown(&x->response.headers, x->response.reason.n,
                              x->gateway->config->response_head_max_bytes)) {
        (void)err_set(&e, E_UPSTREAM_INVALID,
                      "the head of the response is too large with the endpoint's headers");
        exchange_answer_error(x, &e, CLOSE_LIMIT);
        return;
    }
    if (x->response.status == 101 && x->upstream != NULL) {
        http_headers_add(&x->response.headers, &x->arena, STR("connection"), STR("upgrade"));
        http_headers_add(&x->response.headers, &x->arena, STR("upgrade"), x->response.upgrade);
        start_tunnel(x);
        return;
    }
    start_response(x);
}

/* Acts on the verdict of the response phase. */
void exchange_on_response_verdict(struct exchange *x, enum policy_verdict verdict)
{
    switch (verdict) {
    case POLICY_CONTINUE:
        exchange_deliver_response(x);
        return;
    case POLICY_SUSPEND:
        if (x->state != EXCHANGE_JUDGED)
            exchange_set_state(x, EXCHANGE_JUDGED);
        exchange_arm_timer(x);
        return;
    case POLICY_RESPOND:
        exchange_free_filters(x); /* they were for another body */
        exchange_answer_policy(x);
        return;
    case POLICY_CLOSE:
    case POLICY_FORWARD: /* no action of this phase forwards */
        exchange_finish(x, EXCHANGE_ABORTED, CLOSE_POLICY);
        return;
    }
}

/* The head of a response is known: the rules for it run. */
void exchange_judge_response(struct exchange *x)
{
    exchange_add_event_stream_filter(x);
    exchange_on_response_verdict(x, exchange_has_phase(x, POLICY_ON_HTTP_RESPONSE)
                                        ? policy_run_phase(x->run, POLICY_ON_HTTP_RESPONSE)
                                        : POLICY_CONTINUE);
}

void exchange_on_response(struct exchange *x, struct http_response *head)
{
    if (x->state != EXCHANGE_WAIT)
        return;
    exchange_note_activity(x);
    x->response = *head;
    x->response.keep_alive = true; /* the upstream's connection says nothing about the visitor's */
    if (head->status < 200 && head->status != 101) {
        pass_interim(x);
        return;
    }
    x->upstream_us = clock_mono_us() - x->upstream_start_us;
    strip_response(x);
    exchange_tell_breakers(x, head->status >= 500);
    exchange_judge_response(x);
}

void exchange_on_response_data(struct exchange *x, struct str data)
{
    if (x->state == EXCHANGE_DONE)
        return;
    exchange_note_activity(x);
    if (x->state == EXCHANGE_JUDGED)
        gather_add(x, &x->response_body, data);
    else
        exchange_pass_response(x, data);
}

bool exchange_is_response_blocked(struct exchange *x)
{
    if (x->state == EXCHANGE_JUDGED)
        return x->response_body.state != GATHER_RUNS;
    return x->state != EXCHANGE_DONE && (x->pending.len > 0 || x->down->ops->is_blocked(x->down));
}

void exchange_on_response_end(struct exchange *x, struct http_headers *trailers)
{
    if (x->state == EXCHANGE_DONE)
        return;
    if (trailers != NULL) {
        size_t forged = headers_strip_error_codes(trailers);

        if (forged > 0)
            metrics_add(exchange_metrics(x), METRIC_UPSTREAM_ERROR_HEADERS_TOTAL, (int64_t)forged);
    }
    exchange_note_activity(x);
    if (x->state == EXCHANGE_TUNNEL) {
        x->down->ops->send_end(x->down, trailers);
        x->response_done = true;
        x->down->ops->flush(x->down);
        exchange_end_tunnel(x);
        return;
    }
    gather_end(x, &x->response_body, trailers);
    if (x->state == EXCHANGE_JUDGED)
        x->response_ended = true;
    else
        exchange_end_response(x);
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
    exchange_note_activity(x);
    if (x->request_body.state == GATHER_WHOLE) {
        bool pumped = exchange_pump_request(x);

        upstream_flush(x->upstream);
        if (!pumped)
            return;
    }
    if (x->state == EXCHANGE_TUNNEL)
        exchange_end_tunnel(x);
    if (x->state != EXCHANGE_DONE)
        x->down->ops->resume(x->down);
}

/* ---- going again ----------------------------------------------------------------------------- */

/* Dials and sends what is left of the request, which is all of it. */
static void send_again(struct exchange *x, bool fresh)
{
    exchange_dial(x, fresh);
    /* An empty body has ended already and will not do so again. */
    if (x->request_body.state == GATHER_WHOLE)
        (void)exchange_pump_request(x);
    else if (x->request_done && x->request.body != HTTP_BODY_NONE)
        upstream_send_end(x->upstream, NULL);
    upstream_flush(x->upstream);
    /* What waited for the upstream before may not have to wait for this one. */
    if (exchange_is_body_awaited(x))
        x->down->ops->resume(x->down);
}

/* RFC 9112 section 9.3.1: a request that changes nothing may be sent again when a kept connection
 * turns out to have been closed; RFC 9113 section 8.7: any request that was not processed. */
static bool may_retry(const struct exchange *x)
{
    if (x->state != EXCHANGE_WAIT || x->retries == EXCHANGE_RETRIES_MAX)
        return false;
    switch (upstream_fate(x->upstream)) {
    case UPSTREAM_PROCESSED:
    case UPSTREAM_UNSENT:
        return false;
    case UPSTREAM_STALE:
        return x->request.body == HTTP_BODY_NONE && http_method_is_idempotent(x->request.method);
    case UPSTREAM_UNPROCESSED:
        return true;
    }
    return false;
}

/* Goes to the same endpoint again; false if it cannot. */
static bool retry(struct exchange *x, enum close_reason why)
{
    bool fresh;

    if (!may_retry(x))
        return false;
    fresh = upstream_fate(x->upstream) == UPSTREAM_STALE;
    x->retries++;
    metrics_add(exchange_metrics(x), METRIC_RETRIES_TOTAL, 1);
    upstream_close(x->upstream, why);
    send_again(x, fresh);
    return true;
}

/*
 * A request that is still whole may go to another member of the pool if it was never sent, or if it may
 * be repeated (RFC 9110 section 9.2.2) and the session that it went to has ended: then no other answer
 * can come. What an upstream itself did to a request is its answer.
 */
static bool may_move(const struct exchange *x, enum close_reason why)
{
    if (x->state != EXCHANGE_WAIT || !upstream_is_untouched(x->upstream))
        return false;
    switch (upstream_fate(x->upstream)) {
    case UPSTREAM_PROCESSED:
    case UPSTREAM_STALE:
        return why == CLOSE_SESSION_LOST && http_method_is_idempotent(x->request.method);
    case UPSTREAM_UNPROCESSED:
    case UPSTREAM_UNSENT:
        return true;
    }
    return false;
}

/* Goes to another member, whose rules are those that have run already; false if it cannot. */
static bool move(struct exchange *x, enum close_reason why)
{
    struct endpoint *other;

    if (!may_move(x, why))
        return false;
    other = routes_choose_other(x->gateway->routes, x->endpoint, &x->tried);
    if (other == NULL)
        return false;
    metrics_add(exchange_metrics(x), METRIC_POOL_MOVES_TOTAL, 1);
    upstream_close(x->upstream, why);
    endpoint_enter(other);
    x->endpoint = other; /* the one before stays with those that were tried */
    send_again(x, false);
    return true;
}

void exchange_on_upstream_failed(struct exchange *x, enum close_reason why, const struct err *e)
{
    bool is_lost = why == CLOSE_SESSION_LOST; /* the same endpoint has little to offer then */

    if ((is_lost && move(x, why)) || retry(x, why) || (!is_lost && move(x, why)))
        return;
    exchange_tell_breakers(x, true);
    switch (x->state) {
    case EXCHANGE_NEW:
    case EXCHANGE_POLICY:
    case EXCHANGE_WAIT:
    case EXCHANGE_JUDGED:
        exchange_answer_error(x, e, why);
        break;
    case EXCHANGE_RESPONSE:
        exchange_finish(x, EXCHANGE_CUT, why);
        break;
    case EXCHANGE_TUNNEL:
        exchange_finish(x, why == CLOSE_DONE ? EXCHANGE_COMPLETE : EXCHANGE_CUT, why);
        break;
    case EXCHANGE_DONE:
        break;
    }
}
