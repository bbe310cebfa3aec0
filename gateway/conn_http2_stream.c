/*
 * One stream of an HTTP/2 connection: the downstream codec of one exchange.
 *
 * Request bytes go to the exchange as they come. What it does not take is held, and the stream's
 * window is given back only for what was taken, so at most a window is held. Response bytes wait in
 * `body` until nghttp2 asks for them, which is when both windows and the socket have room; the
 * exchange is blocked meanwhile, so at most two pieces of OUTBUF_HIGH_BYTES are held.
 *
 * Exchanges may not be called back inside their own calls. So what is found out there, or while
 * nghttp2 writes, is noted (h2_stream_set_due) and told at the end of the loop turn.
 */
#include <assert.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_http2_int.h"
#include "gateway/gateway_int.h"
#include "gateway/http2.h"
#include "gateway/linger.h"
#include "gateway/sock.h"
#include "gateway/tls.h"
#include "gateway/websocket.h"

static struct h2_stream *stream_of(struct downstream *d)
{
    return (struct h2_stream *)(void *)d;
}

static nghttp2_session *session_of(const struct h2_stream *s)
{
    return s->conn->session;
}

static struct gateway *gateway_of(const struct h2_stream *s)
{
    return s->conn->conn->gateway;
}

void h2_stream_set_due(struct h2_stream *s, unsigned why)
{
    if (s->due == 0)
        DL_APPEND2(s->conn->due, s, due_prev, due_next);
    s->due |= why;
    http2_schedule(s->conn);
}

static void clear_due(struct h2_stream *s)
{
    if (s->due != 0)
        DL_DELETE2(s->conn->due, s, due_prev, due_next);
    s->due = 0;
}

/* ---- the request ---------------------------------------------------------------------------------- */

static void refuse(struct h2_stream *s, const struct err *e)
{
    s->request = H2_REQUEST_TOLD; /* what may follow is nobody's */
    exchange_refuse(s->exchange, e);
}

/* RFC 9110 section 7.4: the visitor sent this over a connection that was made for other names. From
 * inside all goes to one endpoint, whatever it is called. */
static int check_covered(const struct h2_stream *s, const struct http_request *r, struct err *e)
{
    const struct exchange_origin *origin = &s->conn->conn->origin;

    if (origin->tls == NULL || origin->inside != NULL || tls_covers(origin->tls, str_from(r->host)))
        return 0;
    return err_set(e, E_MISDIRECTED, "the certificate of this connection does not cover %s",
                   r->host);
}

/* An upstream that speaks HTTP/1.1 proves by the answer to a key that it knows WebSockets. */
static void add_websocket_key(struct h2_stream *s)
{
    struct arena *a = exchange_arena(s->exchange);

    s->accept_key = websocket_key_new(a);
    http_headers_add(&exchange_request(s->exchange)->headers, a, STR("sec-websocket-key"),
                     s->accept_key);
}

static void start(struct h2_stream *s)
{
    s->request = H2_REQUEST_BODY;
    exchange_start(s->exchange);
}

void h2_stream_on_head(struct h2_stream *s, bool ended)
{
    struct http_request *r = exchange_request(s->exchange);
    const char *scheme = scheme_name(s->conn->conn->origin.scheme);
    enum http2_ask ask;
    struct err e = { 0 };

    if (http2_head_finish(&s->head, scheme, ended, r, &ask, &e) == -1 ||
        check_covered(s, r, &e) == -1) {
        refuse(s, &e);
        return;
    }
    if (ask == HTTP2_ASK_WEBSOCKET)
        add_websocket_key(s);
    if (!http2_try_move(s->conn, s))
        start(s);
}

void h2_stream_start(struct h2_stream *s)
{
    start(s);
    if (nghttp2_session_get_stream_remote_close(session_of(s), s->id) == 1)
        h2_stream_on_end(s);
}

/* The visitor may send as much again. */
static void give_back(struct h2_stream *s, size_t n)
{
    /* It fails for a stream that is gone, and that needs no window. */
    (void)nghttp2_session_consume_stream(session_of(s), s->id, n);
    http2_schedule(s->conn);
}

