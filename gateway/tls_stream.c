/*
 * OpenSSL reads and writes through a BIO that stands between it and inner. Reading finds what inner
 * has just offered in on_data, and nothing else, so bytes are not copied on their way in and inner
 * keeps what is not read. Writing goes to inner at once, and what inner does not take is kept; while
 * anything is kept nothing new is encrypted. So SSL_write() never has to be repeated with the same
 * bytes, which owners of streams need not offer again.
 */
#include "gateway/tls_stream.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    TLS_STREAM_RECORD_BYTES = 16 * 1024, /* RFC 8446 section 5.1 */
    /* A record, its overhead, and what a handshake or an answer to a key update adds. */
    TLS_STREAM_OUT_MAX_BYTES = 64 * 1024,
};

enum tls_stream_state {
    TLS_STREAM_OPENING, /* inner is being dialled */
    TLS_STREAM_HANDSHAKE,
    TLS_STREAM_OPEN,
    TLS_STREAM_OVER,    /* on_closed was told; the owner has to close */
    TLS_STREAM_LINGERS, /* closed by the owner; inner has not taken everything */
    TLS_STREAM_CLOSED,
};

struct tls_stream {
    struct stream stream; /* first: what the owner holds */
    struct tls_stream_params params;
    struct stream *inner; /* owned; NULL once closed */
    SSL *ssl;             /* owned */
    struct worker_timer *timer;
    enum tls_stream_state state;
    struct str in;     /* what inner offers and is not read yet; empty outside of on_data */
    struct buf plain;  /* decrypted; the owner has not taken it */
    struct buf out;    /* encrypted; inner has not taken it */
    bool inner_waits;  /* it offered more than was read */
    bool inner_ended;  /* it has no more data */
    bool inner_closed; /* and why: */
    enum close_reason inner_why;
    bool peer_ended; /* close_notify came */
    bool eof_told;
    bool paused;      /* the owner left data */
    bool blocked;     /* the owner waits for on_writable */
    bool ended;       /* by the owner */
    bool failed;      /* a write found out; on_closed follows */
    bool step_queued; /* on_step() is on its way */
};

static struct tls_stream *tls_of(const struct stream *s)
{
    return (struct tls_stream *)(uintptr_t)s;
}

/* ---- the BIO -------------------------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls_stream *s = BIO_get_data(bio);
    size_t taken = s->out.len == 0 ? stream_write(s->inner, p, (size_t)n) : 0;

    BIO_clear_retry_flags(bio);
    buf_add(&s->out, p + taken, (size_t)n - taken);
    return buf_failed(&s->out) ? -1 : n;
}

static int bio_read(BIO *bio, char *p, int n)
{
    struct tls_stream *s = BIO_get_data(bio);
    struct str piece = str_slice(s->in, 0, (size_t)n);

    BIO_clear_retry_flags(bio);
    if (piece.n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(p, piece.p, piece.n);
    s->in = str_skip(s->in, piece.n);
    return (int)piece.n;
}

static long bio_ctrl(BIO *bio, int what, long n, void *p)
{
    (void)bio;
    (void)n;
    (void)p;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

/* Never freed: it lives as long as the process. */
static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (bio_method == NULL)
        return;
    (void)BIO_meth_set_write(bio_method, bio_write);
    (void)BIO_meth_set_read(bio_method, bio_read);
    (void)BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

