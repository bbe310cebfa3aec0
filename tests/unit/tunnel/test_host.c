/*
 * Unit tests of tunnel/host. The codes of host_normalize() are also tested by the table of endpoint
 * URLs in test_url.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define A61  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A63  A61 "aa"
#define A192 A63 "." A63 "." A63 "."

struct row {
    struct str input;
    const char *host; /* expected; NULL: an error */
    enum err_code code;
};

static void host_normalize_table(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        { STR_INIT("example.com"), "example.com", E_OK },
        { STR_INIT("EXAMPLE.Com"), "example.com", E_OK },
        { STR_INIT("localhost"), "localhost", E_OK },
        { STR_INIT("*.example.com"), "*.example.com", E_OK },
        { STR_INIT("a-b--c.example.com"), "a-b--c.example.com", E_OK },
        { STR_INIT("1.2.3.4"), "1.2.3.4", E_OK },
        { STR_INIT("xn--zzzzzzz.example.com"), "xn--zzzzzzz.example.com", E_OK },
        { STR_INIT("XN--BCHER-KVA"), "xn--bcher-kva", E_OK },
        { STR_INIT("b\xc3\xbc" "cher"), "xn--bcher-kva", E_OK },
        { STR_INIT("B\xc3\x9c" "CHER"), "xn--bcher-kva", E_OK },
        { STR_INIT("bu\xcc\x88" "cher"), "xn--bcher-kva", E_OK },         /* u and a combining dieresis */
        { STR_INIT("stra\xc3\x9f" "e"), "xn--strae-oqa", E_OK },          /* non-transitional */
        { STR_INIT("b\xc3\xbc\xe3\x80\x82" "example"), "xn--b-eha.example", E_OK }, /* ideographic dot */
        { STR_INIT("\xef\xbd\x81"), "a", E_OK },                          /* full width a */
        { STR_INIT(A63), A63, E_OK },
        { STR_INIT(A63 "a"), NULL, E_HOST_LABEL_LENGTH },
        { STR_INIT(A192 A61), A192 A61, E_OK },
        { STR_INIT(A192 A61 "a"), NULL, E_HOST_LENGTH },
        { STR_INIT(A192 A192 A192 A192 A192 A192), NULL, E_HOST_LENGTH },
        { STR_INIT(""), NULL, E_HOST_SYNTAX },
        { STR_INIT("example.com."), NULL, E_HOST_SYNTAX },
        { STR_INIT("example.com.."), NULL, E_HOST_EMPTY_LABEL },
        { STR_INIT("."), NULL, E_HOST_EMPTY_LABEL },
        { STR_INIT(".example.com"), NULL, E_HOST_EMPTY_LABEL },
        { STR_INIT("a..b"), NULL, E_HOST_EMPTY_LABEL },
        { STR_INIT("\xc2\xad.example"), NULL, E_HOST_EMPTY_LABEL },       /* a soft hyphen vanishes */
        { STR_INIT("-a"), NULL, E_HOST_LABEL_START },
        { STR_INIT("-b\xc3\xbc"), NULL, E_HOST_LABEL_START },
        { STR_INIT("a-"), NULL, E_HOST_LABEL_END },
        { STR_INIT("b\xc3\xbc-"), NULL, E_HOST_LABEL_END },
        { STR_INIT("-"), NULL, E_HOST_LABEL_START },
        { STR_INIT("ab--c"), NULL, E_HOST_DASHES },
        { STR_INIT("ab--\xc3\xbc"), NULL, E_HOST_DASHES },
        { STR_INIT("a_b"), NULL, E_HOST_UNDERSCORE },
        { STR_INIT("_acme-challenge.a"), NULL, E_HOST_UNDERSCORE },
        { STR_INIT("a_\xc3\xbc"), NULL, E_HOST_UNDERSCORE },
        { STR_INIT("a.*.b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("**.b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("a*.b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("*\xc3\xbc.b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("a b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("a:1"), NULL, E_HOST_CHARACTER },
        { STR_INIT("a\0b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("\xc3\xbc\0b"), NULL, E_HOST_CHARACTER },
        { STR_INIT("a\x1b[0m"), NULL, E_HOST_CHARACTER },
        { STR_INIT("\xff"), NULL, E_HOST_CHARACTER },                     /* no UTF-8 */
        { STR_INIT("\xed\xa0\x80"), NULL, E_HOST_CHARACTER },             /* a surrogate */
        { STR_INIT("\xcc\x88" "a"), NULL, E_HOST_CHARACTER },             /* begins with a combining mark */
        { STR_INIT("xn--"), NULL, E_HOST_LABEL_END },
        { STR_INIT("xn--zzzzzz"), NULL, E_HOST_PUNYCODE },
        { STR_INIT("xn--99999999"), NULL, E_HOST_PUNYCODE },
        { STR_INIT("xn--\xc3\xbc"), NULL, E_HOST_PUNYCODE },
    };
    /* clang-format on */
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char host[HOST_MAX_BYTES + 1] = "";
        struct err e = { 0 };
        int rc = host_normalize(rows[i].input, host, &e);

        if (rc == 0 ? rows[i].host != NULL && strcmp(host, rows[i].host) == 0
                    : e.code == rows[i].code)
            continue;
        print_error("row %zu '%.*s': got %d '%s' E%u '%s', expected '%s' E%u\n", i,
                    STR_ARG(rows[i].input), rc, host, err_number(e.code), e.msg,
                    rows[i].host != NULL ? rows[i].host : "", err_number(rows[i].code));
        failed++;
    }
    assert_int_equal(failed, 0);
}

static void host_normalize_message_has_no_raw_control_byte(void **state)
{
    char host[HOST_MAX_BYTES + 1];
    struct err e;

    (void)state;
    assert_int_equal(host_normalize(STR("a\x1b]0;x"), host, &e), -1);
    assert_null(strchr(e.msg, '\x1b'));
    assert_non_null(strstr(e.msg, "0x1b"));
}

static void host_fold_table(void **state)
{
    static const struct row rows[] = {
        { STR_INIT("Example.COM"), "example.com", E_OK },
        { STR_INIT("example.com."), "example.com", E_OK },
        { STR_INIT("my_app.example.com"), "my_app.example.com", E_OK },
        { STR_INIT("localhost"), "localhost", E_OK },
        { STR_INIT(A192 A61), A192 A61, E_OK },
        { STR_INIT(A192 A61 "."), A192 A61, E_OK },
        { STR_INIT(A192 A61 "a"), NULL, E_OK },
        { STR_INIT(A63 ".b"), A63 ".b", E_OK },
        { STR_INIT(A63 "a.b"), NULL, E_OK },
        { STR_INIT(""), NULL, E_OK },
        { STR_INIT("."), NULL, E_OK },
        { STR_INIT("a.."), NULL, E_OK },
        { STR_INIT("a..b"), NULL, E_OK },
        { STR_INIT(".a"), NULL, E_OK },
        { STR_INIT("*.example.com"), NULL, E_OK },
        { STR_INIT("a b"), NULL, E_OK },
        { STR_INIT("a\0b"), NULL, E_OK },
        { STR_INIT("[::1]"), NULL, E_OK },
        { STR_INIT("a:80"), NULL, E_OK },
        { STR_INIT("b\xc3\xbc"), NULL, E_OK },
    };
    char host[HOST_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(host_fold(rows[i].input, host), rows[i].host != NULL ? 0 : -1);
        if (rows[i].host != NULL)
            assert_string_equal(host, rows[i].host);
    }
}

static void host_port_parse_table(void **state)
{
    static const struct {
        struct str input;
        uint16_t port;
        enum err_code code;
    } rows[] = {
        { STR_INIT("A.b"), 0, E_OK },
        { STR_INIT("A.b:1"), 1, E_OK },
        { STR_INIT("a.b:65535"), 65535, E_OK },
        { STR_INIT("a.b:65536"), 0, E_PORT_SYNTAX },
        { STR_INIT("a.b:0"), 0, E_PORT_SYNTAX },
        { STR_INIT("a.b:"), 0, E_PORT_SYNTAX },
        { STR_INIT("a.b:1:2"), 0, E_PORT_SYNTAX },
        { STR_INIT(":1"), 0, E_HOST_SYNTAX },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char host[HOST_MAX_BYTES + 1];
        struct err e = { 0 };
        uint16_t port = 7;
        int rc = host_port_parse(rows[i].input, host, &port, &e);

        assert_int_equal(rc, rows[i].code == E_OK ? 0 : -1);
        assert_int_equal(e.code, rows[i].code);
        if (rc == 0) {
            assert_string_equal(host, "a.b");
            assert_int_equal(port, rows[i].port);
        }
    }
}

static void host_is_public_table(void **state)
{
    static const struct str extra[] = { STR_INIT("Corp.Test") };
    static const struct {
        const char *host;
        const char *suffix; /* NULL: public */
    } rows[] = {
        { "example.com", NULL },
        { "a.b.example.co.uk", NULL },
        { "app.localhost", NULL },
        { "a.b.localhost", NULL },
        { "x.corp.test", NULL },
        { "*.example.com", NULL },
        { "*.com", NULL },
        { "me.github.io", NULL },
        { "xn--bcher-kva.xn--p1ai", NULL },
        { "www.ck", NULL }, /* an exception of the list's rule *.ck */
        { "a.foo.ck", NULL },
        { "foo.ck", "foo.ck" },
        { "localhost", "localhost" },
        { "corp.test", "corp.test" },
        { "com", "com" },
        { "co.uk", "co.uk" },
        { "github.io", "github.io" },
        { "nosuchtld", "nosuchtld" },
        { "example.nosuchtld", "nosuchtld" },
        { "x.other.test", "test" },
        { "1.2.3.4", "4" },
        { "foo.internal", "internal" },
        { "notlocalhost", "notlocalhost" },
    };
    struct host_suffixes *s = host_suffixes_new(STR("localhost"), extra, COUNT(extra), NULL);

    (void)state;
    assert_non_null(s);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str suffix = STR_NONE;
        bool is_public = host_is_public(s, str_from(rows[i].host), &suffix);

        if (is_public == (rows[i].suffix == NULL) &&
            (is_public || str_eq(suffix, str_from(rows[i].suffix))))
            continue;
        fail_msg("%s: got %d '%.*s', expected '%s'", rows[i].host, is_public, STR_ARG(suffix),
                 rows[i].suffix != NULL ? rows[i].suffix : "");
    }
    assert_true(host_is_foreign_suffix(s, STR("co.uk")));
    assert_false(host_is_foreign_suffix(s, STR("localhost")));
    assert_false(host_is_foreign_suffix(s, STR("example.com")));
    assert_true(str_eq(host_suffixes_base(s), STR("localhost")));
    host_suffixes_free(s);
}

static void host_is_foreign_suffix_of_a_listed_base_is_false(void **state)
{
    struct host_suffixes *s = host_suffixes_new(STR("github.io"), NULL, 0, NULL);

    (void)state;
    assert_non_null(s);
    assert_false(host_is_foreign_suffix(s, STR("github.io")));
    assert_true(host_is_public(s, STR("x.github.io"), NULL));
    host_suffixes_free(s);
}

static void host_suffixes_new_refuses_what_cannot_be_a_suffix(void **state)
{
    static const struct row rows[] = {
        { STR_INIT(""), NULL, E_HOST_SYNTAX },
        { STR_INIT("a..b"), NULL, E_HOST_EMPTY_LABEL },
        { STR_INIT("*.example.com"), NULL, E_HOST_CHARACTER },
        { STR_INIT("gateway.internal"), NULL, E_HOST_SUFFIX },
        { STR_INIT("internal"), NULL, E_HOST_SUFFIX },
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_null(host_suffixes_new(rows[i].input, NULL, 0, &e));
        assert_int_equal(e.code, rows[i].code);
        assert_null(host_suffixes_new(STR("localhost"), &rows[i].input, 1, &e));
        assert_int_equal(e.code, rows[i].code);
    }
}

static void host_matches_table(void **state)
{
    static const struct {
        const char *pattern;
        const char *host;
        bool matches;
    } rows[] = {
        { "a.b", "a.b", true },    { "a.b", "x.a.b", false }, { "*.b", "a.b", true },
        { "*.b", "x.a.b", true },  { "*.b", "*.b", true },    { "*.b", "*.a.b", true },
        { "*.b", "b", false },     { "*.b", "ab", false },    { "*.b", ".b", false },
        { "*.a.b", "*.b", false }, { "*", "a", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(host_matches(str_from(rows[i].pattern), str_from(rows[i].host)),
                         rows[i].matches);
}

static void host_is_below_needs_a_label_boundary(void **state)
{
    (void)state;
    assert_true(host_is_below(STR("a.b.c"), STR("b.c")));
    assert_false(host_is_below(STR("ab.c"), STR("b.c")));
    assert_false(host_is_below(STR("b.c"), STR("b.c")));
    assert_true(host_is_below_or_equal(STR("b.c"), STR("b.c")));
    assert_false(host_is_below_or_equal(STR("c"), STR("b.c")));
    assert_false(host_is_below(STR("a."), STR("")));
    assert_true(host_is_wildcard(STR("*.a")));
    assert_false(host_is_wildcard(STR("*")));
    assert_false(host_is_wildcard(STR("a.*.b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_normalize_table),
        cmocka_unit_test(host_normalize_message_has_no_raw_control_byte),
        cmocka_unit_test(host_fold_table),
        cmocka_unit_test(host_port_parse_table),
        cmocka_unit_test(host_is_public_table),
        cmocka_unit_test(host_is_foreign_suffix_of_a_listed_base_is_false),
        cmocka_unit_test(host_suffixes_new_refuses_what_cannot_be_a_suffix),
        cmocka_unit_test(host_matches_table),
        cmocka_unit_test(host_is_below_needs_a_label_boundary),
    };

    return cmocka_run_group_tests_name("tunnel/host", tests, NULL, NULL);
}
