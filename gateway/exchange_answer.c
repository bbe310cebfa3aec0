/* Answers that no upstream gave: error pages, and responses of the policy. */
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
    x->response.keep_alive =
        !exchange_is_body_awaited(x); /* unread bytes would be taken for a request */
    exchange_note_head(x);
    x->down->ops->send_head(x->down, &x->response, false);
    if (x->response.body == HTTP_BODY_LENGTH) {
        assert(body.n <= OUTBUF_HIGH_BYTES); /* pages and policies' answers are far below */
        x->down->ops->send_body(x->down, body);
        x->response_bytes += body.n;
        metrics_add(exchange_metrics(x), METRIC_BYTES_OUT_TOTAL, (int64_t)body.n);
    }
    x->down->ops->send_end(x->down, NULL);
    exchange_finish(x, EXCHANGE_COMPLETE, x->why);
}

void exchange_answer_error(struct exchange *x, const struct err *e, enum close_reason why)
{
    const struct http_header *accept = http_headers_find(&x->request.headers, STR("accept"), 0);
    struct error_page page = { 0 };

    x->why = why;
    x->error_number = err_number(e->code);
    metrics_add(exchange_metrics(x), METRIC_ERRORS_TOTAL, 1);
    error_page_make(e, accept == NULL ? STR_NONE : accept->value,
                    x->gateway->config->ngrok_error_header, &x->arena, &page);
    x->response = (struct http_response){ .status = page.status, .headers = page.headers };
    for (size_t i = 0; x->extra != NULL && i < x->extra->header_count; i++)
        http_headers_add(&x->response.headers, &x->arena, x->extra->headers[i].name,
                         x->extra->headers[i].value);
    send_whole(x, page.body);
}

/* The head of an action's response. */
static void take_policy_head(struct exchange *x, const struct policy_response *r)
{
    x->response = (struct http_response){ .status = r->status };
    x->response.reason = str_from(http_reason(r->status));
    x->response.keep_alive = !exchange_is_body_awaited(x); /* unread bytes would be a request */
    for (size_t i = 0; i < r->header_count; i++)
        http_headers_add(&x->response.headers, &x->arena, r->headers[i].name, r->headers[i].value);
}

/* An answer that goes the way of any response: it may be of any size, and rules see it. */
static void answer_as_response(struct exchange *x, const struct policy_response *r)
{
    bool has_body = may_have_body(x, r->status);
    bool runs_rules = r->runs_response_phase;

    take_policy_head(x, r);
    x->why = CLOSE_POLICY;
    x->response.has_content_length =
        may_have_body(x, r->status) || r->status == 304 || str_eq(x->request.method, STR("HEAD"));
    x->response.content_length = r->body.n;
    x->response.body = has_body && r->body.n > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    buf_fini(&x->response_body.data);
    buf_init(&x->response_body.data, SIZE_MAX / 2);
    if (x->response.body != HTTP_BODY_NONE)
        buf_add_str(&x->response_body.data, r->body);
    x->response_body.state = GATHER_WHOLE;
    x->response_body.has_trailers = false; /* they were another response's */
    x->response_ended = true;
    if (runs_rules)
        exchange_judge_response(x);
    else
        exchange_deliver_response(x);
}

/* The error page of an action, with the fields it adds (a challenge, when to try again). */
static void answer_policy_error(struct exchange *x, const struct policy_response *r)
{
    struct err e = { .code = r->error };

    (void)err_set(&e, r->error, "%s", r->message);
    x->extra = r;
    exchange_answer_error(x, &e, CLOSE_POLICY);
}

/* The response of a policy action. */
void exchange_answer_policy(struct exchange *x)
{
    const struct policy_response *r = policy_run_response(x->run);

    upstream_close(x->upstream, CLOSE_POLICY);
    x->upstream = NULL;
    if (r->error != E_OK)
        answer_policy_error(x, r);
    else
        answer_as_response(x, r);
}
