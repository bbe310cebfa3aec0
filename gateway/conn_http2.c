/*
 * conn_http2: a connection that speaks HTTP/2, by nghttp2 (RFC 9113).
 *
 * All of a loop turn that goes to the visitor leaves together: http2_pump() runs at its end, tells
 * exchanges what is due, and writes the frames that nghttp2 then has in as few writes as possible.
 * nghttp2 is asked for frames only while the socket takes them, so what waits is with the streams.
 * Reading never stops, since the visitor's WINDOW_UPDATEs are in it; what a visitor can make us hold
 * thereby is bounded by windows, streams, and the budgets of conn_http2_abuse.c.
 *
 * Streams may be for sessions of any worker, but most visitors ask one endpoint. So the connection
 * goes to the worker of the session that its first request is for, and stays there; later requests for
 * other workers use a relay (relay.c). Only the first, since what an earlier one has left, such as an
 * on_tcp_connect that still runs, belongs to the worker.
 */
#include <assert.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_http2_int.h"
#include "gateway/gateway_int.h"
#include "gateway/head_buf.h"
#include "gateway/http2.h"
#include "gateway/linger.h"
#include "gateway/sock.h"

enum {
    /* Kept whole for as long as the streams' windows let it be. */
    CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024,
    /* For a visitor to answer the first GOAWAY; what is on the way when it has not is refused. */
    GOAWAY_WAIT_MS = 1000,
    SETTINGS_ENTRIES_MAX = 32,    /* of one SETTINGS frame of the visitor */
    RESETS_UNLIMITED = INT32_MAX, /* by nghttp2, as the budget here counts more */
    /* Frames of our own that one stream can leave in nghttp2's queue. */
    FRAMES_PER_STREAM = 8,
};

#define BIT(n) (1U << (n))

static const unsigned http2_next[] = {
    [HTTP2_PREFACE] =
        BIT(HTTP2_OPEN) | BIT(HTTP2_DRAINING) | BIT(HTTP2_LEAVING) | BIT(HTTP2_CLOSED),
    [HTTP2_OPEN] = BIT(HTTP2_DRAINING) | BIT(HTTP2_LEAVING) | BIT(HTTP2_CLOSED),
    [HTTP2_DRAINING] = BIT(HTTP2_LEAVING) | BIT(HTTP2_CLOSED),
    [HTTP2_LEAVING] = BIT(HTTP2_CLOSED),
    [HTTP2_CLOSED] = 0,
};

void http2_set_state(struct http2_conn *h, enum http2_state next)
{
    assert(http2_next[h->state] & BIT(next));
    h->state = next;
}

static const struct config *config_of(const struct http2_conn *h)
{
    return h->conn->gateway->config;
}

void http2_on_stream(struct http2_conn *h)
{
    h->stream_count++;
    h->idle_ms = 0;
    metrics_add(worker_metrics(h->conn->gateway->worker), METRIC_HTTP2_STREAMS, 1);
}

