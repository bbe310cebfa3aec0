/*
 * Every event comes from a callback of the loop, so none can come inside a call of the owner. What
 * such a call finds out (a failed write, both directions over) waits for `again`, which runs in the
 * next turn: an idle watcher of the highest priority, since those fire once a turn without delay,
 * while a fed event would run in the same turn and let a busy socket starve the others.
 *
 * Reading goes through one buffer of the thread. Data lives there only while on_data runs, so an
 * idle connection costs no read buffer at all; what a receiver leaves is copied to `left`.
 */
#include "gateway/sock.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/linger.h"
#include "gateway/tls.h"

enum { SOCK_ROUNDS_MAX = 4 }; /* reads a turn, so that one fast peer does not hold the worker */

/* The life of a sock; each direction of an open one has its own state below. */
enum sock_state {
    SOCK_HANDSHAKE,
    SOCK_OPEN,
    SOCK_OVER,   /* on_closed was told; the owner has to close */
    SOCK_CLOSED, /* by the owner; freed as soon as no event is on the stack */
};

enum sock_rx {
    RX_READING,
    RX_WAITS,  /* the owner wants nothing yet */
    RX_PAUSED, /* the receiver left data */
    RX_HELD,   /* TLS must write before it can read on */
    RX_ENDED,  /* on_eof was told */
};

enum sock_tx {
    TX_OPEN,
    TX_HELD,      /* all was taken, TLS holds some of it; nobody waits for on_writable */
    TX_BLOCKED,   /* the owner waits for on_writable */
    TX_WAIT_READ, /* as TX_BLOCKED, but it is a read that TLS needs */
    TX_ENDING,    /* ended by the owner, but TLS still holds bytes or shakes hands */
    TX_ENDED,
    TX_FAILED,
};

/* How reading has ended, as long as the receiver was not told. */
enum sock_end { END_NONE, END_EOF, END_FAILED };

/* The event that is on the stack; the loop never nests two. */
enum sock_event { EVENT_NONE, EVENT_DATA, EVENT_OTHER };

/* What one round of reading came to. */
enum fill {
    FILL_FULL, /* the buffer was filled; there may be more */
    FILL_DRY,  /* no more for now */
    FILL_HELD, /* TLS must write first */
    FILL_EOF,
    FILL_FAILED, /* s->why says it */
};

struct sock {
    struct stream stream;    /* first: a stream is cast to its sock */
    struct worker *worker;   /* borrowed: outlives us; NULL between detach and attach */
    struct tls_session *tls; /* owned; NULL for a plain socket */
    sock_secure_fn *on_secure;
    void *secure_arg;
    int fd;
    enum sock_state state;
    enum sock_rx rx;
    enum sock_tx tx;
    enum sock_end end;
    enum close_reason why; /* with END_FAILED or TX_FAILED */
    enum sock_event event;
    struct buf left; /* what the receiver left */
    ev_io readable;
    ev_io writable;
    ev_idle again;
};

static _Thread_local char scratch[SOCK_READ_BYTES];

static struct sock *sock_from(struct stream *s)
{
    return (struct sock *)(void *)s;
}

static struct ev_loop *loop_of(const struct sock *s)
{
    return worker_loop(s->worker);
}

/* ---- the life --------------------------------------------------------------------------- */

static void sock_set_state(struct sock *s, enum sock_state next)
{
    static const unsigned legal[] = {
        [SOCK_HANDSHAKE] = 1u << SOCK_OPEN | 1u << SOCK_OVER | 1u << SOCK_CLOSED,
        [SOCK_OPEN] = 1u << SOCK_HANDSHAKE | 1u << SOCK_OVER | 1u << SOCK_CLOSED,
        [SOCK_OVER] = 1u << SOCK_CLOSED,
        [SOCK_CLOSED] = 0,
    };

    assert((legal[s->state] & 1u << next) != 0);
    s->state = next;
}

