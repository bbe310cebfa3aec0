/*
 * Unit tests of the response side of gateway/http1: what is refused, how a body is framed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/http1.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* A response with these fields, and one with this status line. */
#define FIELDS(text) STR_INIT("HTTP/1.1 200 OK\r\n" text "\r\n")
#define LINE(text)   STR_INIT(text "\r\nContent-Length: 0\r\n\r\n")

static const struct str refused[] = {
    /* Not HTTP at all. */
    STR_INIT(""),
    STR_INIT("\r\n\r\n"),
    STR_INIT("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    STR_INIT("\x15\x03\x03\x00\x02\x02\x28"),
    STR_INIT("<html></html>\r\n\r\n"),
    STR_INIT("\r\nHTTP/1.1 200 OK\r\n\r\n"),
    /* The status line. */
    LINE("HTTP/1.1"),
    LINE("HTTP/1.1 "),
    LINE("HTTP/1.1 20"),
    LINE("HTTP/1.1 2000 OK"),
    LINE("HTTP/1.1 200OK"),
    LINE("HTTP/1.1  200 OK"),
    LINE("HTTP/1.1\t200 OK"),
    LINE("HTTP/1.1 200\tOK"),
    LINE(" HTTP/1.1 200 OK"),
    LINE("HTTP/1.1 OK"),
    LINE("HTTP/1.1 2x0 OK"),
    LINE("HTTP/1.1 -20 OK"),
    LINE("HTTP/1.1 +20 OK"),
    LINE("HTTP/1.1 000 No"),
    LINE("HTTP/1.1 099 No"),
    LINE("HTTP/1.1 600 No"),
    LINE("HTTP/1.1 999 No"),
    LINE("HTTP/1.2 200 OK"),
    LINE("HTTP/2.0 200 OK"),
    LINE("HTTP/2 200 OK"),
    LINE("HTTP/0.9 200 OK"),
    LINE("HTTP/11 200 OK"),
    LINE("HTTP/1.1x 200 OK"),
    LINE("http/1.1 200 OK"),
    LINE("ICY 200 OK"),
    LINE("200 OK"),
    LINE("HTTP/1.1 200 O\0K"),
    LINE("HTTP/1.1 200 O\x01K"),
    LINE("HTTP/1.1 200 O\rK"),
    LINE("HTTP/1.1 200 OK\r"),
    /* Line ends. */
    STR_INIT("HTTP/1.1 200 OK\n\n"),
    STR_INIT("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n"),
    STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n"),
    STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    STR_INIT("HTTP/1.1 200 OK\r\n"),
    STR_INIT("HTTP/1.1 200 OK"),
    STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    FIELDS("x: a\rb\r\n"),
    FIELDS("x: a\0b\r\n"),
    FIELDS("x: a\x7f\r\n"),
    FIELDS("x: a\x08\r\n"),
    FIELDS("\r\n"),
    /* Names and folding. */
    FIELDS("x: a\r\n b\r\n"),
    FIELDS("x: a\r\n\tb\r\n"),
    FIELDS(" x: a\r\n"),
    FIELDS("x : a\r\n"),
    FIELDS("x y: a\r\n"),
    FIELDS(": a\r\n"),
    FIELDS("x\r\n"),
    FIELDS("x@y: a\r\n"),
    FIELDS("x\xe9: a\r\n"),
    FIELDS("Content-Length : 5\r\n"),
    /* Framing. */
    FIELDS("Content-Length:\r\n"),
    FIELDS("Content-Length: -5\r\n"),
    FIELDS("Content-Length: +5\r\n"),
    FIELDS("Content-Length: 5 bytes\r\n"),
    FIELDS("Content-Length: 5, 5\r\n"),
    FIELDS("Content-Length: 0x5\r\n"),
    FIELDS("Content-Length: 9223372036854775808\r\n"),
    FIELDS("Content-Length: 18446744073709551621\r\n"),
    FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n"),
    FIELDS("Content-Length: 5\r\nContent-Length: 6\r\n"),
    FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    FIELDS("Transfer-Encoding: gzip\r\n"),
    FIELDS("Transfer-Encoding: gzip, chunked\r\n"),
    FIELDS("Transfer-Encoding: chunked, identity\r\n"),
    FIELDS("Transfer-Encoding: identity\r\n"),
    FIELDS("Transfer-Encoding:\r\n"),
    FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    STR_INIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /* 101 must say to what it switches. */
    STR_INIT("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    STR_INIT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    STR_INIT("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"),
    STR_INIT("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
};

static void http1_parse_response_refuses_what_is_malformed(void **state)
{
    static const struct str methods[] = { STR_INIT("GET"), STR_INIT("HEAD") };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused) * COUNT_OF(methods); i++) {
        struct str head = refused[i / COUNT_OF(methods)];
        struct http_response r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        if (http1_parse_response(head, methods[i % COUNT_OF(methods)], &a, &r, &e) != -1)
            fail_msg("accepted: %.*s", STR_ARG(head));
        if (e.code != E_UPSTREAM_INVALID || e.msg[0] == '\0')
            fail_msg("code %d (%s): %.*s", e.code, e.msg, STR_ARG(head));
        arena_fini(&a);
    }
}

static void http1_parse_response_hints_at_tls(void **state)
{
    static const struct str cases[] = { STR_INIT("\x15\x03\x03\x00\x02\x02\x28"),
                                        STR_INIT("\x16\x03\x03\x00\x7a") };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_response r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        assert_int_equal(http1_parse_response(cases[i], STR("GET"), &a, &r, &e), -1);
        assert_non_null(strstr(e.msg, "the upstream may speak TLS"));
        arena_fini(&a);
    }
}

