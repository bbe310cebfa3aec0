/*
 * Unit tests of gateway/headers. Messages are written as "name: value" lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/headers.h"
#include "gateway/http1.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void fill(struct http_headers *h, struct arena *a, struct str lines)
{
    struct str line;

    *h = (struct http_headers){ 0 };
    while (str_next(&lines, '\n', &line)) {
        size_t colon = str_find_char(line, ':');

        if (line.n > 0)
            http_headers_add(h, a, str_slice(line, 0, colon),
                             str_trim_ows(str_skip(line, colon + 1)));
    }
}

static void assert_headers(const struct http_headers *h, const char *expected, const char *input)
{
    struct http_headers wanted;
    struct buf got_text;
    struct buf wanted_text;
    struct arena a;

    arena_init(&a);
    buf_init(&got_text, 1 << 20);
    buf_init(&wanted_text, 1 << 20);
    fill(&wanted, &a, str_from(expected));
    http1_write_headers(&got_text, h);
    http1_write_headers(&wanted_text, &wanted);
    if (!str_eq(buf_str(&got_text), buf_str(&wanted_text)))
        fail_msg("input:\n%s\ngot:\n%.*s\nwanted:\n%.*s", input, STR_ARG(buf_str(&got_text)),
                 STR_ARG(buf_str(&wanted_text)));
    buf_fini(&got_text);
    buf_fini(&wanted_text);
    arena_fini(&a);
}

static void headers_strip_hop_by_hop_table(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        { "", "" },
        { "a: 1\nb: 2", "a: 1\nb: 2" },
        { "Connection: close\nKeep-Alive: timeout=5\nProxy-Authenticate: x\n"
          "Proxy-Authorization: x\nProxy-Connection: x\nTE: trailers\nTrailer: x\nTrailers: x\n"
          "Transfer-Encoding: chunked\nUpgrade: websocket\nContent-Length: 5\nExpect: "
          "100-continue\na: 1",
          "a: 1" },
        { "Connection: X-One, x-two\nConnection: x-three\nx-one: 1\nX-TWO: 2\nx-three: 3\nx-four: "
          "4",
          "x-four: 4" },
        { "Connection: upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMA\na: 1", "a: 1" },
        { "x-one: 1\nx-one: 2\nConnection: ,, x-one ,", "" },
        { "Connection: close\nclose: is no field name here", "close: is no field name here" },
        { "Connection: x one, x\none: 1\nx one: 2\nx: 3", "one: 1" },
        { "TEE: 1\nconnection2: 2\nkeep_alive: 3", "TEE: 1\nconnection2: 2\nkeep_alive: 3" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_headers h;
        struct arena a;

        arena_init(&a);
        fill(&h, &a, str_from(cases[i].in));
        headers_strip_hop_by_hop(&h);
        assert_headers(&h, cases[i].out, cases[i].in);
        arena_fini(&a);
    }
}

/* The gateway adds its fields after the strip, so a visitor cannot have them removed. */
static void headers_strip_hop_by_hop_cannot_remove_forwarded_fields(void **state)
{
    static const struct addr client = { .family = 4, .ip = { 192, 0, 2, 1 } };
    const char *in = "Connection: x-forwarded-for, x-forwarded-proto, x-forwarded-host\n"
                     "x-forwarded-for: 10.0.0.1\nx-forwarded-host: evil";
    struct http_headers h;
    struct arena a;

    (void)state;
    arena_init(&a);
    fill(&h, &a, str_from(in));
    headers_strip_hop_by_hop(&h);
    headers_add_forwarded(&h, &a, &client, STR("https"), STR("app.example.com"));
    assert_headers(&h,
                   "x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n"
                   "x-forwarded-host: app.example.com",
                   in);
    arena_fini(&a);
}

static void headers_strip_request_reserved_removes_what_only_the_gateway_says(void **state)
{
    const char *in = "Sallyport-Error-Code: 1\nNGROK-ERROR-CODE: 1\nngrok-mtls-subject-cn: root\n"
                     "Ngrok-Auth-User-Email: a@b\nsallyport-mtls-x: 1\nSallyport-Auth-x: 1\n"
                     "ngrok_auth_user_email: a@b\nNgrok-Auth_User-Id: 1\nSallyport_Error_Code: 1\n"
                     "ngrok-skip-browser-warning: 1\nngrok-trace-id: 1\nx-ngrok-auth-user: 1\n"
                     "ngrok-auth: 1\nauthorization: x";
    struct http_headers h;
    struct arena a;

    (void)state;
    arena_init(&a);
    fill(&h, &a, str_from(in));
    headers_strip_request_reserved(&h);
    assert_headers(&h,
                   "ngrok-skip-browser-warning: 1\nngrok-trace-id: 1\nx-ngrok-auth-user: 1\n"
                   "ngrok-auth: 1\nauthorization: x",
                   in);
    arena_fini(&a);
}

