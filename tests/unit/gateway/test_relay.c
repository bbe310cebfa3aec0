/*
 * Unit tests of gateway/relay: two real workers, and an agent whose upstream is the test itself.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/worker.h"
#include "gateway/relay.h"
#include "gateway/sock.h"

enum { DEADLINE_MS = 10000, CLOSED_NOT = -1, LAST_WORDS_BYTES = 128 * 1024 };

struct fixture {
    struct worker *near;
    struct worker *far;
    struct endpoint *endpoint;
    int upstream;    /* the test's end */
    int agent_fd;    /* the agent's end; -1: refuse */
    bool open_fails; /* open() returns NULL */
    struct stream *agent;
    struct stream *dialled;
    struct buf received;
    bool holds;        /* the dialler takes no data; on its worker */
    size_t last_words; /* bytes that were taken before the close */
    atomic_int held;
    atomic_int opened;
    atomic_int ended;
    atomic_int closed; /* CLOSED_NOT, or the reason */
};

/* ---- the agent, on the far worker ---- */

struct opening {
    const struct stream_events *events;
    void *arg;
};

static void tell_opened(struct worker *w, void *arg)
{
    struct opening *o = arg;

    (void)w;
    o->events->on_open(o->arg);
    mem_free(o);
}

static void tell_refused(struct worker *w, void *arg)
{
    struct opening *o = arg;

    (void)w;
    o->events->on_closed(o->arg, CLOSE_REFUSED);
    mem_free(o);
}

static struct stream *agent_open(const struct agent *a, const struct addr *client,
                                 const struct stream_events *events, void *arg,
                                 enum close_reason *why)
{
    struct fixture *f = a->ctx;
    struct opening *o;

    assert_int_equal(client->port, 4711);
    assert_ptr_equal(worker_current(), f->far);
    if (f->open_fails) {
        *why = CLOSE_BUSY;
        return NULL;
    }
    o = mem_zalloc(sizeof(*o));
    o->events = events;
    o->arg = arg;
    f->agent = sock_stream(sock_new(f->far, dup(f->agent_fd), NULL, events, arg));
    worker_defer(f->far, f->upstream == -1 ? tell_refused : tell_opened, o);
    return f->agent;
}

static const struct agent_ops agent_ops = { .open = agent_open };

/* ---- the dialler, on the near worker ---- */

static void on_open(void *arg)
{
    struct fixture *f = arg;

    assert_int_equal(stream_write(f->dialled, "ping", 4), 4);
    atomic_store(&f->opened, 1);
}

static size_t on_data(void *arg, struct str data)
{
    struct fixture *f = arg;

    if (f->holds) {
        atomic_store(&f->held, 1);
        return 0;
    }
    buf_add_str(&f->received, data);
    return data.n;
}

static void on_writable(void *arg)
{
    (void)arg;
}

static void on_eof(void *arg)
{
    struct fixture *f = arg;

    atomic_store(&f->ended, 1);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct fixture *f = arg;

    atomic_store(&f->closed, (int)why);
}

static const struct stream_events dialler_events = { on_open, on_data, on_writable, on_eof,
                                                     on_closed };

static void dial(struct worker *w, void *arg)
{
    struct fixture *f = arg;
    const struct addr client = { .family = 4, .port = 4711 };
    enum close_reason why;

    (void)w;
    f->dialled = relay_dial(f->endpoint, &client, &dialler_events, f, &why);
    assert_non_null(f->dialled);
}

static void take_again(struct worker *w, void *arg)
{
    struct fixture *f = arg;

    (void)w;
    f->holds = false;
    stream_resume(f->dialled);
}

static void end_dialled(struct worker *w, void *arg)
{
    struct fixture *f = arg;

    (void)w;
    stream_end(f->dialled);
}

/* More than the agent takes at once, and then the end. */
static void say_last_words(struct worker *w, void *arg)
{
    static const char words[LAST_WORDS_BYTES];
    struct fixture *f = arg;

    (void)w;
    f->last_words = stream_write(f->dialled, words, sizeof(words));
    stream_close(f->dialled, CLOSE_DONE);
    f->dialled = NULL;
}

static void close_dialled(struct worker *w, void *arg)
{
    struct fixture *f = arg;

    (void)w;
    if (f->dialled != NULL)
        stream_close(f->dialled, CLOSE_DONE);
    f->dialled = NULL;
}

/* ---- the test's side ---- */

static int setup(void **state)
{
    static struct fixture f;
    int fds[2];

    f = (struct fixture){ .near = worker_new("near", 0), .far = worker_new("far", 1) };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    f.upstream = fds[0];
    f.agent_fd = fds[1];
    f.endpoint = endpoint_new();
    f.endpoint->agent = (struct agent){ .ops = &agent_ops, .worker = f.far, .ctx = &f };
    buf_init(&f.received, 1024);
    atomic_store(&f.closed, CLOSED_NOT);
    worker_start(f.near);
    worker_start(f.far);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    worker_post(f->near, close_dialled, f);
    worker_stop(f->near);
    worker_join(f->near);
    worker_stop(f->far);
    worker_join(f->far);
    worker_free(f->near);
    worker_free(f->far);
    endpoint_unref(f->endpoint);
    buf_fini(&f->received);
    if (f->upstream != -1)
        (void)close(f->upstream);
    if (f->agent_fd != -1)
        (void)close(f->agent_fd);
    return 0;
}

