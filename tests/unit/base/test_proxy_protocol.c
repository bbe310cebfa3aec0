/*
 * Unit tests of base/proxy_protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/proxy_protocol.h"

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* A header of TCP4: 1.2.3.4:5 to 6.7.8.9:443. */
#define V2_TCP4 V2_SIGNATURE "\x21\x11\0\x0c\1\2\3\4\6\7\x08\x09\0\5\1\xbb"

static const char *text_of(const struct proxy_header *h, char out[2 * ADDR_TEXT_BYTES])
{
    char source[ADDR_TEXT_BYTES];
    char destination[ADDR_TEXT_BYTES];

    if (h->local)
        return "local";
    (void)snprintf(out, 2 * ADDR_TEXT_BYTES, "%s %s", addr_format(&h->source, source),
                   addr_format(&h->destination, destination));
    return out;
}

static void parse_reads_whole_headers(void **state)
{
    static const struct {
        struct str in;
        const char *text;
        size_t used; /* 0: all */
    } cases[] = {
        { STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n"), "1.2.3.4:9 5.6.7.8:443", 0 },
        { STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\nGET /"), "1.2.3.4:0 5.6.7.8:65535", 36 },
        { STR_INIT("PROXY TCP6 2001:DB8::1 ::1 9 443\r\n"), "[2001:db8::1]:9 [::1]:443", 0 },
        { STR_INIT("PROXY TCP6 ::ffff:1.2.3.4 ::1 9 443\r\n"), "1.2.3.4:9 [::1]:443", 0 },
        { STR_INIT("PROXY UNKNOWN\r\n"), "local", 0 },
        { STR_INIT("PROXY UNKNOWN ffff::1 what ever\r\nx"), "local", 33 },
        { STR_INIT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 "
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
          0 },
        { STR_INIT(V2_TCP4), "1.2.3.4:5 6.7.8.9:443", 0 },
        { STR_INIT(V2_TCP4 "GET"), "1.2.3.4:5 6.7.8.9:443", 28 },
        { STR_INIT(V2_SIGNATURE "\x21\x11\0\x11\1\2\3\4\6\7\x08\x09\0\5\1\xbb\4\0\2ab"),
          "1.2.3.4:5 6.7.8.9:443", 0 },
        { STR_INIT(V2_SIGNATURE "\x21\x11\0\x0f\1\2\3\4\6\7\x08\x09\0\5\1\xbb\4\0\0"),
          "1.2.3.4:5 6.7.8.9:443", 0 },
        { STR_INIT(V2_SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                                "\0\0\0\0\0\0\0\0\0\0\xff\xff\6\7\x08\x09\0\5\1\xbb"),
          "[2001:db8::1]:5 6.7.8.9:443", 0 },
        { STR_INIT(V2_SIGNATURE "\x20\0\0\0"), "local", 0 },
        { STR_INIT(V2_SIGNATURE "\x20\x11\0\3abc"), "local", 0 },
        { STR_INIT(V2_SIGNATURE "\x21\0\0\0"), "local", 0 },
        { STR_INIT(V2_SIGNATURE "\x21\x12\0\x0c\1\2\3\4\6\7\x08\x09\0\5\1\xbb"), "local", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t used = cases[i].used > 0 ? cases[i].used : cases[i].in.n;
        char text[2 * ADDR_TEXT_BYTES];
        struct proxy_header h = { 0 };

        assert_int_equal(proxy_protocol_parse(cases[i].in, &h, NULL), used);
        assert_string_equal(text_of(&h, text), cases[i].text);
    }
}

static void parse_of_a_part_wants_more(void **state)
{
    static const struct str cases[] = {
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY UNKNOWN\r\n"),
        STR_INIT(V2_TCP4),
        STR_INIT(V2_SIGNATURE "\x20\0\0\0"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t n = 0; n < cases[i].n; n++) {
            struct proxy_header h;

            assert_int_equal(proxy_protocol_parse(str_slice(cases[i], 0, n), &h, NULL), 0);
        }
    }
}

static void parse_refuses_what_is_no_header(void **state)
{
    static const struct str cases[] = {
        STR_INIT("GET / HTTP/1.1\r\n"),
        STR_INIT("PROXX"),
        STR_INIT("proxy TCP4 1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY  TCP4 1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY TCP4  1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 443 \r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 \r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 443\n\r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 09 443\r\n"),
        STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n"),
        STR_INIT("PROXY TCP4 1.2.3 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY TCP4 01.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY TCP4 ::1 ::1 9 443\r\n"),
        STR_INIT("PROXY TCP6 1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY UDP4 1.2.3.4 5.6.7.8 9 443\r\n"),
        STR_INIT("PROXY UNKNOWNS\r\n"),
        STR_INIT("PROXY \r\n"),
        STR_INIT("\r\n\r\n\r\n"),
        STR_INIT(V2_SIGNATURE "\x11"),
        STR_INIT(V2_SIGNATURE "\x22"),
        STR_INIT(V2_SIGNATURE "\x21\x11\0\x0b\1\2\3\4\6\7\x08\x09\0\5\1"),
        STR_INIT(V2_SIGNATURE "\x21\x41\0\0"),
        STR_INIT(V2_SIGNATURE "\x21\x13\0\0"),
        STR_INIT(V2_SIGNATURE "\x21\x11\x10\1"),
        STR_INIT(V2_SIGNATURE "\x21\x11\0\x0e\1\2\3\4\6\7\x08\x09\0\5\1\xbb\4\0"),
        STR_INIT(V2_SIGNATURE "\x21\x11\0\x10\1\2\3\4\6\7\x08\x09\0\5\1\xbb\4\0\2a"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_header h;
        struct err e = { .code = E_OK };

        if (proxy_protocol_parse(cases[i], &h, &e) != -1)
            fail_msg("case %zu was taken", i);
        assert_int_equal(e.code, E_SYNTAX);
    }
}

static void parse_refuses_a_line_that_does_not_end(void **state)
{
    char line[PROXY_PROTOCOL_V1_MAX_BYTES];
    struct proxy_header h;

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_protocol_parse(str_of(line, sizeof(line) - 1), &h, NULL), 0);
    assert_int_equal(proxy_protocol_parse(str_of(line, sizeof(line)), &h, NULL), -1);
    line[sizeof(line) - 2] = '\r';
    line[sizeof(line) - 1] = '\n';
    assert_int_equal(proxy_protocol_parse(str_of(line, sizeof(line)), &h, NULL), sizeof(line));
}

static void format_is_what_parse_reads(void **state)
{
    static const struct {
        const char *source; /* NULL: not known */
        const char *destination;
        struct str v1;
    } cases[] = {
        { "1.2.3.4:5", "6.7.8.9:443", STR_INIT("PROXY TCP4 1.2.3.4 6.7.8.9 5 443\r\n") },
        { "[2001:db8::1]:5", "[::1]:443", STR_INIT("PROXY TCP6 2001:db8::1 ::1 5 443\r\n") },
        { "1.2.3.4:5", "[::1]:443", STR_INIT("PROXY TCP6 ::ffff:1.2.3.4 ::1 5 443\r\n") },
        { "[::1]:5", "1.2.3.4:443", STR_INIT("PROXY TCP6 ::1 ::ffff:1.2.3.4 5 443\r\n") },
        { NULL, "1.2.3.4:443", STR_INIT("PROXY UNKNOWN\r\n") },
        { "1.2.3.4:443", NULL, STR_INIT("PROXY UNKNOWN\r\n") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_header h = { 0 };

        h.local = cases[i].source == NULL || cases[i].destination == NULL;
        if (cases[i].source != NULL)
            assert_int_equal(addr_parse(str_from(cases[i].source), &h.source, NULL), 0);
        if (cases[i].destination != NULL)
            assert_int_equal(addr_parse(str_from(cases[i].destination), &h.destination, NULL), 0);
        for (unsigned version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2; version++) {
            char expected[2 * ADDR_TEXT_BYTES];
            char text[2 * ADDR_TEXT_BYTES];
            struct proxy_header again = { 0 };
            struct buf out;

            buf_init(&out, PROXY_PROTOCOL_MAX_BYTES);
            proxy_protocol_format(version, &h, &out);
            assert_false(buf_failed(&out));
            if (version == PROXY_PROTOCOL_V1)
                assert_true(str_eq(buf_str(&out), cases[i].v1));
            assert_int_equal(proxy_protocol_parse(buf_str(&out), &again, NULL), out.len);
            assert_string_equal(text_of(&again, text), text_of(&h, expected));
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_whole_headers),
        cmocka_unit_test(parse_of_a_part_wants_more),
        cmocka_unit_test(parse_refuses_what_is_no_header),
        cmocka_unit_test(parse_refuses_a_line_that_does_not_end),
        cmocka_unit_test(format_is_what_parse_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
