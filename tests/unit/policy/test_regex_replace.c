/*
 * Unit tests of policy/regex_replace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/regex_replace.h"

enum { OUT_MAX = 4096 };

struct replaced {
    struct regex *regex;
    struct buf out;
    struct regex_replace r;
    uint64_t spent_ns;
    struct err e;
    int result;
};

static struct replaced *replace_max(struct str pattern, struct str to, struct str text, size_t max)
{
    struct replaced *d = mem_zalloc(sizeof(*d));
    char message[REGEX_MESSAGE_BYTES];

    d->regex = regex_new(pattern, message);
    if (d->regex == NULL)
        fail_msg("%s", message);
    buf_init(&d->out, max);
    d->r = (struct regex_replace){
        .regex = d->regex, .text = text, .to = to, .out = &d->out, .spent_ns = &d->spent_ns
    };
    d->result = regex_replace(&d->r, &d->e);
    return d;
}

static struct replaced *replace(struct str pattern, struct str to, struct str text)
{
    struct replaced *d = replace_max(pattern, to, text, OUT_MAX);

    assert_int_equal(d->result, 0);
    return d;
}

static void replaced_free(struct replaced *d)
{
    buf_fini(&d->out);
    regex_free(d->regex);
    mem_free(d);
}

struct row {
    struct str pattern;
    struct str to;
    struct str text;
    struct str result;
    size_t count;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct replaced *d = replace(rows[i].pattern, rows[i].to, rows[i].text);
        struct str out = buf_str(&d->out);

        if (!str_eq(out, rows[i].result))
            fail_msg("%.*s -> %.*s in %.*s: %.*s instead of %.*s", STR_ARG(rows[i].pattern),
                     STR_ARG(rows[i].to), STR_ARG(rows[i].text), STR_ARG(out),
                     STR_ARG(rows[i].result));
        assert_int_equal(d->r.count, rows[i].count);
        assert_int_equal(d->r.group_count == 0, rows[i].count == 0);
        replaced_free(d);
    }
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void regex_replace_every_match_is_replaced(void **state)
{
    static const struct row rows[] = {
        { STR_INIT("/v1/"), STR_INIT("/v2/"), STR_INIT("https://h/api/v1/u"),
          STR_INIT("https://h/api/v2/u"), 1 },
        { STR_INIT("/old"), STR_INIT("https://new/blog"), STR_INIT("https://h/old/foo"),
          STR_INIT("https://hhttps://new/blog/foo"), 1 },
        { STR_INIT("^https?://[^/]+/old/(.*)$"), STR_INIT("https://new/$1"),
          STR_INIT("https://h/old/a"), STR_INIT("https://new/a"), 1 },
        { STR_INIT("/shop/([a-z]+)/(\\d+)"), STR_INIT("/item.cgi?kind=$1&id=$2"),
          STR_INIT("https://h/shop/tea/12?x"), STR_INIT("https://h/item.cgi?kind=tea&id=12?x"), 1 },
        { STR_INIT("token=([0-9a-f]{4})[0-9a-f]+"), STR_INIT("token=$1..."),
          STR_INIT("token=abcdef0 token=0123456;"), STR_INIT("token=abcd... token=0123...;"), 2 },
        { STR_INIT("[0-9]{16}"), STR_INIT("****"), STR_INIT("a 1234567890123456 b"),
          STR_INIT("a **** b"), 1 },
        { STR_INIT("a"), STR_INIT(""), STR_INIT("banana"), STR_INIT("bnn"), 3 },
        { STR_INIT("a"), STR_INIT("aa"), STR_INIT("banana"), STR_INIT("baanaanaa"), 3 },
        { STR_INIT("x"), STR_INIT("y"), STR_INIT("abc"), STR_INIT(""), 0 },
        { STR_INIT("x"), STR_INIT("y"), { NULL, 0 }, STR_INIT(""), 0 },
        { STR_INIT("^a"), STR_INIT("b"), STR_INIT("aaa"), STR_INIT("baa"), 1 },
        { STR_INIT("\\ba"), STR_INIT("b"), STR_INIT("aaa a"), STR_INIT("baa b"), 2 },
        { STR_INIT(".*"), STR_INIT("x"), STR_INIT("abc"), STR_INIT("x"), 1 },
    };

    (void)state;
    CHECK(rows);
}

static void regex_replace_dollars_are_groups_or_text(void **state)
{
    static const struct row rows[] = {
        { STR_INIT("b(.)"), STR_INIT("[$0|$1]"), STR_INIT("abc"), STR_INIT("a[bc|c]"), 1 },
        { STR_INIT("b"), STR_INIT("$$"), STR_INIT("abc"), STR_INIT("a$c"), 1 },
        { STR_INIT("b"), STR_INIT("$$0"), STR_INIT("abc"), STR_INIT("a$0c"), 1 },
        { STR_INIT("b"), STR_INIT("$$$0"), STR_INIT("abc"), STR_INIT("a$bc"), 1 },
        { STR_INIT("b"), STR_INIT("$"), STR_INIT("abc"), STR_INIT("a$c"), 1 },
        { STR_INIT("b"), STR_INIT("x$"), STR_INIT("abc"), STR_INIT("ax$c"), 1 },
        { STR_INIT("b"), STR_INIT("$x$-"), STR_INIT("abc"), STR_INIT("a$x$-c"), 1 },
        { STR_INIT("b"), STR_INIT("$1"), STR_INIT("abc"), STR_INIT("a$1c"), 1 },
        { STR_INIT("(b)"), STR_INIT("$2$1"), STR_INIT("abc"), STR_INIT("a$2bc"), 1 },
        { STR_INIT("(b)"), STR_INIT("$12"), STR_INIT("abc"), STR_INIT("ab2c"), 1 },
        { STR_INIT("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)"), STR_INIT("$11$10$1x$110"),
          STR_INIT("abcdefghijk"), STR_INIT("kjaxk0"), 1 },
        { STR_INIT("(?P<name>b)"), STR_INIT("${name}${1}$name"), STR_INIT("abc"),
          STR_INIT("a${name}${1}$namec"), 1 },
        { STR_INIT("(x)?b(y)?"), STR_INIT("<$1$2>"), STR_INIT("abc"), STR_INIT("a<>c"), 1 },
        { STR_INIT("\\\\"), STR_INIT("\\0\\1&"), STR_INIT("a\\c"), STR_INIT("a\\0\\1&c"), 1 },
        /* Groups that only the first search reports must not be needed by the second. */
        { STR_INIT("(a)|(b)"), STR_INIT("[$2$1]"), STR_INIT("abab"), STR_INIT("[a][b][a][b]"), 4 },
    };

    (void)state;
    CHECK(rows);
}

