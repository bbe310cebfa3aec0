/*
 * Bodies that do not simply stream: those that an action wants whole, and response bodies that pass
 * filters. What cannot go on at once waits in a buffer, and while anything waits there the side it
 * came from is not read.
 */
#include <assert.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/exchange_int.h"
#include "gateway/gateway_int.h"
#include "gateway/outbuf.h"
#include "gateway/upstream.h"

/* ---- collecting ------------------------------------------------------------------------------- */

void gather_add(struct exchange *x, struct gather *g, struct str data)
{
    if (g->state != GATHER_RUNS)
        return;
    if (data.n > g->max_bytes - g->data.len) {
        g->state = GATHER_TOO_LARGE;
        exchange_wake(x);
        return;
    }
    buf_add_str(&g->data, data);
}

void gather_end(struct exchange *x, struct gather *g, const struct http_headers *trailers)
{
    if (trailers != NULL && trailers->count > 0) {
        g->trailers = *trailers;
        g->has_trailers = true;
    }
    if (g->state != GATHER_RUNS)
        return;
    g->state = GATHER_WHOLE;
    exchange_wake(x);
}

void gather_fini(struct gather *g)
{
    buf_fini(&g->data);
}

/* ---- the request ------------------------------------------------------------------------------ */

void exchange_frame_request(struct exchange *x)
{
    const struct gather *g = &x->request_body;

    if (g->state != GATHER_WHOLE || g->has_trailers)
        return;
    x->request.body =
        g->data.len > 0 || x->request.body != HTTP_BODY_NONE ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    x->request.has_content_length = x->request.body == HTTP_BODY_LENGTH;
    x->request.content_length = g->data.len;
}

void exchange_send_body(struct exchange *x, struct str data)
{
    x->request_sent = true;
    upstream_send_body(x->upstream, data);
}

bool exchange_pump_request(struct exchange *x)
{
    struct gather *g = &x->request_body;

    if (g->state != GATHER_WHOLE)
        return true;
    while (g->data.len > 0) {
        struct str piece = str_slice(buf_str(&g->data), 0, OUTBUF_HIGH_BYTES);

        if (upstream_is_blocked(x->upstream))
            return false;
        exchange_send_body(x, piece);
        buf_consume(&g->data, piece.n);
    }
    g->state = GATHER_NOT;
    x->request_sent = x->request_sent || g->has_trailers;
    if (x->request.body != HTTP_BODY_NONE)
        upstream_send_end(x->upstream, g->has_trailers ? &g->trailers : NULL);
    return true;
}

/* ---- filters ---------------------------------------------------------------------------------- */

static void free_list(struct policy_filter **list)
{
    while (*list != NULL) {
        struct policy_filter *f = *list;

        *list = f->next;
        f->ops->free(f);
    }
}

void exchange_free_filters(struct exchange *x)
{
    free_list(&x->inner_filters);
    free_list(&x->filters);
}

static void append(struct policy_filter **list, struct policy_filter *tail)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = tail;
}

void exchange_add_filter(struct policy_filter **list, struct policy_filter *filter)
{
    filter->next = NULL;
    append(list, filter);
}

void exchange_leave_filters(struct exchange *x)
{
    append(&x->inner_filters, x->filters);
    x->filters = NULL;
}

enum filter_call { FILTER_PUSH, FILTER_FLUSH, FILTER_FINISH };

static int call_filter(struct policy_filter *f, enum filter_call call, struct str in,
                       struct buf *out, struct err *e)
{
    if (in.n > 0 && f->ops->push(f, in, out, e) == -1)
        return -1;
    if (call == FILTER_FLUSH && f->ops->flush != NULL)
        return f->ops->flush(f, out, e);
    return call == FILTER_FINISH ? f->ops->finish(f, out, e) : 0;
}

/* Sends bytes through f and all behind it; each gets what the one before made of them. */
static int run_filters(struct policy_filter *f, enum filter_call call, struct str in,
                       struct buf *out, struct err *e)
{
    struct buf made;
    int rc = 0;

