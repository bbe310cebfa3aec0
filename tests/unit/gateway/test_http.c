/*
 * Unit tests of gateway/http.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void http_is_token_takes_exactly_the_token_bytes(void **state)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool expected =
            char_is_alpha(byte) || char_is_digit(byte) || (c != 0 && strchr(others, c) != NULL);

        assert_int_equal(http_is_token(str_of(&byte, 1)), expected);
    }
    assert_false(http_is_token(STR("")));
    assert_true(http_is_token(STR("content-type")));
    assert_false(http_is_token(STR("content type")));
}

/* Each byte at each place of a text longer than two words. */
static void http_value_span_stops_at_each_control(void **state)
{
    char text[19];

    (void)state;
    for (size_t at = 0; at < sizeof(text); at++) {
        for (int c = 0; c < 256; c++) {
            bool bad = (c < 0x20 && c != '\t') || c == 0x7f;

            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            assert_int_equal(http_value_span(str_of(text, sizeof(text))), bad ? at : sizeof(text));
        }
    }
    assert_int_equal(http_value_span(STR_NONE), 0);
}

static void http_value_span_passes_tabs_and_high_bytes(void **state)
{
    static const struct str ok[] = { STR_INIT(""), STR_INIT("\t\t\t\t\t\t\t\t\t"),
                                     STR_INIT("a\tb \xff\x80\xe2\x82\xac"),
                                     STR_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\t") };
    static const struct str bad[] = { STR_INIT("\t\t\t\t\t\t\t\n"), STR_INIT("\xff\xff\xff\xff\r"),
                                      STR_INIT("12345678\x7f"),
                                      STR_INIT("1234567\x1f"
                                               "8") };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ok); i++)
        assert_true(http_is_field_value(ok[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(http_is_field_value(bad[i]));
}

static void http_target_span_takes_printable_ascii(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;

        assert_int_equal(http_target_span(str_of(&byte, 1)), c > 0x20 && c < 0x7f);
    }
}

static void http_headers_find_counts_fields_of_any_case(void **state)
{
    struct http_headers h = { 0 };
    struct arena a;

    (void)state;
    arena_init(&a);
    http_headers_add(&h, &a, STR("Via"), STR("1"));
    http_headers_add(&h, &a, STR("Vib"), STR("2"));
    http_headers_add(&h, &a, STR("VIA"), STR("3"));
    assert_true(str_eq(http_headers_find(&h, STR("via"), 0)->value, STR("1")));
    assert_true(str_eq(http_headers_find(&h, STR("via"), 1)->value, STR("3")));
    assert_null(http_headers_find(&h, STR("via"), 2));
    assert_null(http_headers_find(&h, STR("vi"), 0));
    arena_fini(&a);
}

static void http_headers_remove_keeps_the_order_of_the_rest(void **state)
{
    struct http_headers h = { 0 };
    struct arena a;

    (void)state;
    arena_init(&a);
    http_headers_add(&h, &a, STR("a"), STR("1"));
    http_headers_add(&h, &a, STR("B"), STR("2"));
    http_headers_add(&h, &a, STR("c"), STR("3"));
    http_headers_add(&h, &a, STR("b"), STR("4"));
    assert_int_equal(http_headers_remove(&h, STR("b")), 2);
    assert_int_equal(h.count, 2);
    assert_true(str_eq(h.items[0].value, STR("1")));
    assert_true(str_eq(h.items[1].value, STR("3")));
    assert_int_equal(http_headers_remove(&h, STR("b")), 0);
    arena_fini(&a);
}

static void http_headers_add_grows_past_its_capacity(void **state)
{
    enum { MANY = 1000 };
    struct http_headers h = { 0 };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < MANY; i++)
        http_headers_add(&h, &a, STR("n"), arena_fmt(&a, "%zu", i));
    assert_int_equal(h.count, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_true(str_eq(h.items[i].value, arena_fmt(&a, "%zu", i)));
    arena_fini(&a);
}

static const char label63[] = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123";

static void http_authority_parse_table(void **state)
{
    static const struct {
        struct str in;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        { STR_INIT("example.com"), "example.com", 0 },
        { STR_INIT("EXAMPLE.Com:8080"), "example.com", 8080 },
        { STR_INIT("example.com."), "example.com", 0 },
        { STR_INIT("example.com.:443"), "example.com", 443 },
        { STR_INIT("app.localhost:8443"), "app.localhost", 8443 },
        { STR_INIT("127.0.0.1"), "127.0.0.1", 0 },
        { STR_INIT("127.0.0.1:80"), "127.0.0.1", 80 },
        { STR_INIT("[::1]"), "[::1]", 0 },
        { STR_INIT("[::1]:8080"), "[::1]", 8080 },
        { STR_INIT("[2001:DB8::A]:1"), "[2001:db8::a]", 1 },
        { STR_INIT("[::ffff:10.0.0.1]"), "[::ffff:10.0.0.1]", 0 },
        { STR_INIT("a:65535"), "a", 65535 },
        { STR_INIT("a:00080"), "a", 80 },
        { STR_INIT(""), NULL, 0 },
        { STR_INIT("."), NULL, 0 },
        { STR_INIT("a..b"), NULL, 0 },
        { STR_INIT(".a"), NULL, 0 },
        { STR_INIT("a:"), NULL, 0 },
        { STR_INIT(":80"), NULL, 0 },
        { STR_INIT("a:0"), NULL, 0 },
        { STR_INIT("a:65536"), NULL, 0 },
        { STR_INIT("a:000080"), NULL, 0 },
        { STR_INIT("a:+80"), NULL, 0 },
        { STR_INIT("a:8o"), NULL, 0 },
        { STR_INIT("a:80:80"), NULL, 0 },
        { STR_INIT("user@a"), NULL, 0 },
        { STR_INIT("user:secret@a:80"), NULL, 0 },
        { STR_INIT("a b"), NULL, 0 },
        { STR_INIT("a,b"), NULL, 0 },
        { STR_INIT("a/b"), NULL, 0 },
        { STR_INIT("a?b"), NULL, 0 },
        { STR_INIT("a#b"), NULL, 0 },
        { STR_INIT("a%41"), NULL, 0 },
        { STR_INIT("a\\b"), NULL, 0 },
        { STR_INIT("*.a"), NULL, 0 },
        { STR_INIT("b\xc3\xbc.de"), NULL, 0 },
        { STR_INIT("::1"), NULL, 0 },
        { STR_INIT("[::1"), NULL, 0 },
        { STR_INIT("["), NULL, 0 },
        { STR_INIT("[]"), NULL, 0 },
        { STR_INIT("[]:80"), NULL, 0 },
        { STR_INIT("::1]"), NULL, 0 },
        { STR_INIT("[::1]x"), NULL, 0 },
        { STR_INIT("[::1]:"), NULL, 0 },
        { STR_INIT("[::1%25eth0]"), NULL, 0 },
        { STR_INIT("[127.0.0.1]"), NULL, 0 },
        { STR_INIT("[v1.a:b]"), NULL, 0 },
        { STR_INIT("[example.com]"), NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char host[HTTP_HOST_BYTES] = "";
        uint16_t port = 7;
        int rc = http_authority_parse(cases[i].in, host, &port);

        if (rc != (cases[i].host == NULL ? -1 : 0))
            fail_msg("%.*s: returned %d", STR_ARG(cases[i].in), rc);
        if (cases[i].host == NULL)
            continue;
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void http_authority_parse_at_length_limits(void **state)
{
    char host[HTTP_HOST_BYTES];
    char name[300];
    uint16_t port;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) { /* three labels of 63 and one of 61 are 253 bytes */
        if (i > 0)
            name[n++] = '.';
        memcpy(name + n, label63, 63);
        n += 63;
    }
    assert_int_equal(http_authority_parse(str_of(name, 253), host, &port), 0);
    assert_int_equal(strlen(host), 253);
    assert_int_equal(http_authority_parse(str_of(name, 254), host, &port), -1);
    name[63] = 'x';
    assert_int_equal(http_authority_parse(str_of(name, 63), host, &port), 0);
    assert_int_equal(http_authority_parse(str_of(name, 64), host, &port), -1);
}

static void http_authority_split_keeps_brackets(void **state)
{
    struct str host;
    struct str port;

    (void)state;
    http_authority_split(STR("[::1]:80"), &host, &port);
    assert_true(str_eq(host, STR("[::1]")));
    assert_true(str_eq(port, STR("80")));
    http_authority_split(STR("[::1]"), &host, &port);
    assert_true(str_eq(host, STR("[::1]")));
    assert_null(port.p);
    http_authority_split(STR("my_app:"), &host, &port);
    assert_true(str_eq(host, STR("my_app")));
    assert_non_null(port.p);
    assert_int_equal(port.n, 0);
}

static void http_method_is_idempotent_table(void **state)
{
    (void)state;
    assert_true(http_method_is_idempotent(STR("GET")));
    assert_true(http_method_is_idempotent(STR("DELETE")));
    assert_true(http_method_is_idempotent(STR("PUT")));
    assert_false(http_method_is_idempotent(STR("POST")));
    assert_false(http_method_is_idempotent(STR("PATCH")));
    assert_false(http_method_is_idempotent(STR("get")));
    assert_false(http_method_is_idempotent(STR("")));
}

static void http_reason_of_unknown_status_is_empty(void **state)
{
    (void)state;
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(511), "Network Authentication Required");
    assert_string_equal(http_reason(299), "");
    assert_string_equal(http_reason(0), "");
    assert_string_equal(http_reason(512), "");
    assert_string_equal(http_reason(4000000000U), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_is_token_takes_exactly_the_token_bytes),
        cmocka_unit_test(http_value_span_stops_at_each_control),
        cmocka_unit_test(http_value_span_passes_tabs_and_high_bytes),
        cmocka_unit_test(http_target_span_takes_printable_ascii),
        cmocka_unit_test(http_headers_find_counts_fields_of_any_case),
        cmocka_unit_test(http_headers_remove_keeps_the_order_of_the_rest),
        cmocka_unit_test(http_headers_add_grows_past_its_capacity),
        cmocka_unit_test(http_authority_parse_table),
        cmocka_unit_test(http_authority_parse_at_length_limits),
        cmocka_unit_test(http_authority_split_keeps_brackets),
        cmocka_unit_test(http_method_is_idempotent_table),
        cmocka_unit_test(http_reason_of_unknown_status_is_empty),
    };

    return cmocka_run_group_tests_name("gateway/http", tests, NULL, NULL);
}
