/*
 * Unit tests of the parser's limits: what must fit, and N against N + 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "policy/cel/ast.h"

#define CASES(a) (sizeof(a) / sizeof((a)[0]))

enum { TEXT_MAX_BYTES = 1 << 20 };

/* An expression: head, `count` times before, middle, `count` times after, tail. */
struct shape {
    const char *head;
    const char *before;
    const char *middle;
    const char *after;
    const char *tail;
};

/* clang-format off */
#define NEST(before, middle, after) { "", before, middle, after, "" }
#define ROW(head, item, tail)       { head, item, "", "", tail }
/* clang-format on */

static void repeat(struct buf *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_str(out, str_from(text));
}

static bool parses(const struct shape *s, size_t count, const struct cel_parse_limits *limits,
                   struct cel_issue *issue)
{
    struct buf source;
    struct arena a;
    bool ok;

    arena_init(&a);
    buf_init(&source, TEXT_MAX_BYTES);
    repeat(&source, s->head, 1);
    repeat(&source, s->before, count);
    repeat(&source, s->middle, 1);
    repeat(&source, s->after, count);
    repeat(&source, s->tail, 1);
    ok = cel_parse(&a, buf_str(&source), limits, 0, issue) != NULL;
    buf_fini(&source);
    arena_fini(&a);
    return ok;
}

/* What is accepted n times must be refused once more, with `text` in the issue. */
static void check_limit(const struct shape *s, size_t n, const struct cel_parse_limits *limits,
                        const char *text)
{
    struct cel_issue issue = { .text = "" };

    if (!parses(s, n, limits, &issue))
        fail_msg("%zu of '%s%s' '%s': %s", n, s->head, s->before, s->after, issue.text);
    if (parses(s, n + 1, limits, &issue))
        fail_msg("%zu of '%s%s' '%s' are accepted", n + 1, s->head, s->before, s->after);
    if (strstr(issue.text, text) == NULL)
        fail_msg("%zu of '%s%s' '%s': %s", n + 1, s->head, s->before, s->after, issue.text);
}

static void check_limits(const struct shape *shapes, size_t count, size_t n,
                         const struct cel_parse_limits *limits, const char *text)
{
    for (size_t i = 0; i < count; i++)
        check_limit(&shapes[i], n, limits, text);
}

/* Spec cel 2. */
static void parse_minimum_capacities_hold(void **state)
{
    static const struct {
        size_t count;
        struct shape shape;
    } cases[] = {
        { 32, NEST("(", "1", ")") },    { 32, NEST("!", "a", "") },
        { 32, NEST("-", "a", "") },     { 31, NEST("a && ", "a", "") },
        { 31, NEST("a || ", "a", "") }, { 24, NEST("a ? b : ", "c", "") },
        { 24, NEST("1 + ", "1", "") },  { 24, NEST("1 - ", "1", "") },
        { 24, NEST("1 * ", "1", "") },  { 24, NEST("1 / ", "1", "") },
        { 12, NEST("f(", "1", ")") },   { 12, NEST("[", "1", "]") },
        { 12, NEST("{0: ", "1", "}") }, { 12, NEST("a[", "1", "]") },
        { 12, NEST("", "a", ".b") },    { 12, NEST("", "a", "[0]") },
        { 12, NEST("", "a", ".f()") },  { 32, ROW("[", "1,", "]") },
        { 32, ROW("{", "1: 1,", "}") }, { 31, ROW("f(0", ", 1", ")") },
    };
    struct cel_issue issue = { .text = "" };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        if (!parses(&cases[i].shape, cases[i].count, &cel_default_parse_limits, &issue))
            fail_msg("case %zu: %s", i, issue.text);
    }
}

static void parse_nesting_has_a_limit(void **state)
{
    static const struct shape nested[] = {
        NEST("(", "1", ")"),   NEST("[", "1", "]"),       NEST("{0: ", "1", "}"),
        NEST("f(", "1", ")"),  NEST("a[", "1", "]"),      NEST("1.f(", "1", ")"),
        NEST("{", "1", ":1}"), NEST("a ? b : ", "1", ""), NEST("cel.bind(a, 1, ", "a", ")"),
    };
    static const struct shape chained[] = {
        NEST("", "a", ".b"),    NEST("", "a", "[0]"), NEST("", "a", ".f()"),
        NEST("!", "a", ""),     NEST("-", "a", ""),   NEST("a + ", "a", ""),
        NEST("a == ", "a", ""), NEST("", "a", ".?b"), NEST("", "a", ".map(x, x)"),
    };

    (void)state;
    check_limits(nested, CASES(nested), 128, &cel_default_parse_limits,
                 "nested more than 128 levels deep");
    check_limits(chained, CASES(chained), 128, &cel_default_parse_limits,
                 "more than 128 operators or selections around one value");
}