static void sock_stop(struct sock *s)
{
    ev_io_stop(loop_of(s), &s->readable);
    ev_io_stop(loop_of(s), &s->writable);
    ev_idle_stop(loop_of(s), &s->again);
}

static void sock_free(struct sock *s)
{
    tls_session_free(s->tls);
    if (s->fd != -1)
        (void)close(s->fd); /* there is nobody to tell */
    buf_fini(&s->left);
    mem_free(s);
}

/*
 * Events. Each returns false when the owner has closed the sock meanwhile; it is freed then, and
 * the caller must not touch it.
 */
static bool sock_end_event(struct sock *s)
{
    s->event = EVENT_NONE;
    if (s->state != SOCK_CLOSED)
        return true;
    sock_free(s);
    return false;
}

static bool tell_data(struct sock *s, struct str data, size_t *taken)
{
    s->event = EVENT_DATA;
    *taken = s->stream.events->on_data(s->stream.arg, data);
    assert(*taken <= data.n);
    return sock_end_event(s);
}

static bool tell_writable(struct sock *s)
{
    s->event = EVENT_OTHER;
    s->stream.events->on_writable(s->stream.arg);
    return sock_end_event(s);
}

static bool tell_eof(struct sock *s)
{
    s->event = EVENT_OTHER;
    s->stream.events->on_eof(s->stream.arg);
    return sock_end_event(s);
}

static bool tell_secure(struct sock *s)
{
    if (s->on_secure == NULL)
        return true;
    s->event = EVENT_OTHER;
    s->on_secure(s->secure_arg);
    return sock_end_event(s);
}

/* The last event; touch nothing after it. */
static void tell_closed(struct sock *s, enum close_reason why)
{
    sock_stop(s);
    sock_set_state(s, SOCK_OVER);
    s->event = EVENT_OTHER;
    s->stream.events->on_closed(s->stream.arg, why);
    (void)sock_end_event(s); /* nothing is done with s after this */
}

/* ---- reading ---------------------------------------------------------------------------- */

static enum close_reason reason_of(int errnum, enum close_reason other)
{
    return errnum == ECONNRESET || errnum == EPIPE ? CLOSE_RESET : other;
}

static enum fill fill_plain(struct sock *s, size_t *n)
{
    ssize_t got;

    do {
        got = recv(s->fd, scratch, sizeof(scratch), 0);
    } while (got == -1 && errno == EINTR);
    if (got == -1) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return FILL_DRY;
        s->why = reason_of(errno, CLOSE_READ_ERROR);
        return FILL_FAILED;
    }
    if (got == 0)
        return FILL_EOF;
    *n = (size_t)got;
    /* Less than asked for: the socket is empty, and asking again would only cost a system call. */
    return *n < sizeof(scratch) ? FILL_DRY : FILL_FULL;
}

static enum close_reason tls_reason(const struct sock *s, enum close_reason other)
{
    int errnum = tls_session_errno(s->tls);

    return errnum != 0 ? reason_of(errnum, other) : CLOSE_TLS_ERROR;
}

/* Collects records until the buffer is full or OpenSSL has no byte left that it could decrypt. */
static enum fill fill_tls(struct sock *s, size_t *n)
{
    while (*n < sizeof(scratch)) {
        size_t got = sizeof(scratch) - *n;

        switch (tls_read(s->tls, scratch + *n, &got)) {
        case TLS_OK:
            *n += got;
            if (!tls_has_pending(s->tls))
                return FILL_DRY;
            break;
        case TLS_WANT_READ:
            return FILL_DRY;
        case TLS_WANT_WRITE:
            return FILL_HELD;
        case TLS_EOF:
            return FILL_EOF;
        case TLS_FAILED:
            s->why = tls_reason(s, CLOSE_READ_ERROR);
            return FILL_FAILED;
        }
    }
    return FILL_FULL;
}

static void sock_pause(struct sock *s, enum sock_rx why)
{
    s->rx = why;
    ev_io_stop(loop_of(s), &s->readable);
}

