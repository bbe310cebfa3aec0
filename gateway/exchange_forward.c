/*
 * A request on its way through internal endpoints (spec traffic-policy 6.9).
 *
 * The endpoints it came to are a chain of hops. On the way in x->hop is the last of them: its rules for
 * requests run, and if they forward, the next hop is put behind it; else its upstream is asked. The
 * response takes the same way out: x->hop steps from each endpoint to the one that forwarded to it, and
 * the rules for responses run at each. There is one request, one response and one list of filters, which
 * all of them change in turn.
 *
 * A hop that got no answer from its upstream is taken off the chain, the request becomes what it was in
 * front of it, and the policy that forwarded goes on, or not, as its on_error says. That takes that
 * nobody else has acted on the request meanwhile, so it is only done while its body is still here, and
 * while it was either not sent or is safe to repeat.
 */
#include "gateway/config.h"
#include "gateway/exchange_int.h"
#include "gateway/forward.h"
#include "gateway/gateway_int.h"
#include "gateway/policy_vars.h"
#include "gateway/upstream.h"
#include "tunnel/endpoint.h"

/* ---- the request as it was ---------------------------------------------------------------------- */

static struct request_copy *remember(struct exchange *x)
{
    const struct http_headers *h = &x->request.headers;
    struct request_copy *copy = arena_zalloc(&x->arena, sizeof(*copy));

    copy->request = x->request;
    copy->request.headers = (struct http_headers){ 0 };
    http_headers_reserve(&copy->request.headers, &x->arena, h->count);
    for (size_t i = 0; i < h->count; i++)
        http_headers_add(&copy->request.headers, &x->arena, h->items[i].name, h->items[i].value);
    copy->host = x->host;
    copy->host_rewritten = x->host_rewritten;
    return copy;
}

static void restore(struct exchange *x, struct request_copy *copy)
{
    bool was_told_to_send = copy->request.expect_continue && !x->request.expect_continue;

    x->request = copy->request;
    x->host = copy->host;
    x->host_rewritten = copy->host_rewritten;
    if (was_told_to_send) {
        x->request.expect_continue = false;
        (void)http_headers_remove(&x->request.headers, STR("expect"));
    }
    if (copy->body.state != GATHER_NOT) {
        gather_fini(&x->request_body);
        x->request_body = copy->body;
        copy->body = (struct gather){ .state = GATHER_NOT };
    }
    policy_facts_forget_url(x);
}

bool exchange_keep_body(struct exchange_hop *hop, const struct gather *was)
{
    if (hop->before == NULL || hop->before->body.state != GATHER_NOT)
        return false;
    hop->before->body = *was;
    return true;
}

/* ---- hops --------------------------------------------------------------------------------------- */

static void free_hop(struct exchange_hop *hop)
{
    policy_run_free(hop->run);
    endpoint_leave(hop->endpoint);
    pool_tried_fini(&hop->tried);
    if (hop->before != NULL)
        gather_fini(&hop->before->body);
}

void exchange_free_hops(struct exchange *x)
{
    for (struct exchange_hop *hop = x->last; hop != NULL; hop = hop->outer)
        free_hop(hop);
    endpoint_leave(x->target);
}

int exchange_find_target(struct exchange_hop *hop, struct str url, struct err *e)
{
    struct exchange *x = hop->exchange;
    const struct config *c = x->gateway->config;

    if (hop->depth >= c->forward_hops_max)
        return err_set(e, E_FORWARD_HOPS, "the request has passed %u internal endpoints",
                       hop->depth);
    if (x->forwards >= c->forwards_max)
        return err_set(e, E_FORWARD_HOPS, "the request was forwarded %u times", x->forwards);
    endpoint_leave(x->target);
    x->target = forward_find(x->gateway, hop->endpoint, url, FORWARD_HTTP, e);
    return x->target == NULL ? -1 : 0;
}

enum policy_verdict exchange_step_in(struct exchange *x)
{
    struct exchange_hop *hop = arena_zalloc(&x->arena, sizeof(*hop));

    hop->exchange = x;
    hop->outer = x->hop;
    hop->depth = x->hop->depth + 1;
    hop->endpoint = x->target;
    x->target = NULL;
    x->forwards++;
    hop->before = remember(x);
    x->hop = x->last = hop;
    exchange_start_policy(x);
    return exchange_run_phase(x, POLICY_ON_HTTP_REQUEST);
}

bool exchange_step_out(struct exchange *x)
{
    struct exchange_hop *hop = x->hop;

    if (hop->outer == NULL)
        return false;
    hop->status = x->response.status;
    hop->error_number = x->error_number;
    exchange_leave_filters(x);
    exchange_frame_response(x);
    x->hop = hop->outer;
    return true;
}

/* True if another endpoint may get the request that this upstream failed. */
static bool may_go_elsewhere(const struct exchange *x)
{
    if (x->request_sent)
        return false;
    switch (upstream_fate(x->upstream)) {
    case UPSTREAM_UNREACHED:
    case UPSTREAM_UNPROCESSED:
        return true;
    case UPSTREAM_STALE:
    case UPSTREAM_PROCESSED:
        return http_method_is_idempotent(x->request.method);
    }
    return false;
}

/* The policy that forwarded goes on with the request as it had it. */
static void go_on_without(struct exchange *x, struct exchange_hop *failed, const struct err *e)
{
    enum policy_verdict verdict;

    exchange_note_activity(x); /* what comes next has all of its time */
    exchange_publish_last(x);
    restore(x, failed->before);
    x->last = x->hop;
    free_hop(failed);
    exchange_set_state(x, EXCHANGE_POLICY);
    verdict = policy_run_forward_failed(x->hop->run, e);
    if (verdict == POLICY_RESPOND)
        exchange_tell_breakers(x->hop, true); /* nothing else was asked for it */
    exchange_on_request_verdict(x, verdict);
    exchange_after_policy(x);
    if (x->state != EXCHANGE_DONE)
        x->down->ops->flush(x->down);
}

void exchange_step_back(struct exchange *x, const struct err *e, enum close_reason why)
{
    struct exchange_hop *failed = x->hop;
    bool goes_on = may_go_elsewhere(x);

    upstream_close(x->upstream, why);
    x->upstream = NULL;
    exchange_tell_breakers(failed, true);
    failed->status = err_status(e->code);
    failed->error_number = err_number(e->code);
    x->hop = failed->outer;
    if (goes_on) {
        go_on_without(x, failed, e);
        return;
    }
    exchange_tell_breakers(x->hop, true);
    exchange_answer_rejection(x, e, why);
}
