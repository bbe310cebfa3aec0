#include "gateway/sock_int.h"

#include <errno.h>
#include <sys/socket.h>

#include "gateway/tls.h"

static void sock_block(struct sock *s, enum sock_tx how)
{
    s->tx = how;
    if (how == TX_WAIT_READ)
        return;
    ev_io_start(sock_loop(s), &s->writable);
}

void sock_write_failed(struct sock *s, enum close_reason why)
{
    s->tx = TX_FAILED;
    s->why = why;
    ev_io_stop(sock_loop(s), &s->writable);
    sock_again(s);
}

static size_t write_plain(struct sock *s, const char *p, size_t n)
{
    ssize_t sent;

    do {
        sent = send(s->fd, p, n, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    if (sent == -1 && errno != EAGAIN && errno != EWOULDBLOCK) {
        sock_write_failed(s, sock_reason(errno, CLOSE_WRITE_ERROR));
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
        sock_write_failed(s, sock_tls_reason(s, CLOSE_WRITE_ERROR));
        return n;
    }
    return taken;
}

size_t sock_write(struct stream *stream, const char *p, size_t n)
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

void sock_shut(struct sock *s)
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
            sock_write_failed(s, sock_tls_reason(s, CLOSE_WRITE_ERROR));
            return;
        }
    }
    (void)shutdown(s->fd, SHUT_WR); /* fails when the peer is gone, which reading tells too */
    s->tx = TX_ENDED;
    if (s->rx == RX_ENDED)
        sock_again(s);
}

void sock_end_stream(struct stream *stream)
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
        ev_io_stop(sock_loop(s), &s->writable);
        break;
    }
    if (s->state == SOCK_HANDSHAKE) {
        s->tx = TX_ENDING;
        return;
    }
    sock_shut(s);
}

void sock_flushed(struct sock *s)
{
    ev_io_stop(sock_loop(s), &s->writable);
    if (s->rx == RX_HELD) {
        s->rx = RX_READING;
        ev_io_start(sock_loop(s), &s->readable);
        sock_again(s);
    }
    switch (s->tx) {
    case TX_HELD:
        s->tx = TX_OPEN;
        return;
    case TX_BLOCKED:
        s->tx = TX_OPEN;
        (void)sock_tell_writable(s); /* nothing is done with s after this */
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
