/*
 * Unit tests of gateway/preface, and with it of base/proxy_take and base/peek, over TCP on loopback:
 * only there does the kernel count bytes as the gateway asks it to. The test turns the loop itself.
 * Links: tests/unit/gateway/hello_maker
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/worker.h"
#include "gateway/client_hello.h"
#include "gateway/preface.h"
#include "tests/unit/gateway/hello_maker.h"

enum { TIMEOUT_MS = 60000, SHORT_MS = 300, PATIENCE_MS = 20000 };

#define PROXY_V1 "PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n"
#define PROXY_V2                                                                                   \
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xcb\x00\x71\x01\x12\x67\x01\xbb"

struct fixture {
    struct worker *worker;
    int client;
    int fd;
    struct preface *preface;
    struct preface_facts facts;
    enum { RUNS, READ, FAILED } state;
    enum close_reason why;
};

/* ---- the connection ---- */

static void connect_pair(struct fixture *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    f->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->client, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(setsockopt(f->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    f->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(f->fd >= 0);
    (void)close(listener);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    f->worker = worker_new("test", 0);
    connect_pair(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    preface_free(f->preface);
    (void)close(f->client);
    (void)close(f->fd);
    worker_free(f->worker);
    mem_free(f);
    return 0;
}

static void on_read(void *arg, const struct preface_facts *facts)
{
    struct fixture *f = arg;

    assert_int_equal(f->state, RUNS);
    f->state = READ;
    f->facts = *facts;
    preface_free(f->preface);
    f->preface = NULL;
}

static void on_failed(void *arg, enum close_reason why, const char *text)
{
    struct fixture *f = arg;

    assert_int_equal(f->state, RUNS);
    assert_true(strlen(text) > 0);
    f->state = FAILED;
    f->why = why;
}

static const struct preface_events events = { .on_read = on_read, .on_failed = on_failed };

enum wanted { PROXY = 1, HELLO = 2 };

static void start(struct fixture *f, unsigned wanted, uint64_t timeout_ms)
{
    const struct preface_params params = {
        .worker = f->worker,
        .fd = f->fd,
        .wants_proxy = (wanted & PROXY) != 0,
        .wants_hello = (wanted & HELLO) != 0,
        .proxy_timeout_ms = timeout_ms,
        .hello_timeout_ms = timeout_ms,
    };

    f->preface = preface_new(&params, &events, f);
}

static void run(struct fixture *f)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;

    while (f->state == RUNS && clock_mono_ms() < end)
        (void)ev_run(worker_loop(f->worker), EVRUN_ONCE);
    assert_int_not_equal(f->state, RUNS);
}

/* What has come by now is looked at; nothing else. */
static void look(struct fixture *f)
{
    for (int i = 0; i < 20; i++) {
        (void)ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
        (void)usleep(100);
    }
}

static void send_all(struct fixture *f, struct str bytes)
{
    assert_int_equal(send(f->client, bytes.p, bytes.n, MSG_NOSIGNAL), (ssize_t)bytes.n);
}

static void send_slowly(struct fixture *f, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        assert_int_equal(f->state, RUNS);
        send_all(f, str_slice(bytes, i, i + 1));
        look(f);
    }
    run(f);
    assert_int_equal(f->state, READ);
}

/* Whoever reads the connection next finds exactly these. */
static void assert_waiting(struct fixture *f, struct str bytes)
{
    char *got = mem_zalloc(bytes.n + 1);
    size_t n = 0;

    while (n < bytes.n) {
        struct pollfd ready = { .fd = f->fd, .events = POLLIN };
        ssize_t part;

        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        part = recv(f->fd, got + n, bytes.n - n, 0);
        assert_true(part > 0);
        n += (size_t)part;
    }
    assert_memory_equal(got, bytes.p, bytes.n);
    assert_int_equal(recv(f->fd, got, 1, 0), -1);
    mem_free(got);
}

static void assert_source(const struct fixture *f)
{
    char text[ADDR_TEXT_BYTES];

    assert_false(f->facts.proxy.local);
    assert_string_equal(addr_format(&f->facts.proxy.source, text), "192.0.2.7:4711");
    assert_string_equal(addr_format(&f->facts.proxy.destination, text), "203.0.113.1:443");
}

static void make_hello(struct buf *out, size_t piece)
{
    struct buf body;

    buf_init(&body, 65536);
    buf_init(out, (size_t)1 << 18);
    hello_build(&body, &hello_plain);
    hello_frame(out, buf_str(&body), piece);
    buf_fini(&body);
}

static void assert_hello(const struct fixture *f)
{
    assert_string_equal(f->facts.server_name, "a.test");
    assert_memory_equal(f->facts.ja4, "t13d0204h2_", 11);
}

/* ---- PROXY headers ---- */

static void proxy_header_is_taken_and_no_byte_more(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY, TIMEOUT_MS);
    send_all(f, STR(PROXY_V1 "GET / HTTP/1.1\r\n"));
    run(f);
    assert_int_equal(f->state, READ);
    assert_source(f);
    assert_waiting(f, STR("GET / HTTP/1.1\r\n"));
}

