/*
 * Unit tests of policy/request_url.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/request_url.h"

static struct arena arena;

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

static void assert_str(const char *what, struct str got, struct str want)
{
    if (!str_eq(got, want))
        fail_msg("%s is \"%.*s\", not \"%.*s\"", what, STR_ARG(got), STR_ARG(want));
}

static struct request_url build(const char *scheme, const char *authority, struct str target)
{
    struct request_url u;

    request_url_build(&arena, str_from(scheme), str_from(authority), target, &u);
    return u;
}

static void build_plain_request_fills_all_parts(void **state)
{
    struct request_url u = build("https", "App.Example.com:443", STR("/a/b?x=1&y=%41"));

    (void)state;
    assert_str("url", u.url, STR("https://app.example.com/a/b?x=1&y=A"));
    assert_str("raw", u.raw, STR("https://App.Example.com:443/a/b?x=1&y=%41"));
    assert_str("scheme", u.scheme, STR("https"));
    assert_str("authority", u.authority, STR("app.example.com"));
    assert_str("user_password", u.user_password, STR(""));
    assert_str("host", u.host, STR("app.example.com"));
    assert_str("path", u.path, STR("/a/b"));
    assert_str("raw_path", u.raw_path, STR("/a/b"));
    assert_str("query", u.query, STR("x=1&y=%41"));
    assert_str("uri", u.uri, STR("/a/b?x=1&y=A"));
    assert_true(u.has_port);
    assert_int_equal(u.port, 443);
}

static void build_normal_request_borrows(void **state)
{
    static const struct str target = STR_INIT("/a/b.html?x=1");
    struct request_url u = build("https", "app.example.com", target);

    (void)state;
    assert_ptr_equal(u.path.p, target.p);
    assert_ptr_equal(u.raw_path.p, target.p);
    assert_ptr_equal(u.uri.p, target.p);
    assert_ptr_equal(u.query.p, target.p + 10);
    assert_ptr_equal(u.raw.p, u.url.p);
}

static void build_authorities(void **state)
{
    static const struct {
        const char *scheme;
        const char *sent;
        const char *authority;
        const char *user_password;
        const char *host;
        int port; /* -1: none */
    } cases[] = {
        { "http", "example.com", "example.com", "", "example.com", -1 },
        { "http", "example.com:80", "example.com", "", "example.com", 80 },
        { "http", "example.com:0080", "example.com", "", "example.com", 80 },
        { "http", "example.com:443", "example.com:443", "", "example.com", 443 },
        { "https", "example.com:80", "example.com:80", "", "example.com", 80 },
        { "https", "EXAMPLE.com:08443", "example.com:8443", "", "example.com", 8443 },
        { "https", "example.com:", "example.com", "", "example.com", -1 },
        { "https", "example.com:x", "example.com", "", "example.com", -1 },
        { "https", "example.com:65535", "example.com:65535", "", "example.com", 65535 },
        { "https", "example.com:65536", "example.com", "", "example.com", -1 },
        { "https", "User:Pa@ss@Example.com:443", "User:Pa@ss@example.com", "User:Pa@ss",
          "example.com", 443 },
        { "https", "user@example.com:8443", "user@example.com:8443", "user", "example.com", 8443 },
        { "https", "[2001:DB8::1]:8443", "[2001:db8::1]:8443", "", "2001:db8::1", 8443 },
        { "https", "[::1]", "[::1]", "", "::1", -1 },
        { "https", "", "", "", "", -1 },
        { "https", "caf\xc3\xa9.example", "caf\xc3\xa9.example", "", "caf\xc3\xa9.example", -1 },
        { "https", "bad\xff.example", "bad\xef\xbf\xbd.example", "", "bad\xef\xbf\xbd.example",
          -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request_url u = build(cases[i].scheme, cases[i].sent, STR("/"));

        assert_str("authority", u.authority, str_from(cases[i].authority));
        assert_str("user_password", u.user_password, str_from(cases[i].user_password));
        assert_str("host", u.host, str_from(cases[i].host));
        assert_int_equal(u.has_port, cases[i].port != -1);
        assert_int_equal(u.port, cases[i].port == -1 ? 0 : cases[i].port);
    }
}