/* Gives the thread's buffer to the receiver and keeps what it leaves. False: s is gone. */
static bool sock_deliver(struct sock *s, size_t n)
{
    size_t taken;

    if (!tell_data(s, str_of(scratch, n), &taken))
        return false;
    if (taken < n) {
        buf_add(&s->left, scratch + taken, n - taken);
        assert(!buf_failed(&s->left));
        if (s->rx == RX_READING)
            sock_pause(s, RX_PAUSED);
    }
    return true;
}

/* Gives what was left before once more. False: s is gone. */
static bool sock_deliver_left(struct sock *s)
{
    size_t taken;

    if (s->left.len > 0) {
        if (!tell_data(s, buf_str(&s->left), &taken))
            return false;
        buf_consume(&s->left, taken);
        if (s->left.len > 0 || s->rx != RX_PAUSED)
            return true;
        buf_fini(&s->left);
    }
    s->rx = RX_READING;
    ev_io_start(loop_of(s), &s->readable);
    return true;
}

/* Tells how reading ended, when all data was taken. Touch nothing after it. */
static void sock_tell_end(struct sock *s)
{
    enum sock_end end = s->end;

    s->end = END_NONE;
    if (end == END_FAILED) {
        tell_closed(s, s->why);
        return;
    }
    sock_pause(s, RX_ENDED);
    if (!tell_eof(s))
        return;
    if (s->tx == TX_ENDED)
        tell_closed(s, CLOSE_DONE);
    else if (s->tx == TX_FAILED)
        tell_closed(s, s->why);
}

static void sock_again(struct sock *s)
{
    ev_idle_start(loop_of(s), &s->again);
}

/* What the read side must do after a round; true: another round. */
static bool sock_filled(struct sock *s, enum fill filled)
{
    switch (filled) {
    case FILL_FULL:
        return s->rx == RX_READING;
    case FILL_DRY:
        return false;
    case FILL_HELD:
        if (s->rx == RX_READING)
            sock_pause(s, RX_HELD);
        if (s->tx == TX_OPEN)
            s->tx = TX_HELD;
        ev_io_start(loop_of(s), &s->writable);
        return false;
    case FILL_EOF:
        s->end = END_EOF;
        break;
    case FILL_FAILED:
        s->end = END_FAILED;
        break;
    }
    if (s->rx != RX_PAUSED && s->rx != RX_WAITS)
        sock_tell_end(s);
    return false;
}

