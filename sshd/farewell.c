#include "sshd/farewell.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/worker.h"
#include "sshd/sshd_int.h"

enum { FAREWELL_READ_BYTES = 16 * 1024, FAREWELL_READS = 4 };

struct farewell {
    struct sshd *front; /* borrowed */
    int fd;             /* owned */
    enum farewell_to to;
    ev_io io;
    ev_timer timer;
    struct farewell *prev;
    struct farewell *next;
};

static void farewell_free(struct farewell *l)
{
    struct ev_loop *loop = worker_loop(l->front->worker);

    ev_io_stop(loop, &l->io);
    ev_timer_stop(loop, &l->timer);
    (void)close(l->fd);
    if (l->to == FAREWELL_TO_STRANGER)
        l->front->unauthenticated--;
    DL_DELETE(l->front->farewells, l);
    mem_free(l);
}

static void farewell_end(struct farewell *l)
{
    struct sshd *front = l->front;

    farewell_free(l);
    sshd_check_closed(front);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct farewell *l = w->data;
    char waste[FAREWELL_READ_BYTES];

    (void)loop;
    (void)revents;
    for (int i = 0; i < FAREWELL_READS; i++) {
        ssize_t n = recv(l->fd, waste, sizeof(waste), 0);

        if (n > 0 || (n == -1 && errno == EINTR))
            continue;
        if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        farewell_end(l);
        return;
    }
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    farewell_end(w->data);
}

void farewell_start(struct sshd *front, int fd, enum farewell_to to)
{
    struct ev_loop *loop = worker_loop(front->worker);
    struct farewell *l = mem_zalloc(sizeof(*l));

    l->front = front;
    l->fd = fd;
    l->to = to;
    if (to == FAREWELL_TO_STRANGER)
        front->unauthenticated++;
    (void)shutdown(fd, SHUT_WR); /* fails only when the client has gone: the read tells */
    ev_io_init(&l->io, on_readable, fd, EV_READ);
    l->io.data = l;
    ev_io_start(loop, &l->io);
    ev_timer_init(&l->timer, on_timeout, FAREWELL_MS / 1000.0, 0.0);
    l->timer.data = l;
    ev_timer_start(loop, &l->timer);
    DL_APPEND(front->farewells, l);
}

void farewells_stop(struct sshd *front)
{
    while (front->farewells != NULL)
        farewell_free(front->farewells);
}
