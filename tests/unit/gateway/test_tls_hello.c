/*
 * Unit tests of gateway/tls_hello.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/tls_hello.h"

static void server_name_reads_one_name(void **state)
{
    static const uint8_t good[] = "\x00\x09\x00\x00\x06"
                                  "A.Test";
    char host[HOST_MAX_BYTES + 1];

    (void)state;
    assert_int_equal(tls_hello_server_name(good, sizeof(good) - 1, host), 0);
    assert_string_equal(host, "a.test");
}

static void server_name_at_the_longest(void **state)
{
    uint8_t ext[5 + HOST_MAX_BYTES + 1];
    char host[HOST_MAX_BYTES + 1];

    (void)state;
    for (size_t n = HOST_MAX_BYTES; n <= HOST_MAX_BYTES + 1; n++) {
        memset(ext, 'a', sizeof(ext));
        for (size_t i = 50; i < n; i += 50)
            ext[5 + i] = '.';
        ext[0] = (uint8_t)((n + 3) >> 8);
        ext[1] = (uint8_t)(n + 3);
        ext[2] = 0;
        ext[3] = (uint8_t)(n >> 8);
        ext[4] = (uint8_t)n;
        assert_int_equal(tls_hello_server_name(ext, n + 5, host), n == HOST_MAX_BYTES ? 0 : -1);
    }
}

static void server_name_refuses_what_is_malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        { "", 0 },
        { "\x00", 1 },
        { "\x00\x03\x00\x00", 4 },
        { "\x00\x03\x00\x00\x00", 5 },                /* no name */
        { "\x00\x04\x00\x00\x01", 5 },                /* cut */
        { "\x00\x04\x00\x00\x02z", 6 },               /* longer than it is */
        { "\x00\x05\x00\x00\x01z", 6 },               /* so is the list */
        { "\x00\x04\x01\x00\x01z", 6 },               /* another type */
        { "\x00\x04\x00\x00\x01z!", 7 },              /* something behind */
        { "\x00\x08\x00\x00\x01z\x00\x00\x01y", 10 }, /* two names */
        { "\x00\x05\x00\x00\x02z\x00", 7 },           /* a NUL */
    };
    char host[HOST_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tls_hello_server_name((const uint8_t *)cases[i].bytes, cases[i].n, host),
                         -1);
}

static void alpn_prefers_h2_and_finds_http1_anywhere(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        size_t at; /* 0: none is there */
    } cases[] = {
        { "\x08http/1.1", 9, 1 },
        { "\x02h2\x08http/1.1", 12, 1 },
        { "\x08http/1.1\x02h2", 12, 10 },
        { "\x02h3\x08http/1.1", 12, 4 },
        { "\x02h2", 3, 1 },
        { "\x02h3\x03spx", 7, 0 },
        { "", 0, 0 },
        { "\x08http/1.", 8, 0 }, /* cut */
        { "\xff", 1, 0 },
        { "\x00\x00\x02h2", 5, 3 },
        { "\x08HTTP/1.1", 9, 0 }, /* names are bytes */
        { "\x02H2", 3, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t at = 0;

        assert_int_equal(tls_hello_alpn((const uint8_t *)cases[i].bytes, cases[i].n, &at),
                         cases[i].at != 0);
        assert_int_equal(at, cases[i].at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_name_reads_one_name),
        cmocka_unit_test(server_name_at_the_longest),
        cmocka_unit_test(server_name_refuses_what_is_malformed),
        cmocka_unit_test(alpn_prefers_h2_and_finds_http1_anywhere),
    };

    return cmocka_run_group_tests_name("gateway/tls_hello", tests, NULL, NULL);
}