static bool takes_data(const struct h2_stream *s)
{
    return s->exchange != NULL && s->request != H2_REQUEST_TOLD;
}

/* Nobody wants these bytes of the request any more. */
static void throw_away(struct h2_stream *s, size_t n)
{
    bool had_enough = s->thrown_away > LINGER_DISCARD_MAX_BYTES;

    give_back(s, n);
    s->thrown_away += n;
    if (s->linger_ms != 0 && !had_enough && s->thrown_away > LINGER_DISCARD_MAX_BYTES)
        h2_stream_end_linger(s);
}

void h2_stream_on_data(struct h2_stream *s, struct str data)
{
    if (!takes_data(s)) {
        throw_away(s, data.n);
        return;
    }
    if (s->held.len > 0 || exchange_is_request_blocked(s->exchange)) {
        buf_add_str(&s->held, data); /* nghttp2 has checked that it fits the window */
        return;
    }
    assert(data.n <= OUTBUF_HIGH_BYTES); /* a frame is smaller */
    exchange_on_request_data(s->exchange, data);
    give_back(s, data.n);
    h2_stream_set_due(s, H2_DUE_FED);
}

void h2_stream_on_trailer(struct h2_stream *s, struct str name, struct str value)
{
    struct err e = { 0 };

    if (!takes_data(s))
        return;
    if (http2_trailer_add(&s->trailers, exchange_arena(s->exchange), &s->trailer_bytes, name, value,
                          &e) == 0)
        return;
    s->request = H2_REQUEST_TOLD;
    exchange_on_request_bad(s->exchange, &e);
}

/* Gives the exchange what is held, as far as it takes it, and then the end. */
static void feed(struct h2_stream *s)
{
    while (takes_data(s) && s->held.len > 0 && !exchange_is_request_blocked(s->exchange)) {
        struct str piece = str_slice(buf_str(&s->held), 0, OUTBUF_HIGH_BYTES);

        exchange_on_request_data(s->exchange, piece);
        buf_consume(&s->held, piece.n);
        give_back(s, piece.n);
        h2_stream_set_due(s, H2_DUE_FED);
    }
    if (s->exchange == NULL || s->request != H2_REQUEST_ENDED || s->held.len > 0 ||
        exchange_is_request_blocked(s->exchange))
        return;
    s->request = H2_REQUEST_TOLD;
    exchange_on_request_end(s->exchange, s->trailers.count > 0 ? &s->trailers : NULL);
}

void h2_stream_on_end(struct h2_stream *s)
{
    if (s->request != H2_REQUEST_BODY)
        return;
    s->request = H2_REQUEST_ENDED;
    feed(s);
}

/* ---- what is due ----------------------------------------------------------------------------------- */

/* Part of the response has gone out. */
static void tell_taken(struct h2_stream *s)
{
    if (s->waits && s->body.len < OUTBUF_HIGH_BYTES / 2) {
        s->waits = false;
        exchange_on_writable(s->exchange);
    } else {
        exchange_on_progress(s->exchange);
    }
}

void h2_stream_attend(struct h2_stream *s)
{
    unsigned due = s->due;

    if ((due & H2_DUE_RESUMED) != 0)
        feed(s);
    due |= s->due; /* feeding may add to it */
    clear_due(s);
    if ((due & H2_DUE_OVER) != 0) {
        h2_stream_free(s, CLOSE_DONE);
        return;
    }
    if (s->exchange != NULL && (due & H2_DUE_FED) != 0)
        exchange_on_request_flush(s->exchange);
    if (s->exchange != NULL && (due & H2_DUE_TAKEN) != 0)
        tell_taken(s);
}

/* ---- the response ----------------------------------------------------------------------------------- */

static bool is_passing(const struct h2_stream *s)
{
    return s->response == H2_RESPONSE_BODY || s->response == H2_RESPONSE_TUNNEL;
}

/* nghttp2 asks for body bytes again. */
static void offer(struct h2_stream *s)
{
    (void)nghttp2_session_resume_data(session_of(s), s->id); /* fails when it asks already */
    http2_schedule(s->conn);
}