/* Touch nothing after it. */
static void sock_read(struct sock *s)
{
    for (unsigned round = 0; round < SOCK_ROUNDS_MAX; round++) {
        size_t n = 0;
        enum fill filled = s->tls != NULL ? fill_tls(s, &n) : fill_plain(s, &n);

        if (n > 0 && !sock_deliver(s, n))
            return;
        if (s->state != SOCK_OPEN)
            return;
        if (s->tx == TX_WAIT_READ) {
            s->tx = TX_OPEN;
            if (!tell_writable(s))
                return;
        }
        if (!sock_filled(s, filled))
            return;
    }
    /* Bytes inside OpenSSL do not make the socket readable. */
    if (s->tls != NULL)
        sock_again(s);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void sock_block(struct sock *s, enum sock_tx how)
{
    s->tx = how;
    if (how == TX_WAIT_READ)
        return;
    ev_io_start(loop_of(s), &s->writable);
}

/*
 * Writing failed inside a call of the owner. The peer may have said something before it went, such
 * as an early answer, so reading goes on to its end, unless the receiver does not want to read.
 */
static void sock_write_failed(struct sock *s, enum close_reason why)
{
    s->tx = TX_FAILED;
    s->why = why;
    ev_io_stop(loop_of(s), &s->writable);
    sock_again(s);
}

static size_t write_plain(struct sock *s, const char *p, size_t n)
{
    ssize_t sent;

    do {
        sent = send(s->fd, p, n, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    if (sent == -1 && errno != EAGAIN && errno != EWOULDBLOCK) {
        sock_write_failed(s, reason_of(errno, CLOSE_WRITE_ERROR));
        return n;
    }
    if (sent == -1)
        sent = 0;
    if ((size_t)sent < n)
        sock_block(s, TX_BLOCKED);
    return (size_t)sent;
}

static size_t write_tls(struct sock *s, const char *p, size_t n)
{
    size_t taken = n;

    switch (tls_write(s->tls, p, &taken)) {
    case TLS_OK:
        break;
    case TLS_WANT_WRITE:
        sock_block(s, taken < n ? TX_BLOCKED : TX_HELD);
        break;
    case TLS_WANT_READ:
        sock_block(s, TX_WAIT_READ);
        break;
    case TLS_EOF:
    case TLS_FAILED:
        sock_write_failed(s, tls_reason(s, CLOSE_WRITE_ERROR));
        return n;
    }
    return taken;
}

static size_t sock_write(struct stream *stream, const char *p, size_t n)
{
    struct sock *s = sock_from(stream);

    if (s->state == SOCK_OVER || n == 0)
        return n;
    switch (s->tx) {
    case TX_OPEN:
        break;
    case TX_HELD:
        s->tx = TX_BLOCKED;
        return 0;
    case TX_BLOCKED:
    case TX_WAIT_READ:
        return 0;
    case TX_ENDING:
    case TX_ENDED:
    case TX_FAILED:
        return n;
    }
    if (s->state == SOCK_HANDSHAKE) {
        s->tx = TX_BLOCKED; /* the end of the handshake tells */
        return 0;
    }
    return s->tls != NULL ? write_tls(s, p, n) : write_plain(s, p, n);
}

/* Everything was given to the socket; tells the peer that no more comes. */
static void sock_shut(struct sock *s)
{
    if (s->tls != NULL) {
        switch (tls_shutdown(s->tls)) {
        case TLS_OK:
        case TLS_WANT_READ:
        case TLS_EOF:
            break;
        case TLS_WANT_WRITE:
            sock_block(s, TX_ENDING);
            return;
        case TLS_FAILED:
            sock_write_failed(s, tls_reason(s, CLOSE_WRITE_ERROR));
            return;
        }
    }
    (void)shutdown(s->fd, SHUT_WR); /* fails when the peer is gone, which reading tells too */
    s->tx = TX_ENDED;
    if (s->rx == RX_ENDED)
        sock_again(s);
}

static void sock_end_stream(struct stream *stream)
{
    struct sock *s = sock_from(stream);

    if (s->state == SOCK_OVER)
        return;
    switch (s->tx) {
    case TX_ENDING:
    case TX_ENDED:
    case TX_FAILED:
        return;
    case TX_OPEN:
    case TX_WAIT_READ:
        break;
    case TX_HELD:
        s->tx = TX_ENDING;
        return;
    case TX_BLOCKED:
        /* The owner gives up the rest; TLS must still send the records that it has begun. */
        if (s->tls != NULL) {
            s->tx = TX_ENDING;
            return;
        }
        ev_io_stop(loop_of(s), &s->writable);
        break;
    }
    if (s->state == SOCK_HANDSHAKE) {
        s->tx = TX_ENDING;
        return;
    }
    sock_shut(s);
}

/* The socket takes bytes again and TLS holds none. Touch nothing after it. */
static void sock_flushed(struct sock *s)
{
    ev_io_stop(loop_of(s), &s->writable);
    if (s->rx == RX_HELD) {
        s->rx = RX_READING;
        ev_io_start(loop_of(s), &s->readable);
        sock_again(s);
    }
    switch (s->tx) {
    case TX_HELD:
        s->tx = TX_OPEN;
        return;
    case TX_BLOCKED:
        s->tx = TX_OPEN;
        (void)tell_writable(s); /* nothing is done with s after this */
        return;
    case TX_ENDING:
        sock_shut(s);
        return;
    case TX_OPEN:
    case TX_WAIT_READ:
    case TX_ENDED:
    case TX_FAILED:
        return;
    }
}

/* ---- the loop's callbacks --------------------------------------------------------------- */

/* Touch nothing after it. */
static void sock_secured(struct sock *s)
{
    enum sock_tx before = s->tx;

    sock_set_state(s, SOCK_OPEN);
    ev_io_stop(loop_of(s), &s->writable);
    if (s->rx == RX_WAITS) {
        ev_io_stop(loop_of(s), &s->readable);
    } else {
        ev_io_start(loop_of(s), &s->readable);
        if (tls_has_pending(s->tls)) /* the first request came with the end of the handshake */
            sock_again(s);
    }
    s->tx = TX_OPEN;
    if (before == TX_ENDING)
        sock_shut(s);
    if (!tell_secure(s))
        return;
    if (before == TX_BLOCKED && s->tx == TX_OPEN)
        (void)tell_writable(s); /* nothing is done with s after this */
}

/* Touch nothing after it. */
static void sock_handshake(struct sock *s)
{
    struct ev_loop *loop = loop_of(s);

    switch (tls_handshake(s->tls)) {
    case TLS_OK:
        sock_secured(s);
        return;
    case TLS_WANT_READ:
        ev_io_stop(loop, &s->writable);
        ev_io_start(loop, &s->readable);
        return;
    case TLS_WANT_WRITE:
        ev_io_stop(loop, &s->readable);
        ev_io_start(loop, &s->writable);
        return;
    case TLS_EOF:
    case TLS_FAILED:
        tell_closed(s, CLOSE_TLS_ERROR);
        return;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct sock *s = watcher->data;

    (void)loop;
    (void)revents;
    if (s->state == SOCK_HANDSHAKE)
        sock_handshake(s);
    else
        sock_read(s);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct sock *s = watcher->data;

    (void)loop;
    (void)revents;
    if (s->state == SOCK_HANDSHAKE) {
        sock_handshake(s);
        return;
    }
    switch (s->tls != NULL ? tls_flush(s->tls) : TLS_OK) {
    case TLS_OK:
        sock_flushed(s);
        return;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return;
    case TLS_EOF:
    case TLS_FAILED:
        sock_write_failed(s, tls_reason(s, CLOSE_WRITE_ERROR));
        return;
    }
}

static void on_again(struct ev_loop *loop, ev_idle *watcher, int revents)
{
    struct sock *s = watcher->data;

    (void)revents;
    ev_idle_stop(loop, &s->again);
    if (s->tx == TX_FAILED && s->rx != RX_READING) {
        tell_closed(s, s->why);
        return;
    }
    if (s->rx == RX_ENDED) {
        if (s->tx == TX_ENDED)
            tell_closed(s, CLOSE_DONE);
        return;
    }
    if (s->rx == RX_PAUSED && !sock_deliver_left(s))
        return;
    if (s->state != SOCK_OPEN || s->rx != RX_READING)
        return;
    if (s->end != END_NONE)
        sock_tell_end(s);
    else
        sock_read(s);
}

/* ---- the owner's calls ------------------------------------------------------------------ */

static void sock_resume(struct stream *stream)
{
    struct sock *s = sock_from(stream);

    if (s->rx == RX_WAITS)
        s->rx = RX_PAUSED;
    /* Inside on_data it is not known yet whether anything will be left. */
    if (s->state == SOCK_OPEN && (s->rx == RX_PAUSED || s->event == EVENT_DATA))
        sock_again(s);
}

/* Closes so that the peer gets what was written: with close_notify, and without a reset. */
static void sock_close_softly(struct sock *s)
{
    bool held = s->tls != NULL && tls_shutdown(s->tls) == TLS_WANT_WRITE;

    if (s->rx == RX_ENDED && !held)
        return;
    linger_close(s->worker, s->fd, held ? s->tls : NULL);
    if (held)
        s->tls = NULL;
    s->fd = -1;
}

/* A policy closes without a word: nothing that waits is sent, and the peer gets a reset. */
static void sock_reset(const struct sock *s)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)); /* as far as it goes */
}

static void sock_close(struct stream *stream, enum close_reason why)
{
    struct sock *s = sock_from(stream);

    sock_stop(s);
    if (s->state == SOCK_OPEN && s->tx != TX_FAILED) {
        if (why == CLOSE_DONE)
            sock_close_softly(s);
        else if (why == CLOSE_POLICY)
            sock_reset(s);
        else if (s->tls != NULL && (why == CLOSE_IDLE || why == CLOSE_DRAIN))
            (void)tls_shutdown(s->tls); /* a courtesy: it is closed anyway */
    }
    sock_set_state(s, SOCK_CLOSED);
    if (s->event == EVENT_NONE)
        sock_free(s);
}

static const struct stream_ops sock_ops = {
    .name = "sock",
    .write = sock_write,
    .end = sock_end_stream,
    .resume = sock_resume,
    .close = sock_close,
};

struct sock *sock_new(struct worker *w, int fd, struct tls_session *tls,
                      const struct stream_events *events, void *arg)
{
    struct sock *s = mem_zalloc(sizeof(*s));

    s->stream.ops = &sock_ops;
    stream_set_events(&s->stream, events, arg);
    s->worker = w;
    s->fd = fd;
    s->tls = tls;
    s->state = tls != NULL ? SOCK_HANDSHAKE : SOCK_OPEN;
    buf_init(&s->left, SOCK_READ_BYTES);
    ev_io_init(&s->readable, on_readable, fd, EV_READ);
    s->readable.data = s;
    ev_io_init(&s->writable, on_writable, fd, EV_WRITE);
    s->writable.data = s;
    ev_idle_init(&s->again, on_again);
    ev_set_priority(&s->again, EV_MAXPRI);
    s->again.data = s;
    ev_io_start(worker_loop(w), &s->readable);
    return s;
}

struct stream *sock_stream(struct sock *s)
{
    return &s->stream;
}

void sock_on_secure(struct sock *s, sock_secure_fn *fn, void *arg)
{
    s->on_secure = fn;
    s->secure_arg = arg;
}

void sock_secure(struct sock *s, struct tls_session *tls)
{
    assert(s->tls == NULL && s->rx == RX_WAITS && s->tx == TX_OPEN && s->left.len == 0);
    s->tls = tls;
    sock_set_state(s, SOCK_HANDSHAKE);
    ev_io_start(loop_of(s), &s->readable);
}

int sock_fd(const struct sock *s)
{
    return s->fd;
}

void sock_hold(struct sock *s)
{
    assert(s->state != SOCK_HANDSHAKE);
    if (s->rx == RX_READING)
        sock_pause(s, RX_WAITS);
    else if (s->rx == RX_PAUSED)
        s->rx = RX_WAITS;
}

struct tls_session *sock_tls(struct sock *s)
{
    return s->tls;
}

void sock_detach(struct sock *s)
{
    assert(s->event == EVENT_NONE && s->state != SOCK_CLOSED);
    sock_stop(s);
    s->worker = NULL;
}

/* Starts what the states ask for; `again` finds out the rest. */
void sock_attach(struct sock *s, struct worker *w)
{
    struct ev_loop *loop = worker_loop(w);

    assert(s->worker == NULL);
    s->worker = w;
    if (s->state == SOCK_OVER)
        return;
    if (s->state == SOCK_HANDSHAKE) {
        ev_io_start(loop, &s->writable); /* asks OpenSSL what it waits for */
        return;
    }
    if (s->rx == RX_READING)
        ev_io_start(loop, &s->readable);
    if (s->tx == TX_HELD || s->tx == TX_BLOCKED || s->tx == TX_ENDING || s->rx == RX_HELD)
        ev_io_start(loop, &s->writable);
    sock_again(s);
}
