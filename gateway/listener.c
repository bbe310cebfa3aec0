/*
 * Options of the accepted sockets are set on the listening one: Linux hands TCP_NODELAY and the
 * keepalive settings on to what it accepts, which saves four system calls a connection.
 */
#include "gateway/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    LISTENER_BACKLOG = 1024,
    LISTENER_PAUSE_MS = 100, /* when the process or the machine is out of descriptors */
    LISTENER_LOG_MAX = 1,    /* lines a second about that */
    LISTENER_KEEPALIVE_S = 60,
    LISTENER_KEEPALIVE_PROBE_S = 10,
    LISTENER_KEEPALIVE_PROBES = 5,
};

struct listener {
    struct worker *worker; /* borrowed: outlives us */
    listener_accept_fn *fn;
    void *arg;
    int fd;
    struct addr addr; /* for the log */
    ev_io readable;
    ev_timer pause;
    struct log_limit complaints;
};

/* ---- binding ---------------------------------------------------------------------------- */

enum listener_sharing { LISTENER_ALONE, LISTENER_SHARED };

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int set_options(int fd, const struct addr *a, enum listener_sharing sharing)
{
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
        return -1;
    if (sharing == LISTENER_SHARED && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
        return -1;
    /* "[::]" is IPv6 only: whoever wants both families lists both. */
    if (a->family == 6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == -1)
        return -1;
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1 ||
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, LISTENER_KEEPALIVE_S) == -1 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, LISTENER_KEEPALIVE_PROBE_S) == -1 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, LISTENER_KEEPALIVE_PROBES) == -1)
        return -1;
    return 0;
}

/* Says what failed and what to do about it. */
static int bind_error(struct err *e, const struct addr *a, int errnum)
{
    static const struct {
        int errnum;
        const char *text;
    } hints[] = {
        { EACCES, "permission denied; run as root, or give the program cap_net_bind_service, or "
                  "choose a port above 1023" },
        { EADDRINUSE, "the address is in use; stop the program that listens there, or choose "
                      "another port" },
        { EADDRNOTAVAIL, "this machine does not have the address; choose one of its own, or "
                         "0.0.0.0 or [::] for all" },
        { EAFNOSUPPORT, "this machine has no IPv6; remove the address" },
    };
    char text[ADDR_TEXT_BYTES];

    (void)addr_format(a, text);
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].errnum == errnum)
            return err_set(e, E_SYSTEM, "cannot listen on %s: %s", text, hints[i].text);
    }
    return err_set_errno(e, errnum, "cannot listen on %s", text);
}

static int bind_socket(const struct addr *a, enum listener_sharing sharing, struct err *e)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(a, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int errnum;

    if (fd == -1)
        return bind_error(e, a, errno);
    if (set_options(fd, a, sharing) == 0 && bind(fd, (const struct sockaddr *)&sa, len) == 0 &&
        listen(fd, LISTENER_BACKLOG) == 0)
        return fd;
    errnum = errno;
    (void)close(fd);
    return bind_error(e, a, errnum);
}

int listener_bind(const struct addr *a, struct err *e)
{
    return bind_socket(a, LISTENER_SHARED, e);
}

int listener_probe(const struct addr *a, struct err *e)
{
    int fd = bind_socket(a, LISTENER_ALONE, e);

    if (fd == -1)
        return -1;
    (void)close(fd);
    return 0;
}

/* ---- accepting -------------------------------------------------------------------------- */

/* Stops for a moment: until a descriptor is free, every accept would fail the same way. */
static void listener_pause(struct listener *l, int errnum)
{
    struct ev_loop *loop = worker_loop(l->worker);
    uint64_t suppressed;

    ev_io_stop(loop, &l->readable);
    ev_timer_set(&l->pause, LISTENER_PAUSE_MS / 1000.0, 0.0);
    ev_timer_start(loop, &l->pause);
    if (log_limit_pass(&l->complaints, LISTENER_LOG_MAX, clock_mono_ms(), &suppressed))
        log_warn("listener.paused", LADDR("address", &l->addr), LS("error", strerror(errnum)),
                 LS("hint", "raise the limit of open files (ulimit -n, LimitNOFILE)"),
                 LU("suppressed", suppressed));
}

static void on_pause_end(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct listener *l = watcher->data;

    (void)revents;
    ev_io_start(loop, &l->readable);
}

/* One connection. Returns 0 to go on, or -1 when the turn is over. */
static int listener_accept(struct listener *l)
{
    struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof(sa);
    struct addr peer;
    int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd != -1) {
        peer = addr_from_sockaddr((const struct sockaddr *)&sa);
        l->fn(l->arg, fd, &peer);
        return 0;
    }
    switch (errno) {
    case EAGAIN:
        return -1;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        listener_pause(l, errno);
        return -1;
    default:
        /* ECONNABORTED, and network errors that were pending on the new connection (accept(2)):
         * they concern that one only. */
        return 0;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct listener *l = watcher->data;

    (void)loop;
    (void)revents;
    for (unsigned i = 0; i < LISTENER_ACCEPT_MAX; i++) {
        /* The receiver may have stopped us. */
        if (!ev_is_active(&l->readable) || listener_accept(l) == -1)
            return;
    }
}

struct listener *listener_new(struct worker *w, int fd, listener_accept_fn *fn, void *arg)
{
    struct listener *l = mem_zalloc(sizeof(*l));

    l->worker = w;
    l->fn = fn;
    l->arg = arg;
    l->fd = fd;
    l->addr = addr_of_socket(fd);
    ev_io_init(&l->readable, on_readable, fd, EV_READ);
    l->readable.data = l;
    ev_timer_init(&l->pause, on_pause_end, 0.0, 0.0);
    l->pause.data = l;
    return l;
}

void listener_start(struct listener *l)
{
    if (!ev_is_active(&l->pause))
        ev_io_start(worker_loop(l->worker), &l->readable);
}

void listener_stop(struct listener *l)
{
    ev_io_stop(worker_loop(l->worker), &l->readable);
    ev_timer_stop(worker_loop(l->worker), &l->pause);
}

void listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    listener_stop(l);
    (void)close(l->fd); /* there is nobody to tell */
    mem_free(l);
}