static void proxy_header_byte_by_byte_is_taken(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY, TIMEOUT_MS);
    send_slowly(f, STR(PROXY_V2));
    assert_source(f);
    send_all(f, STR("x")); /* and one byte wakes the next reader again */
    look(f);
    assert_waiting(f, STR("x"));
}

static void proxy_header_without_addresses_is_local(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY, TIMEOUT_MS);
    send_all(f, STR("PROXY UNKNOWN\r\n"));
    run(f);
    assert_int_equal(f->state, READ);
    assert_true(f->facts.proxy.local);
}

static void proxy_header_missing_is_a_protocol_error(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY | HELLO, TIMEOUT_MS);
    send_all(f, STR("GET / HTTP/1.1\r\n"));
    run(f);
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_PROTOCOL);
    assert_true(preface_awaits_proxy(f->preface));
}

static void proxy_header_cut_by_the_end_is_a_protocol_error(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY, TIMEOUT_MS);
    send_all(f, STR("PROXY TCP4 192.0.2.7"));
    look(f);
    assert_int_equal(f->state, RUNS);
    (void)shutdown(f->client, SHUT_WR);
    run(f);
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_PROTOCOL);
}

/* The bytes that are there do not wake the loop again and again, nor does a pause: it turns once for them,
 * once for the timer, and whenever a signal cuts a wait short. */
static void assert_few_turns_until_timeout(struct fixture *f)
{
    unsigned turns = 0;

    for (; f->state == RUNS; turns++)
        (void)ev_run(worker_loop(f->worker), EVRUN_ONCE);
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_TIMEOUT);
    assert_in_range(turns, 1, 14);
}

static void proxy_header_too_slow_ends_by_the_timer_without_spinning(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY, SHORT_MS);
    send_all(f, STR("PROXY "));
    assert_few_turns_until_timeout(f);
}

/* ---- ClientHellos ---- */

static void hello_is_read_and_stays(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_hello(&hello, 16384);
    start(f, HELLO, TIMEOUT_MS);
    send_all(f, buf_str(&hello));
    run(f);
    assert_int_equal(f->state, READ);
    assert_hello(f);
    assert_true(f->facts.proxy.local);
    assert_waiting(f, buf_str(&hello));
    buf_fini(&hello);
}

static void hello_behind_a_proxy_header_is_read(void **state)
{
    struct fixture *f = *state;
    struct buf all;
    struct buf hello;

    make_hello(&hello, 16384);
    buf_init(&all, 65536);
    buf_add_str(&all, STR(PROXY_V2));
    buf_add_str(&all, buf_str(&hello));
    start(f, PROXY | HELLO, TIMEOUT_MS);
    send_slowly(f, buf_str(&all));
    assert_source(f);
    assert_hello(f);
    assert_waiting(f, buf_str(&hello));
    buf_fini(&hello);
    buf_fini(&all);
}

static void hello_in_small_records_byte_by_byte_is_read(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_hello(&hello, 3);
    start(f, HELLO, TIMEOUT_MS);
    send_slowly(f, buf_str(&hello));
    assert_hello(f);
    assert_waiting(f, buf_str(&hello));
    buf_fini(&hello);
}

static void hello_then_half_close_is_read(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_hello(&hello, 50);
    start(f, HELLO, TIMEOUT_MS);
    send_all(f, str_slice(buf_str(&hello), 0, 20));
    look(f);
    send_all(f, str_skip(buf_str(&hello), 20));
    (void)shutdown(f->client, SHUT_WR);
    run(f);
    assert_int_equal(f->state, READ);
    assert_hello(f);
    buf_fini(&hello);
}

static void hello_cut_by_the_end_is_a_reset(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_hello(&hello, 16384);
    start(f, HELLO, TIMEOUT_MS);
    send_all(f, str_slice(buf_str(&hello), 0, hello.len - 1));
    look(f);
    assert_int_equal(f->state, RUNS);
    (void)shutdown(f->client, SHUT_WR);
    run(f);
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_RESET);
    buf_fini(&hello);
}

static void hello_half_ends_by_the_timer_without_spinning(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_hello(&hello, 16384);
    start(f, HELLO, SHORT_MS);
    send_all(f, str_slice(buf_str(&hello), 0, hello.len / 2));
    assert_few_turns_until_timeout(f);
    buf_fini(&hello);
}

