/*
 * Unit tests of the request side of gateway/http1: where a head ends, what is refused, what
 * comes out.
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

/* A head with these fields behind Host, and one with this request line. */
#define FIELDS(text) STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n" text "\r\n")
#define LINE(text)   STR_INIT(text "\r\nHost: a\r\n\r\n")
#define HOST(text)   STR_INIT("GET / HTTP/1.1\r\n" text "\r\n")

/* ---- http1_find_head ---- */

static void http1_find_head_table(void **state)
{
    static const struct {
        struct str in;
        int result; /* length, 0 or -1 */
    } cases[] = {
        { STR_INIT(""), 0 },
        { STR_INIT("G"), 0 },
        { STR_INIT("GET / HTTP/1.1\r\n"), 0 },
        { STR_INIT("GET / HTTP/1.1\r\n\r"), 0 },
        { STR_INIT("GET / HTTP/1.1\r\n\r\n"), 18 },
        { STR_INIT("GET / HTTP/1.1\r\n\r\nbody\n"), 18 },
        { STR_INIT("A\r\n\r\n"), 5 },
        { STR_INIT("A\r\nb:\r\n\r\n\r\n"), 9 },
        { STR_INIT("\r"), 0 },
        { STR_INIT("\r\n"), 0 },
        { STR_INIT("\r\n\r"), 0 },
        { STR_INIT("\r\n\r\n"), 0 },
        { STR_INIT("\r\n\r\n\r\n"), 0 },
        { STR_INIT("\r\nA\r\n\r\n"), 7 },
        { STR_INIT("\r\n\r\nA\r\n\r\n"), 9 },
        { STR_INIT("\r\n\r\nA\r\nb:\r\n\r\n"), 13 },
        { STR_INIT("\n"), -1 },
        { STR_INIT("\r\n\n"), -1 },
        { STR_INIT("\rA"), -1 },
        { STR_INIT("A\n"), -1 },
        { STR_INIT("GET / HTTP/1.1\n\n"), -1 },
        { STR_INIT("GET / HTTP/1.1\r\nHost: a\n\r\n"), -1 },
        { STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n\n"), -1 },
        { STR_INIT(" GET"), -1 },
        { STR_INIT("\0"), -1 },
        { STR_INIT("\x16\x03\x01\x02\x00"), -1 },
        { STR_INIT("\x15\x03\x03"), -1 },
        { STR_INIT("\x80"), -1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err e = { 0 };
        size_t scanned = 0;
        size_t slow_scanned = 0;
        ptrdiff_t slow = 0;
        ptrdiff_t n = http1_find_head(cases[i].in, 1000, &scanned, &e);

        if (n != cases[i].result)
            fail_msg("case %zu: %td", i, n);
        if (n == -1)
            assert_int_equal(e.code, E_BAD_REQUEST);
        /* Byte by byte gives the same. */
        for (size_t k = 1; k <= cases[i].in.n && slow == 0; k++)
            slow = http1_find_head(str_slice(cases[i].in, 0, k), 1000, &slow_scanned, NULL);
        if (slow != n)
            fail_msg("case %zu, byte by byte: %td", i, slow);
    }
}

static void http1_find_head_at_its_limit(void **state)
{
    struct str head = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\nmore");
    struct err e = { 0 };
    size_t scanned = 0;

    (void)state;
    assert_int_equal(http1_find_head(head, 27, &scanned, &e), 27);
    scanned = 0;
    assert_int_equal(http1_find_head(head, 26, &scanned, &e), -1);
    assert_int_equal(e.code, E_HEAD_TOO_LARGE);
    scanned = 0;
    assert_int_equal(http1_find_head(str_slice(head, 0, 25), 26, &scanned, &e), 0);
    assert_int_equal(http1_find_head(str_slice(head, 0, 26), 26, &scanned, &e), -1);
    assert_int_equal(e.code, E_HEAD_TOO_LARGE);
}

static void http1_find_head_limits_the_empty_lines(void **state)
{
    char text[HTTP1_EMPTY_LINES_MAX * 2 + 2 + 5];
    struct err e = { 0 };
    size_t scanned = 0;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i <= HTTP1_EMPTY_LINES_MAX; i++, n += 2)
        memcpy(text + n, "\r\n", 2);
    memcpy(text + n, "A\r\n\r\n", 5);
    assert_int_equal(http1_find_head(str_of(text + 2, n + 3), 1000, &scanned, &e), n + 3);
    scanned = 0;
    assert_int_equal(http1_find_head(str_of(text, n + 5), 1000, &scanned, &e), -1);
    assert_int_equal(e.code, E_BAD_REQUEST);
}

/* ---- what is refused ---- */

static const struct {
    struct str head;
    enum err_code code;
} refused[] = {
    /* The request line. */
    { STR_INIT(""), E_BAD_REQUEST },
    { STR_INIT("\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET"), E_BAD_REQUEST },
    { LINE("GET"), E_BAD_REQUEST },
    { LINE("GET /"), E_BAD_REQUEST },
    { LINE("GET / "), E_BAD_REQUEST },
    { LINE("GET  / HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /  HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.1 "), E_BAD_REQUEST },
    { LINE(" GET / HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET\t/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\tHTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /a b HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.1 HTTP/1.1"), E_BAD_REQUEST },
    { LINE("G(T / HTTP/1.1"), E_BAD_REQUEST },
    { LINE("G\x80T / HTTP/1.1"), E_BAD_REQUEST },
    { LINE("/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.1\r"), E_BAD_REQUEST },
    { LINE("GET /\r HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\n HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\0 HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\x7f HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\x01 HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /\xc3\xa9 HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /#part HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET /?q#part HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http/1.1"), E_BAD_REQUEST },
    /* The version. */
    { LINE("GET / http/1.1"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.10"), E_BAD_REQUEST },
    { LINE("GET / HTTP/11"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.x"), E_BAD_REQUEST },
    { LINE("GET / HTTP /1.1"), E_BAD_REQUEST },
    { LINE("GET / HTTPS/1.1"), E_BAD_REQUEST },
    { LINE("GET / RTSP/1.0"), E_BAD_REQUEST },
    { LINE("GET / HTTP/1.0"), E_VERSION },
    { LINE("GET / HTTP/0.9"), E_VERSION },
    { LINE("GET / HTTP/1.2"), E_VERSION },
    { LINE("GET / HTTP/2.0"), E_VERSION },
    { LINE("GET / HTTP/3.0"), E_VERSION },
    { STR_INIT("PRI * HTTP/2.0\r\n\r\n"), E_VERSION },
    { STR_INIT("GET / HTTP/1.0\r\n\r\n"), E_VERSION },
    /* The target. */
    { LINE("CONNECT a:443 HTTP/1.1"), E_METHOD },
    { LINE("CONNECT / HTTP/1.1"), E_METHOD },
    { LINE("GET * HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET a HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET a:80 HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET ?q HTTP/1.1"), E_BAD_REQUEST },
    { LINE("OPTIONS ** HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET ftp://a/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http:/a HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http:a HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http:// HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http:///x HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a: HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a:0/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a:99999/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://user@a/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://user:pw@a/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a..b/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://[::1/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a\\@b/ HTTP/1.1"), E_BAD_REQUEST },
    { LINE("GET http://a#b HTTP/1.1"), E_BAD_REQUEST },
    { STR_INIT("GET http://a/ HTTP/1.1\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET http://a/ HTTP/1.1\r\nHost: b@c\r\n\r\n"), E_BAD_REQUEST },
    /* Host. */
    { HOST(""), E_BAD_REQUEST },
    { HOST("Host:\r\n"), E_BAD_REQUEST },
    { HOST("Host: \r\n"), E_BAD_REQUEST },
    { HOST("Host: a\r\nHost: a\r\n"), E_BAD_REQUEST },
    { HOST("Host: a\r\nhost: b\r\n"), E_BAD_REQUEST },
    { HOST("Host: a, b\r\n"), E_BAD_REQUEST },
    { HOST("Host: a b\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:b\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:0\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:65536\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:-1\r\n"), E_BAD_REQUEST },
    { HOST("Host: a:80:80\r\n"), E_BAD_REQUEST },
    { HOST("Host: :80\r\n"), E_BAD_REQUEST },
    { HOST("Host: user@a\r\n"), E_BAD_REQUEST },
    { HOST("Host: http://a\r\n"), E_BAD_REQUEST },
    { HOST("Host: a/b\r\n"), E_BAD_REQUEST },
    { HOST("Host: a%00\r\n"), E_BAD_REQUEST },
    { HOST("Host: a..b\r\n"), E_BAD_REQUEST },
    { HOST("Host: ::1\r\n"), E_BAD_REQUEST },
    { HOST("Host: [::1\r\n"), E_BAD_REQUEST },
    { HOST("Host: [::g]\r\n"), E_BAD_REQUEST },
    { HOST("Host: *.a\r\n"), E_BAD_REQUEST },
    { HOST("Host: b\xc3\xbc"
           "cher.de\r\n"),
      E_BAD_REQUEST },
    /* Line ends and controls. */
    { STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost: a"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\nHost: a\n\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\nHost: a\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost: a\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\rb\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\nb: c\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\0b\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\x01\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\x0b\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\x1b[31m\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\x7f\r\n"), E_BAD_REQUEST },
    { FIELDS("\r\n"), E_BAD_REQUEST },
    /* Names and folding. */
    { FIELDS("x: a\r\n b\r\n"), E_BAD_REQUEST },
    { FIELDS("x: a\r\n\tb\r\n"), E_BAD_REQUEST },
    { FIELDS("x:\r\n a\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), E_BAD_REQUEST },
    { STR_INIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), E_BAD_REQUEST },
    { FIELDS("x : a\r\n"), E_BAD_REQUEST },
    { FIELDS("x\t: a\r\n"), E_BAD_REQUEST },
    { FIELDS("x y: a\r\n"), E_BAD_REQUEST },
    { FIELDS(": a\r\n"), E_BAD_REQUEST },
    { FIELDS("x\r\n"), E_BAD_REQUEST },
    { FIELDS("x(y): a\r\n"), E_BAD_REQUEST },
    { FIELDS("x\x80: a\r\n"), E_BAD_REQUEST },
    { FIELDS("x\0y: a\r\n"), E_BAD_REQUEST },
    { FIELDS("\"x\": a\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length : 5\r\n"), E_BAD_REQUEST },
    { FIELDS("\x0bTransfer-Encoding: chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("x\n: a\r\n"), E_BAD_REQUEST },
    /* Content-Length. */
    { FIELDS("Content-Length:\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: -1\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: +1\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 0x10\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 1 0\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 1_0\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 10;\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 10.0\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 1e1\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: \"10\"\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 5, 5\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 5,6\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 5\r\ncontent-length: 6\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 9223372036854775808\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 18446744073709551616\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 99999999999999999999999999\r\n"), E_BAD_REQUEST },
    /* Transfer-Encoding. */
    { FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding:\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: identity\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: gzip\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: gzip, chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked, gzip\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked, chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked,\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: ,chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked;q=1\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: \"chunked\"\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: xchunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked\x0b\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked\xa0\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), E_BAD_REQUEST },
    { FIELDS("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), E_BAD_REQUEST },
};

static void http1_parse_request_refuses_what_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct http_request r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        if (http1_parse_request(refused[i].head, &a, &r, &e) != -1)
            fail_msg("accepted: %.*s", STR_ARG(refused[i].head));
        if (e.code != refused[i].code || e.msg[0] == '\0')
            fail_msg("code %d (%s): %.*s", e.code, e.msg, STR_ARG(refused[i].head));
        arena_fini(&a);
    }
}

/* Whatever a good head is cut to is no good head. */
static void http1_parse_request_refuses_every_prefix(void **state)
{
    struct str head = STR("POST /a?b HTTP/1.1\r\nHost: a\r\nx: y\r\nContent-Length: 3\r\n\r\n");

    (void)state;
    for (size_t n = 0; n < head.n; n++) {
        struct http_request r;
        struct arena a;
        char *exact = mem_alloc(n); /* so that ASan sees a read past the end */

        memcpy(exact, head.p, n);
        arena_init(&a);
        assert_int_equal(http1_parse_request(str_of(exact, n), &a, &r, NULL), -1);
        arena_fini(&a);
        mem_free(exact);
    }
}

/* ---- what is accepted ---- */

static const struct {
    struct str head;
    const char *method;
    const char *target;
    const char *path;
    const char *query;
    const char *authority;
    const char *host;
    uint16_t port;
    size_t fields; /* without Host */
} accepted[] = {
    { LINE("GET / HTTP/1.1"), "GET", "/", "/", "", "a", "a", 0, 0 },
    { LINE("GET /a/b?c=d&e HTTP/1.1"), "GET", "/a/b?c=d&e", "/a/b", "c=d&e", "a", "a", 0, 0 },
    { LINE("GET /? HTTP/1.1"), "GET", "/?", "/", "", "a", "a", 0, 0 },
    { LINE("GET /a??b HTTP/1.1"), "GET", "/a??b", "/a", "?b", "a", "a", 0, 0 },
    { LINE("GET //b/c HTTP/1.1"), "GET", "//b/c", "//b/c", "", "a", "a", 0, 0 },
    { LINE("GET /../%2e%2E/%00 HTTP/1.1"), "GET", "/../%2e%2E/%00", "/../%2e%2E/%00", "", "a", "a",
      0, 0 },
    { LINE("GET /a|{\"b\\c}^`<> HTTP/1.1"), "GET", "/a|{\"b\\c}^`<>", "/a|{\"b\\c}^`<>", "", "a",
      "a", 0, 0 },
    { LINE("GET /http://b/ HTTP/1.1"), "GET", "/http://b/", "/http://b/", "", "a", "a", 0, 0 },
    { LINE("QUERY / HTTP/1.1"), "QUERY", "/", "/", "", "a", "a", 0, 0 },
    { LINE("get / HTTP/1.1"), "get", "/", "/", "", "a", "a", 0, 0 },
    { LINE("!#$%&'*+-.^_`|~9 / HTTP/1.1"), "!#$%&'*+-.^_`|~9", "/", "/", "", "a", "a", 0, 0 },
    { LINE("M-SEARCH / HTTP/1.1"), "M-SEARCH", "/", "/", "", "a", "a", 0, 0 },
    { LINE("OPTIONS * HTTP/1.1"), "OPTIONS", "*", "*", "", "a", "a", 0, 0 },
    { LINE("OPTIONS / HTTP/1.1"), "OPTIONS", "/", "/", "", "a", "a", 0, 0 },
    { STR_INIT("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET", "/", "/", "", "a", "a", 0, 0 },
    /* The absolute form: its authority wins. */
    { LINE("GET http://b/c?d HTTP/1.1"), "GET", "/c?d", "/c", "d", "b", "b", 0, 0 },
    { LINE("GET http://b HTTP/1.1"), "GET", "/", "/", "", "b", "b", 0, 0 },
    { LINE("GET http://b?c HTTP/1.1"), "GET", "/?c", "/", "c", "b", "b", 0, 0 },
    { LINE("GET HTTPS://B.Example.:444/ HTTP/1.1"), "GET", "/", "/", "", "B.Example.:444",
      "b.example", 444, 0 },
    { LINE("GET http://[::1]:80/ HTTP/1.1"), "GET", "/", "/", "", "[::1]:80", "[::1]", 80, 0 },
    { LINE("GET http://b/@c:d HTTP/1.1"), "GET", "/@c:d", "/@c:d", "", "b", "b", 0, 0 },
    { LINE("OPTIONS http://b HTTP/1.1"), "OPTIONS", "*", "*", "", "b", "b", 0, 0 },
    { LINE("OPTIONS http://b/ HTTP/1.1"), "OPTIONS", "/", "/", "", "b", "b", 0, 0 },
    /* Host. */
    { HOST("Host: App.Example.COM\r\n"), "GET", "/", "/", "", "App.Example.COM", "app.example.com",
      0, 0 },
    { HOST("hOST:app.example.com.:8443\t \r\n"), "GET", "/", "/", "", "app.example.com.:8443",
      "app.example.com", 8443, 0 },
    { HOST("Host: [2001:DB8::1]:8080\r\n"), "GET", "/", "/", "", "[2001:DB8::1]:8080",
      "[2001:db8::1]", 8080, 0 },
    { HOST("Host: 127.0.0.1:8080\r\n"), "GET", "/", "/", "", "127.0.0.1:8080", "127.0.0.1", 8080,
      0 },
    { HOST("Host: xn--bcher-kva.de\r\n"), "GET", "/", "/", "", "xn--bcher-kva.de",
      "xn--bcher-kva.de", 0, 0 },
    { HOST("x: 1\r\nHost: a\r\ny: 2\r\n"), "GET", "/", "/", "", "a", "a", 0, 2 },
    /* Fields. */
    { FIELDS("x:\r\n"), "GET", "/", "/", "", "a", "a", 0, 1 },
    { FIELDS("x:   \t \r\ny: \xff\x80 \"q\", z\r\nX: again\r\n"), "GET", "/", "/", "", "a", "a", 0,
      3 },
    { FIELDS("Expect: something-else\r\n"), "GET", "/", "/", "", "a", "a", 0, 1 },
    { FIELDS("Connection: ,, ,\r\n"), "GET", "/", "/", "", "a", "a", 0, 1 },
    { FIELDS("Proxy-Connection: close\r\n"), "GET", "/", "/", "", "a", "a", 0, 1 },
};

static void assert_text(struct str got, const char *expected, struct str head)
{
    if (!str_eq(got, str_from(expected)))
        fail_msg("'%.*s' is not '%s': %.*s", STR_ARG(got), expected, STR_ARG(head));
}

static void http1_parse_request_accepts_what_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        struct str head = accepted[i].head;
        struct http_request r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        if (http1_parse_request(head, &a, &r, &e) != 0)
            fail_msg("refused (%s): %.*s", e.msg, STR_ARG(head));
        assert_text(r.method, accepted[i].method, head);
        assert_text(r.target, accepted[i].target, head);
        assert_text(r.path, accepted[i].path, head);
        assert_text(r.query, accepted[i].query, head);
        assert_text(r.authority, accepted[i].authority, head);
        assert_text(str_from(r.host), accepted[i].host, head);
        assert_int_equal(r.port, accepted[i].port);
        assert_int_equal(r.headers.count, accepted[i].fields);
        assert_int_equal(r.version_minor, 1);
        assert_null(http_headers_find(&r.headers, STR("host"), 0));
        arena_fini(&a);
    }
}

static void http1_parse_request_keeps_fields_as_sent(void **state)
{
    struct str head = STR("GET / HTTP/1.1\r\nX-One:1\r\nHost: a\r\nx-TWO: \t b  c\t \r\nEmpty:\r\n"
                          "Space: \t\r\nUtf: \xe2\x82\xac\r\n\r\n");
    static const struct http_header expected[] = {
        { STR_INIT("X-One"), STR_INIT("1") },          { STR_INIT("x-TWO"), STR_INIT("b  c") },
        { STR_INIT("Empty"), STR_INIT("") },           { STR_INIT("Space"), STR_INIT("") },
        { STR_INIT("Utf"), STR_INIT("\xe2\x82\xac") },
    };
    struct http_request r;
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_int_equal(http1_parse_request(head, &a, &r, NULL), 0);
    assert_int_equal(r.headers.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(str_eq(r.headers.items[i].name, expected[i].name));
        assert_true(str_eq(r.headers.items[i].value, expected[i].value));
    }
    arena_fini(&a);
}

static const struct {
    struct str head;
    enum http_body body;
    bool has_length;
    uint64_t length;
    bool keep_alive;
    bool expect_continue;
    const char *upgrade;
} framed[] = {
    { FIELDS(""), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Content-Length: 0\r\n"), HTTP_BODY_NONE, true, 0, true, false, "" },
    { FIELDS("Content-Length: 5\r\n"), HTTP_BODY_LENGTH, true, 5, true, false, "" },
    { FIELDS("Content-Length: \t007 \r\n"), HTTP_BODY_LENGTH, true, 7, true, false, "" },
    { FIELDS("Content-Length: 9223372036854775807\r\n"), HTTP_BODY_LENGTH, true, INT64_MAX, true,
      false, "" },
    { FIELDS("Transfer-Encoding: chunked\r\n"), HTTP_BODY_CHUNKED, false, 0, true, false, "" },
    { FIELDS("transfer-encoding:Chunked \r\n"), HTTP_BODY_CHUNKED, false, 0, true, false, "" },
    { FIELDS("Connection: close\r\n"), HTTP_BODY_NONE, false, 0, false, false, "" },
    { FIELDS("Connection: keep-alive, CLOSE\r\n"), HTTP_BODY_NONE, false, 0, false, false, "" },
    { FIELDS("Connection: x\r\nConnection: close\r\n"), HTTP_BODY_NONE, false, 0, false, false,
      "" },
    { FIELDS("Connection: closed\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Connection: keep-alive\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Expect: 100-Continue\r\nContent-Length: 5\r\n"), HTTP_BODY_LENGTH, true, 5, true,
      true, "" },
    { FIELDS("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), HTTP_BODY_CHUNKED, false, 0,
      true, true, "" },
    { FIELDS("Expect: 100-continue\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Expect: 200-ok\r\nContent-Length: 5\r\n"), HTTP_BODY_LENGTH, true, 5, true, false,
      "" },
    { FIELDS("Connection: Upgrade\r\nUpgrade: websocket\r\n"), HTTP_BODY_NONE, false, 0, true,
      false, "websocket" },
    { FIELDS("Upgrade: a/1, b\r\nConnection: keep-alive, upgrade\r\n"), HTTP_BODY_NONE, false, 0,
      true, false, "a/1, b" },
    { FIELDS("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"), HTTP_BODY_NONE, false, 0, true,
      false, "a" },
    { FIELDS("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n"),
      HTTP_BODY_LENGTH, true, 5, true, false, "websocket" },
    { FIELDS("Upgrade: websocket\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Connection: upgrade\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Connection: upgrade\r\nUpgrade:\r\n"), HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
      HTTP_BODY_NONE, false, 0, true, false, "" },
    { FIELDS("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x, H2C\r\n"), HTTP_BODY_NONE,
      false, 0, true, false, "" },
};

static void http1_parse_request_reads_framing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(framed); i++) {
        struct str head = framed[i].head;
        struct http_request r;
        struct err e = { 0 };
        struct arena a;

        arena_init(&a);
        if (http1_parse_request(head, &a, &r, &e) != 0)
            fail_msg("refused (%s): %.*s", e.msg, STR_ARG(head));
        if (r.body != framed[i].body || r.has_content_length != framed[i].has_length ||
            r.content_length != framed[i].length || r.keep_alive != framed[i].keep_alive ||
            r.expect_continue != framed[i].expect_continue)
            fail_msg("body %d length %d %ju keep %d expect %d: %.*s", r.body, r.has_content_length,
                     (uintmax_t)r.content_length, r.keep_alive, r.expect_continue, STR_ARG(head));
        assert_text(r.upgrade, framed[i].upgrade, head);
        arena_fini(&a);
    }
}

/* ---- limits ---- */

/* A head with this many fields, Host included. */
static int parse_with_fields(size_t fields, enum err_code *code)
{
    struct http_request r;
    struct err e = { 0 };
    struct arena a;
    struct buf head;
    int rc;

    buf_init(&head, 1 << 20);
    buf_add_str(&head, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
    for (size_t i = 1; i < fields; i++)
        http1_write_header(&head, STR("x"), STR("y"));
    http1_write_head_end(&head);
    arena_init(&a);
    rc = http1_parse_request(buf_str(&head), &a, &r, &e);
    if (rc == 0)
        assert_int_equal(r.headers.count, fields - 1);
    *code = e.code;
    arena_fini(&a);
    buf_fini(&head);
    return rc;
}

static void http1_parse_request_limits_the_fields(void **state)
{
    enum err_code code;

    (void)state;
    assert_int_equal(parse_with_fields(HTTP1_HEADERS_MAX, &code), 0);
    assert_int_equal(parse_with_fields(HTTP1_HEADERS_MAX + 1, &code), -1);
    assert_int_equal(code, E_HEAD_TOO_LARGE);
}

static int parse_with_options(size_t options)
{
    struct http_request r;
    struct arena a;
    struct buf head;
    int rc;

    buf_init(&head, 1 << 20);
    buf_add_str(&head, STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: x"));
    for (size_t i = 1; i < options; i++)
        buf_add_str(&head, i == 5 ? STR("\r\nConnection: x") : STR(",x"));
    buf_add_str(&head, STR("\r\n\r\n"));
    arena_init(&a);
    rc = http1_parse_request(buf_str(&head), &a, &r, NULL);
    arena_fini(&a);
    buf_fini(&head);
    return rc;
}

static void http1_parse_request_limits_connection_options(void **state)
{
    (void)state;
    assert_int_equal(parse_with_options(HTTP_CONNECTION_OPTIONS_MAX), 0);
    assert_int_equal(parse_with_options(HTTP_CONNECTION_OPTIONS_MAX + 1), -1);
}

/* http-parser alone would stop at 80 KiB. */
static void http1_parse_request_takes_a_head_of_a_mebibyte(void **state)
{
    struct http_request r;
    struct err e = { 0 };
    struct arena a;
    struct buf head;
    char *value;

    (void)state;
    buf_init(&head, 3 << 20);
    buf_add_str(&head, STR("GET / HTTP/1.1\r\nHost: a\r\nX: "));
    value = buf_reserve(&head, 1 << 20);
    memset(value, 'v', 1 << 20);
    buf_commit(&head, 1 << 20);
    buf_add_str(&head, STR("\r\n\r\n"));
    arena_init(&a);
    if (http1_parse_request(buf_str(&head), &a, &r, &e) != 0)
        fail_msg("refused: %s", e.msg);
    assert_int_equal(r.headers.items[0].value.n, 1 << 20);
    arena_fini(&a);
    buf_fini(&head);
}

/* ---- writing ---- */

static void http1_write_request_gives_a_head_that_parses_the_same(void **state)
{
    struct str head =
        STR("PUT /a?b HTTP/1.1\r\nHost: x:81\r\nA: 1\r\nEmpty: \r\nB: two words\r\n\r\n");
    struct http_request r;
    struct arena a;
    struct buf out;

    (void)state;
    arena_init(&a);
    buf_init(&out, 4096);
    assert_int_equal(http1_parse_request(head, &a, &r, NULL), 0);
    http1_write_request_line(&out, r.method, r.target);
    http1_write_header(&out, STR("Host"), r.authority);
    http1_write_headers(&out, &r.headers);
    http1_write_head_end(&out);
    assert_text(buf_str(&out),
                "PUT /a?b HTTP/1.1\r\nHost: x:81\r\nA: 1\r\nEmpty: \r\nB: two words\r\n\r\n", head);
    buf_fini(&out);
    arena_fini(&a);
}

static void http1_write_headers_past_the_maximum_fails_the_buffer(void **state)
{
    struct http_header field = { STR_INIT("name"), STR_INIT("value") };
    struct http_headers h = { .items = &field, .count = 1, .cap = 1 };
    struct buf out;

    (void)state;
    buf_init(&out, 13);
    http1_write_headers(&out, &h);
    assert_false(buf_failed(&out));
    assert_true(str_eq(buf_str(&out), STR("name: value\r\n")));
    http1_write_header(&out, STR("a"), STR("b"));
    assert_true(buf_failed(&out));
    buf_fini(&out);
    buf_init(&out, 12);
    http1_write_headers(&out, &h);
    assert_true(buf_failed(&out));
    assert_int_equal(buf_str(&out).n, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_find_head_table),
        cmocka_unit_test(http1_find_head_at_its_limit),
        cmocka_unit_test(http1_find_head_limits_the_empty_lines),
        cmocka_unit_test(http1_parse_request_refuses_what_is_malformed),
        cmocka_unit_test(http1_parse_request_refuses_every_prefix),
        cmocka_unit_test(http1_parse_request_accepts_what_is_well_formed),
        cmocka_unit_test(http1_parse_request_keeps_fields_as_sent),
        cmocka_unit_test(http1_parse_request_reads_framing),
        cmocka_unit_test(http1_parse_request_limits_the_fields),
        cmocka_unit_test(http1_parse_request_limits_connection_options),
        cmocka_unit_test(http1_parse_request_takes_a_head_of_a_mebibyte),
        cmocka_unit_test(http1_write_request_gives_a_head_that_parses_the_same),
        cmocka_unit_test(http1_write_headers_past_the_maximum_fails_the_buffer),
    };

    return cmocka_run_group_tests_name("gateway/http1 requests", tests, NULL, NULL);
}