static void build_paths(void **state)
{
    static const struct {
        struct str target;
        struct str path;
        struct str uri; /* p == NULL: the target */
    } cases[] = {
        { STR_INIT("/"), STR_INIT("/"), { 0 } },
        { STR_INIT(""), STR_INIT("/"), STR_INIT("/") },
        { STR_INIT("?x=1"), STR_INIT("/"), STR_INIT("/?x=1") },
        { STR_INIT("/?"), STR_INIT("/"), { 0 } },
        { STR_INIT("/a?b?c"), STR_INIT("/a"), { 0 } },
        { STR_INIT("/%61"), STR_INIT("/a"), STR_INIT("/a") },
        { STR_INIT("/%7euser%2d"), STR_INIT("/~user-"), STR_INIT("/~user-") },
        { STR_INIT("/a%2fb"), STR_INIT("/a/b"), STR_INIT("/a%2Fb") },
        { STR_INIT("/a%20b"), STR_INIT("/a b"), STR_INIT("/a%20b") },
        { STR_INIT("/caf%c3%a9"), STR_INIT("/caf\xc3\xa9"), STR_INIT("/caf%C3%A9") },
        { STR_INIT("/caf\xc3\xa9"), STR_INIT("/caf\xc3\xa9"), STR_INIT("/caf%C3%A9") },
        { STR_INIT("/%ff"), STR_INIT("/%FF"), STR_INIT("/%FF") },
        { STR_INIT("/\xff"), STR_INIT("/%FF"), STR_INIT("/%FF") },
        { STR_INIT("/%ff%41%c3%a9%c3"), STR_INIT("/%FFA\xc3\xa9%C3"), STR_INIT("/%FFA%C3%A9%C3") },
        { STR_INIT("/%00"), STR_INIT("/\0"), STR_INIT("/%00") },
        { STR_INIT("/%2541"), STR_INIT("/%41"), STR_INIT("/%2541") },
        { STR_INIT("/100%"), STR_INIT("/100%"), STR_INIT("/100%25") },
        { STR_INIT("/%zz%4"), STR_INIT("/%zz%4"), STR_INIT("/%25zz%254") },
        { STR_INIT("/%6%31"), STR_INIT("/%61"), STR_INIT("/%2561") },
        { STR_INIT("/%%36%31"), STR_INIT("/%61"), STR_INIT("/%2561") },
        { STR_INIT("/a//b"), STR_INIT("/a//b"), { 0 } },
        { STR_INIT("//"), STR_INIT("//"), { 0 } },
        { STR_INIT("/a/./b"), STR_INIT("/a/b"), STR_INIT("/a/b") },
        { STR_INIT("/a/../b"), STR_INIT("/b"), STR_INIT("/b") },
        { STR_INIT("/a/b/.."), STR_INIT("/a/"), STR_INIT("/a/") },
        { STR_INIT("/a/b/."), STR_INIT("/a/b/"), STR_INIT("/a/b/") },
        { STR_INIT("/a/b/c/./../../g"), STR_INIT("/a/g"), STR_INIT("/a/g") },
        { STR_INIT("/.."), STR_INIT("/"), STR_INIT("/") },
        { STR_INIT("/../../a"), STR_INIT("/a"), STR_INIT("/a") },
        { STR_INIT("/."), STR_INIT("/"), STR_INIT("/") },
        { STR_INIT("/./"), STR_INIT("/"), STR_INIT("/") },
        { STR_INIT("/a/%2e%2E/b"), STR_INIT("/b"), STR_INIT("/b") },
        { STR_INIT("/a/.%2e/b"), STR_INIT("/b"), STR_INIT("/b") },
        { STR_INIT("/a//../b"), STR_INIT("/a/b"), STR_INIT("/a/b") },
        { STR_INIT("/a/%2F../b"), STR_INIT("/a//../b"), { 0 } },
        { STR_INIT("/..."), STR_INIT("/..."), { 0 } },
        { STR_INIT("/.well-known/x"), STR_INIT("/.well-known/x"), { 0 } },
        { STR_INIT("/a/..?q=/../x"), STR_INIT("/"), STR_INIT("/?q=/../x") },
        { STR_INIT("*"), STR_INIT("*"), { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request_url u = build("https", "h", cases[i].target);

        assert_str("path", u.path, cases[i].path);
        assert_str("uri", u.uri, cases[i].uri.p != NULL ? cases[i].uri : cases[i].target);
    }
}

static void build_other_targets_are_no_part_of_the_url(void **state)
{
    struct request_url u = build("https", "H:443", STR("*"));

    (void)state;
    assert_str("url", u.url, STR("https://h"));
    assert_str("raw", u.raw, STR("https://H:443"));
    assert_str("raw_path", u.raw_path, STR("*"));
    assert_str("query", u.query, STR(""));
}

static void build_raw_texts_are_as_sent(void **state)
{
    struct request_url u = build("http", "H", STR("/%61/../\xff?%7e=\xfe#+"));

    (void)state;
    assert_str("raw", u.raw, STR("http://H/%61/../\xef\xbf\xbd?%7e=\xef\xbf\xbd#+"));
    assert_str("raw_path", u.raw_path, STR("/%61/../\xef\xbf\xbd"));
    assert_str("query", u.query, STR("%7e=\xef\xbf\xbd#+"));
    assert_str("url", u.url, STR("http://h/%FF?~=%FE#+"));
    assert_str("path", u.path, STR("/%FF"));
}

/* ---- parameters ---- */

/* "name=[value,value] ..." in the order of the map. */
static struct str params_text(struct str query)
{
    struct cel_value map = request_url_query_params(&arena, query);
    char text[512];
    size_t n = 0;

    assert_int_equal(map.kind, CEL_MAP);
    for (size_t i = 0; i < map.as.map->ops->size(map.as.map); i++) {
        struct cel_value key;
        struct cel_value list;
        struct cel_value found;

        map.as.map->ops->entry(NULL, map.as.map, i, &key, &list);
        assert_int_equal(list.kind, CEL_LIST);
        assert_true(map.as.map->ops->find(NULL, map.as.map, &key, &found));
        assert_ptr_equal(found.as.list, list.as.list);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s=[", i > 0 ? " " : "",
                              STR_ARG(cel_str(key)));
        for (size_t k = 0; k < list.as.list->count; k++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", k > 0 ? "," : "",
                                  STR_ARG(cel_str(list.as.list->items[k])));
        n += (size_t)snprintf(text + n, sizeof(text) - n, "]");
        assert_true(n < sizeof(text));
    }
    return arena_str(&arena, str_of(text, n));
}

static void query_params_decode_forms(void **state)
{
    static const struct {
        struct str query;
        const char *text;
    } cases[] = {
        { { 0 }, "" },
        { STR_INIT(""), "" },
        { STR_INIT("&&"), "" },
        { STR_INIT("foo=bar"), "foo=[bar]" },
        { STR_INIT("b=1&a=2&b=3"), "b=[1,3] a=[2]" },
        { STR_INIT("z=1&y=2&x=3&y=4&z=5&w=6"), "z=[1,5] y=[2,4] x=[3] w=[6]" },
        { STR_INIT("a"), "a=[]" },
        { STR_INIT("a="), "a=[]" },
        { STR_INIT("a&a=1"), "a=[,1]" },
        { STR_INIT("=1"), "=[1]" },
        { STR_INIT("a=b=c"), "a=[b=c]" },
        { STR_INIT("a=1;b=2"), "a=[1;b=2]" },
        { STR_INIT("a+b=c+d"), "a b=[c d]" },
        { STR_INIT("a%20b=%41%2b"), "a b=[A+]" },
        { STR_INIT("%61=1&a=2"), "a=[1,2]" },
        { STR_INIT("a=%zz&b=%4"), "a=[%zz] b=[%4]" },
        { STR_INIT("A=1&a=2"), "A=[1] a=[2]" },
        { STR_INIT("a=%ff\xfe"), "a=[\xef\xbf\xbd]" },
        { STR_INIT("\xff=1"), "\xef\xbf\xbd=[1]" },
        { STR_INIT("a=\xc3\xa9%c3%a9"), "a=[\xc3\xa9\xc3\xa9]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_str("params", params_text(cases[i].query), str_from(cases[i].text));
}

static void query_params_missing_name_is_empty(void **state)
{
    struct cel_value map = request_url_query_params(&arena, STR("a=1&c=2"));
    const struct cel_value names[] = { cel_string(STR("")), cel_string(STR("b")),
                                       cel_string(STR("aa")), cel_int(1) };
    struct cel_value out;

    (void)state;
    assert_true(map.as.map->ops->missing_is_empty);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(map.as.map->ops->find(NULL, map.as.map, &names[i], &out));
}

static void query_params_up_to_the_limit(void **state)
{
    struct buf b;
    struct cel_value map;

    (void)state;
    buf_init(&b, 1024 * 1024);
    for (unsigned i = 0; i < REQUEST_URL_PARAMS_MAX; i++)
        buf_add_fmt(&b, "k%u=%u&", i % 3000, i);
    map = request_url_query_params(&arena, buf_str(&b));
    assert_int_equal(map.kind, CEL_MAP);
    assert_int_equal(map.as.map->ops->size(map.as.map), 3000);
    buf_add_str(&b, STR("x"));
    assert_int_equal(request_url_query_params(&arena, buf_str(&b)).kind, CEL_ERROR);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(build_plain_request_fills_all_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(build_normal_request_borrows, setup, teardown),
        cmocka_unit_test_setup_teardown(build_authorities, setup, teardown),
        cmocka_unit_test_setup_teardown(build_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(build_other_targets_are_no_part_of_the_url, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(build_raw_texts_are_as_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(query_params_decode_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(query_params_missing_name_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(query_params_up_to_the_limit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