static void http1_parse_response_refuses_every_prefix(void **state)
{
    struct str head = STR("HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 3\r\n\r\n");

    (void)state;
    for (size_t n = 0; n < head.n; n++) {
        struct http_response r;
        struct arena a;
        char *exact = mem_alloc(n); /* so that ASan sees a read past the end */

        memcpy(exact, head.p, n);
        arena_init(&a);
        assert_int_equal(http1_parse_response(str_of(exact, n), STR("GET"), &a, &r, NULL), -1);
        arena_fini(&a);
        mem_free(exact);
    }
}

static const struct {
    struct str head;
    const char *method;
    unsigned status;
    const char *reason;
    enum http_body body;
    bool has_length;
    uint64_t length;
    bool keep_alive;
    size_t fields;
} accepted[] = {
    { FIELDS("Content-Length: 5\r\n"), "GET", 200, "OK", HTTP_BODY_LENGTH, true, 5, true, 1 },
    { FIELDS("content-length:5\r\nx:\r\n"), "POST", 200, "OK", HTTP_BODY_LENGTH, true, 5, true, 2 },
    { FIELDS("Content-Length: 0\r\n"), "GET", 200, "OK", HTTP_BODY_NONE, true, 0, true, 1 },
    { FIELDS("Transfer-Encoding: chunked\r\n"), "GET", 200, "OK", HTTP_BODY_CHUNKED, false, 0, true,
      1 },
    { FIELDS("Transfer-Encoding: CHUNKED\r\nConnection: close\r\n"), "GET", 200, "OK",
      HTTP_BODY_CHUNKED, false, 0, false, 2 },
    { FIELDS(""), "GET", 200, "OK", HTTP_BODY_CLOSE, false, 0, false, 0 },
    { FIELDS("Connection: keep-alive\r\n"), "GET", 200, "OK", HTTP_BODY_CLOSE, false, 0, false, 1 },
    { FIELDS("Content-Length: 5\r\nConnection: x, close\r\n"), "GET", 200, "OK", HTTP_BODY_LENGTH,
      true, 5, false, 2 },
    { FIELDS("Content-Length: 5\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"), "GET", 200, "OK",
      HTTP_BODY_LENGTH, true, 5, true, 3 },
    /* Status lines. */
    { LINE("HTTP/1.1 200"), "GET", 200, "", HTTP_BODY_NONE, true, 0, true, 1 },
    { LINE("HTTP/1.1 200 "), "GET", 200, "", HTTP_BODY_NONE, true, 0, true, 1 },
    { LINE("HTTP/1.1 200  OK"), "GET", 200, " OK", HTTP_BODY_NONE, true, 0, true, 1 },
    { LINE("HTTP/1.1 200 All is\twell \xe2\x9c\x93"), "GET", 200, "All is\twell \xe2\x9c\x93",
      HTTP_BODY_NONE, true, 0, true, 1 },
    { LINE("HTTP/1.1 599 Z"), "GET", 599, "Z", HTTP_BODY_NONE, true, 0, true, 1 },
    { LINE("HTTP/1.1 299 Z"), "GET", 299, "Z", HTTP_BODY_NONE, true, 0, true, 1 },
    /* No body whatever the fields say. */
    { FIELDS("Content-Length: 5\r\n"), "HEAD", 200, "OK", HTTP_BODY_NONE, true, 5, true, 1 },
    { FIELDS("Transfer-Encoding: chunked\r\n"), "HEAD", 200, "OK", HTTP_BODY_NONE, false, 0, true,
      1 },
    { FIELDS(""), "HEAD", 200, "OK", HTTP_BODY_NONE, false, 0, true, 0 },
    { STR_INIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), "GET", 304,
      "Not Modified", HTTP_BODY_NONE, true, 5, true, 1 },
    { STR_INIT("HTTP/1.1 204 No Content\r\n\r\n"), "GET", 204, "No Content", HTTP_BODY_NONE, false,
      0, true, 0 },
    { STR_INIT("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), "GET", 204, "No Content",
      HTTP_BODY_NONE, true, 0, true, 1 },
    { STR_INIT("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), "GET", 204, "No Content",
      HTTP_BODY_NONE, true, 5, false, 1 },
    { STR_INIT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), "GET", 204,
      "No Content", HTTP_BODY_NONE, false, 0, false, 1 },
    { STR_INIT("HTTP/1.1 100 Continue\r\n\r\n"), "POST", 100, "Continue", HTTP_BODY_NONE, false, 0,
      true, 0 },
    { STR_INIT("HTTP/1.1 100\r\n\r\n"), "POST", 100, "", HTTP_BODY_NONE, false, 0, true, 0 },
    { STR_INIT("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), "GET", 103, "Early Hints",
      HTTP_BODY_NONE, false, 0, true, 1 },
    { STR_INIT("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"), "GET", 205,
      "Reset Content", HTTP_BODY_NONE, true, 0, true, 1 },
    /* HTTP/1.0. */
    { STR_INIT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), "GET", 200, "OK", HTTP_BODY_LENGTH,
      true, 5, false, 1 },
    { STR_INIT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n"), "GET",
      200, "OK", HTTP_BODY_LENGTH, true, 5, true, 2 },
    { STR_INIT("HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 5\r\n\r\n"),
      "GET", 200, "OK", HTTP_BODY_LENGTH, true, 5, false, 2 },
    { STR_INIT("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"), "GET", 200, "OK",
      HTTP_BODY_CLOSE, false, 0, false, 1 },
    { STR_INIT("HTTP/1.0 404 Not Found\r\n\r\n"), "GET", 404, "Not Found", HTTP_BODY_CLOSE, false,
      0, false, 0 },
};