static void start_dial(struct fixture *f)
{
    worker_post(f->near, dial, f);
}

/* Only the agent's own copy shall keep its end open. */
static void let_go_of_agent_end(struct fixture *f)
{
    (void)close(f->agent_fd);
    f->agent_fd = -1;
}

static void wait_for(atomic_int *value, int not_value)
{
    for (int ms = 0; ms < DEADLINE_MS && atomic_load(value) == not_value; ms++)
        (void)poll(NULL, 0, 1);
    assert_int_not_equal(atomic_load(value), not_value);
}

static ssize_t read_upstream(struct fixture *f, char *p, size_t n)
{
    struct pollfd ready = { .fd = f->upstream, .events = POLLIN };

    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    return read(f->upstream, p, n);
}

static void relay_carries_data_and_half_close_both_ways(void **state)
{
    struct fixture *f = *state;
    char got[16];

    start_dial(f);
    assert_int_equal(read_upstream(f, got, sizeof(got)), 4);
    assert_memory_equal(got, "ping", 4);
    let_go_of_agent_end(f);
    worker_post(f->near, end_dialled, f);
    assert_int_equal(read_upstream(f, got, sizeof(got)), 0);
    assert_int_equal(write(f->upstream, "pong", 4), 4);
    assert_int_equal(shutdown(f->upstream, SHUT_WR), 0);
    wait_for(&f->closed, CLOSED_NOT);
    assert_int_equal(atomic_load(&f->closed), CLOSE_DONE);
    assert_true(str_eq(buf_str(&f->received), STR("pong")));
    assert_int_equal(atomic_load(&f->ended), 1);
}

static void relay_half_close_of_the_upstream_leaves_writing_open(void **state)
{
    struct fixture *f = *state;
    char got[16];

    start_dial(f);
    assert_int_equal(read_upstream(f, got, sizeof(got)), 4);
    let_go_of_agent_end(f);
    assert_int_equal(shutdown(f->upstream, SHUT_WR), 0);
    wait_for(&f->ended, 0);
    assert_int_equal(atomic_load(&f->closed), CLOSED_NOT);
}

static void relay_refused_dial_says_why(void **state)
{
    struct fixture *f = *state;

    (void)close(f->upstream);
    f->upstream = -1;
    start_dial(f);
    wait_for(&f->closed, CLOSED_NOT);
    assert_int_equal(atomic_load(&f->closed), CLOSE_REFUSED);
    assert_int_equal(atomic_load(&f->opened), 0);
}

static void relay_full_agent_says_why(void **state)
{
    struct fixture *f = *state;

    f->open_fails = true;
    start_dial(f);
    wait_for(&f->closed, CLOSED_NOT);
    assert_int_equal(atomic_load(&f->closed), CLOSE_BUSY);
}

static void relay_closed_by_the_dialler_ends_the_upstream(void **state)
{
    struct fixture *f = *state;
    char got[16];

    start_dial(f);
    assert_int_equal(read_upstream(f, got, sizeof(got)), 4);
    let_go_of_agent_end(f);
    worker_post(f->near, close_dialled, f);
    assert_int_equal(read_upstream(f, got, sizeof(got)), 0);
    assert_int_equal(atomic_load(&f->closed), CLOSED_NOT);
}

static void relay_passes_on_what_was_written_before_the_close(void **state)
{
    struct fixture *f = *state;
    char got[4096];
    size_t total = 0;
    ssize_t n;

    start_dial(f);
    assert_int_equal(read_upstream(f, got, 4), 4);
    let_go_of_agent_end(f);
    worker_post(f->near, say_last_words, f);
    while ((n = read_upstream(f, got, sizeof(got))) > 0)
        total += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(total, f->last_words);
}

/* The answer may be whole, whatever became of the connection behind it. */
static void relay_data_before_a_reset_is_delivered(void **state)
{
    struct fixture *f = *state;

    f->holds = true;
    start_dial(f);
    wait_for(&f->opened, 0);
    let_go_of_agent_end(f);
    assert_int_equal(write(f->upstream, "pong", 4), 4);
    wait_for(&f->held, 0);
    (void)close(f->upstream); /* "ping" is unread: a reset */
    f->upstream = -1;
    (void)poll(NULL, 0, 50);
    assert_int_equal(atomic_load(&f->closed), CLOSED_NOT);
    worker_post(f->near, take_again, f);
    wait_for(&f->closed, CLOSED_NOT);
    assert_int_equal(atomic_load(&f->closed), CLOSE_RESET);
    assert_true(str_eq(buf_str(&f->received), STR("pong")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(relay_carries_data_and_half_close_both_ways, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(relay_half_close_of_the_upstream_leaves_writing_open, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(relay_refused_dial_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(relay_full_agent_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(relay_closed_by_the_dialler_ends_the_upstream, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(relay_passes_on_what_was_written_before_the_close, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(relay_data_before_a_reset_is_delivered, setup, teardown),
    };

    return cmocka_run_group_tests_name("gateway/relay", tests, NULL, NULL);
}
