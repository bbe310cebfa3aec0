/*
 * Unit tests of gateway/listener, over loopback; the test turns the worker's loop itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/listener.h"

enum { FDS_MAX = 256 };

struct fixture {
    struct worker *worker;
    struct listener *listener;
    struct addr addr;
    int fds[FDS_MAX];
    struct addr peers[FDS_MAX];
    size_t count;
    size_t stop_at; /* stops the listener after so many; 0: never */
};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct fixture *f = arg;

    assert_true(f->count < FDS_MAX);
    f->peers[f->count] = *peer;
    f->fds[f->count++] = fd;
    if (f->count == f->stop_at)
        listener_stop(f->listener);
}

static struct addr parse(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(str_from(text), &a, NULL), 0);
    return a;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    return addr_from_sockaddr((const struct sockaddr *)&sa).port;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct err e;
    int fd;

    f->worker = worker_new("test", 0);
    f->addr = parse("127.0.0.1:0");
    fd = listener_bind(&f->addr, &e);
    assert_int_not_equal(fd, -1);
    f->addr.port = port_of(fd);
    f->listener = listener_new(f->worker, fd, on_accept, f);
    listener_start(f->listener);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    listener_free(f->listener);
    worker_free(f->worker);
    for (size_t i = 0; i < f->count; i++)
        (void)close(f->fds[i]);
    mem_free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    (void)ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
}

static int client(const struct fixture *f)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&f->addr, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_not_equal(fd, -1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&sa, len), 0);
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void accept_gives_a_ready_socket(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    turn(f);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->peers[0].family, 4);
    assert_int_equal(f->peers[0].port, port_of(fd));
    assert_true(addr_is_loopback(&f->peers[0]));
    assert_true((fcntl(f->fds[0], F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(f->fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(option(f->fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(f->fds[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(f->fds[0], IPPROTO_TCP, TCP_KEEPIDLE), 60);
    (void)close(fd);
}

static void accept_takes_at_most_64_a_turn(void **state)
{
    struct fixture *f = *state;
    int fds[LISTENER_ACCEPT_MAX + 1];

    for (size_t i = 0; i <= LISTENER_ACCEPT_MAX; i++)
        fds[i] = client(f);
    turn(f);
    assert_int_equal(f->count, LISTENER_ACCEPT_MAX);
    turn(f);
    assert_int_equal(f->count, LISTENER_ACCEPT_MAX + 1);
    for (size_t i = 0; i <= LISTENER_ACCEPT_MAX; i++)
        (void)close(fds[i]);
}

static void stop_inside_accept_takes_no_more(void **state)
{
    struct fixture *f = *state;
    int a = client(f);
    int b = client(f);

    f->stop_at = 1;
    turn(f);
    turn(f);
    assert_int_equal(f->count, 1);
    listener_start(f->listener);
    turn(f);
    assert_int_equal(f->count, 2);
    (void)close(a);
    (void)close(b);
}

/* valgrind enforces the limit itself: it accepts the connection all the same, and closes it. */
static bool was_thrown_away(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

    return n == 0 || (n == -1 && errno == ECONNRESET);
}

static void accept_without_descriptors_pauses_and_recovers(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    struct rlimit tight;
    int fd = client(f);
    int top;
    uint64_t end;

    turn(f); /* the loop's own descriptors exist before the limit is set */
    assert_int_equal(f->count, 1);
    (void)close(fd);
    fd = client(f);
    top = dup(fd);
    (void)close(top);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = (struct rlimit){ .rlim_cur = (rlim_t)top, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (unsigned i = 0; i < 100; i++)
        turn(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(f->count, 1);
    if (was_thrown_away(fd)) {
        (void)close(fd);
        fd = client(f);
    }
    end = clock_mono_ms() + 20000;
    while (f->count < 2) {
        assert_true(clock_mono_ms() < end);
        (void)usleep(10000);
        turn(f);
    }
    (void)close(fd);
}

static void bind_is_shared_by_workers(void **state)
{
    struct fixture *f = *state;
    struct err e;
    int fd = listener_bind(&f->addr, &e);

    assert_int_not_equal(fd, -1);
    assert_int_equal(port_of(fd), f->addr.port);
    (void)close(fd);
}

static void probe_of_a_used_port_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = { .code = E_OK };
    char text[ADDR_TEXT_BYTES];

    assert_int_equal(listener_probe(&f->addr, &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, addr_format(&f->addr, text)));
    assert_non_null(strstr(e.msg, "the address is in use"));
    listener_free(f->listener);
    f->listener = NULL;
    assert_int_equal(listener_probe(&f->addr, &e), 0);
}

static void bind_error_says_what_to_do(void **state)
{
    static const struct {
        const char *addr;
        const char *text;
    } cases[] = {
        { "192.0.2.1:8080", "cannot listen on 192.0.2.1:8080: this machine does not have the "
                            "address; choose one of its own, or 0.0.0.0 or [::] for all" },
    };
    struct err e;
    struct addr a;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = parse(cases[i].addr);
        assert_int_equal(listener_bind(&a, &e), -1);
        assert_int_equal(e.code, E_SYSTEM);
        assert_string_equal(e.msg, cases[i].text);
    }
}

static void bind_of_a_privileged_port_says_what_to_do(void **state)
{
    struct addr a = parse("127.0.0.1:443");
    uid_t uid = geteuid();
    struct err e;
    int fd;

    (void)state;
    if (uid == 0)
        assert_int_equal(seteuid(65534), 0);
    fd = listener_bind(&a, &e);
    if (uid == 0)
        assert_int_equal(seteuid(0), 0);
    if (fd != -1) { /* net.ipv4.ip_unprivileged_port_start is lower here */
        (void)close(fd);
        skip();
    }
    assert_string_equal(e.msg, "cannot listen on 127.0.0.1:443: permission denied; run as root, "
                               "or give the program cap_net_bind_service, or choose a port above "
                               "1023");
}

static void bind_of_ipv6_leaves_ipv4_free(void **state)
{
    struct addr six = parse("[::]:0");
    struct addr four;
    struct err e;
    int fd6 = listener_bind(&six, &e);
    int fd4;

    (void)state;
    if (fd6 == -1)
        skip(); /* no IPv6 here */
    four = parse("0.0.0.0:0");
    four.port = port_of(fd6);
    assert_int_equal(option(fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    fd4 = listener_bind(&four, &e);
    assert_int_not_equal(fd4, -1);
    (void)close(fd4);
    (void)close(fd6);
}

#define with_listener(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_listener(accept_gives_a_ready_socket),
        with_listener(accept_takes_at_most_64_a_turn),
        with_listener(stop_inside_accept_takes_no_more),
        with_listener(accept_without_descriptors_pauses_and_recovers),
        with_listener(bind_is_shared_by_workers),
        with_listener(probe_of_a_used_port_is_refused),
        cmocka_unit_test(bind_error_says_what_to_do),
        cmocka_unit_test(bind_of_a_privileged_port_says_what_to_do),
        cmocka_unit_test(bind_of_ipv6_leaves_ipv4_free),
    };

    return cmocka_run_group_tests_name("gateway/listener", tests, NULL, NULL);
}