static void regex_replace_empty_matches_advance_one_character(void **state)
{
    static const struct row rows[] = {
        { STR_INIT(""), STR_INIT("-"), STR_INIT(""), STR_INIT("-"), 1 },
        { STR_INIT(""), STR_INIT("-"), { NULL, 0 }, STR_INIT("-"), 1 },
        { STR_INIT(""), STR_INIT("-"), STR_INIT("ab"), STR_INIT("-a-b-"), 3 },
        { STR_INIT("x*"), STR_INIT("-"), STR_INIT("abc"), STR_INIT("-a-b-c-"), 4 },
        { STR_INIT("a*"), STR_INIT("x"), STR_INIT("baaac"), STR_INIT("xbxcx"), 3 },
        { STR_INIT("|a"), STR_INIT("-"), STR_INIT("aa"), STR_INIT("-a-a-"), 3 },
        { STR_INIT("$"), STR_INIT("!"), STR_INIT("ab"), STR_INIT("ab!"), 1 },
        { STR_INIT("^"), STR_INIT("!"), STR_INIT("ab"), STR_INIT("!ab"), 1 },
        { STR_INIT("(?m)^"), STR_INIT("> "), STR_INIT("a\n\nb"), STR_INIT("> a\n> \n> b"), 3 },
        { STR_INIT("x?"), STR_INIT("-"), STR_INIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          STR_INIT("-\xc3\xa9-\xe2\x82\xac-\xf0\x9f\x98\x80-"), 4 },
        { STR_INIT(""), STR_INIT("-"), STR_INIT("\xff\xe2\x82"), STR_INIT("-\xff-\xe2-\x82-"), 4 },
    };

    (void)state;
    CHECK(rows);
}