static void parse_hostile_depth_is_an_ordinary_error(void **state)
{
    static const struct shape shapes[] = {
        NEST("(", "", ""),  NEST("[", "", ""),        NEST("{", "", ""),
        NEST("f(", "", ""), NEST("a?b:", "", ""),     NEST("-", "", ""),
        NEST("!", "", ""),  NEST("a[?", "", ""),      NEST("a+", "a", ""),
        NEST("(-", "", ""), NEST("", "a", ".a"),      NEST("a.map(x,", "", ""),
        NEST("'", "", ""),  NEST("a||(b&&(", "", ""),
    };
    struct cel_parse_limits limits = cel_default_parse_limits;

    (void)state;
    limits.source_bytes = TEXT_MAX_BYTES;
    limits.nodes = TEXT_MAX_BYTES;
    for (size_t i = 0; i < CASES(shapes); i++) {
        struct cel_issue issue = { .text = "" };

        assert_false(parses(&shapes[i], 100000, &limits, &issue));
        assert_true(issue.text[0] != '\0');
    }
}

static void parse_loops_in_loops_have_a_limit(void **state)
{
    static const struct shape nested[] = {
        NEST("a.all(x, ", "x", ")"),
        NEST("a.map(x, true, ", "x", ")"),
        NEST("a.map(x, ", "x", ", true)"),
        NEST("a.transformMap(k, v, ", "k", ")"),
        NEST("a.sortBy(x, [1, f(x) + ", "x", "])"),
        NEST("cel.bind(y, 1, a.filter(x, ", "x", "))"),
    };

    (void)state;
    check_limits(nested, CASES(nested), 4, &cel_default_parse_limits,
                 "are nested more than 4 deep");
}

/* What stands side by side, or loops over nothing, does not multiply. */
static void parse_loops_not_in_loops_have_none(void **state)
{
    static const struct shape shapes[] = {
        NEST("", "a", ".map(x, x)"),
        NEST("a.all(x, x) && ", "true", ""),
        NEST("cel.bind(x, 1, ", "x", ")"),
        NEST("a.orValue(", "x", ")"),
        NEST("a.optMap(x, ", "x", ")"),
        NEST("", "a.all(x, b.all(y, c.all(z, d.all(w, w))))", " && e.all(x, x)"),
        NEST("f(", "a.all(x, b.all(y, c.all(z, d.all(w, w))))", ", e.all(x, x))"),
    };
    struct cel_issue issue = { .text = "" };

    (void)state;
    for (size_t i = 0; i < CASES(shapes); i++) {
        if (!parses(&shapes[i], 20, &cel_default_parse_limits, &issue))
            fail_msg("case %zu: %s", i, issue.text);
    }
}

static void parse_nodes_have_a_limit(void **state)
{
    struct cel_parse_limits limits = cel_default_parse_limits;

    (void)state;
    limits.source_bytes = TEXT_MAX_BYTES;
    /* The || is a node too. */
    check_limit(&(struct shape)NEST("1 || ", "1", ""), limits.nodes - 2, &limits,
                "more than 4096 parts");
    limits.depth = TEXT_MAX_BYTES;
    check_limit(&(struct shape)NEST("", "1", ".a"), limits.nodes - 1, &limits,
                "more than 4096 parts");
}

static void parse_entries_have_a_limit(void **state)
{
    static const struct shape rows[] = { ROW("[", "0,", "]"), ROW("{", "0:0,", "}"),
                                         ROW("[[1,1,1], ", "?0,", "][0]") };
    const struct cel_parse_limits *limits = &cel_default_parse_limits;
    struct cel_issue issue = { .text = "" };

    (void)state;
    check_limits(rows, 2, 1024, limits, "at most 1024 entries");
    check_limit(&rows[2], 1023, limits, "at most 1024 entries");
    check_limit(&(struct shape)ROW("[0", ",0", "]"), 1023, limits, "at most 1024 entries");
    /* Arguments are bounded by the nodes only. */
    assert_true(parses(&(struct shape)ROW("f(0", ",0", ")"), 2000, limits, &issue));
}

static void parse_source_has_a_limit(void **state)
{
    (void)state;
    check_limit(&(struct shape)NEST(" ", "a", ""), 16384 - 1, &cel_default_parse_limits,
                "longer than 16384 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_minimum_capacities_hold),
        cmocka_unit_test(parse_nesting_has_a_limit),
        cmocka_unit_test(parse_hostile_depth_is_an_ordinary_error),
        cmocka_unit_test(parse_loops_in_loops_have_a_limit),
        cmocka_unit_test(parse_loops_not_in_loops_have_none),
        cmocka_unit_test(parse_nodes_have_a_limit),
        cmocka_unit_test(parse_entries_have_a_limit),
        cmocka_unit_test(parse_source_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