static void other_protocol_is_left_to_tls(void **state)
{
    struct fixture *f = *state;

    start(f, HELLO, TIMEOUT_MS);
    send_all(f, STR("GET / HTTP/1.1\r\n"));
    run(f);
    assert_int_equal(f->state, READ);
    assert_string_equal(f->facts.server_name, "");
    assert_string_equal(f->facts.ja4, "");
    assert_waiting(f, STR("GET / HTTP/1.1\r\n"));
}

/* Sends in small portions while the loop turns, as the kernel's buffer takes them. */
static void pour(struct fixture *f, struct str bytes)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;

    while (bytes.n > 0 && f->state == RUNS && clock_mono_ms() < end) {
        ssize_t n =
            send(f->client, bytes.p, bytes.n < 1000 ? bytes.n : 1000, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            bytes = str_skip(bytes, (size_t)n);
        (void)ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
    }
    run(f);
}

/* A message of `n` bytes whose last extension is padding. */
static void make_large(struct buf *out, size_t n, size_t piece)
{
    struct buf body;
    char *p;
    size_t extensions = n - 45; /* what stands behind their length */
    size_t padding;

    buf_init(&body, (size_t)1 << 18);
    buf_init(out, (size_t)1 << 18);
    hello_build(&body, &hello_plain);
    padding = n - body.len - 4;
    buf_add_char(&body, 0);
    buf_add_char(&body, 21);
    buf_add_char(&body, (char)(padding >> 8));
    buf_add_char(&body, (char)padding);
    while (body.len < n)
        buf_add_char(&body, 0);
    p = str_dup(buf_str(&body));
    p[43] = (char)(extensions >> 8);
    p[44] = (char)extensions;
    hello_frame(out, str_of(p, n), piece);
    mem_free(p);
    buf_fini(&body);
}

static void hello_of_the_largest_size_is_read(void **state)
{
    static const size_t pieces[] = { 16384, 30 };
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct buf hello;

        make_large(&hello, CLIENT_HELLO_MAX_BYTES, pieces[i]);
        f->state = RUNS;
        start(f, HELLO, TIMEOUT_MS);
        pour(f, buf_str(&hello));
        assert_int_equal(f->state, READ);
        assert_string_equal(f->facts.server_name, "a.test");
        assert_waiting(f, buf_str(&hello));
        buf_fini(&hello);
    }
}

static void hello_of_one_byte_more_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf hello;

    make_large(&hello, CLIENT_HELLO_MAX_BYTES + 1, 16384);
    start(f, HELLO, TIMEOUT_MS);
    pour(f, buf_str(&hello));
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_LIMIT);
    buf_fini(&hello);
}

/* A buffer that cannot hold the hello: nothing hangs and nothing spins, the timer ends it. */
static void hello_that_the_kernel_cannot_hold_ends_by_the_timer(void **state)
{
    struct fixture *f = *state;
    struct buf hello;
    unsigned turns = 0;
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    int room = 4096;
    int nonblocking = MSG_NOSIGNAL | MSG_DONTWAIT;

    assert_int_equal(setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    make_large(&hello, 60000, 16384);
    start(f, HELLO, SHORT_MS);
    assert_true(send(f->client, buf_str(&hello).p, hello.len, nonblocking) > 0);
    while (f->state == RUNS && clock_mono_ms() < end) {
        (void)ev_run(worker_loop(f->worker), EVRUN_ONCE);
        turns++;
    }
    assert_int_equal(f->state, FAILED);
    assert_int_equal(f->why, CLOSE_TIMEOUT);
    assert_in_range(turns, 1, 200);
    buf_fini(&hello);
}

static void free_while_it_waits(void **state)
{
    struct fixture *f = *state;

    start(f, PROXY | HELLO, TIMEOUT_MS);
    send_all(f, STR("PROXY"));
    look(f);
    preface_free(f->preface);
    f->preface = NULL;
    send_all(f, STR(" TCP4"));
    look(f);
    assert_int_equal(f->state, RUNS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(proxy_header_is_taken_and_no_byte_more),
        TEST(proxy_header_byte_by_byte_is_taken),
        TEST(proxy_header_without_addresses_is_local),
        TEST(proxy_header_missing_is_a_protocol_error),
        TEST(proxy_header_cut_by_the_end_is_a_protocol_error),
        TEST(proxy_header_too_slow_ends_by_the_timer_without_spinning),
        TEST(hello_is_read_and_stays),
        TEST(hello_behind_a_proxy_header_is_read),
        TEST(hello_in_small_records_byte_by_byte_is_read),
        TEST(hello_then_half_close_is_read),
        TEST(hello_cut_by_the_end_is_a_reset),
        TEST(hello_half_ends_by_the_timer_without_spinning),
        TEST(other_protocol_is_left_to_tls),
        TEST(hello_of_the_largest_size_is_read),
        TEST(hello_of_one_byte_more_is_refused),
        TEST(hello_that_the_kernel_cannot_hold_ends_by_the_timer),
        TEST(free_while_it_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
