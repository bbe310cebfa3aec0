/*
 * Unit tests of gateway/forwarded_for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cidr_set.h"
#include "gateway/forwarded_for.h"
#include "gateway/http.h"

enum { FIELDS_MAX = 3 };

static struct cidr_set *trusted_proxies(void)
{
    struct cidr blocks[2];

    assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &blocks[0], NULL), 0);
    assert_int_equal(cidr_parse(STR("2001:db8::/32"), &blocks[1], NULL), 0);
    return cidr_set_new(blocks, 2);
}

static void client_is(const char *peer, const char *const *fields, const char *expected)
{
    struct cidr_set *trusted = trusted_proxies();
    struct http_headers h = { .count = 0 };
    char text[ADDR_TEXT_BYTES];
    struct arena arena;
    struct addr from;
    struct addr client;

    arena_init(&arena);
    for (size_t i = 0; i < FIELDS_MAX && fields[i] != NULL; i++)
        http_headers_add(&h, &arena, STR("X-Forwarded-For"), str_from(fields[i]));
    assert_int_equal(addr_parse_ip(str_from(peer), &from), 0);
    from.port = 7;
    client = forwarded_for_client(&h, trusted, &from);
    assert_string_equal(addr_format(&client, text), expected);
    arena_fini(&arena);
    cidr_set_unref(trusted);
}

static void client_of_a_request(void **state)
{
    static const struct {
        const char *peer;
        const char *fields[FIELDS_MAX];
        const char *client;
    } cases[] = {
        /* who is not trusted speaks for itself only */
        { "192.0.2.1", { "1.1.1.1" }, "192.0.2.1:7" },
        { "192.0.2.1", { NULL }, "192.0.2.1:7" },
        /* a trusted proxy */
        { "10.0.0.1", { NULL }, "10.0.0.1:7" },
        { "10.0.0.1", { "1.1.1.1" }, "1.1.1.1:0" },
        { "10.0.0.1", { "6.6.6.6, 1.1.1.1" }, "1.1.1.1:0" },
        { "10.0.0.1", { "6.6.6.6, 1.1.1.1 , 10.0.0.2,10.0.0.3" }, "1.1.1.1:0" },
        { "10.0.0.1", { "6.6.6.6, 1.1.1.1", "10.0.0.2" }, "1.1.1.1:0" },
        { "10.0.0.1", { "6.6.6.6", "1.1.1.1", "2001:db8::5" }, "1.1.1.1:0" },
        { "2001:db8::1", { "2001:db9::2" }, "[2001:db9::2]:0" },
        /* all are trusted */
        { "10.0.0.1", { "10.0.0.3, 10.0.0.2" }, "10.0.0.3:0" },
        /* forms of an address */
        { "10.0.0.1", { "1.1.1.1:99" }, "1.1.1.1:99" },
        { "10.0.0.1", { "[2001:db9::2]:99" }, "[2001:db9::2]:99" },
        { "10.0.0.1", { "[2001:db9::2]" }, "[2001:db9::2]:0" },
        { "10.0.0.1", { "::ffff:1.1.1.1" }, "1.1.1.1:0" },
        { "::ffff:10.0.0.1", { "1.1.1.1" }, "1.1.1.1:0" },
        /* what is no address ends it */
        { "10.0.0.1", { "unknown" }, "10.0.0.1:7" },
        { "10.0.0.1", { "1.1.1.1, unknown" }, "10.0.0.1:7" },
        { "10.0.0.1", { "1.1.1.1, _hidden, 10.0.0.2" }, "10.0.0.2:0" },
        { "10.0.0.1", { "1.1.1.1, 1.1.1" }, "10.0.0.1:7" },
        { "10.0.0.1", { "]" }, "10.0.0.1:7" },
        { "10.0.0.1", { "[]" }, "10.0.0.1:7" },
        /* empty elements are none */
        { "10.0.0.1", { ", 1.1.1.1, ,, " }, "1.1.1.1:0" },
        { "10.0.0.1", { "", "," }, "10.0.0.1:7" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        client_is(cases[i].peer, cases[i].fields, cases[i].client);
}

static void client_behind_too_many_hops_is_the_last_looked_at(void **state)
{
    const char *fields[FIELDS_MAX] = { NULL };
    struct buf text;

    (void)state;
    buf_init(&text, 4096);
    buf_add_fmt(&text, "1.1.1.1");
    for (int i = 0; i < FORWARDED_FOR_HOPS_MAX; i++)
        buf_add_fmt(&text, ",10.0.0.%d", 99 - i);
    buf_add_char(&text, '\0');
    fields[0] = buf_str(&text).p;
    client_is("10.0.0.1", fields, "10.0.0.99:0");
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_of_a_request),
        cmocka_unit_test(client_behind_too_many_hops_is_the_last_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