static void headers_strip_error_codes_counts_them(void **state)
{
    const char *in = "sallyport-error-code: ERR_SALLYPORT_3200\nNgrok-Error-Code: ERR_NGROK_3200\n"
                     "Sallyport-Error-Code: again\na: 1\nngrok-auth-user-id: 1";
    struct http_headers h;
    struct arena a;

    (void)state;
    arena_init(&a);
    fill(&h, &a, str_from(in));
    assert_int_equal(headers_strip_error_codes(&h), 3);
    assert_headers(&h, "a: 1\nngrok-auth-user-id: 1", in);
    assert_int_equal(headers_strip_error_codes(&h), 0);
    arena_fini(&a);
}

static void headers_add_forwarded_table(void **state)
{
    static const struct addr v4 = { .family = 4, .port = 999, .ip = { 203, 0, 113, 7 } };
    static const struct addr v6 = { .family = 6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
    static const struct {
        const struct addr *client;
        const char *in;
        const char *out;
    } cases[] = {
        { &v4, "a: 1",
          "a: 1\nx-forwarded-for: 203.0.113.7\nx-forwarded-proto: https\nx-forwarded-host: h:81" },
        { &v6, "",
          "x-forwarded-for: 2001:db8::1\nx-forwarded-proto: https\nx-forwarded-host: h:81" },
        { &v4,
          "X-Forwarded-For: 10.0.0.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: first.example",
          "X-Forwarded-Host: first.example\nx-forwarded-for: 10.0.0.1, 203.0.113.7\n"
          "x-forwarded-proto: http, https" },
        { &v4,
          "x-forwarded-for: 1.1.1.1, 2.2.2.2\na: 1\nX-FORWARDED-FOR: 3.3.3.3\nx-forwarded-for:",
          "a: 1\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 203.0.113.7\n"
          "x-forwarded-proto: https\nx-forwarded-host: h:81" },
        { &v4, "x-forwarded-host: a\nx-forwarded-host: b",
          "x-forwarded-host: a\nx-forwarded-host: b\nx-forwarded-for: 203.0.113.7\n"
          "x-forwarded-proto: https" },
        { &v4,
          "x_forwarded_for: 1.1.1.1\nX-Forwarded_Proto: http\nx_forwarded_host: evil\n"
          "x_forwarded_port: 1",
          "x_forwarded_port: 1\nx-forwarded-for: 203.0.113.7\nx-forwarded-proto: https\n"
          "x-forwarded-host: h:81" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_headers h;
        struct arena a;

        arena_init(&a);
        fill(&h, &a, str_from(cases[i].in));
        headers_add_forwarded(&h, &a, cases[i].client, STR("https"), STR("h:81"));
        assert_headers(&h, cases[i].out, cases[i].in);
        arena_fini(&a);
    }
}

/* Spec 6.3, and what it leaves to us. `out` NULL: unchanged. */
static const struct {
    const char *rewritten; /* the Host that the upstream saw; "" for none */
    const char *authority; /* of the visitor, who uses https */
    const char *in;
    const char *out;
} locations[] = {
    { "localhost", "example.ngrok.app", "http://localhost/login",
      "https://example.ngrok.app/login" },
    { "localhost", "example.ngrok.app", "/login", NULL },
    { "localhost", "example.ngrok.app", "//localhost/x", "//example.ngrok.app/x" },
    { "localhost:8080", "example.ngrok.app", "http://localhost:8080/a?b#c",
      "https://example.ngrok.app/a?b#c" },
    { "localhost", "example.ngrok.app", "https://other.com/", NULL },
    { "", "example.ngrok.app", "http://localhost/", NULL },
    { "app.local", "a.example.com", "http://app.local/", "https://a.example.com/" },
    /* Case, ports, schemes. */
    { "LocalHost", "v.example", "HTTP://LOCALHOST/a", "https://v.example/a" },
    { "localhost.", "v.example", "http://localhost/a", "https://v.example/a" },
    { "localhost", "v.example", "http://localhost./a", "https://v.example/a" },
    { "localhost", "v.example", "https://localhost/a", "https://v.example/a" },
    { "localhost", "v.example:8443", "http://localhost/a", "https://v.example:8443/a" },
    { "localhost", "v.example", "http://localhost:80/a", "https://v.example/a" },
    { "localhost", "v.example", "https://localhost:443/a", "https://v.example/a" },
    { "localhost", "v.example", "http://localhost:443/a", NULL },
    { "localhost", "v.example", "http://localhost:8080/a", NULL },
    { "localhost:80", "v.example", "http://localhost/a", "https://v.example/a" },
    { "localhost:443", "v.example", "https://localhost/a", "https://v.example/a" },
    { "localhost:443", "v.example", "http://localhost/a", NULL },
    { "localhost:8080", "v.example", "http://localhost/a", NULL },
    { "localhost:8080", "v.example", "//localhost:8080/a", "//v.example/a" },
    { "localhost:8080", "v.example", "//localhost/a", NULL },
    { "localhost", "v.example", "//localhost:443/a", "//v.example/a" },
    { "localhost", "v.example", "http://localhost:/a", "https://v.example/a" },
    { "localhost", "v.example", "http://localhost:x/a", NULL },
    { "localhost", "v.example", "http://localhost:99999/a", NULL },
    /* Where the host ends. */
    { "localhost", "v.example", "http://localhost", "https://v.example" },
    { "localhost", "v.example", "http://localhost?a", "https://v.example?a" },
    { "localhost", "v.example", "http://localhost#a", "https://v.example#a" },
    { "localhost", "v.example", "http://localhost/http://localhost/",
      "https://v.example/http://localhost/" },
    { "my_app:3000", "v.example", "http://my_app:3000/", "https://v.example/" },
    { "[::1]:3000", "v.example", "http://[::1]:3000/", "https://v.example/" },
    { "127.0.0.1", "v.example", "http://127.0.0.1/", "https://v.example/" },
    /* Others. */
    { "localhost", "v.example", "http://localhost.evil.com/", NULL },
    { "localhost", "v.example", "http://sub.localhost/", NULL },
    { "localhost", "v.example", "http://user@localhost/", NULL },
    { "localhost", "v.example", "ftp://localhost/", NULL },
    { "localhost", "v.example", "http:/localhost/", NULL },
    { "localhost", "v.example", "localhost/", NULL },
    { "localhost", "v.example", "?next=http://localhost/", NULL },
    { "localhost", "v.example", "http:///a", NULL },
    { "localhost", "v.example", "//", NULL },
    { "localhost", "v.example", "", NULL },
    { ":80", "v.example", "http:///a", NULL },
};

static void headers_rewrite_back_location_table(void **state)
{
    static const struct str names[] = { STR_INIT("Location"), STR_INIT("content-location") };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(locations) * COUNT_OF(names); i++) {
        size_t row = i / COUNT_OF(names);
        const char *wanted = locations[row].out != NULL ? locations[row].out : locations[row].in;
        struct http_headers h = { 0 };
        struct arena a;

        arena_init(&a);
        http_headers_add(&h, &a, names[i % COUNT_OF(names)], str_from(locations[row].in));
        headers_rewrite_back(&h, &a, str_from(locations[row].rewritten), STR("https"),
                             str_from(locations[row].authority));
        if (!str_eq(h.items[0].value, str_from(wanted)))
            fail_msg("row %zu: '%.*s' is not '%s'", row, STR_ARG(h.items[0].value), wanted);
        arena_fini(&a);
    }
}

/* `out` NULL: unchanged. The visitor is at a.example.com:8443. */
static const struct {
    const char *rewritten;
    const char *in;
    const char *out;
} cookies[] = {
    { "app.local", "s=1; Domain=app.local; Path=/", "s=1; Domain=a.example.com; Path=/" },
    { "app.local:3000", "s=1; Domain=app.local", "s=1; Domain=a.example.com" },
    { "app.local", "s=1;domain=APP.local;secure", "s=1;domain=a.example.com;secure" },
    { "app.local", "s=1; Domain=.app.local", "s=1; Domain=a.example.com" },
    { "app.local", "s=1; DOMAIN =\t app.local ;x", "s=1; DOMAIN =\t a.example.com ;x" },
    { "x.app.local", "s=1; Domain=app.local", "s=1; Domain=a.example.com" },
    { "x.app.local", "s=1; Domain=.local", "s=1; Domain=a.example.com" },
    { "app.local", "s=1; Domain=app.local; Domain=app.local; Path=/",
      "s=1; Domain=a.example.com; Domain=a.example.com; Path=/" },
    { "app.local", "a=\"x=y\"; Expires=Tue, 04 Jun 2024 10:11:12 GMT; Domain=app.local; HttpOnly",
      "a=\"x=y\"; Expires=Tue, 04 Jun 2024 10:11:12 GMT; Domain=a.example.com; HttpOnly" },
    { "app.local", "s=1; Path=/", NULL },
    { "app.local", "s=1", NULL },
    { "app.local", "", NULL },
    { "app.local", "s=1;", NULL },
    { "app.local", "s=1; Domain=", NULL },
    { "app.local", "s=1; Domain", NULL },
    { "app.local", "s=1; Domain=.", NULL },
    { "app.local", "s=1; Domain=other.local", NULL },
    { "app.local", "s=1; Domain=x.app.local", NULL },
    { "app.local", "s=1; Domain=pp.local", NULL },
    { "app.local", "s=1; XDomain=app.local", NULL },
    { "app.local", "Domain=app.local", NULL },
    { "app.local", "Domain=app.local; Path=/", NULL },
    { "app.local", "s=Domain=app.local", NULL },
    /* What already fits the visitor stays: his host, and a parent that both share. */
    { "b.example.com", "s=1; Domain=a.example.com", NULL },
    { "b.example.com", "s=1; Domain=example.com", NULL },
    { "b.example.com", "s=1; Domain=b.example.com", "s=1; Domain=a.example.com" },
    { "", "s=1; Domain=app.local", NULL },
};

static void headers_rewrite_back_cookie_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cookies); i++) {
        const char *wanted = cookies[i].out != NULL ? cookies[i].out : cookies[i].in;
        struct http_headers h = { 0 };
        struct arena a;

        arena_init(&a);
        http_headers_add(&h, &a, STR("Set-Cookie"), str_from(cookies[i].in));
        headers_rewrite_back(&h, &a, str_from(cookies[i].rewritten), STR("https"),
                             STR("a.example.com:8443"));
        if (!str_eq(h.items[0].value, str_from(wanted)))
            fail_msg("row %zu: '%.*s' is not '%s'", i, STR_ARG(h.items[0].value), wanted);
        arena_fini(&a);
    }
}

