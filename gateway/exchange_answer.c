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

/* Makes the response an error page, with the fields that an action adds (a challenge, when to try
 * again); returns its body. */
static struct str put_page(struct exchange *x, const struct err *e,
                           const struct policy_response *extra, enum close_reason why)
{
    const struct http_header *accept = http_headers_find(&x->request.headers, STR("accept"), 0);
    struct error_page page = { 0 };

    x->why = why;
    x->error_number = err_number(e->code);
    metrics_add(exchange_metrics(x), METRIC_ERRORS_TOTAL, 1);
    error_page_make(e, accept == NULL ? STR_NONE : accept->value,
                    x->gateway->config->ngrok_error_header, &x->arena, &page);
    x->response = (struct http_response){ .status = page.status, .headers = page.headers };
    for (size_t i = 0; extra != NULL && i < extra->header_count; i++)
        http_headers_add(&x->response.headers, &x->arena, extra->headers[i].name,
                         extra->headers[i].value);
    return page.body;
}

void exchange_answer_error(struct exchange *x, const struct err *e, enum close_reason why)
{
    send_whole(x, put_page(x, e, NULL, why));
}

/* Puts the body behind a head that is in its place, as if it had come from an upstream and were all
 * here. */
static void put_body(struct exchange *x, struct str body)
{
    struct http_response *r = &x->response;
    bool has_body = may_have_body(x, r->status);

    r->reason = str_from(http_reason(r->status));
    r->keep_alive = !exchange_is_body_awaited(x); /* unread bytes would be a request */
    r->has_content_length = has_body || r->status == 304 || str_eq(x->request.method, STR("HEAD"));
    r->content_length = body.n;
    r->body = has_body && body.n > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    buf_fini(&x->response_body.data);
    buf_init(&x->response_body.data, SIZE_MAX / 2);
    if (r->body != HTTP_BODY_NONE)
        buf_add_str(&x->response_body.data, body);
    x->response_body.state = GATHER_WHOLE;
    x->response_body.has_trailers = false; /* they were another response's */
    x->response_ended = true;
}

static void reject(struct exchange *x, const struct err *e, const struct policy_response *extra,
                   enum close_reason why)
{
    struct str body = put_page(x, e, extra, why);

    if (x->hop->outer == NULL) {
        send_whole(x, body);
        return;
    }
    put_body(x, body);
    exchange_on_response_verdict(x, POLICY_CONTINUE);
}

void exchange_answer_rejection(struct exchange *x, const struct err *e, enum close_reason why)
{
    reject(x, e, NULL, why);
}

/* An answer that goes the way of any response: it may be of any size, and rules see it. */
static void answer_as_response(struct exchange *x, const struct policy_response *r)
{
    bool runs_rules = r->runs_response_phase;

    x->response = (struct http_response){ .status = r->status };
    for (size_t i = 0; i < r->header_count; i++)
        http_headers_add(&x->response.headers, &x->arena, r->headers[i].name, r->headers[i].value);
    x->why = CLOSE_POLICY;
    x->error_number = 0; /* it may take the place of an error page */
    put_body(x, r->body);
    if (runs_rules)
        exchange_judge_response(x);
    else
        exchange_on_response_verdict(x, POLICY_CONTINUE);
}

/* The response of a policy action. */
void exchange_answer_policy(struct exchange *x)
{
    const struct policy_response *r = policy_run_response(x->hop->run);
    struct err e;

    upstream_close(x->upstream, CLOSE_POLICY);
    x->upstream = NULL;
    if (r->error == E_OK) {
        answer_as_response(x, r);
        return;
    }
    (void)err_set(&e, r->error, "%s", r->message);
    reject(x, &e, r, CLOSE_POLICY);
}
