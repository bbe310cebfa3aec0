/*
 * Unit tests of gateway/http2_request: header lists and what becomes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http1.h"
#include "gateway/http2_request.h"

enum { FIELDS_MAX = 16, HEAD_MAX_BYTES = 4096 };

struct field {
    const char *name; /* NULL: the end */
    const char *value;
};

static struct arena arena;
static struct http_request request;
static enum http2_ask ask;
static struct err error;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static int parse(const struct field *fields, bool ended)
{
    struct http2_head h;

    http2_head_init(&h, &arena, HEAD_MAX_BYTES);
    for (; fields->name != NULL; fields++)
        assert_int_equal(http2_head_add(&h, str_from(fields->name), str_from(fields->value)),
                         HTTP2_LIST_OK);
    error = (struct err){ 0 };
    return http2_head_finish(&h, "https", ended, &request, &ask, &error);
}

#define REQUEST                                                                                    \
    { ":method", "POST" }, { ":scheme", "https" }, { ":path", "/a?b" },                            \
    {                                                                                              \
        ":authority", "a.example.com"                                                              \
    }

static void assert_str(struct str s, const char *expected)
{
    if (!str_eq(s, str_from(expected)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), expected);
}

static void head_becomes_a_request(void **state)
{
    const struct field fields[] = { REQUEST, { "x-a", "1" }, { "content-length", "3" }, { 0 } };

    (void)state;
    assert_int_equal(parse(fields, false), 0);
    assert_str(request.method, "POST");
    assert_str(request.target, "/a?b");
    assert_str(request.path, "/a");
    assert_str(request.query, "b");
    assert_str(request.authority, "a.example.com");
    assert_string_equal(request.host, "a.example.com");
    assert_str(http_request_version(&request), "HTTP/2.0");
    assert_int_equal(request.body, HTTP_BODY_LENGTH);
    assert_int_equal(request.content_length, 3);
    assert_int_equal(ask, HTTP2_ASK_REQUEST);
    assert_non_null(http_headers_find(&request.headers, STR("x-a"), 0));
}

static void body_is_framed_by_what_follows(void **state)
{
    const struct field plain[] = { REQUEST, { 0 } };
    const struct field zero[] = { REQUEST, { "content-length", "0" }, { 0 } };

    (void)state;
    assert_int_equal(parse(plain, true), 0);
    assert_int_equal(request.body, HTTP_BODY_NONE);
    assert_int_equal(parse(plain, false), 0);
    assert_int_equal(request.body, HTTP_BODY_CHUNKED);
    assert_int_equal(parse(zero, true), 0);
    assert_int_equal(request.body, HTTP_BODY_NONE);
    assert_true(request.has_content_length);
    assert_int_equal(parse(zero, false),
                     0); /* trailers may follow, which have no place behind a length */
    assert_int_equal(request.body, HTTP_BODY_CHUNKED);
    assert_false(request.has_content_length);
}

static void cookies_become_one(void **state)
{
    const struct field fields[] = { REQUEST,          { "cookie", "a=1" },      { "x", "y" },
                                    { "cookie", "" }, { "cookie", "b=2; c=3" }, { 0 } };

    (void)state;
    assert_int_equal(parse(fields, true), 0);
    assert_str(http_headers_find(&request.headers, STR("cookie"), 0)->value, "a=1; ; b=2; c=3");
    assert_null(http_headers_find(&request.headers, STR("cookie"), 1));
    assert_int_equal(request.headers.count, 2);
}

static void host_may_repeat_the_authority(void **state)
{
    const struct field same[] = { REQUEST, { "host", "A.example.com:443" }, { 0 } };
    const struct field alone[] = { { ":method", "GET" },
                                   { ":scheme", "http" },
                                   { ":path", "/" },
                                   { "host", "b.example.com:81" },
                                   { 0 } };

    (void)state;
    assert_int_equal(parse(same, true), 0);
    assert_str(request.authority, "a.example.com");
    assert_null(http_headers_find(&request.headers, STR("host"), 0));
    assert_int_equal(parse(alone, true), 0);
    assert_string_equal(request.host, "b.example.com");
    assert_int_equal(request.port, 81);
}

static void websocket_becomes_an_upgrade(void **state)
{
    const struct field fields[] = { { ":method", "CONNECT" },
                                    { ":protocol", "websocket" },
                                    { ":scheme", "https" },
                                    { ":path", "/chat" },
                                    { ":authority", "a.test" },
                                    { "sec-websocket-key", "mine" },
                                    { 0 } };

    (void)state;
    assert_int_equal(parse(fields, false), 0);
    assert_int_equal(ask, HTTP2_ASK_WEBSOCKET);
    assert_str(request.method, "GET");
    assert_str(request.upgrade, "websocket");
    assert_int_equal(request.body, HTTP_BODY_NONE);
    assert_null(http_headers_find(&request.headers, STR("sec-websocket-key"), 0));
}

