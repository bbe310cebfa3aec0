/*
 * Unit tests of policy/cel/fn_url, policy/cel/fn_query and policy/cel/url_text.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/url_text.h"
#include "tests/unit/cel/fn_scene.h"

static void url_escape_leaves_unreserved_characters(void **state)
{
    static const struct fn_row rows[] = {
        { "url.escape('i;md/r/$y')", "'i%3Bmd%2Fr%2F%24y'" },
        { "'i;md/r/$y'.escapeUrl()", "'i%3Bmd%2Fr%2F%24y'" },
        { "url.escape('AZaz09-_.~')", "'AZaz09-_.~'" },
        { "url.escape('a b+c')", "'a%20b%2Bc'" },
        { "url.escape('é%')", "'%C3%A9%25'" },
        { "url.escape('\\u0000')", "'%00'" },
        { "url.escape('')", "''" },
        { "url.unescape('%2Ffoo')", "'/foo'" },
        { "'%2ffoo'.unescapeUrl()", "'/foo'" },
        { "url.unescape('a+b%20c')", "'a b c'" },
        { "url.unescape('%C3%A9')", "'é'" },
        { "url.unescape('plain')", "'plain'" },
        { "url.unescape('')", "''" },
        { "url.unescape('%')", NULL },
        { "url.unescape('a%2')", NULL },
        { "url.unescape('%zz')", NULL },
        { "url.unescape('%ff')", NULL },
        { "url.unescape(url.escape('a b&=+%é€😀')) == 'a b&=+%é€😀'", "true" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void url_parse_gives_all_parts(void **state)
{
    static const struct fn_row rows[] = {
        { "url.parse('https://example.com/a').path", "'/a'" },
        { "url.parse('HTTPS://user:pa%20ss@Example.com:8443/a%20b/%2F?x=%20#f%20g')",
          "{'scheme': 'https', 'user': 'user:pa%20ss', 'host': 'Example.com:8443',"
          " 'hostname': 'Example.com', 'port': '8443', 'path': '/a b//', 'raw_path': '/a%20b/%2F',"
          " 'query': 'x=%20', 'fragment': 'f g'}" },
        { "'https://example.com'.parseUrl()",
          "{'scheme': 'https', 'user': '', 'host': 'example.com', 'hostname': 'example.com',"
          " 'port': '', 'path': '', 'raw_path': '', 'query': '', 'fragment': ''}" },
        { "url.parse('http://[2001:db8::1]:80/x').hostname", "'2001:db8::1'" },
        { "url.parse('http://[2001:db8::1]:80/x').host", "'[2001:db8::1]:80'" },
        { "url.parse('http://[::1]').port", "''" },
        { "url.parse('http://h:/').port", "''" },
        { "url.parse('//h/p').hostname", "'h'" },
        { "url.parse('/p?q#f').path", "'/p'" },
        { "url.parse('?a=?b').query", "'a=?b'" },
        { "url.parse('p/q').path", "'p/q'" },
        { "url.parse('').path", "''" },
        { "url.parse('mailto:a@b').path", "'a@b'" },
        { "url.parse('http://h/%ff').path", "'/\\ufffd'" },
        { "url.parse('http://h/a b').path", "'/a b'" },
        { "url.parse('http://h/p#a#b').fragment", "'a#b'" },
        { "url.parse('http://münchen.de/ü').path", "'/ü'" },
        { "url.parse(':foo')", NULL },
        { "url.parse('1a:b')", NULL },
        { "url.parse('http://h:x/')", NULL },
        { "url.parse('http://h:65536/')", NULL },
        { "url.parse('http://h:1:2/')", NULL },
        { "url.parse('http://a b/')", NULL },
        { "url.parse('http://[::1/')", NULL },
        { "url.parse('http://[]/')", NULL },
        { "url.parse('http://[x]/')", NULL },
        { "url.parse('http://[10.0.0.1]/')", NULL },
        { "url.parse('http://[::1]x/')", NULL },
        { "url.parse('http://::1/')", NULL },
        { "url.parse('http://a@b@c/')", NULL },
        { "url.parse('http://h/%zz')", NULL },
        { "url.parse('http://h%zz/')", NULL },
        { "url.parse('http://h/\\n')", NULL },
        { "url.parse('http://h\\u007f/')", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void is_url_needs_scheme_and_host(void **state)
{
    static const struct fn_row rows[] = {
        { "'https://example.com/a?b#c'.isURL()", "true" },
        { "'ftp://[::1]:21'.isURL()", "true" },
        { "'not a url'.isURL()", "false" },
        { "'example.com'.isURL()", "false" },
        { "'/path'.isURL()", "false" },
        { "'//example.com'.isURL()", "false" },
        { "'mailto:a@b'.isURL()", "false" },
        { "'http://'.isURL()", "false" },
        { "'http:///p'.isURL()", "false" },
        { "'http://:80'.isURL()", "false" },
        { "'http://a b'.isURL()", "false" },
        { "''.isURL()", "false" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void query_strings_become_maps_and_back(void **state)
{
    static const struct fn_row rows[] = {
        { "queryString.decode('a=b&c=d')", "{'a': 'b', 'c': 'd'}" },
        { "'a=b&c=d'.decodeQueryString()", "{'a': 'b', 'c': 'd'}" },
        { "queryString.decode('q=hello')['q'] == 'hello'", "true" },
        { "queryString.decode('a=1&a=2')", "{'a': '1'}" },
        { "queryString.decode('a+b=c+d%2B')", "{'a b': 'c d+'}" },
        { "queryString.decode('a&b=&=c&&')", "{'a': '', 'b': '', '': 'c'}" },
        { "queryString.decode('a=b=c')", "{'a': 'b=c'}" },
        { "queryString.decode('a=%zz%ff')", "{'a': '%zz\\ufffd'}" },
        { "queryString.decode('')", "{}" },
        { "queryString.encode({'c': 'd', 'a': 'b'})", "'a=b&c=d'" },
        { "{'a': 'b', 'c': 'd'}.encodeQueryString()", "'a=b&c=d'" },
        { "{'a b': 'c&d=é'}.encodeQueryString()", "'a+b=c%26d%3D%C3%A9'" },
        { "{'a': ['1', '2'], 'b': []}.encodeQueryString()", "'a=1&a=2'" },
        { "{'i': 1, 'b': true, 'd': 1.5, 'n': null}.encodeQueryString()", "'b=true&d=1.5&i=1&n='" },
        { "{2: 'b', 1: 'a'}.encodeQueryString()", "'1=a&2=b'" },
        { "{}.encodeQueryString()", "''" },
        { "'a=b&c=d'.isQueryString()", "true" },
        { "'not a query string'.isQueryString()", "false" },
        { "'a=b&not one'.isQueryString()", "false" },
        { "'a=b c'.isQueryString()", "true" },
        { "'a&b'.isQueryString()", "true" },
        { "''.isQueryString()", "true" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void url_functions_have_limits(void **state)
{
    static const char *const sources[] = {
        "url.escape(big.replace('a', ' '))",
        "queryString.decode(big.replace('a', '&'))",
        "many.all(i, big.escapeUrl() != '')",
        "many.all(i, ('http://h/' + big.substring(100)).isURL())",
        "{'a': many}.encodeQueryString() + {big: many.map(i, kilo)}.encodeQueryString()",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static void url_text_parse_any_bytes_are_safe(void **state)
{
    static const char set[] = "a:/?#[]@%1. \x7f\xc3";
    char text[6];
    struct url_parts parts;
    size_t n = sizeof(set) - 1;

    (void)state;
    for (size_t i = 0; i < n * n * n * n * n; i++) {
        size_t rest = i;

        for (size_t j = 0; j < 5; j++) {
            text[j] = set[rest % n];
            rest /= n;
        }
        if (!url_text_parse(str_of(text, 5), &parts))
            continue;
        assert_true(parts.host.n + parts.path.n + parts.query.n + parts.fragment.n <= 5);
        assert_true(parts.hostname.n + parts.port.n <= parts.host.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_escape_leaves_unreserved_characters),
        cmocka_unit_test(url_parse_gives_all_parts),
        cmocka_unit_test(is_url_needs_scheme_and_host),
        cmocka_unit_test(query_strings_become_maps_and_back),
        cmocka_unit_test(url_functions_have_limits),
        cmocka_unit_test(url_text_parse_any_bytes_are_safe),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_url", tests, NULL, NULL);
}