/* Each rewriting copies the cookie: a cookie of nothing but domains must not cost the square of it. */
static void headers_rewrite_back_of_a_cookie_full_of_domains_is_bounded(void **state)
{
    enum { DOMAINS = 10000 };
    static const struct str one = STR_INIT(";domain=b");
    struct http_headers h = { 0 };
    struct arena a;
    char *cookie;

    (void)state;
    arena_init(&a);
    cookie = arena_alloc(&a, DOMAINS * one.n);
    for (size_t i = 0; i < DOMAINS; i++)
        memcpy(cookie + i * one.n, one.p, one.n);
    http_headers_add(&h, &a, STR("Set-Cookie"), str_of(cookie, DOMAINS * one.n));
    headers_rewrite_back(&h, &a, STR("b"), STR("https"), STR("a.example.com"));
    assert_true(str_starts(h.items[0].value, STR(";domain=a.example.com;domain=")));
    assert_true(arena_used(&a) < 20 * DOMAINS * one.n);
    arena_fini(&a);
}

static void headers_rewrite_back_leaves_other_fields(void **state)
{
    const char *in = "Link: <http://app.local/>\nrefresh: 0; url=http://app.local/\n"
                     "Cookie: a; Domain=app.local\nSet-Cookie: a; Domain=app.local\n"
                     "set-cookie: b; Domain=app.local\nLocation: http://app.local/";
    struct http_headers h;
    struct arena a;

    (void)state;
    arena_init(&a);
    fill(&h, &a, str_from(in));
    headers_rewrite_back(&h, &a, STR("app.local"), STR("http"), STR("v.example"));
    assert_headers(&h,
                   "Link: <http://app.local/>\nrefresh: 0; url=http://app.local/\n"
                   "Cookie: a; Domain=app.local\nSet-Cookie: a; Domain=v.example\n"
                   "set-cookie: b; Domain=v.example\nLocation: http://v.example/",
                   in);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_strip_hop_by_hop_table),
        cmocka_unit_test(headers_strip_hop_by_hop_cannot_remove_forwarded_fields),
        cmocka_unit_test(headers_strip_request_reserved_removes_what_only_the_gateway_says),
        cmocka_unit_test(headers_strip_error_codes_counts_them),
        cmocka_unit_test(headers_add_forwarded_table),
        cmocka_unit_test(headers_rewrite_back_location_table),
        cmocka_unit_test(headers_rewrite_back_cookie_table),
        cmocka_unit_test(headers_rewrite_back_of_a_cookie_full_of_domains_is_bounded),
        cmocka_unit_test(headers_rewrite_back_leaves_other_fields),
    };

    return cmocka_run_group_tests_name("gateway/headers", tests, NULL, NULL);
}