void http2_on_stream_gone(struct http2_conn *h)
{
    if (h->state == HTTP2_CLOSED)
        return; /* all were counted off */
    if (--h->stream_count == 0)
        h->idle_ms = clock_mono_ms();
    metrics_add(worker_metrics(h->conn->gateway->worker), METRIC_HTTP2_STREAMS, -1);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void lose_streams(struct http2_conn *h, enum close_reason why)
{
    struct h2_stream *s;

    DL_FOREACH(h->streams, s)
    h2_stream_lose(s, why);
}

/* Puts frames together until there is enough for a write; false: nghttp2 has stopped. */
static bool gather(struct http2_conn *h)
{
    struct buf *out = &h->out.buf;
    const uint8_t *frame;
    ssize_t n = 0;

    while (out->len < OUTBUF_HIGH_BYTES) {
        n = nghttp2_session_mem_send(h->session, &frame);
        if (n <= 0)
            break;
        buf_add(out, frame, (size_t)n);
    }
    return n >= 0 && !buf_failed(out);
}

static bool flush(struct http2_conn *h)
{
    size_t before = h->out.buf.len;
    bool flushed = outbuf_flush(&h->out);

    h->conn->origin.bytes_out += before - h->out.buf.len;
    if (flushed)
        h->blocked_ms = 0;
    else if (h->blocked_ms == 0 || h->out.buf.len < before)
        h->blocked_ms = clock_mono_ms();
    return flushed;
}

/* Ends it with a last word, as far as the visitor takes that. */
static void say_goodbye(struct http2_conn *h, uint32_t code, enum close_reason why)
{
    lose_streams(h, why);
    if (h->state == HTTP2_CLOSED)
        return;
    (void)nghttp2_session_terminate_session(h->session, code);
    if (gather(h))
        (void)flush(h);
    conn_close(h->conn, CLOSE_DONE);
}

static void end_abuse(struct http2_conn *h, enum http2_abuse abuse)
{
    http2_note_abuse(h, abuse);
    say_goodbye(h, NGHTTP2_ENHANCE_YOUR_CALM, CLOSE_LIMIT);
}

/* nghttp2 has stopped, over what a callback found or by itself. */
static void fail(struct http2_conn *h, ssize_t error)
{
    if (h->state == HTTP2_CLOSED)
        return;
    if (h->abuse != HTTP2_ABUSE_NONE)
        end_abuse(h, h->abuse);
    else if (error == NGHTTP2_ERR_FLOODED)
        end_abuse(h, HTTP2_ABUSE_ACKS);
    else if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        end_abuse(h, HTTP2_ABUSE_CONTINUATIONS);
    else
        say_goodbye(h, h->error != NGHTTP2_NO_ERROR ? h->error : NGHTTP2_PROTOCOL_ERROR,
                    CLOSE_PROTOCOL);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

void http2_wake_for(struct http2_conn *h, uint64_t since_ms, uint64_t patience_ms)
{
    uint64_t now = clock_mono_ms();
    uint64_t at = since_ms + patience_ms;

    if (since_ms == 0 || patience_ms == 0 || h->state == HTTP2_CLOSED)
        return;
    if (h->timer_ms != 0 && h->timer_ms <= at)
        return;
    h->timer_ms = at;
    conn_arm_timer(h->conn, at > now ? at - now : 1);
}

static void wait(struct http2_conn *h)
{
    const struct config *c = config_of(h);

    http2_wake_for(h, h->preface_ms, c->request_head_timeout_ms);
    http2_wake_for(h, h->head_ms, c->request_head_timeout_ms);
    http2_wake_for(h, h->idle_ms, c->keepalive_timeout_ms);
    http2_wake_for(h, h->blocked_ms, c->stall_timeout_ms);
    if (h->state == HTTP2_DRAINING)
        http2_wake_for(h, h->leaving_ms, GOAWAY_WAIT_MS);
}

static bool is_over(uint64_t since_ms, uint64_t patience_ms, uint64_t now_ms)
{
    return since_ms != 0 && patience_ms != 0 && now_ms - since_ms >= patience_ms;
}

/* Resets what is held for a visitor who does not take it, and sees when the next one would be. */
static void check_streams(struct http2_conn *h, uint64_t now_ms)
{
    struct h2_stream *s;

    DL_FOREACH(h->streams, s)
    {
        if (s->exchange != NULL)
            continue;
        if (s->linger_ms != 0) {
            if (is_over(s->linger_ms, LINGER_MS, now_ms))
                h2_stream_end_linger(s);
            else
                http2_wake_for(h, s->linger_ms, LINGER_MS);
            continue;
        }
        if (!h2_stream_is_stalled(s, now_ms)) {
            http2_wake_for(h, s->moved_ms, config_of(h)->stall_timeout_ms);
            continue;
        }
        http2_note_abuse(h, HTTP2_ABUSE_STALL);
        s->moved_ms = now_ms;
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    }
}

static void http2_on_timer(void *state)
{
    struct http2_conn *h = state;
    const struct config *c = config_of(h);
    uint64_t now = clock_mono_ms();

    h->timer_ms = 0;
    if (is_over(h->preface_ms, c->request_head_timeout_ms, now) ||
        is_over(h->head_ms, c->request_head_timeout_ms, now)) {
        end_abuse(h, HTTP2_ABUSE_SLOW_HEAD);
    } else if (is_over(h->blocked_ms, c->stall_timeout_ms, now)) {
        http2_note_abuse(h, HTTP2_ABUSE_STALL);
        conn_close(h->conn, CLOSE_TIMEOUT);
    } else if (is_over(h->idle_ms, c->keepalive_timeout_ms, now)) {
        say_goodbye(h, NGHTTP2_NO_ERROR, CLOSE_IDLE);
    } else {
        if (h->state == HTTP2_DRAINING && is_over(h->leaving_ms, GOAWAY_WAIT_MS, now))
            http2_leave(h);
        check_streams(h, now);
        http2_schedule(h);
    }
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static void attend_due(struct http2_conn *h)
{
    while (h->due != NULL && h->state != HTTP2_CLOSED)
        h2_stream_attend(h->due);
}

/* The session is over when neither side has anything to say. */
static bool is_finished(const struct http2_conn *h)
{
    return h->out.buf.len == 0 && nghttp2_session_want_read(h->session) == 0 &&
           nghttp2_session_want_write(h->session) == 0;
}

/* Runs while `scheduled`, as what it does itself needs no other turn. */
static void http2_pump(struct http2_conn *h)
{
    bool more;

    do {
        attend_due(h);
        if (h->state == HTTP2_CLOSED)
            return;
        if (!gather(h)) {
            fail(h, 0);
            return;
        }
        more = h->out.buf.len > 0 && flush(h);
    } while (more || (h->due != NULL && h->out.buf.len == 0));
    attend_due(h);
    if (h->state == HTTP2_CLOSED)
        return;
    if (is_finished(h)) {
        lose_streams(h, CLOSE_PROTOCOL);
        conn_close(h->conn, CLOSE_DONE);
        return;
    }
    if (h->stream_count == 0 && h->out.buf.len == 0)
        outbuf_release(&h->out); /* most of the memory of an idle connection */
    h->scheduled = false;
    wait(h);
}

/* ---- moving ------------------------------------------------------------------------------------------ */

bool http2_try_move(struct http2_conn *h, struct h2_stream *s)
{
    bool is_first = !h->settled;

    h->settled = true;
    if (!is_first || h->state != HTTP2_OPEN || h->stream_count != 1 ||
        conn_worker_for(h->conn, s->exchange) == NULL)
        return false;
    h->mover =
        s; /* move_now() follows at the end of the loop turn: the sock's event is on the stack */
    return true;
}

static void start_moved(struct http2_conn *h)
{
    struct h2_stream *s = h->mover;

    h->mover = NULL;
    metrics_add(worker_metrics(h->conn->gateway->worker), METRIC_HTTP2_STREAMS, 1);
    h2_stream_start(s);
    http2_schedule(h);
}

static void on_arrived(void *state)
{
    struct http2_conn *h = state;

    exchange_move(h->mover->exchange, h->conn->gateway);
    start_moved(h);
}

/* Nothing is queued on this worker behind the pump, so that the connection can go. */
static void move_now(struct http2_conn *h)
{
    struct worker *to = conn_worker_for(h->conn, h->mover->exchange);

    conn_arm_timer(h->conn, 0);
    h->timer_ms = 0;
    metrics_add(worker_metrics(h->conn->gateway->worker), METRIC_HTTP2_STREAMS, -1);
    if (to != NULL && conn_move(h->conn, to, on_arrived))
        return;
    start_moved(h);
    if (h->state != HTTP2_CLOSED)
        stream_resume(sock_stream(h->conn->sock));
}

static void on_turn_end(struct worker *w, void *arg)
{
    struct http2_conn *h = arg;

    (void)w;
    if (h->state != HTTP2_CLOSED)
        http2_pump(h);
    if (h->state != HTTP2_CLOSED && h->mover != NULL)
        move_now(h);
}

void http2_schedule(struct http2_conn *h)
{
    if (h->scheduled || h->state == HTTP2_CLOSED)
        return;
    h->scheduled = true;
    worker_defer(h->conn->gateway->worker, on_turn_end, h);
}

/* ---- events of the sock ------------------------------------------------------------------------------- */

/* What answers the visitor's frames waits in nghttp2 while the visitor does not read. */
static bool is_queue_full(const struct http2_conn *h)
{
    const struct config *c = config_of(h);

    return nghttp2_session_get_outbound_queue_size(h->session) >
           c->http2_acks_max + FRAMES_PER_STREAM * c->http2_streams_max;
}

/* Gives nghttp2 frame by frame what came, unless the connection moves, and counts in *used what it
 * took. Returns what nghttp2 does: less than 0 when it has stopped. */
static ssize_t read_frames(struct http2_conn *h, struct str data, size_t *used)
{
    ssize_t rc = 0;

    *used = 0;
    while (*used < data.n && rc >= 0 && h->mover == NULL) {
        struct str rest = str_skip(data, *used);
        struct http2_frame frame;
        bool begins;
        size_t n = http2_frames_next(&h->in, rest, &begins, &frame);

        if (begins && !http2_on_frame_head(h, &frame))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        rc = nghttp2_session_mem_recv(h->session, (const uint8_t *)rest.p, n);
        *used += n;
    }
    return rc;
}

static size_t take(struct http2_conn *h, struct str data)
{
    size_t used;
    ssize_t n = read_frames(h, data, &used);

    h->conn->origin.bytes_in += used;
    if (n >= 0 && is_queue_full(h))
        h->abuse = HTTP2_ABUSE_ACKS;
    if (n < 0 || h->abuse != HTTP2_ABUSE_NONE)
        fail(h, n);
    else
        http2_schedule(h);
    return used;
}

static size_t on_data(void *arg, struct str data)
{
    struct http2_conn *h = arg;
    size_t used = h->state != HTTP2_CLOSED ? take(h, data) : data.n;

    return h->state == HTTP2_CLOSED ? data.n : used;
}

static void on_writable(void *arg)
{
    struct http2_conn *h = arg;

    if (h->state != HTTP2_CLOSED && flush(h))
        http2_schedule(h);
}

/* Unlike HTTP/1.1, no request of this one ends with its connection: half of it is of no use. */
static void on_eof(void *arg)
{
    struct http2_conn *h = arg;

    conn_close(h->conn, h->stream_count == 0 ? CLOSE_DONE : CLOSE_RESET);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct http2_conn *h = arg;

    conn_close(h->conn, why);
}

static const struct stream_events http2_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

/* ---- what every protocol has --------------------------------------------------------------------------- */

void http2_leave(struct http2_conn *h)
{
    http2_set_state(h, HTTP2_LEAVING);
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
    http2_schedule(h);
}

/* In two steps (RFC 9113 section 6.8), so that no request on its way is refused. */
static void http2_drain(void *state)
{
    struct http2_conn *h = state;

    if (h->state >= HTTP2_DRAINING)
        return;
    http2_set_state(h, HTTP2_DRAINING);
    h->preface_ms = 0;
    h->leaving_ms = clock_mono_ms();
    (void)nghttp2_submit_shutdown_notice(h->session);
    http2_schedule(h);
}

static void http2_lost(void *state, enum close_reason why)
{
    struct http2_conn *h = state;

    if (h->conn->gateway != NULL) /* on the way to another worker its stream counts nowhere */
        metrics_add(worker_metrics(h->conn->gateway->worker), METRIC_HTTP2_STREAMS,
                    -(int64_t)h->stream_count);
    http2_set_state(h, HTTP2_CLOSED);
    lose_streams(h, why);
}

static void http2_free(void *state)
{
    struct http2_conn *h = state;

    while (h->streams != NULL)
        h2_stream_free(h->streams, CLOSE_DONE);
    nghttp2_session_del(h->session);
    outbuf_fini(&h->out);
    mem_free(h);
}

static const struct conn_protocol http2_protocol = {
    .name = "http2",
    .drain = http2_drain,
    .on_timer = http2_on_timer,
    .lost = http2_lost,
    .free = http2_free,
};

/* ---- the session ----------------------------------------------------------------------------------------- */

static void *on_malloc(size_t n, void *arg)
{
    (void)arg;
    return mem_alloc(n);
}

static void on_free(void *p, void *arg)
{
    (void)arg;
    mem_free(p);
}

static void *on_calloc(size_t count, size_t size, void *arg)
{
    (void)arg;
    return mem_zalloc_array(count, size);
}

static void *on_realloc(void *p, size_t n, void *arg)
{
    (void)arg;
    return mem_realloc(p, n);
}

static nghttp2_option *make_option(const struct config *c)
{
    nghttp2_option *option;
    int rc = nghttp2_option_new(&option);

    assert(rc == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_server_fallback_rfc7540_priorities(option, 1);
    nghttp2_option_set_max_outbound_ack(option, (size_t)c->http2_acks_max);
    nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES_MAX);
    nghttp2_option_set_max_continuations(option, (size_t)c->http2_continuations_max);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_UNLIMITED, RESETS_UNLIMITED);
    nghttp2_option_set_max_send_header_block_length(option, (size_t)HEAD_BUF_MAX_BYTES +
                                                                EXCHANGE_HEAD_GROWTH_BYTES);
    return option;
}

/* Lack of memory, the one way for these calls to fail, ends the process in base/mem.c. */
static nghttp2_session *make_session(struct http2_conn *h)
{
    static const nghttp2_mem memory = {
        .malloc = on_malloc, .free = on_free, .calloc = on_calloc, .realloc = on_realloc
    };
    nghttp2_option *option = make_option(config_of(h));
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_mem own = memory;
    int rc = nghttp2_session_callbacks_new(&callbacks);

    assert(rc == 0);
    http2_set_recv_callbacks(callbacks);
    http2_set_send_callbacks(callbacks);
    rc = nghttp2_session_server_new3(&session, callbacks, h, option, &own);
    assert(rc == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return session;
}

static void announce(struct http2_conn *h)
{
    const struct config *c = config_of(h);
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)c->http2_streams_max },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)h->stream_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->request_head_max_bytes },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    int rc = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0]));

    assert(rc == 0);
    rc = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                               CONNECTION_WINDOW_BYTES);
    assert(rc == 0);
}

