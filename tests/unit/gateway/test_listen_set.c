/*
 * Unit tests of gateway/listen_set, on real sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/listen_set.h"

static struct config_listen wanted(const char *first, const char *second)
{
    struct config_listen l = { .count = second == NULL ? 1 : 2 };
    struct err e;

    assert_int_equal(addr_parse(str_from(first), &l.addrs[0], &e), 0);
    if (second != NULL)
        assert_int_equal(addr_parse(str_from(second), &l.addrs[1], &e), 0);
    return l;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    return ntohs(sa.sin_port);
}

static void listen_set_init_port_0_is_shared_by_all_workers(void **state)
{
    struct config_listen l = wanted("127.0.0.1:0", "127.0.0.1:0");
    struct listen_set s;
    int fds[2][CONFIG_LISTEN_MAX];
    struct err e;

    (void)state;
    assert_int_equal(listen_set_init(&s, &l, 2, LISTEN_ALONE, &e), 0);
    listen_set_take(&s, 0, fds[0]);
    listen_set_take(&s, 1, fds[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_int_not_equal(s.bound.addrs[i].port, 0);
        assert_int_equal(port_of(fds[0][i]), s.bound.addrs[i].port);
        assert_int_equal(port_of(fds[1][i]), s.bound.addrs[i].port);
        assert_int_not_equal(fds[0][i], fds[1][i]);
    }
    assert_int_not_equal(s.bound.addrs[0].port, s.bound.addrs[1].port);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(close(fds[i / 2][i % 2]), 0);
    listen_set_fini(&s);
}

static void listen_set_init_taken_address_is_refused(void **state)
{
    struct config_listen l = wanted("127.0.0.1:0", NULL);
    struct config_listen again;
    struct listen_set first;
    struct listen_set second;
    char text[ADDR_TEXT_BYTES];
    struct err e;

    (void)state;
    assert_int_equal(listen_set_init(&first, &l, 1, LISTEN_ALONE, &e), 0);
    again = first.bound;
    assert_int_equal(listen_set_init(&second, &again, 1, LISTEN_ALONE, &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, addr_format(&again.addrs[0], text)));
    listen_set_fini(&first);
    /* And it is free again at once. */
    assert_int_equal(listen_set_init(&second, &again, 1, LISTEN_ALONE, &e), 0);
    listen_set_fini(&second);
}

static void listen_set_init_beside_ours_shares_the_address(void **state)
{
    struct config_listen l = wanted("127.0.0.1:0", NULL);
    struct config_listen again;
    struct listen_set first;
    struct listen_set second;
    struct err e;

    (void)state;
    assert_int_equal(listen_set_init(&first, &l, 2, LISTEN_ALONE, &e), 0);
    again = first.bound;
    assert_int_equal(listen_set_init(&second, &again, 2, LISTEN_BESIDE_OURS, &e), 0);
    assert_int_equal(second.bound.addrs[0].port, first.bound.addrs[0].port);
    listen_set_fini(&first);
    listen_set_fini(&second);
}

static void listen_set_init_foreign_address_is_refused(void **state)
{
    struct config_listen l = wanted("192.0.2.1:4000", NULL);
    struct listen_set s;
    struct err e;

    (void)state;
    assert_int_equal(listen_set_init(&s, &l, 1, LISTEN_ALONE, &e), -1);
    assert_non_null(strstr(e.msg, "192.0.2.1:4000"));
}

static void listen_set_format_lists_all(void **state)
{
    struct listen_set s = { .bound = wanted("127.0.0.1:80", "[::1]:80") };
    struct buf out;

    (void)state;
    buf_init(&out, 256);
    listen_set_format(&s, &out);
    assert_true(str_eq(buf_str(&out), STR("127.0.0.1:80,[::1]:80")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_set_init_port_0_is_shared_by_all_workers),
        cmocka_unit_test(listen_set_init_taken_address_is_refused),
        cmocka_unit_test(listen_set_init_beside_ours_shares_the_address),
        cmocka_unit_test(listen_set_init_foreign_address_is_refused),
        cmocka_unit_test(listen_set_format_lists_all),
    };

    return cmocka_run_group_tests_name("gateway/listen_set", tests, NULL, NULL);
}