static void assert_text(struct str got, const char *expected, struct str head)
{
    if (!str_eq(got, str_from(expected)))
        fail_msg("'%.*s' is not '%s': %.*s", STR_ARG(got), expected, STR_ARG(head));
}

static void http1_parse_response_accepts_what_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        struct str head = accepted[i].head;
        struct http_response r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        if (http1_parse_response(head, str_from(accepted[i].method), &a, &r, &e) != 0)
            fail_msg("refused (%s): %.*s", e.msg, STR_ARG(head));
        assert_int_equal(r.status, accepted[i].status);
        assert_text(r.reason, accepted[i].reason, head);
        if (r.body != accepted[i].body || r.has_content_length != accepted[i].has_length ||
            r.content_length != accepted[i].length || r.keep_alive != accepted[i].keep_alive ||
            r.headers.count != accepted[i].fields || r.upgrade.n != 0)
            fail_msg("body %d length %d %ju keep %d fields %zu: %.*s", r.body, r.has_content_length,
                     (uintmax_t)r.content_length, r.keep_alive, r.headers.count, STR_ARG(head));
        arena_fini(&a);
    }
}

static void http1_parse_response_101_has_its_upgrade(void **state)
{
    struct str head = STR("HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\n"
                          "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n");
    struct http_response r;
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_int_equal(http1_parse_response(head, STR("GET"), &a, &r, NULL), 0);
    assert_int_equal(r.status, 101);
    assert_int_equal(r.body, HTTP_BODY_NONE);
    assert_text(r.upgrade, "websocket", head);
    assert_int_equal(r.headers.count, 3);
    arena_fini(&a);
}