static void bad_heads_are_refused(void **state)
{
    static const struct {
        struct field fields[FIELDS_MAX];
        enum err_code code;
    } cases[] = {
        { { REQUEST, { "host", "b.example.com" } }, E_BAD_REQUEST },
        { { REQUEST, { "host", "a.example.com:444" } }, E_BAD_REQUEST },
        { { REQUEST, { "host", "a.example.com" }, { "host", "a.example.com" } }, E_BAD_REQUEST },
        { { REQUEST, { ":path", "/" } }, E_BAD_REQUEST },
        { { REQUEST, { "x", "y" }, { ":protocol", "websocket" } }, E_BAD_REQUEST },
        { { REQUEST, { ":protocol", "websocket" } }, E_BAD_REQUEST },
        { { REQUEST, { ":other", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "connection", "close" } }, E_BAD_REQUEST },
        { { REQUEST, { "keep-alive", "1" } }, E_BAD_REQUEST },
        { { REQUEST, { "proxy-connection", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "upgrade", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "transfer-encoding", "chunked" } }, E_BAD_REQUEST },
        { { REQUEST, { "te", "gzip" } }, E_BAD_REQUEST },
        { { REQUEST, { "X-Upper", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "x y", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "", "x" } }, E_BAD_REQUEST },
        { { REQUEST, { "x", "a\r\nb: c" } }, E_BAD_REQUEST },
        { { REQUEST, { "x", " a" } }, E_BAD_REQUEST },
        { { REQUEST, { "content-length", "1" }, { "content-length", "1" } }, E_BAD_REQUEST },
        { { REQUEST, { "content-length", "-1" } }, E_BAD_REQUEST },
        { { REQUEST, { "content-length", "1" } }, E_BAD_REQUEST }, /* nothing follows */
        { { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" } }, E_BAD_REQUEST },
        { { { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a.test" } }, E_BAD_REQUEST },
        { { { ":method", "GET" }, { ":path", "/" }, { ":authority", "a.test" } }, E_BAD_REQUEST },
        { { { ":method", "GET" }, { ":scheme", "http" }, { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "G T" },
            { ":scheme", "http" },
            { ":path", "/" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "/ a" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "/#a" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "*" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "http://b.test/" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "ftp" },
            { ":path", "/" },
            { ":authority", "a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "/" },
            { ":authority", "u@a.test" } },
          E_BAD_REQUEST },
        { { { ":method", "GET" },
            { ":scheme", "http" },
            { ":path", "/" },
            { ":authority", "a.test:0" } },
          E_BAD_REQUEST },
        { { { ":method", "CONNECT" }, { ":authority", "a.test:443" } }, E_METHOD },
        { { { ":method", "CONNECT" },
            { ":protocol", "connect-udp" },
            { ":scheme", "https" },
            { ":path", "/" },
            { ":authority", "a.test" } },
          E_PROTOCOL_UNKNOWN },
        { { { ":method", "CONNECT" },
            { ":protocol", "websocket" },
            { ":scheme", "https" },
            { ":path", "/" },
            { ":authority", "a.test" },
            { "content-length", "0" } },
          E_BAD_REQUEST },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (parse(cases[i].fields, true) != -1)
            fail_msg("case %zu is taken", i);
        if (error.code != cases[i].code)
            fail_msg("case %zu: %s", i, error.msg);
    }
}

static void options_may_ask_for_the_server(void **state)
{
    const struct field fields[] = { { ":method", "OPTIONS" },
                                    { ":scheme", "http" },
                                    { ":path", "*" },
                                    { ":authority", "a.test" },
                                    { 0 } };

    (void)state;
    assert_int_equal(parse(fields, true), 0);
    assert_str(request.target, "*");
}

static void heads_past_their_limits_are_refused_and_then_bombs(void **state)
{
    char value[1000];
    struct http2_head h;
    int added = 0;

    (void)state;
    memset(value, 'v', sizeof(value));
    http2_head_init(&h, &arena, HEAD_MAX_BYTES);
    while (http2_head_add(&h, STR("x"), str_of(value, sizeof(value))) == HTTP2_LIST_OK)
        added++;
    assert_int_equal(added, 7); /* the eighth is past 8192 bytes, with 33 more for each */
    assert_int_equal(h.headers.count, 3);
    assert_int_equal(http2_head_finish(&h, "http", true, &request, &ask, &error), -1);
    assert_int_equal(error.code, E_HEAD_TOO_LARGE);
}

static void heads_of_too_many_fields_are_refused(void **state)
{
    struct http2_head h;

    (void)state;
    http2_head_init(&h, &arena, (size_t)1024 * 1024);
    for (int i = 0; i <= HTTP1_HEADERS_MAX; i++)
        assert_int_equal(http2_head_add(&h, STR("x"), STR("")), HTTP2_LIST_OK);
    assert_int_equal(http2_head_finish(&h, "http", true, &request, &ask, &error), -1);
    assert_int_equal(error.code, E_HEAD_TOO_LARGE);
    assert_int_equal(h.headers.count, HTTP1_HEADERS_MAX);
}

static void trailers_are_checked_and_sorted_out(void **state)
{
    struct http_headers trailers = { 0 };
    size_t bytes = 0;

    (void)state;
    assert_int_equal(http2_trailer_add(&trailers, &arena, &bytes, STR("x-sum"), STR("1"), &error),
                     0);
    assert_int_equal(http2_trailer_add(&trailers, &arena, &bytes, STR("host"), STR("h"), &error),
                     0);
    assert_int_equal(trailers.count, 1);
    assert_int_equal(http2_trailer_add(&trailers, &arena, &bytes, STR(":path"), STR("/"), &error),
                     -1);
    assert_int_equal(http2_trailer_add(&trailers, &arena, &bytes, STR("upgrade"), STR("x"), &error),
                     -1);
    bytes = HTTP1_TRAILERS_MAX_BYTES;
    assert_int_equal(http2_trailer_add(&trailers, &arena, &bytes, STR("x"), STR("1"), &error), -1);
    assert_int_equal(error.code, E_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(head_becomes_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(body_is_framed_by_what_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(cookies_become_one, setup, teardown),
        cmocka_unit_test_setup_teardown(host_may_repeat_the_authority, setup, teardown),
        cmocka_unit_test_setup_teardown(websocket_becomes_an_upgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_heads_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(options_may_ask_for_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(heads_past_their_limits_are_refused_and_then_bombs, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(heads_of_too_many_fields_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_are_checked_and_sorted_out, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
