/*
 * What a visitor may do too often, because it costs us more than it. Frames that carry nothing have
 * one budget for all kinds, since a flood of any is the same to us: PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, frames of unknown types, CONTINUATION, and DATA without data. It is filled by time
 * and by DATA that was sent, which makes an honest visitor send WINDOW_UPDATEs.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "gateway/conn_http2_int.h"
#include "gateway/gateway_int.h"

enum {
    ABUSE_LINES_PER_SECOND = 5,
    EARNED_PER_FRAME = 2,        /* a WINDOW_UPDATE for the stream, one for the connection */
    EARNED_BYTES_A_FRAME = 2048, /* some clients send one for each small read */
};

static const struct {
    const char *name;
    enum metric metric;
} abuses[] = {
    [HTTP2_ABUSE_RESETS] = { "resets", METRIC_HTTP2_RESET_FLOODS_TOTAL },
    [HTTP2_ABUSE_FRAMES] = { "frames", METRIC_HTTP2_FRAME_FLOODS_TOTAL },
    [HTTP2_ABUSE_CONTINUATIONS] = { "continuations", METRIC_HTTP2_CONTINUATION_FLOODS_TOTAL },
    [HTTP2_ABUSE_ACKS] = { "acknowledgements", METRIC_HTTP2_ACK_FLOODS_TOTAL },
    [HTTP2_ABUSE_HEAD_BOMB] = { "head bomb", METRIC_HTTP2_HEAD_BOMBS_TOTAL },
    [HTTP2_ABUSE_SLOW_HEAD] = { "slow head", METRIC_HTTP2_SLOW_HEADS_TOTAL },
    [HTTP2_ABUSE_STALL] = { "stall", METRIC_HTTP2_STALLS_TOTAL },
};

void http2_note_abuse(struct http2_conn *h, enum http2_abuse abuse)
{
    struct gateway *g = h->conn->gateway;
    uint64_t suppressed;

    metrics_add(worker_metrics(g->worker), abuses[abuse].metric, 1);
    if (log_limit_pass(&g->http2_abuse_log, ABUSE_LINES_PER_SECOND, clock_mono_ms(), &suppressed))
        log_info("http2.abuse", LADDR("client", &h->conn->origin.client),
                 LS("kind", abuses[abuse].name), LU("suppressed", suppressed));
}

static bool carries_nothing(const struct http2_frame *frame)
{
    switch (frame->type) {
    case NGHTTP2_DATA:
        return frame->bytes == 0 && (frame->flags & NGHTTP2_FLAG_END_STREAM) == 0;
    case NGHTTP2_HEADERS:    /* a request or trailers: streams are limited */
    case NGHTTP2_RST_STREAM: /* has a budget of its own */
        return false;
    default:
        return true;
    }
}

bool http2_afford_frame(struct http2_conn *h, const struct http2_frame *frame)
{
    return !carries_nothing(frame) || http2_budget_take(&h->frames, clock_mono_ms());
}

bool http2_afford_reset(struct http2_conn *h)
{
    return http2_budget_take(&h->resets, clock_mono_ms());
}

void http2_earn_frames(struct http2_conn *h, size_t bytes)
{
    http2_budget_earn(&h->frames, EARNED_PER_FRAME + bytes / EARNED_BYTES_A_FRAME);
}
