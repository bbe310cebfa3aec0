/*
 * Unit tests of gateway/sock and gateway/linger on plain sockets. The worker's loop is turned by the
 * test itself, except where two threads are the point. (With TLS: test_tls.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/worker.h"
#include "gateway/linger.h"
#include "gateway/sock.h"

enum { TURNS_MAX = 2000, BIG_BYTES = 8 * 1024 * 1024 };

/* What the events of one stream said, and what to do in them. */
struct receiver {
    struct stream *stream; /* owned until closed */
    struct buf got;
    size_t take_max; /* of one on_data */
    size_t largest;
    unsigned opens;
    unsigned datas;
    unsigned writables;
    unsigned eofs;
    unsigned closes;
    enum close_reason why;
    bool close_in_data;
    bool close_in_eof;
    bool close_in_writable;
    bool in_call; /* a call of ours is on the stack: no event may come */
};

static void on_open(void *arg)
{
    struct receiver *r = arg;

    assert_false(r->in_call);
    assert_int_equal(r->datas + r->opens, 0);
    r->opens++;
}

static size_t on_data(void *arg, struct str data)
{
    struct receiver *r = arg;
    size_t n = data.n < r->take_max ? data.n : r->take_max;

    assert_false(r->in_call);
    assert_int_equal(r->closes + r->eofs, 0);
    r->datas++;
    if (data.n > r->largest)
        r->largest = data.n;
    buf_add(&r->got, data.p, n);
    if (r->close_in_data) {
        stream_close(r->stream, CLOSE_CANCELLED);
        r->stream = NULL;
    }
    return n;
}

static void on_writable(void *arg)
{
    struct receiver *r = arg;

    assert_false(r->in_call);
    r->writables++;
    if (r->close_in_writable) {
        stream_close(r->stream, CLOSE_DONE);
        r->stream = NULL;
    }
}

static void on_eof(void *arg)
{
    struct receiver *r = arg;

    assert_false(r->in_call);
    assert_int_equal(r->closes, 0);
    r->eofs++;
    if (r->close_in_eof) {
        stream_close(r->stream, CLOSE_DONE);
        r->stream = NULL;
    }
}

static void on_closed(void *arg, enum close_reason why)
{
    struct receiver *r = arg;

    assert_false(r->in_call);
    assert_int_equal(r->closes, 0);
    r->closes++;
    r->why = why;
    stream_close(r->stream, why);
    r->stream = NULL;
}

static const struct stream_events events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

struct fixture {
    struct worker *worker;
    struct receiver r;
    int peer;
};

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void watch(struct fixture *f, int fd)
{
    memset(&f->r, 0, sizeof(f->r));
    buf_init(&f->r.got, 4 * BIG_BYTES);
    f->r.take_max = SIZE_MAX;
    f->r.stream = sock_stream(sock_new(f->worker, fd, NULL, &events, &f->r));
}

static void make_pair(int domain, int fds[2])
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    socklen_t len = sizeof(sa);
    int listener;

    if (domain == AF_UNIX) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
        sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listener = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
        fds[1] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[1], (struct sockaddr *)&sa, sizeof(sa)), 0);
        fds[0] = accept(listener, NULL, NULL);
        assert_int_not_equal(fds[0], -1);
        assert_int_equal(close(listener), 0);
    }
    set_nonblocking(fds[0]);
    set_nonblocking(fds[1]);
}

static int setup_domain(void **state, int domain)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    int fds[2];

    make_pair(domain, fds);
    f->worker = worker_new("test", 0);
    f->peer = fds[1];
    watch(f, fds[0]);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_domain(state, AF_UNIX);
}

static int setup_tcp(void **state)
{
    return setup_domain(state, AF_INET);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->r.stream != NULL)
        stream_close(f->r.stream, CLOSE_CANCELLED);
    worker_free(f->worker);
    if (f->peer != -1)
        (void)close(f->peer);
    buf_fini(&f->r.got);
    mem_free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    (void)ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
}

/* Turns the loop until the condition holds; a watchdog ends the test otherwise. */
#define turn_until(f, condition)                                                                   \
    do {                                                                                           \
        uint64_t end_ = clock_mono_ms() + 10000;                                                   \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ms() < end_);                                                   \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

