#include "sshd/arrival.h"

#include <unistd.h>

#include <ev.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proxy_take.h"
#include "base/worker.h"
#include "sshd/sshd_int.h"

enum { REFUSED_LOG_BURST = 5 }; /* lines a second */

struct arrival {
    struct sshd *front; /* borrowed */
    int fd;             /* owned until the session takes it */
    struct addr peer;
    ev_io io;
    ev_timer timer;
    struct arrival *prev;
    struct arrival *next;
};

/* Its descriptor stays open. */
static void arrival_free(struct arrival *a)
{
    struct ev_loop *loop = worker_loop(a->front->worker);

    ev_io_stop(loop, &a->io);
    ev_timer_stop(loop, &a->timer);
    a->front->unauthenticated--;
    DL_DELETE(a->front->arrivals, a);
    mem_free(a);
}

static void refuse(struct arrival *a, const char *reason)
{
    struct sshd *front = a->front;
    uint64_t suppressed;

    sshd_count(front, METRIC_PROXY_REFUSED_TOTAL, 1);
    if (log_limit_pass(&front->proxy_log, REFUSED_LOG_BURST, clock_mono_ms(), &suppressed))
        log_info("proxy_protocol.refused", LADDR("from", &a->peer), LS("listener", "ssh"),
                 LS("reason", reason), LU("suppressed", suppressed));
    (void)close(a->fd); /* nothing was sent that could get lost */
    arrival_free(a);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct arrival *a = w->data;
    struct sshd *front = a->front;
    struct proxy_header header;
    struct addr client = a->peer;
    int fd = a->fd;
    struct err e;

    (void)loop;
    (void)revents;
    switch (proxy_take(fd, &header, &e)) {
    case PROXY_TAKE_MORE:
        return;
    case PROXY_TAKE_FAILED:
        refuse(a, e.msg);
        return;
    case PROXY_TAKE_DONE:
        break;
    }
    if (!header.local)
        client = header.source;
    arrival_free(a);
    sshd_admit(front, fd, &client);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    refuse(w->data, "no PROXY header in time");
}

void arrival_start(struct sshd *front, int fd, const struct addr *peer)
{
    struct ev_loop *loop = worker_loop(front->worker);
    struct arrival *a = mem_zalloc(sizeof(*a));

    a->front = front;
    a->fd = fd;
    a->peer = *peer;
    front->unauthenticated++;
    ev_io_init(&a->io, on_readable, fd, EV_READ);
    a->io.data = a;
    ev_io_start(loop, &a->io);
    ev_timer_init(&a->timer, on_timeout, (double)front->settings.proxy_header_timeout_ms / 1000.0,
                  0.0);
    a->timer.data = a;
    ev_timer_start(loop, &a->timer);
    DL_APPEND(front->arrivals, a);
}

void arrivals_stop(struct sshd *front)
{
    while (front->arrivals != NULL) {
        (void)close(front->arrivals->fd);
        arrival_free(front->arrivals);
    }
}
