/*
 * Reading goes through one buffer of the thread. Data lives there only while on_data runs, so an
 * idle connection costs no read buffer at all; what a receiver leaves is copied to `left`.
 */
#include "gateway/sock_int.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "gateway/tls.h"

enum { SOCK_ROUNDS_MAX = 4 }; /* reads a turn, so that one fast peer does not hold the worker */

/* What one round of reading came to. */
enum fill {
    FILL_FULL, /* the buffer was filled; there may be more */
    FILL_DRY,  /* no more for now */
    FILL_HELD, /* TLS must write first */
    FILL_EOF,
    FILL_FAILED, /* s->why says it */
};

static _Thread_local char scratch[SOCK_READ_BYTES];

static enum fill fill_plain(struct sock *s, size_t *n)
{
    ssize_t got;

    do {
        got = recv(s->fd, scratch, sizeof(scratch), 0);
    } while (got == -1 && errno == EINTR);
    if (got == -1) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return FILL_DRY;
        s->why = sock_reason(errno, CLOSE_READ_ERROR);
        return FILL_FAILED;
    }
    if (got == 0)
        return FILL_EOF;
    *n = (size_t)got;
    /* Less than asked for: the socket is empty, and asking again would only cost a system call. */
    return *n < sizeof(scratch) ? FILL_DRY : FILL_FULL;
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
            s->why = sock_tls_reason(s, CLOSE_READ_ERROR);
            return FILL_FAILED;
        }
    }
    return FILL_FULL;
}

void sock_pause(struct sock *s, enum sock_rx why)
{
    s->rx = why;
    ev_io_stop(sock_loop(s), &s->readable);
}

/* Gives the thread's buffer to the receiver and keeps what it leaves. False: s is gone. */
static bool sock_deliver(struct sock *s, size_t n)
{
    size_t taken;

    if (!sock_tell_data(s, str_of(scratch, n), &taken))
        return false;
    if (taken < n) {
        buf_add(&s->left, scratch + taken, n - taken);
        assert(!buf_failed(&s->left));
        if (s->rx == RX_READING)
            sock_pause(s, RX_PAUSED);
    }
    return true;
}

bool sock_deliver_left(struct sock *s)
{
    size_t taken;

    if (s->left.len > 0) {
        if (!sock_tell_data(s, buf_str(&s->left), &taken))
            return false;
        buf_consume(&s->left, taken);
        if (s->left.len > 0 || s->rx != RX_PAUSED)
            return true;
        buf_fini(&s->left);
    }
    s->rx = RX_READING;
    ev_io_start(sock_loop(s), &s->readable);
    return true;
}

void sock_tell_end(struct sock *s)
{
    enum sock_end end = s->end;

    s->end = END_NONE;
    if (end == END_FAILED) {
        sock_tell_closed(s, s->why);
        return;
    }
    sock_pause(s, RX_ENDED);
    if (!sock_tell_eof(s))
        return;
    if (s->tx == TX_ENDED)
        sock_tell_closed(s, CLOSE_DONE);
    else if (s->tx == TX_FAILED)
        sock_tell_closed(s, s->why);
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
        ev_io_start(sock_loop(s), &s->writable);
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

void sock_read(struct sock *s)
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
            if (!sock_tell_writable(s))
                return;
        }
        if (!sock_filled(s, filled))
            return;
    }
    /* Bytes inside OpenSSL do not make the socket readable. */
    if (s->tls != NULL)
        sock_again(s);
}