static void peer_send(struct fixture *f, const char *p, size_t n)
{
    assert_int_equal(send(f->peer, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Calls of the owner, in which no event may come. */
static size_t owner_write(struct fixture *f, const char *p, size_t n)
{
    size_t taken;

    f->r.in_call = true;
    taken = stream_write(f->r.stream, p, n);
    f->r.in_call = false;
    return taken;
}

static void owner_resume(struct fixture *f)
{
    f->r.in_call = true;
    stream_resume(f->r.stream);
    f->r.in_call = false;
}

static void owner_end(struct fixture *f)
{
    f->r.in_call = true;
    stream_end(f->r.stream);
    f->r.in_call = false;
}

static void owner_close(struct fixture *f, enum close_reason why)
{
    f->r.in_call = true;
    stream_close(f->r.stream, why);
    f->r.in_call = false;
    f->r.stream = NULL;
}

/* ---- reading ---- */

static void read_data_arrives_in_one_event(void **state)
{
    struct fixture *f = *state;

    peer_send(f, "hello", 5);
    turn_until(f, f->r.got.len == 5);
    assert_memory_equal(buf_str(&f->r.got).p, "hello", 5);
    assert_int_equal(f->r.datas, 1);
}

static void read_comes_behind_the_opening_of_a_dialled_sock(void **state)
{
    struct fixture *f = *state;

    peer_send(f, "hello", 5);
    sock_tell_open((struct sock *)(void *)f->r.stream);
    assert_int_equal(f->r.opens, 0);
    turn_until(f, f->r.got.len == 5);
    assert_int_equal(f->r.opens, 1);
    peer_send(f, " world", 6);
    turn_until(f, f->r.got.len == 11);
    assert_int_equal(f->r.opens, 1);
}

static void read_left_data_waits_for_resume(void **state)
{
    struct fixture *f = *state;

    f->r.take_max = 2;
    peer_send(f, "hello", 5);
    turn_until(f, f->r.datas == 1);
    peer_send(f, " world", 6);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 1);
    f->r.take_max = SIZE_MAX;
    owner_resume(f);
    turn_until(f, f->r.got.len == 11);
    assert_memory_equal(buf_str(&f->r.got).p, "hello world", 11);
}

static void read_byte_by_byte_loses_nothing(void **state)
{
    struct fixture *f = *state;

    f->r.take_max = 1;
    peer_send(f, "0123456789", 10);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turn_until(f, f->r.datas == 1);
    for (unsigned i = 2; i <= 10; i++) {
        assert_int_equal(f->r.eofs, 0);
        owner_resume(f);
        turn_until(f, f->r.datas == i);
    }
    turn_until(f, f->r.eofs == 1);
    assert_memory_equal(buf_str(&f->r.got).p, "0123456789", 10);
}

static void read_stops_while_paused(void **state)
{
    static char block[64 * 1024];
    struct fixture *f = *state;
    size_t sent = 0;
    ssize_t n;

    f->r.take_max = 0;
    while ((n = send(f->peer, block, sizeof(block), MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    turn_until(f, f->r.datas == 1);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    /* What was read is bounded, so the peer fills up. */
    while ((n = send(f->peer, block, sizeof(block), MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 1);
    assert_true(f->r.largest <= SOCK_READ_BYTES);
    f->r.take_max = SIZE_MAX;
    owner_resume(f);
    turn_until(f, f->r.got.len == sent);
}

static void read_eof_after_data_is_told_once(void **state)
{
    struct fixture *f = *state;

    peer_send(f, "bye", 3);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turn_until(f, f->r.eofs == 1);
    assert_int_equal(f->r.got.len, 3);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.eofs, 1);
    assert_int_equal(f->r.closes, 0);
    assert_int_equal(owner_write(f, "still", 5), 5);
}

static void read_reset_is_closed_reset(void **state)
{
    struct fixture *f = *state;
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    assert_int_equal(close(f->peer), 0);
    f->peer = -1;
    turn_until(f, f->r.closes == 1);
    assert_int_equal(f->r.why, CLOSE_RESET);
}

/* ---- writing ---- */

static size_t peer_read_all(struct fixture *f)
{
    static char block[64 * 1024];
    size_t total = 0;
    ssize_t n;

    while ((n = recv(f->peer, block, sizeof(block), 0)) > 0)
        total += (size_t)n;
    return total;
}

static void write_that_does_not_fit_is_told_writable(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    size_t taken = owner_write(f, big, BIG_BYTES);
    size_t received = 0;

    assert_true(taken > 0 && taken < BIG_BYTES);
    assert_int_equal(owner_write(f, big, 1), 0);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.writables, 0);
    while (received < BIG_BYTES) {
        unsigned before = f->r.writables;

        received += peer_read_all(f);
        if (taken < BIG_BYTES) {
            turn_until(f, f->r.writables > before);
            taken += owner_write(f, big + taken, BIG_BYTES - taken);
        }
    }
    assert_int_equal(received, BIG_BYTES);
    mem_free(big);
}

static void write_that_fits_is_not_told_writable(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(owner_write(f, "x", 1), 1);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.writables, 0);
}

static void write_to_dead_peer_delivers_its_last_words_then_closes(void **state)
{
    struct fixture *f = *state;

    peer_send(f, "413", 3);
    assert_int_equal(close(f->peer), 0);
    f->peer = -1;
    assert_int_equal(owner_write(f, "body", 4), 4);
    assert_int_equal(owner_write(f, "body", 4), 4);
    turn_until(f, f->r.closes == 1);
    assert_int_equal(f->r.why, CLOSE_RESET);
    assert_memory_equal(buf_str(&f->r.got).p, "413", 3);
}

static void write_to_dead_peer_while_paused_closes(void **state)
{
    struct fixture *f = *state;

    f->r.take_max = 0;
    peer_send(f, "x", 1);
    turn_until(f, f->r.datas == 1);
    assert_int_equal(close(f->peer), 0);
    f->peer = -1;
    assert_int_equal(owner_write(f, "body", 4), 4);
    assert_int_equal(f->r.closes, 0);
    turn_until(f, f->r.closes == 1);
    assert_int_equal(f->r.why, CLOSE_RESET);
}

/* ---- ends ---- */

static void end_lets_the_peer_answer(void **state)
{
    struct fixture *f = *state;
    char c;

    assert_int_equal(owner_write(f, "q", 1), 1);
    owner_end(f);
    owner_end(f);
    assert_int_equal(recv(f->peer, &c, 1, 0), 1);
    assert_int_equal(recv(f->peer, &c, 1, 0), 0);
    peer_send(f, "answer", 6);
    turn_until(f, f->r.got.len == 6);
    assert_int_equal(f->r.closes, 0);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turn_until(f, f->r.closes == 1);
    assert_int_equal(f->r.eofs, 1);
    assert_int_equal(f->r.why, CLOSE_DONE);
}

static void end_after_eof_is_closed_done(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turn_until(f, f->r.eofs == 1);
    owner_end(f);
    assert_int_equal(f->r.closes, 0);
    turn_until(f, f->r.closes == 1);
    assert_int_equal(f->r.why, CLOSE_DONE);
}

static void close_inside_any_event_is_safe(void **state)
{
    struct fixture *f = *state;
    int fds[2];

    f->r.close_in_data = true;
    peer_send(f, "x", 1);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turn_until(f, f->r.stream == NULL);
    assert_int_equal(f->r.eofs + f->r.closes, 0);

    make_pair(AF_UNIX, fds);
    buf_fini(&f->r.got);
    watch(f, fds[0]);
    f->r.close_in_eof = true;
    assert_int_equal(close(fds[1]), 0);
    turn_until(f, f->r.stream == NULL);
    assert_int_equal(f->r.closes, 0);
}

static void close_inside_on_writable_is_safe(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);

    assert_true(owner_write(f, big, BIG_BYTES) < BIG_BYTES);
    mem_free(big);
    f->r.close_in_writable = true;
    while (f->r.stream != NULL) {
        (void)peer_read_all(f);
        turn(f);
    }
}

static void close_before_any_event_gives_none(void **state)
{
    struct fixture *f = *state;

    peer_send(f, "x", 1);
    owner_close(f, CLOSE_CANCELLED);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas + f->r.eofs + f->r.closes, 0);
}

/* ---- lingering ---- */

static void close_done_lets_a_sending_peer_read_the_answer(void **state)
{
    static char junk[16 * 1024];
    struct fixture *f = *state;
    char answer[16];

    f->r.take_max = 0;
    peer_send(f, junk, sizeof(junk));
    turn_until(f, f->r.datas == 1);
    assert_int_equal(owner_write(f, "HTTP 400", 8), 8);
    peer_send(f, junk, sizeof(junk)); /* unread when we close: would be a reset */
    owner_close(f, CLOSE_DONE);
    peer_send(f, junk, sizeof(junk));
    turn(f);
    assert_int_equal(recv(f->peer, answer, sizeof(answer), 0), 8);
    assert_int_equal(recv(f->peer, answer, sizeof(answer), 0), 0);
    assert_int_equal(close(f->peer), 0);
    f->peer = -1;
    for (unsigned i = 0; i < 20; i++)
        turn(f);
}

static bool is_dead(int fd)
{
    char c = 'x';

    return send(fd, &c, 1, MSG_NOSIGNAL) == -1 && (errno == EPIPE || errno == ECONNRESET);
}

static void close_done_gives_up_on_a_peer_that_sends_forever(void **state)
{
    static char junk[16 * 1024];
    struct fixture *f = *state;
    uint64_t end = clock_mono_ms() + LINGER_MS - 500;
    size_t sent = 0;

    owner_close(f, CLOSE_DONE);
    while (!is_dead(f->peer)) {
        ssize_t n = send(f->peer, junk, sizeof(junk), MSG_NOSIGNAL);

        assert_true(sent < 16 * (size_t)LINGER_DISCARD_MAX_BYTES);
        if (n > 0)
            sent += (size_t)n;
        turn(f);
    }
    /* The byte limit; or the time limit, if the machine stood still for so long. */
    assert_true(sent > LINGER_DISCARD_MAX_BYTES / 2 || clock_mono_ms() > end);
}

static void close_done_gives_up_on_a_silent_peer(void **state)
{
    struct fixture *f = *state;
    uint64_t start = clock_mono_ms();

    owner_close(f, CLOSE_DONE);
    turn(f);
    while (!is_dead(f->peer)) {
        assert_true(clock_mono_ms() < start + LINGER_MS + 20000);
        (void)usleep(20000);
        turn(f);
    }
    assert_true(clock_mono_ms() >= start + LINGER_MS - 500 - 20);
}

static void close_done_beyond_the_limit_closes_at_once(void **state)
{
    struct fixture *f = *state;
    int last[2] = { -1, -1 };

    owner_close(f, CLOSE_CANCELLED);
    for (unsigned i = 0; i < LINGER_MAX; i++) {
        int fds[2];

        make_pair(AF_UNIX, fds);
        linger_close(f->worker, fds[0], NULL);
        assert_int_equal(close(fds[1]), 0); /* ends only when the loop runs */
    }
    make_pair(AF_UNIX, last);
    linger_close(f->worker, last[0], NULL);
    assert_true(is_dead(last[1]));
    assert_int_equal(close(last[1]), 0);
    for (unsigned i = 0; i < 50; i++)
        turn(f);
    make_pair(AF_UNIX, last); /* there is room again */
    linger_close(f->worker, last[0], NULL);
    assert_false(is_dead(last[1]));
    assert_int_equal(close(last[1]), 0);
}

/* ---- moving ---- */

static void attach_delivers_what_was_left(void **state)
{
    struct fixture *f = *state;
    struct worker *old = f->worker;
    struct sock *s = (struct sock *)(void *)f->r.stream;

    f->r.take_max = 2;
    peer_send(f, "hello", 5);
    turn_until(f, f->r.datas == 1);
    sock_detach(s);
    peer_send(f, "!", 1);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 1);
    f->worker = worker_new("other", 1);
    sock_attach(s, f->worker);
    f->r.take_max = SIZE_MAX;
    turn_until(f, f->r.got.len == 6);
    assert_memory_equal(buf_str(&f->r.got).p, "hello!", 6);
    worker_free(old);
}

static void attach_keeps_waiting_for_writable(void **state)
{
    struct fixture *f = *state;
    struct worker *old = f->worker;
    struct sock *s = (struct sock *)(void *)f->r.stream;
    char *big = mem_zalloc(BIG_BYTES);

    assert_true(owner_write(f, big, BIG_BYTES) < BIG_BYTES);
    mem_free(big);
    sock_detach(s);
    f->worker = worker_new("other", 1);
    sock_attach(s, f->worker);
    while (f->r.writables == 0) {
        (void)peer_read_all(f);
        turn(f);
    }
    worker_free(old);
}

/* An echo server that hops to the other worker after every answer. */
struct hopper {
    struct worker *workers[2];
    struct sock *sock;
    unsigned at;
    bool leaving;
    atomic_uint hops;
    atomic_bool closed;
};

static void hop_arrive(struct worker *w, void *arg)
{
    struct hopper *h = arg;

    sock_attach(h->sock, w);
}

static void hop_leave(struct worker *w, void *arg)
{
    struct hopper *h = arg;

    (void)w;
    if (atomic_load(&h->closed))
        return;
    sock_detach(h->sock);
    h->leaving = false;
    h->at = 1 - h->at;
    atomic_fetch_add(&h->hops, 1);
    worker_post(h->workers[h->at], hop_arrive, h);
}

static size_t hop_data(void *arg, struct str data)
{
    struct hopper *h = arg;

    assert_ptr_equal(worker_current(), h->workers[h->at]);
    assert_int_equal(stream_write(sock_stream(h->sock), data.p, data.n), data.n);
    if (!h->leaving) /* a turn may bring two events */
        worker_defer(h->workers[h->at], hop_leave, h);
    h->leaving = true;
    return data.n;
}

static void hop_writable(void *arg)
{
    (void)arg;
}

static void hop_eof(void *arg)
{
    struct hopper *h = arg;

    atomic_store(&h->closed, true);
    stream_close(sock_stream(h->sock), CLOSE_DONE);
}

static void hop_closed(void *arg, enum close_reason why)
{
    (void)arg;
    (void)why;
    fail();
}

static const struct stream_events hop_events = {
    .on_data = hop_data,
    .on_writable = hop_writable,
    .on_eof = hop_eof,
    .on_closed = hop_closed,
};

static void hop_start(struct worker *w, void *arg)
{
    struct hopper *h = arg;

    sock_attach(h->sock, w);
}

static void attach_between_running_workers_loses_nothing(void **state)
{
    struct hopper h = { .at = 0 };
    int fds[2];

    (void)state;
    make_pair(AF_INET, fds);
    assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
    for (unsigned i = 0; i < 2; i++)
        h.workers[i] = worker_new("hop", i);
    h.sock = sock_new(h.workers[0], fds[0], NULL, &hop_events, &h);
    sock_detach(h.sock);
    for (unsigned i = 0; i < 2; i++)
        worker_start(h.workers[i]);
    worker_post(h.workers[0], hop_start, &h);
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t out = i;
        uint32_t in = 0;

        assert_int_equal(send(fds[1], &out, sizeof(out), 0), sizeof(out));
        assert_int_equal(recv(fds[1], &in, sizeof(in), MSG_WAITALL), sizeof(in));
        assert_int_equal(in, out);
    }
    assert_int_equal(close(fds[1]), 0);
    while (!atomic_load(&h.closed))
        (void)usleep(1000);
    for (unsigned i = 0; i < 2; i++) {
        worker_stop(h.workers[i]);
        worker_join(h.workers[i]);
        worker_free(h.workers[i]);
    }
    assert_true(atomic_load(&h.hops) > 100);
}

