/*
 * Every event comes from a callback of the loop, so none can come inside a call of the owner. What
 * such a call finds out (a failed write, both directions over) waits for `again`, which runs in the
 * next turn: an idle watcher of the highest priority, since those fire once a turn without delay,
 * while a fed event would run in the same turn and let a busy socket starve the others.
 */
#include "gateway/sock.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/linger.h"
#include "gateway/sock_int.h"
#include "gateway/tls.h"

struct sock *sock_from(struct stream *s)
{
    return (struct sock *)(void *)s;
}

struct ev_loop *sock_loop(const struct sock *s)
{
    return worker_loop(s->worker);
}

/* ---- the life --------------------------------------------------------------------------- */

void sock_set_state(struct sock *s, enum sock_state next)
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

void sock_stop(struct sock *s)
{
    ev_io_stop(sock_loop(s), &s->readable);
    ev_io_stop(sock_loop(s), &s->writable);
    ev_idle_stop(sock_loop(s), &s->again);
}

static void sock_free(struct sock *s)
{
    tls_session_free(s->tls);
    if (s->fd != -1)
        (void)close(s->fd); /* there is nobody to tell */
    buf_fini(&s->left);
    mem_free(s);
}

static bool sock_end_event(struct sock *s)
{
    s->event = EVENT_NONE;
    if (s->state != SOCK_CLOSED)
        return true;
    sock_free(s);
    return false;
}

static bool tell_open(struct sock *s)
{
    s->is_opening = false;
    ev_io_start(sock_loop(s), &s->readable);
    s->event = EVENT_OTHER;
    s->stream.events->on_open(s->stream.arg);
    return sock_end_event(s);
}

bool sock_tell_data(struct sock *s, struct str data, size_t *taken)
{
    s->event = EVENT_DATA;
    *taken = s->stream.events->on_data(s->stream.arg, data);
    assert(*taken <= data.n);
    return sock_end_event(s);
}

bool sock_tell_writable(struct sock *s)
{
    s->event = EVENT_OTHER;
    s->stream.events->on_writable(s->stream.arg);
    return sock_end_event(s);
}

bool sock_tell_eof(struct sock *s)
{
    s->event = EVENT_OTHER;
    s->stream.events->on_eof(s->stream.arg);
    return sock_end_event(s);
}

bool sock_tell_secure(struct sock *s)
{
    if (s->on_secure == NULL)
        return true;
    s->event = EVENT_OTHER;
    s->on_secure(s->secure_arg);
    return sock_end_event(s);
}

void sock_tell_closed(struct sock *s, enum close_reason why)
{
    sock_stop(s);
    sock_set_state(s, SOCK_OVER);
    s->event = EVENT_OTHER;
    s->stream.events->on_closed(s->stream.arg, why);
    (void)sock_end_event(s); /* nothing is done with s after this */
}

void sock_again(struct sock *s)
{
    ev_idle_start(sock_loop(s), &s->again);
}

enum close_reason sock_reason(int errnum, enum close_reason other)
{
    return errnum == ECONNRESET || errnum == EPIPE ? CLOSE_RESET : other;
}

enum close_reason sock_tls_reason(const struct sock *s, enum close_reason other)
{
    int errnum = tls_session_errno(s->tls);

    return errnum != 0 ? sock_reason(errnum, other) : CLOSE_TLS_ERROR;
}

/* ---- the loop's callbacks --------------------------------------------------------------- */

/* Touch nothing after it. */
static void sock_secured(struct sock *s)
{
    enum sock_tx before = s->tx;

    sock_set_state(s, SOCK_OPEN);
    ev_io_stop(sock_loop(s), &s->writable);
    if (s->rx == RX_WAITS) {
        ev_io_stop(sock_loop(s), &s->readable);
    } else {
        ev_io_start(sock_loop(s), &s->readable);
        if (tls_has_pending(s->tls)) /* the first request came with the end of the handshake */
            sock_again(s);
    }
    s->tx = TX_OPEN;
    if (before == TX_ENDING)
        sock_shut(s);
    if (!sock_tell_secure(s))
        return;
    if (before == TX_BLOCKED && s->tx == TX_OPEN)
        (void)sock_tell_writable(s); /* nothing is done with s after this */
}

/* Touch nothing after it. */
static void sock_handshake(struct sock *s)
{
    struct ev_loop *loop = sock_loop(s);

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
        sock_tell_closed(s, CLOSE_TLS_ERROR);
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
        sock_write_failed(s, sock_tls_reason(s, CLOSE_WRITE_ERROR));
        return;
    }
}

static void on_again(struct ev_loop *loop, ev_idle *watcher, int revents)
{
    struct sock *s = watcher->data;

    (void)revents;
    ev_idle_stop(loop, &s->again);
    if (s->is_opening && !tell_open(s))
        return;
    if (s->tx == TX_FAILED && s->rx != RX_READING) {
        sock_tell_closed(s, s->why);
        return;
    }
    if (s->rx == RX_ENDED) {
        if (s->tx == TX_ENDED)
            sock_tell_closed(s, CLOSE_DONE);
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

void sock_tell_open(struct sock *s)
{
    s->is_opening = true;
    ev_io_stop(sock_loop(s), &s->readable);
    sock_again(s);
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
    ev_io_start(sock_loop(s), &s->readable);
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