void conn_start_http2(struct conn *c, struct str taken)
{
    struct http2_conn *h = mem_zalloc(sizeof(*h));
    const struct config *config = c->gateway->config;
    uint64_t now = clock_mono_ms();
    size_t used;

    h->conn = c;
    h->stream_window = (size_t)config->http2_stream_window;
    h->preface_ms = now;
    http2_budget_init(&h->frames, config->http2_frames_burst, config->http2_frames_per_second, now);
    http2_budget_init(&h->resets, config->http2_resets_burst, config->http2_resets_per_second, now);
    http2_frames_init(&h->in);
    h->session = make_session(h);
    outbuf_init(&h->out, (size_t)HEAD_BUF_MAX_BYTES + EXCHANGE_HEAD_GROWTH_BYTES);
    outbuf_open(&h->out, sock_stream(c->sock));
    c->protocol = &http2_protocol;
    c->protocol_state = h;
    stream_set_events(sock_stream(c->sock), &http2_events, h);
    conn_arm_timer(c, 0); /* it may run for the protocol before */
    metrics_add(worker_metrics(c->gateway->worker), METRIC_HTTP2_CONNS_TOTAL, 1);
    announce(h);
    (void)read_frames(h, taken, &used); /* the preface has no frames */
    http2_schedule(h);
    if (c->gateway->draining) /* since the first bytes of the preface came */
        http2_drain(h);
}