static void set_bio(struct tls_stream *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    (void)pthread_once(&once, make_bio_method);
    bio = BIO_new(bio_method);
    assert(bio != NULL); /* like any allocation */
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void free_stream(struct worker *w, void *arg)
{
    struct tls_stream *s = arg;

    (void)w;
    SSL_free(s->ssl);
    worker_timer_free(s->timer);
    buf_fini(&s->plain);
    buf_fini(&s->out);
    mem_free(s);
}

/* The last step of a stream that its owner has closed. */
static void drop(struct tls_stream *s, enum close_reason why)
{
    s->state = TLS_STREAM_CLOSED;
    worker_timer_stop(s->timer);
    stream_close(s->inner, why);
    s->inner = NULL;
    worker_defer(s->params.worker, free_stream, s); /* an event of ours may be on the stack */
}

static void tell_closed(struct tls_stream *s, enum close_reason why)
{
    s->state = TLS_STREAM_OVER;
    worker_timer_stop(s->timer);
    s->stream.events->on_closed(s->stream.arg, why);
}

static void tell_problem(struct tls_stream *s, const char *problem)
{
    if (s->params.on_problem != NULL)
        s->params.on_problem(s->params.arg, s->params.ep, problem);
}

/* TLS has failed; what OpenSSL says goes to those whom it concerns. */
static void fail_tls(struct tls_stream *s)
{
    long verified = SSL_get_verify_result(s->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    if (s->state == TLS_STREAM_HANDSHAKE && verified != X509_V_OK &&
        SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE) {
        tell_problem(s, X509_verify_cert_error_string(verified));
        tell_closed(s, CLOSE_TLS_UNVERIFIED);
        return;
    }
    tell_problem(s, reason != NULL ? reason : "TLS failed");
    tell_closed(s, CLOSE_TLS_ERROR);
}

/* Inner has ended without a word of TLS. */
static void fail_cut(struct tls_stream *s)
{
    bool is_plain_end = !s->inner_closed || s->inner_why == CLOSE_DONE;

    if (s->state == TLS_STREAM_HANDSHAKE && (is_plain_end || s->inner_why == CLOSE_RESET)) {
        tell_problem(s, "the upstream closed the connection during the handshake");
        tell_closed(s, CLOSE_TLS_ERROR);
        return;
    }
    tell_closed(s, is_plain_end ? CLOSE_RESET : s->inner_why);
}

/* ---- out ------------------------------------------------------------------------------------ */

/* True when inner has taken everything. */
static bool flush_out(struct tls_stream *s)
{
    struct str left = buf_str(&s->out);

    if (left.n > 0)
        buf_consume(&s->out, stream_write(s->inner, left.p, left.n));
    return s->out.len == 0;
}

/* Sends close_notify, and behind it the end. */
static void send_end(struct tls_stream *s)
{
    s->ended = true;
    ERR_clear_error();
    (void)SSL_shutdown(s->ssl); /* what can fail is writing, which shows elsewhere */
    ERR_clear_error();
    if (flush_out(s))
        stream_end(s->inner);
}

/* ---- in ------------------------------------------------------------------------------------- */

static void queue_step(struct tls_stream *s);

/* Decrypts what there is of the next record. Returns false when there is nothing for now, or when the
 * stream is over. */
static bool read_record(struct tls_stream *s)
{
    char *room = buf_reserve(&s->plain, TLS_STREAM_RECORD_BYTES);
    int n;

    assert(room != NULL);
    ERR_clear_error();
    n = SSL_read(s->ssl, room, TLS_STREAM_RECORD_BYTES);
    if (n > 0) {
        buf_commit(&s->plain, (size_t)n);
        return true;
    }
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return false;
    case SSL_ERROR_ZERO_RETURN:
        s->peer_ended = true;
        return false;
    default:
        fail_tls(s);
        return false;
    }
}

static void deliver(struct tls_stream *s)
{
    struct str data = buf_str(&s->plain);
    size_t taken = s->stream.events->on_data(s->stream.arg, data);

    if (s->state != TLS_STREAM_OPEN)
        return;
    buf_consume(&s->plain, taken);
    s->paused = s->plain.len > 0;
}

/* All that came was delivered: is it the end? */
static void tell_end(struct tls_stream *s)
{
    if (s->peer_ended && !s->eof_told) {
        s->eof_told = true;
        s->stream.events->on_eof(s->stream.arg);
        if (s->state != TLS_STREAM_OPEN)
            return;
    }
    if (s->inner_ended && !s->peer_ended)
        fail_cut(s);
    else if (s->inner_closed)
        tell_closed(s, s->inner_why);
}

static void read_on(struct tls_stream *s)
{
    while (s->state == TLS_STREAM_OPEN && !s->paused) {
        if (s->plain.len > 0)
            deliver(s);
        else if (s->peer_ended || !read_record(s))
            break;
    }
    if (s->state != TLS_STREAM_OPEN)
        return;
    if (s->peer_ended)
        s->in = STR_NONE; /* nothing counts behind close_notify */
    if (!s->paused)
        tell_end(s);
}

static void shake_hands(struct tls_stream *s)
{
    int rc;

    ERR_clear_error();
    rc = SSL_do_handshake(s->ssl);
    if (rc != 1) {
        if (SSL_get_error(s->ssl, rc) != SSL_ERROR_WANT_READ)
            fail_tls(s);
        else if (s->inner_ended)
            fail_cut(s);
        return;
    }
    worker_timer_stop(s->timer);
    s->state = TLS_STREAM_OPEN;
    s->stream.events->on_open(s->stream.arg);
    if (s->state == TLS_STREAM_OPEN && s->blocked && flush_out(s)) {
        s->blocked = false;
        s->stream.events->on_writable(s->stream.arg);
    }
}

/* Goes on with what inner offers, or with what was left. */
static void advance(struct tls_stream *s)
{
    if (s->state == TLS_STREAM_HANDSHAKE)
        shake_hands(s);
    if (s->state == TLS_STREAM_OPEN)
        read_on(s);
}

/* ---- events of inner ------------------------------------------------------------------------- */

static void on_open(void *arg)
{
    struct tls_stream *s = arg;

    s->state = TLS_STREAM_HANDSHAKE;
    worker_timer_start(s->timer, s->params.handshake_ms);
    advance(s);
}

static size_t on_data(void *arg, struct str data)
{
    struct tls_stream *s = arg;
    size_t used;

    if (s->state > TLS_STREAM_OPEN)
        return data.n;
    if (s->paused || s->state == TLS_STREAM_OPENING) {
        s->inner_waits = true;
        return 0;
    }
    s->in = data;
    advance(s);
    used = data.n - s->in.n;
    s->in = STR_NONE;
    if (s->state > TLS_STREAM_OPEN)
        return data.n;
    s->inner_waits = used < data.n;
    return used;
}

static void on_writable(void *arg)
{
    struct tls_stream *s = arg;

    if (s->state >= TLS_STREAM_OVER && s->state != TLS_STREAM_LINGERS)
        return;
    if (!flush_out(s))
        return;
    if (s->state == TLS_STREAM_LINGERS) {
        drop(s, CLOSE_DONE);
        return;
    }
    if (s->ended) {
        stream_end(s->inner);
    } else if (s->state == TLS_STREAM_OPEN && s->blocked) {
        s->blocked = false;
        s->stream.events->on_writable(s->stream.arg);
    }
}

static void on_eof(void *arg)
{
    struct tls_stream *s = arg;

    s->inner_ended = true;
    if (s->state != TLS_STREAM_LINGERS && !s->paused)
        advance(s);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct tls_stream *s = arg;

    s->inner_ended = true;
    s->inner_closed = true;
    s->inner_why = why;
    if (s->state == TLS_STREAM_LINGERS)
        drop(s, why);
    else if (s->state == TLS_STREAM_OPENING)
        tell_closed(s, why);
    else if (!s->paused)
        advance(s);
}

static const struct stream_events inner_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void on_timer(struct worker *w, void *arg)
{
    struct tls_stream *s = arg;

    (void)w;
    if (s->state == TLS_STREAM_LINGERS) {
        drop(s, CLOSE_TIMEOUT);
    } else if (s->state == TLS_STREAM_HANDSHAKE) {
        tell_problem(s, "the handshake took too long");
        tell_closed(s, CLOSE_OPEN_TIMEOUT);
    }
}

/* ---- what the owner does ---------------------------------------------------------------------- */

static void on_step(struct worker *w, void *arg)
{
    struct tls_stream *s = arg;

    (void)w;
    s->step_queued = false;
    if (s->state == TLS_STREAM_OPEN && s->failed) {
        fail_tls(s);
        return;
    }
    if (s->state != TLS_STREAM_OPEN || s->paused)
        return;
    read_on(s);
    if (s->state == TLS_STREAM_OPEN && !s->paused && s->inner_waits) {
        s->inner_waits = false;
        stream_resume(s->inner);
    }
}

static void queue_step(struct tls_stream *s)
{
    if (s->step_queued)
        return;
    s->step_queued = true;
    worker_defer(s->params.worker, on_step, s);
}

static size_t tls_stream_write(struct stream *st, const char *p, size_t n)
{
    struct tls_stream *s = tls_of(st);
    size_t taken = 0;

    if (s->state >= TLS_STREAM_OVER || s->ended || s->failed)
        return n;
    while (s->state == TLS_STREAM_OPEN && taken < n && flush_out(s)) {
        size_t left = n - taken;
        size_t piece = left < TLS_STREAM_RECORD_BYTES ? left : TLS_STREAM_RECORD_BYTES;

        ERR_clear_error();
        if (SSL_write(s->ssl, p + taken, (int)piece) <= 0) {
            s->failed = true;
            queue_step(s);
            return n;
        }
        taken += piece;
    }
    s->blocked = taken < n;
    return taken;
}

static void tls_stream_end(struct stream *st)
{
    struct tls_stream *s = tls_of(st);

    assert(s->state >= TLS_STREAM_OPEN); /* nobody ends what has not opened */
    if (s->state == TLS_STREAM_OPEN && !s->ended && !s->failed)
        send_end(s);
}

static void tls_stream_resume(struct stream *st)
{
    struct tls_stream *s = tls_of(st);

    if (!s->paused)
        return;
    s->paused = false;
    queue_step(s);
}

static void tls_stream_close(struct stream *st, enum close_reason why)
{
    struct tls_stream *s = tls_of(st);

    assert(s->state < TLS_STREAM_LINGERS);
    if (why == CLOSE_DONE && s->state == TLS_STREAM_OPEN && !s->failed && !s->inner_closed) {
        if (!s->ended)
            send_end(s);
        if (s->out.len > 0) {
            s->state = TLS_STREAM_LINGERS;
            worker_timer_start(s->timer, s->params.handshake_ms);
            if (s->inner_waits)
                stream_resume(s->inner); /* what it has is dropped */
            return;
        }
    }
    drop(s, why);
}

static const struct stream_ops tls_stream_ops = {
    .name = "tls",
    .write = tls_stream_write,
    .end = tls_stream_end,
    .resume = tls_stream_resume,
    .close = tls_stream_close,
};

struct stream *tls_stream_new(const struct tls_stream_params *params,
                              const struct stream_events *events, void *arg)
{
    struct tls_stream *s = mem_zalloc(sizeof(*s));

    s->stream = (struct stream){ .ops = &tls_stream_ops, .events = events, .arg = arg };
    s->params = *params;
    s->inner = params->inner;
    s->ssl = params->ssl;
    s->timer = worker_timer_new(params->worker, on_timer, s);
    buf_init(&s->plain, TLS_STREAM_RECORD_BYTES);
    buf_init(&s->out, TLS_STREAM_OUT_MAX_BYTES);
    set_bio(s);
    stream_set_events(s->inner, &inner_events, s);
    return &s->stream;
}

struct str tls_stream_alpn(const struct stream *s)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(tls_of(s)->ssl, &name, &n);
    return str_of((const char *)name, n);
}