static void regex_replace_text_that_is_not_utf8_is_searched(void **state)
{
    static const struct row rows[] = {
        { STR_INIT("a"), STR_INIT("b"),
          STR_INIT("\xff"
                   "a\xfe"
                   "a"),
          STR_INIT("\xff"
                   "b\xfe"
                   "b"),
          2 },
        { STR_INIT("."), STR_INIT("x"),
          STR_INIT("\xff"
                   "a\xc3"),
          STR_INIT("\xff"
                   "x\xc3"),
          1 },
    };

    (void)state;
    CHECK(rows);
}

static void regex_replace_tells_the_groups_of_the_first_match(void **state)
{
    struct str text = STR("k1=v1;k2=;k3");
    struct replaced *d = replace(STR("(k\\d)(=(v\\d)?)?"), STR("."), text);

    (void)state;
    assert_int_equal(d->r.count, 3);
    assert_int_equal(d->r.group_count, 4);
    assert_true(str_eq(d->r.groups[0], STR("k1=v1")));
    assert_ptr_equal(d->r.groups[0].p, text.p);
    assert_true(str_eq(d->r.groups[1], STR("k1")));
    assert_true(str_eq(d->r.groups[2], STR("=v1")));
    assert_true(str_eq(d->r.groups[3], STR("v1")));
    replaced_free(d);
    d = replace(STR("(a)|(b)"), STR("."), STR("ba"));
    assert_null(d->r.groups[1].p);
    assert_true(str_eq(d->r.groups[2], STR("b")));
    replaced_free(d);
}

static void regex_replace_output_ends_at_its_maximum(void **state)
{
    struct replaced *d = replace_max(STR("a"), STR("bb"), STR("xaxax"), 7);

    (void)state;
    assert_int_equal(d->result, 0);
    assert_true(str_eq(buf_str(&d->out), STR("xbbxbbx")));
    replaced_free(d);
    for (size_t max = 0; max < 7; max++) {
        d = replace_max(STR("a"), STR("bb"), STR("xaxax"), max);
        assert_int_equal(d->result, -1);
        assert_int_equal(d->e.code, E_LIMIT);
        replaced_free(d);
    }
}

static struct str fill(char *p, size_t n, char c)
{
    memset(p, c, n);
    return str_of(p, n);
}

static void regex_replace_text_too_long_for_the_pattern_is_refused(void **state)
{
    enum { TEXT_BYTES = 1024 * 1024 };
    char *p = mem_alloc(TEXT_BYTES);
    struct str text = fill(p, TEXT_BYTES, 'a');
    struct replaced *d = replace_max(STR("[ab]{500}c"), STR("x"), text, OUT_MAX);

    (void)state;
    assert_true(regex_size(d->regex) > REGEX_REPLACE_WORK / TEXT_BYTES);
    assert_int_equal(d->result, -1);
    assert_int_equal(d->e.code, E_LIMIT);
    d->r.text.n = REGEX_REPLACE_WORK / regex_size(d->regex);
    assert_int_equal(regex_replace(&d->r, &d->e), 0);
    d->r.text.n++;
    assert_int_equal(regex_replace(&d->r, &d->e), -1);
    replaced_free(d);
    mem_free(p);
}