static ssize_t end_of_body(struct h2_stream *s, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->last_fields != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        (void)nghttp2_submit_trailer(session_of(s), s->id, s->last_fields, s->last_count);
    }
    return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    size_t n = s->body.len < room ? s->body.len : room;

    (void)session;
    (void)id;
    (void)out;
    (void)arg;
    if (n > 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY; /* on_send_data() takes it from `body` */
    if (n < s->body.len)
        return (ssize_t)n;
    switch (s->response) {
    case H2_RESPONSE_ENDED:
        return (ssize_t)n + end_of_body(s, flags);
    case H2_RESPONSE_CUT:
        if (n == 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets it with INTERNAL_ERROR */
        break;
    case H2_RESPONSE_NONE:
    case H2_RESPONSE_BODY:
    case H2_RESPONSE_TUNNEL:
        break;
    }
    return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t n, nghttp2_data_source *source, void *arg)
{
    struct http2_conn *h = arg;
    struct h2_stream *s = source->ptr;

    (void)session;
    (void)frame; /* without padding, since nobody asks for any */
    if (h->out.buf.len >= OUTBUF_HIGH_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&h->out.buf, head, HTTP2_FRAME_HEAD_BYTES);
    buf_add_str(&h->out.buf, str_slice(buf_str(&s->body), 0, n));
    buf_consume(&s->body, n);
    s->moved_ms = clock_mono_ms();
    http2_earn_frames(h, n);
    h2_stream_set_due(s, H2_DUE_TAKEN);
    return 0;
}

void h2_stream_end_linger(struct h2_stream *s)
{
    (void)nghttp2_submit_rst_stream(session_of(s), NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    http2_schedule(s->conn);
}

/*
 * The visitor's part of the request is of no use behind a whole response, but for a tunnel, where it
 * is a direction of its own. RFC 9113 section 8.1 allows to reset the stream then; some visitors,
 * curl 7.88 among them, lose the response by that. So they may go on for a while, as with HTTP/1.1.
 */
static void on_response_sent(struct http2_conn *h, int32_t id)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(h->session, id);

    if (s == NULL || s->exchange != NULL ||
        nghttp2_session_get_stream_remote_close(h->session, id) != 0)
        return;
    s->linger_ms = clock_mono_ms();
    http2_wake_for(h, s->linger_ms, LINGER_MS);
    give_back(s, s->held.len);
    buf_consume(&s->held, s->held.len);
}

/* A mistake that makes us reset a stream costs the visitor as much as a reset of its own. */
static bool is_mistake(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2_conn *h = arg;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY &&
        h->state == HTTP2_DRAINING) /* the answer tells it came */
        (void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        h->reset_ms = clock_mono_ms();
    if (frame->hd.type == NGHTTP2_RST_STREAM && is_mistake(frame->rst_stream.error_code) &&
        !http2_afford_reset(h)) {
        h->abuse = HTTP2_ABUSE_RESETS;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        on_response_sent(h, frame->hd.stream_id);
    return 0;
}

/* A head or trailers that cannot be sent. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *arg)
{
    (void)error;
    (void)arg;
    if (frame->hd.type == NGHTTP2_HEADERS)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_INTERNAL_ERROR);
    return 0;
}

void http2_set_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
}

/* ---- the downstream codec ---------------------------------------------------------------------------- */

/* What :status and content-length are written to, until nghttp2 has copied them. */
struct head_text {
    char status[sizeof("200")];
    char length[sizeof("18446744073709551615")];
};

static nghttp2_nv *make_head(struct h2_stream *s, const struct http_response *r, unsigned status,
                             struct head_text *text, size_t *count)
{
    nghttp2_nv *fields = http2_fields(exchange_arena(s->exchange), &r->headers, 1, count);

    (void)snprintf(text->status, sizeof(text->status), "%03u", status % 1000);
    fields[0] = http2_field(STR(":status"), str_from(text->status));
    ++*count;
    if (status >= 200 && status != 204 && r->has_content_length && s->accept_key.p == NULL) {
        (void)snprintf(text->length, sizeof(text->length), "%llu",
                       (unsigned long long)r->content_length);
        fields[(*count)++] = http2_field(STR("content-length"), str_from(text->length));
    }
    return fields;
}

/* True if the upstream knows the key that was made up for it. */
static bool is_accepted(const struct h2_stream *s, const struct http_response *r)
{
    const struct http_header *accept =
        http_headers_find(&r->headers, STR("sec-websocket-accept"), 0);

    return s->accept_key.p != NULL && accept != NULL &&
           str_eq(accept->value, websocket_accept(exchange_arena(s->exchange), s->accept_key));
}

static void reset(struct h2_stream *s, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(session_of(s), NGHTTP2_FLAG_NONE, s->id, code);
    http2_schedule(s->conn);
}

static void submit_head(struct h2_stream *s, const struct http_response *r, unsigned status,
                        bool has_body)
{
    const nghttp2_data_provider provider = { .source.ptr = s, .read_callback = on_read };
    struct head_text text;
    size_t count;
    const nghttp2_nv *fields = make_head(s, r, status, &text, &count);

    (void)nghttp2_submit_response(session_of(s), s->id, fields, count, has_body ? &provider : NULL);
}

static void send_interim(struct h2_stream *s, const struct http_response *r)
{
    struct head_text text;
    size_t count;
    const nghttp2_nv *fields = make_head(s, r, r->status, &text, &count);

    (void)nghttp2_submit_headers(session_of(s), NGHTTP2_FLAG_NONE, s->id, NULL, fields, count,
                                 NULL);
}

/* RFC 8441 section 5: what 101 says in HTTP/1.1 is 200, and there is no key to prove. */
static void send_switch(struct h2_stream *s, const struct http_response *r)
{
    struct http_response answer = *r;

    if (!is_accepted(s, r)) {
        reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    (void)http_headers_remove(&answer.headers, STR("sec-websocket-accept"));
    s->response = H2_RESPONSE_TUNNEL;
    submit_head(s, &answer, 200, true);
}

static void send_head(struct downstream *d, const struct http_response *r, bool interim)
{
    struct h2_stream *s = stream_of(d);
    bool has_body = r->body != HTTP_BODY_NONE;

    if (interim) {
        send_interim(s, r);
    } else if (r->status == 101) {
        send_switch(s, r);
    } else {
        s->response = has_body ? H2_RESPONSE_BODY : H2_RESPONSE_ENDED;
        submit_head(s, r, r->status, has_body);
    }
    http2_schedule(s->conn);
}

static void send_body(struct downstream *d, struct str data)
{
    struct h2_stream *s = stream_of(d);

    if (!is_passing(s))
        return;
    if (s->body.len == 0)
        s->moved_ms = clock_mono_ms();
    buf_add_str(&s->body, data);
    offer(s);
}

static bool is_blocked(struct downstream *d)
{
    struct h2_stream *s = stream_of(d);

    if (s->body.len < OUTBUF_HIGH_BYTES)
        return false;
    s->waits = true;
    return true;
}

/* Keeps trailers until the body before them is out; the arena they lie in may go earlier. */
static void keep_trailers(struct h2_stream *s, const struct http_headers *trailers)
{
    struct http_headers copy = { 0 };

    if (trailers == NULL || trailers->count == 0)
        return;
    for (size_t i = 0; i < trailers->count; i++)
        http_headers_add(&copy, &s->fields, arena_str(&s->fields, trailers->items[i].name),
                         arena_str(&s->fields, trailers->items[i].value));
    s->last_fields = http2_fields(&s->fields, &copy, 0, &s->last_count);
}

static void send_end(struct downstream *d, const struct http_headers *trailers)
{
    struct h2_stream *s = stream_of(d);

    if (!is_passing(s))
        return;
    keep_trailers(s, trailers);
    s->response = H2_RESPONSE_ENDED;
    offer(s);
}

static void flush(struct downstream *d)
{
    http2_schedule(stream_of(d)->conn);
}

static void resume(struct downstream *d)
{
    h2_stream_set_due(stream_of(d), H2_DUE_RESUMED);
}

static void cut(struct h2_stream *s)
{
    /* The end of a tunnel's one direction may be out already. */
    if (s->response == H2_RESPONSE_NONE ||
        nghttp2_session_get_stream_local_close(session_of(s), s->id) == 1) {
        reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    s->response = H2_RESPONSE_CUT;
    offer(s);
}

static void finished(struct downstream *d, enum exchange_end how)
{
    struct h2_stream *s = stream_of(d);

    s->exchange = NULL;
    if (s->conn->state == HTTP2_CLOSED)
        return;
    if (s->closed) {
        h2_stream_set_due(s, H2_DUE_OVER);
        return;
    }
    switch (how) {
    case EXCHANGE_COMPLETE:
        send_end(d, NULL); /* of a tunnel that the upstream has ended both ways */
        break;
    case EXCHANGE_CUT:
        cut(s);
        break;
    case EXCHANGE_ABORTED:
        conn_close(s->conn->conn, CLOSE_POLICY);
        return;
    }
    http2_wake_for(s->conn, s->moved_ms, gateway_of(s)->config->stall_timeout_ms);
}

static const struct downstream_ops h2_downstream_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .is_blocked = is_blocked,
    .send_end = send_end,
    .flush = flush,
    .resume = resume,
    .finished = finished,
};

/* ---- turns ------------------------------------------------------------------------------------------ */

/* For both kinds of priorities that a visitor may know (RFC 7540 and RFC 9218): all streams are
 * equal. */
void h2_stream_take_turns(struct http2_conn *h, int32_t id)
{
    static const nghttp2_extpri in_turns = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1 };
    nghttp2_priority_spec equal;

    nghttp2_priority_spec_default_init(&equal);
    /* Either fails for a stream that is not open, which is as well. */
    (void)nghttp2_session_change_stream_priority(h->session, id, &equal);
    (void)nghttp2_session_change_extpri_stream_priority(h->session, id, &in_turns, 1);
}

/* ---- life ------------------------------------------------------------------------------------------- */

void h2_stream_new(struct http2_conn *h, int32_t id)
{
    struct h2_stream *s = mem_zalloc(sizeof(*s));
    struct gateway *g = h->conn->gateway;

    s->down.ops = &h2_downstream_ops;
    s->conn = h;
    s->id = id;
    s->moved_ms = clock_mono_ms();
    s->exchange = exchange_new(g, &s->down, &h->conn->origin);
    http2_head_init(&s->head, exchange_arena(s->exchange),
                    (size_t)g->config->request_head_max_bytes);
    buf_init(&s->held, h->stream_window);
    buf_init(&s->body, 2 * (size_t)OUTBUF_HIGH_BYTES);
    arena_init(&s->fields);
    DL_APPEND(h->streams, s);
    http2_on_stream(h);
    (void)nghttp2_session_set_stream_user_data(h->session, id, s);
    h2_stream_take_turns(h, id);
}

void h2_stream_lose(struct h2_stream *s, enum close_reason why)
{
    struct exchange *x = s->exchange;

    if (x == NULL)
        return;
    if (s->request != H2_REQUEST_HEAD) {
        exchange_on_lost(x, why);
        return;
    }
    s->exchange = NULL;
    exchange_discard(x);
}

void h2_stream_on_close(struct h2_stream *s, uint32_t error)
{
    bool has_ended = s->request >= H2_REQUEST_ENDED && s->response == H2_RESPONSE_ENDED;

    if (error == NGHTTP2_NO_ERROR && has_ended && s->exchange != NULL)
        s->closed = true;
    else
        h2_stream_free(s, CLOSE_RESET);
}

void h2_stream_free(struct h2_stream *s, enum close_reason why)
{
    struct http2_conn *h = s->conn;

    s->response = H2_RESPONSE_ENDED; /* nothing more is written to it */
    h2_stream_lose(s, why);
    clear_due(s);
    DL_DELETE(h->streams, s);
    http2_on_stream_gone(h);
    (void)nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    buf_fini(&s->held);
    buf_fini(&s->body);
    arena_fini(&s->fields);
    mem_free(s);
}

bool h2_stream_is_stalled(const struct h2_stream *s, uint64_t now_ms)
{
    uint64_t patience = gateway_of(s)->config->stall_timeout_ms;

    return s->exchange == NULL && s->linger_ms == 0 && patience > 0 &&
           now_ms - s->moved_ms >= patience;
}
