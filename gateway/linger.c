#include "gateway/linger.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/mem.h"
#include "gateway/tls.h"

struct linger_conn {
    struct worker *worker; /* borrowed: outlives us, see on_cleanup() */
    int fd;
    struct tls_session *tls; /* owned; NULL when it has nothing left to send */
    size_t discarded;
    ev_io readable;
    ev_io writable;
    ev_timer deadline;
    ev_cleanup cleanup;
};

/* Of the worker whose thread this is. */
static _Thread_local unsigned lingering;

static void linger_free(struct linger_conn *l)
{
    struct ev_loop *loop = worker_loop(l->worker);

    ev_io_stop(loop, &l->readable);
    ev_io_stop(loop, &l->writable);
    ev_timer_stop(loop, &l->deadline);
    ev_cleanup_stop(loop, &l->cleanup);
    tls_session_free(l->tls);
    (void)close(l->fd); /* there is nobody to tell */
    mem_free(l);
    if (lingering > 0) /* on_cleanup() may run on a thread that never counted it */
        lingering--;
}

/* Returns false when the peer has closed or sent too much. */
static bool linger_discard(struct linger_conn *l)
{
    char trash[16 * 1024];
    size_t turn = 0;
    ssize_t n;

    do {
        n = recv(l->fd, trash, sizeof(trash), 0);
        if (n > 0)
            turn += (size_t)n;
    } while ((n > 0 && turn < LINGER_TURN_BYTES) || (n == -1 && errno == EINTR));
    l->discarded += turn;
    if (l->discarded > LINGER_DISCARD_MAX_BYTES)
        return false;
    return n > 0 || (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)loop;
    (void)revents;
    if (!linger_discard(watcher->data))
        linger_free(watcher->data);
}

/* Everything is sent: says so to the peer and waits for it. */
static void linger_shut(struct linger_conn *l)
{
    struct ev_loop *loop = worker_loop(l->worker);

    tls_session_free(l->tls);
    l->tls = NULL;
    (void)shutdown(l->fd, SHUT_WR); /* fails when the peer is gone, which reading tells too */
    ev_io_start(loop, &l->readable);
    ev_timer_stop(loop, &l->deadline);
    ev_timer_set(&l->deadline, LINGER_MS / 1000.0, 0.0);
    ev_timer_start(loop, &l->deadline);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct linger_conn *l = watcher->data;

    (void)revents;
    switch (tls_flush(l->tls)) {
    case TLS_OK:
        ev_io_stop(loop, &l->writable);
        linger_shut(l);
        return;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return;
    case TLS_EOF:
    case TLS_FAILED:
        linger_free(l);
        return;
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop;
    (void)revents;
    linger_free(watcher->data);
}

/* The loop is about to be destroyed. */
static void on_cleanup(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
    (void)loop;
    (void)revents;
    linger_free(watcher->data);
}

static void linger_watch(struct linger_conn *l)
{
    struct ev_loop *loop = worker_loop(l->worker);

    ev_io_init(&l->readable, on_readable, l->fd, EV_READ);
    l->readable.data = l;
    ev_io_init(&l->writable, on_writable, l->fd, EV_WRITE);
    l->writable.data = l;
    ev_timer_init(&l->deadline, on_deadline, LINGER_FLUSH_MS / 1000.0, 0.0);
    l->deadline.data = l;
    ev_cleanup_init(&l->cleanup, on_cleanup);
    l->cleanup.data = l;
    ev_cleanup_start(loop, &l->cleanup);
}

void linger_close(struct worker *w, int fd, struct tls_session *tls)
{
    struct linger_conn *l;

    if (lingering >= LINGER_MAX) {
        tls_session_free(tls);
        (void)close(fd);
        return;
    }
    l = mem_zalloc(sizeof(*l));
    l->worker = w;
    l->fd = fd;
    l->tls = tls;
    lingering++;
    linger_watch(l);
    if (tls != NULL && tls_flush(tls) == TLS_WANT_WRITE) {
        ev_io_start(worker_loop(w), &l->writable);
        ev_timer_start(worker_loop(w), &l->deadline);
        return;
    }
    linger_shut(l);
}