/* ---- fairness ---- */

static void read_of_a_fast_peer_is_bounded_a_turn(void **state)
{
    static char block[1024 * 1024];
    struct fixture *f = *state;
    int size = 4 * 1024 * 1024;
    size_t before;

    (void)setsockopt(f->peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (send(f->peer, block, sizeof(block), MSG_NOSIGNAL) > 0)
        ;
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        before = f->r.datas;
        turn(f);
        assert_true(f->r.datas - before <= 4);
        (void)send(f->peer, block, sizeof(block), MSG_NOSIGNAL);
    }
    assert_true(f->r.got.len > sizeof(block) || buf_failed(&f->r.got));
}

static size_t resume_at_once(void *arg, struct str data)
{
    struct receiver *r = arg;

    r->datas++;
    buf_add(&r->got, data.p, 1);
    stream_resume(r->stream);
    return 1;
}

static const struct stream_events resuming_events = {
    .on_data = resume_at_once,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void resume_inside_on_data_is_kept(void **state)
{
    struct fixture *f = *state;

    stream_set_events(f->r.stream, &resuming_events, &f->r);
    peer_send(f, "0123456789", 10);
    turn_until(f, f->r.got.len == 10);
    assert_memory_equal(buf_str(&f->r.got).p, "0123456789", 10);
}

#define on_unix(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define on_tcp(f)  cmocka_unit_test_setup_teardown(f, setup_tcp, teardown)

/* ---- holding ---- */

static struct sock *held(struct fixture *f)
{
    /* The stream is the first member. */
    struct sock *s = (struct sock *)(void *)f->r.stream;

    assert_ptr_equal(sock_stream(s), f->r.stream);
    sock_hold(s);
    return s;
}

static void sock_held_leaves_all_in_the_socket(void **state)
{
    struct fixture *f = *state;

    (void)held(f);
    peer_send(f, "hello", 5);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 0);
    assert_int_equal(owner_write(f, "out", 3), 3); /* the other direction goes on */
    owner_resume(f);
    turn_until(f, f->r.got.len == 5);
    peer_send(f, "again", 5);
    turn_until(f, f->r.got.len == 10);
}