static void regex_replace_quadratic_pattern_ends_in_time(void **state)
{
    enum { TEXT_BYTES = 1024 * 1024, PATIENCE_S = 30 };
    char *p = mem_alloc(TEXT_BYTES);
    struct str text = fill(p, TEXT_BYTES, 'x');
    clock_t start = clock();
    struct replaced *d = replace_max(STR("x[^y]*y|x"), STR("z"), text, TEXT_BYTES);

    (void)state;
    assert_int_equal(d->result, -1);
    assert_int_equal(d->e.code, E_LIMIT);
    assert_true(clock() - start < PATIENCE_S * CLOCKS_PER_SEC);
    replaced_free(d);
    mem_free(p);
}

static void regex_replace_many_honest_matches_are_no_trouble(void **state)
{
    enum { TEXT_BYTES = 8 * 1024 };
    char *p = mem_alloc(TEXT_BYTES);
    struct replaced *d =
        replace_max(STR("(x)(x)"), STR("$2$1"), fill(p, TEXT_BYTES, 'x'), TEXT_BYTES);

    (void)state;
    assert_int_equal(d->result, 0);
    assert_int_equal(d->r.count, TEXT_BYTES / 2);
    assert_int_equal(d->out.len, TEXT_BYTES);
    replaced_free(d);
    mem_free(p);
}

static void regex_replace_time_is_summed(void **state)
{
    enum { TEXT_BYTES = 64 * 1024 };
    char *p = mem_alloc(TEXT_BYTES);
    struct str text = fill(p, TEXT_BYTES, 'x');
    struct replaced *d = replace_max(STR("[xy]{50}"), STR("z"), text, TEXT_BYTES);

    (void)state;
    assert_int_equal(d->result, 0);
    assert_in_range(d->spent_ns, 1, (uint64_t)REGEX_REPLACE_MS * 1000000 - 1);
    d->spent_ns = (uint64_t)REGEX_REPLACE_MS * 1000000;
    assert_int_equal(regex_replace(&d->r, &d->e), -1);
    assert_string_equal(d->e.msg, "all replacements together take too long");
    /* What is next to nothing is done in any case. */
    d->r.text.n = 4;
    assert_int_equal(regex_replace(&d->r, &d->e), 0);
    replaced_free(d);
    mem_free(p);
}

/* What little text takes counts too: many calls may have quadratic patterns. */
static void regex_replace_time_of_a_quadratic_pattern_is_summed(void **state)
{
    enum { TEXT_BYTES = 1000 };
    char *p = mem_alloc(TEXT_BYTES);
    struct str text = fill(p, TEXT_BYTES, 'x');
    struct replaced *d = replace_max(STR("x[^y]*y|x"), STR("z"), text, TEXT_BYTES);

    (void)state;
    assert_int_equal(d->result, 0);
    assert_int_not_equal(d->spent_ns, 0);
    replaced_free(d);
    mem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regex_replace_every_match_is_replaced),
        cmocka_unit_test(regex_replace_dollars_are_groups_or_text),
        cmocka_unit_test(regex_replace_empty_matches_advance_one_character),
        cmocka_unit_test(regex_replace_text_that_is_not_utf8_is_searched),
        cmocka_unit_test(regex_replace_tells_the_groups_of_the_first_match),
        cmocka_unit_test(regex_replace_output_ends_at_its_maximum),
        cmocka_unit_test(regex_replace_text_too_long_for_the_pattern_is_refused),
        cmocka_unit_test(regex_replace_quadratic_pattern_ends_in_time),
        cmocka_unit_test(regex_replace_many_honest_matches_are_no_trouble),
        cmocka_unit_test(regex_replace_time_is_summed),
        cmocka_unit_test(regex_replace_time_of_a_quadratic_pattern_is_summed),
    };

    return cmocka_run_group_tests_name("policy/regex_replace", tests, NULL, NULL);
}
