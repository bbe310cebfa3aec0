#include "tests/unit/gateway/fake_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/sock.h"

enum { FAKE_DEADLINE_MS = 20000 };

struct fake_stream_of_agent {
    struct stream stream; /* first */
    struct fake_stream_of_agent *prev;
    struct fake_stream_of_agent *next;
    struct fake_agent *agent;
    struct stream *sock; /* owned; NULL when it never opens */
    bool over;           /* on_closed was told */
    bool closed;         /* by the owner */
};

static struct fake_stream_of_agent *of(struct stream *s)
{
    return (struct fake_stream_of_agent *)(void *)s;
}

/* ---- events: those of the sock are passed on ---- */

static size_t on_data(void *arg, struct str data)
{
    struct fake_stream_of_agent *s = arg;

    return s->stream.events->on_data(s->stream.arg, data);
}

static void on_writable(void *arg)
{
    struct fake_stream_of_agent *s = arg;

    s->stream.events->on_writable(s->stream.arg);
}

static void on_eof(void *arg)
{
    struct fake_stream_of_agent *s = arg;

    s->stream.events->on_eof(s->stream.arg);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct fake_stream_of_agent *s = arg;

    s->over = true;
    s->stream.events->on_closed(s->stream.arg, why);
}

static const struct stream_events sock_events = { NULL, on_data, on_writable, on_eof, on_closed };

/* ---- the stream ---- */

static size_t fake_write(struct stream *st, const char *p, size_t n)
{
    return of(st)->over || of(st)->sock == NULL ? n : stream_write(of(st)->sock, p, n);
}

static void fake_end(struct stream *st)
{
    if (of(st)->sock != NULL && !of(st)->over)
        stream_end(of(st)->sock);
}

static void fake_resume(struct stream *st)
{
    if (of(st)->sock != NULL && !of(st)->over)
        stream_resume(of(st)->sock);
}

static void free_stream(struct worker *w, void *arg)
{
    (void)w;
    mem_free(arg);
}

static void fake_close(struct stream *st, enum close_reason why)
{
    struct fake_stream_of_agent *s = of(st);

    assert_false(s->closed);
    s->closed = true;
    DL_DELETE(s->agent->streams, s);
    if (s->sock != NULL)
        stream_close(s->sock, why);
    worker_defer(s->agent->agent.worker, free_stream, s);
}

static const struct stream_ops ops = {
    .name = "fake",
    .write = fake_write,
    .end = fake_end,
    .resume = fake_resume,
    .close = fake_close,
};

/* ---- opening ---- */

static void tell_opened(struct worker *w, void *arg)
{
    struct fake_stream_of_agent *s = arg;

    (void)w;
    if (!s->closed)
        s->stream.events->on_open(s->stream.arg);
}

static void tell_refused(struct worker *w, void *arg)
{
    (void)w;
    if (!((struct fake_stream_of_agent *)arg)->closed)
        on_closed(arg, CLOSE_REFUSED);
}

static void open_sock(struct fake_stream_of_agent *s)
{
    struct worker *w = s->agent->agent.worker;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_not_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), -1);
    s->sock = sock_stream(sock_new(w, fds[0], NULL, &sock_events, s));
    assert_int_equal(write(s->agent->accepted[1], &fds[1], sizeof(fds[1])), sizeof(fds[1]));
    worker_defer(w, tell_opened, s);
}

static struct stream *fake_agent_open(const struct agent *a, const struct addr *client,
                                      const struct stream_events *events, void *arg,
                                      enum close_reason *why)
{
    struct fake_agent *f = a->ctx;
    enum fake_open mode = (enum fake_open)atomic_load(&f->mode);
    struct fake_stream_of_agent *s;

    assert_int_not_equal(client->port, 0);
    assert_ptr_equal(worker_current(), f->agent.worker);
    *why = CLOSE_BUSY;
    if (mode == FAKE_FAILS)
        return NULL;
    s = mem_zalloc(sizeof(*s));
    s->stream = (struct stream){ .ops = &ops, .events = events, .arg = arg };
    s->agent = f;
    DL_APPEND(f->streams, s);
    if (mode == FAKE_OPENS)
        open_sock(s);
    else if (mode == FAKE_REFUSES)
        worker_defer(f->agent.worker, tell_refused, s);
    return &s->stream;
}

static const struct agent_ops agent_ops = { .open = fake_agent_open };

void fake_agent_init(struct fake_agent *f, struct worker *w)
{
    *f = (struct fake_agent){ .agent = { .ops = &agent_ops, .worker = w, .ctx = f } };
    atomic_store(&f->mode, FAKE_OPENS);
    assert_int_equal(pipe2(f->accepted, O_CLOEXEC), 0);
}

void fake_agent_fini(struct fake_agent *f)
{
    assert_null(f->streams);
    while (!fake_agent_is_quiet(f))
        (void)close(fake_agent_accept(f));
    (void)close(f->accepted[0]);
    (void)close(f->accepted[1]);
}

int fake_agent_accept(struct fake_agent *f)
{
    struct pollfd ready = { .fd = f->accepted[0], .events = POLLIN };
    int fd = -1;

    if (poll(&ready, 1, FAKE_DEADLINE_MS) != 1)
        fail_msg("no stream was opened");
    assert_int_equal(read(f->accepted[0], &fd, sizeof(fd)), sizeof(fd));
    return fd;
}

bool fake_agent_is_quiet(struct fake_agent *f)
{
    struct pollfd ready = { .fd = f->accepted[0], .events = POLLIN };

    return poll(&ready, 1, 0) == 0;
}

static void lose(struct worker *w, void *arg)
{
    struct fake_agent *f = arg;
    struct fake_stream_of_agent *s;
    struct fake_stream_of_agent *next;

    (void)w;
    DL_FOREACH_SAFE(f->streams, s, next)
    on_closed(s, CLOSE_SESSION_LOST);
}

void fake_agent_lose(struct fake_agent *f)
{
    worker_post(f->agent.worker, lose, f);
}