static void sock_held_end_is_told_after_the_data(void **state)
{
    struct fixture *f = *state;

    (void)held(f);
    peer_send(f, "bye", 3);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas + f->r.eofs, 0);
    owner_resume(f);
    turn_until(f, f->r.eofs == 1);
    assert_int_equal(f->r.got.len, 3);
}

/* What was left before stays first, and a hold in between does not lose it. */
static void sock_held_with_data_left_delivers_it_first(void **state)
{
    struct fixture *f = *state;

    f->r.take_max = 0;
    peer_send(f, "left", 4);
    turn_until(f, f->r.datas == 1);
    (void)held(f);
    peer_send(f, "new", 3);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 1);
    f->r.take_max = SIZE_MAX;
    owner_resume(f);
    turn_until(f, f->r.got.len == 7);
    assert_memory_equal(buf_str(&f->r.got).p, "leftnew", 7);
}

static void sock_held_stays_so_on_another_worker(void **state)
{
    struct fixture *f = *state;
    struct sock *s = held(f);

    peer_send(f, "x", 1);
    sock_detach(s);
    sock_attach(s, f->worker);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->r.datas, 0);
    owner_resume(f);
    turn_until(f, f->r.got.len == 1);
}

static void sock_held_is_closed(void **state)
{
    struct fixture *f = *state;

    (void)held(f);
    peer_send(f, "x", 1);
    stream_close(f->r.stream, CLOSE_CANCELLED);
    f->r.stream = NULL;
    turn(f);
    assert_int_equal(f->r.datas, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_tcp(read_data_arrives_in_one_event),
        on_tcp(read_comes_behind_the_opening_of_a_dialled_sock),
        on_tcp(read_left_data_waits_for_resume),
        on_tcp(read_byte_by_byte_loses_nothing),
        on_unix(read_stops_while_paused),
        on_unix(resume_inside_on_data_is_kept),
        on_tcp(read_eof_after_data_is_told_once),
        on_tcp(read_reset_is_closed_reset),
        on_unix(write_that_does_not_fit_is_told_writable),
        on_tcp(write_that_fits_is_not_told_writable),
        on_unix(write_to_dead_peer_delivers_its_last_words_then_closes),
        on_unix(write_to_dead_peer_while_paused_closes),
        on_tcp(end_lets_the_peer_answer),
        on_tcp(end_after_eof_is_closed_done),
        on_unix(close_inside_any_event_is_safe),
        on_unix(close_inside_on_writable_is_safe),
        on_unix(close_before_any_event_gives_none),
        on_tcp(close_done_lets_a_sending_peer_read_the_answer),
        on_tcp(close_done_gives_up_on_a_peer_that_sends_forever),
        on_unix(close_done_gives_up_on_a_silent_peer),
        on_unix(close_done_beyond_the_limit_closes_at_once),
        on_tcp(attach_delivers_what_was_left),
        on_unix(attach_keeps_waiting_for_writable),
        cmocka_unit_test(attach_between_running_workers_loses_nothing),
        on_unix(read_of_a_fast_peer_is_bounded_a_turn),
        cmocka_unit_test_setup_teardown(sock_held_leaves_all_in_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(sock_held_end_is_told_after_the_data, setup, teardown),
        cmocka_unit_test_setup_teardown(sock_held_with_data_left_delivers_it_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sock_held_stays_so_on_another_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(sock_held_is_closed, setup, teardown),
    };

    return cmocka_run_group_tests_name("gateway/sock", tests, NULL, NULL);
}