static void http1_parse_response_reads_the_version(void **state)
{
    struct http_response r;
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_int_equal(http1_parse_response(STR("HTTP/1.0 200 OK\r\n\r\n"), STR("GET"), &a, &r, NULL),
                     0);
    assert_int_equal(r.version_minor, 0);
    assert_int_equal(http1_parse_response(STR("HTTP/1.1 200 OK\r\n\r\n"), STR("GET"), &a, &r, NULL),
                     0);
    assert_int_equal(r.version_minor, 1);
    arena_fini(&a);
}

static void http1_parse_response_limits_the_fields(void **state)
{
    (void)state;
    for (size_t fields = HTTP1_HEADERS_MAX; fields <= HTTP1_HEADERS_MAX + 1; fields++) {
        struct http_response r;
        struct err e = { 0 };
        struct arena a;
        struct buf head;
        int rc;

        buf_init(&head, 1 << 20);
        http1_write_status_line(&head, 200, STR("OK"));
        for (size_t i = 0; i < fields; i++)
            http1_write_header(&head, STR("x"), STR(""));
        http1_write_head_end(&head);
        arena_init(&a);
        rc = http1_parse_response(buf_str(&head), STR("GET"), &a, &r, &e);
        assert_int_equal(rc, fields > HTTP1_HEADERS_MAX ? -1 : 0);
        assert_int_equal(e.code, rc == 0 ? E_OK : E_UPSTREAM_INVALID);
        arena_fini(&a);
        buf_fini(&head);
    }
}

static void http1_write_status_line_keeps_its_space(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    http1_write_status_line(&out, 404, STR("Not Found"));
    http1_write_status_line(&out, 200, STR(""));
    assert_true(str_eq(buf_str(&out), STR("HTTP/1.1 404 Not Found\r\nHTTP/1.1 200 \r\n")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_parse_response_refuses_what_is_malformed),
        cmocka_unit_test(http1_parse_response_hints_at_tls),
        cmocka_unit_test(http1_parse_response_refuses_every_prefix),
        cmocka_unit_test(http1_parse_response_accepts_what_is_well_formed),
        cmocka_unit_test(http1_parse_response_101_has_its_upgrade),
        cmocka_unit_test(http1_parse_response_reads_the_version),
        cmocka_unit_test(http1_parse_response_limits_the_fields),
        cmocka_unit_test(http1_write_status_line_keeps_its_space),
    };

    return cmocka_run_group_tests_name("gateway/http1 responses", tests, NULL, NULL);
}