    if (f == NULL) {
        buf_add_str(out, in);
        return buf_failed(out) ? err_set(e, E_REPLACE_FAILED, "the response grows too much") : 0;
    }
    buf_init(&made, FILTER_OUTPUT_MAX_BYTES);
    rc = call_filter(f, call, in, &made, e);
    /* Also with nothing made: those behind must be flushed and finished. */
    for (size_t at = 0; rc == 0 && at < made.len; at += FILTER_INPUT_MAX_BYTES)
        rc = run_filters(f->next, FILTER_PUSH,
                         str_slice(buf_str(&made), at, at + FILTER_INPUT_MAX_BYTES), out, e);
    if (rc == 0 && call != FILTER_PUSH)
        rc = run_filters(f->next, call, STR_NONE, out, e);
    buf_fini(&made);
    return rc;
}

int exchange_apply_inner_filters(struct exchange *x, size_t max_bytes, struct err *e)
{
    struct gather *g = &x->response_body;
    struct str body = buf_str(&g->data);
    struct buf made;
    int rc = 0;

    if (x->inner_filters == NULL)
        return 0;
    buf_init(&made, max_bytes);
    for (size_t at = 0; rc == 0 && at < body.n; at += FILTER_INPUT_MAX_BYTES)
        rc = run_filters(x->inner_filters, FILTER_PUSH,
                         str_slice(body, at, at + FILTER_INPUT_MAX_BYTES), &made, e);
    if (rc == 0)
        rc = run_filters(x->inner_filters, FILTER_FINISH, STR_NONE, &made, e);
    free_list(&x->inner_filters);
    buf_fini(&g->data);
    g->data = made;
    return rc;
}

static bool filter(struct exchange *x, enum filter_call call, struct str in)
{
    struct err e;

    if (run_filters(x->filters, call, in, &x->pending, &e) == 0)
        return true;
    /* The head is out, so nothing but the cut can tell the visitor. */
    exchange_finish(x, EXCHANGE_CUT, CLOSE_POLICY);
    return false;
}

/* ---- the response ----------------------------------------------------------------------------- */

static void count_response(struct exchange *x, size_t bytes)
{
    x->response_bytes += bytes;
    metrics_add(worker_metrics(x->gateway->worker), METRIC_BYTES_OUT_TOTAL, (int64_t)bytes);
}

static void send_now(struct exchange *x, struct str data)
{
    count_response(x, data.n);
    x->down->ops->send_body(x->down, data);
}

void exchange_frame_response(struct exchange *x)
{
    const struct gather *g = &x->response_body;
    struct http_response *r = &x->response;

    if (r->body == HTTP_BODY_NONE)
        return;
    if (x->filters != NULL || x->inner_filters != NULL) {
        r->body = HTTP_BODY_CHUNKED;
        r->has_content_length = false;
    } else if (g->state == GATHER_WHOLE && !g->has_trailers) {
        r->body = HTTP_BODY_LENGTH;
        r->has_content_length = true;
        r->content_length = g->data.len;
    }
}

void exchange_pass_response(struct exchange *x, struct str data)
{
    if (x->filters == NULL && x->pending.len == 0 && data.n <= OUTBUF_HIGH_BYTES) {
        send_now(x, data);
        return;
    }
    if (x->filters == NULL) {
        buf_add_str(&x->pending, data);
        if (buf_failed(&x->pending))
            exchange_finish(x, EXCHANGE_CUT, CLOSE_LIMIT);
        else
            (void)exchange_pump_response(x);
        return;
    }
    for (size_t at = 0; at < data.n; at += FILTER_INPUT_MAX_BYTES) {
        if (!filter(x, x->flushes ? FILTER_FLUSH : FILTER_PUSH,
                    str_slice(data, at, at + FILTER_INPUT_MAX_BYTES)))
            return;
    }
    (void)exchange_pump_response(x);
}

bool exchange_pump_response(struct exchange *x)
{
    while (x->pending.len > 0) {
        struct str piece = str_slice(buf_str(&x->pending), 0, OUTBUF_HIGH_BYTES);

        if (x->down->ops->is_blocked(x->down))
            return false;
        send_now(x, piece);
        buf_consume(&x->pending, piece.n);
    }
    if (x->response_ended && x->state == EXCHANGE_RESPONSE) {
        exchange_complete(x);
        return false;
    }
    return true;
}

void exchange_end_response(struct exchange *x)
{
    if (x->filters != NULL && x->response.body != HTTP_BODY_NONE &&
        !filter(x, FILTER_FINISH, STR_NONE))
        return;
    x->response_ended = true;
    (void)exchange_pump_response(x);
}
