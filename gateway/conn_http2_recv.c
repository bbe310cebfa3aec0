/*
 * What the visitor sends, as nghttp2 tells it. None of these callbacks may end the session, so what
 * is found out here makes nghttp2 stop, and http2_on_data() does the rest.
 */
#include "base/clock.h"
#include "gateway/config.h"
#include "gateway/conn_http2_int.h"
#include "gateway/gateway_int.h"

enum { RESET_FORGIVEN_MS = 60 * 1000 };

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* Exchanges may have closed the connection. */
static int go_on(const struct http2_conn *h)
{
    bool stops =
        h->state == HTTP2_CLOSED || h->abuse != HTTP2_ABUSE_NONE || h->error != NGHTTP2_NO_ERROR;

    return stops ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/*
 * HEADERS or DATA of a stream that is over (RFC 9113 section 5.1), which nghttp2 passes over. A
 * visitor may not know yet of a stream that was reset from here, so for a while after that it is
 * forgiven. Ids that were left out cannot be used later (section 5.1.1); they are known roughly,
 * since honest visitors leave out none.
 */
static uint32_t check_stream_id(struct http2_conn *h, const struct http2_frame *frame)
{
    int32_t id = frame->stream_id;

    if (id % 2 == 0)
        return NGHTTP2_NO_ERROR; /* nghttp2 knows what to say */
    if (id > h->last_id) {
        if (frame->type == NGHTTP2_HEADERS && h->skipped_id == 0 && id > h->last_id + 2)
            h->skipped_id = h->last_id + 2;
        if (frame->type == NGHTTP2_HEADERS)
            h->last_id = id;
        return NGHTTP2_NO_ERROR;
    }
    if (nghttp2_session_find_stream(h->session, id) != NULL)
        return NGHTTP2_NO_ERROR;
    if (h->skipped_id != 0 && id >= h->skipped_id)
        return NGHTTP2_PROTOCOL_ERROR;
    if (h->reset_ms != 0 && clock_mono_ms() - h->reset_ms < RESET_FORGIVEN_MS)
        return NGHTTP2_NO_ERROR;
    return NGHTTP2_STREAM_CLOSED;
}

bool http2_on_frame_head(struct http2_conn *h, const struct http2_frame *frame)
{
    if (frame->type != NGHTTP2_CONTINUATION)
        h->head_ms = 0; /* the header block before it is whole */
    if (frame->type == NGHTTP2_HEADERS || frame->type == NGHTTP2_DATA)
        h->error = check_stream_id(h, frame);
    if (!http2_afford_frame(h, frame))
        h->abuse = HTTP2_ABUSE_FRAMES;
    return go_on(h) == 0;
}

/* nghttp2 counts the streams that it has open; those that it has closed and whose tunnel still passes
 * on what came count here. */
static void begin_request(struct http2_conn *h, int32_t id)
{
    if (h->stream_count < h->conn->gateway->config->http2_streams_max)
        h2_stream_new(h, id);
    else
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2_conn *h = arg;

    (void)session;
    h->head_ms = clock_mono_ms();
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        begin_request(h, frame->hd.stream_id);
    return go_on(h);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg)
{
    struct http2_conn *h = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    struct str name_str = str_of((const char *)name, name_bytes);
    struct str value_str = str_of((const char *)value, value_bytes);

    (void)flags;
    if (s == NULL)
        return 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        h2_stream_on_trailer(s, name_str, value_str);
    else if (http2_head_add(&s->head, name_str, value_str) == HTTP2_LIST_BOMB)
        h->abuse = HTTP2_ABUSE_HEAD_BOMB;
    return go_on(h);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t n, void *arg)
{
    struct http2_conn *h = arg;
    struct h2_stream *s = stream_of(session, id);

    (void)flags;
    /* What waits is bounded by the windows of the streams, so that one that is slow holds up no
     * other. It fails for lack of memory only, which ends the process elsewhere. */
    (void)nghttp2_session_consume_connection(session, n);
    if (s != NULL)
        h2_stream_on_data(s, str_of((const char *)data, n));
    return go_on(h);
}

static void on_headers(struct http2_conn *h, const nghttp2_frame *frame)
{
    struct h2_stream *s = stream_of(h->session, frame->hd.stream_id);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    h->head_ms = 0;
    if (s == NULL)
        return;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h2_stream_on_head(s, ended);
    if (ended)
        h2_stream_on_end(s);
}

static void on_data(struct http2_conn *h, const nghttp2_frame *frame)
{
    struct h2_stream *s = stream_of(h->session, frame->hd.stream_id);

    if (s != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        h2_stream_on_end(s);
}

static void on_settings(struct http2_conn *h)
{
    if (h->state != HTTP2_PREFACE)
        return;
    h->preface_ms = 0;
    h->idle_ms = clock_mono_ms();
    http2_set_state(h, HTTP2_OPEN);
}

/* The visitor has seen the first GOAWAY, so no request of its crosses the last one. */
static void on_ping(struct http2_conn *h, const nghttp2_frame *frame)
{
    if (h->state == HTTP2_DRAINING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        http2_leave(h);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2_conn *h = arg;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(h, frame);
        break;
    case NGHTTP2_DATA:
        on_data(h, frame);
        break;
    case NGHTTP2_SETTINGS:
        on_settings(h);
        break;
    case NGHTTP2_PING:
        on_ping(h, frame);
        break;
    case NGHTTP2_PRIORITY:
        h2_stream_take_turns(h, frame->hd.stream_id);
        break;
    case NGHTTP2_RST_STREAM:
        if (!http2_afford_reset(h))
            h->abuse = HTTP2_ABUSE_RESETS;
        break;
    default:
        break;
    }
    return go_on(h);
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *arg)
{
    struct http2_conn *h = arg;

    (void)session;
    (void)frame;
    (void)error;
    h->head_ms = 0; /* the header block was whole all the same */
    return go_on(h);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct h2_stream *s = stream_of(session, id);

    if (s != NULL)
        h2_stream_on_close(s, error);
    return go_on(arg);
}

void http2_set_recv_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
