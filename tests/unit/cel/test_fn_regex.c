/*
 * Unit tests of policy/cel/fn_regex.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "policy/cel/fn.h"
#include "policy/cel/fn_regex.h"
#include "tests/unit/cel/fn_scene.h"

static void matches_searches_anywhere(void **state)
{
    static const struct fn_row rows[] = {
        { "'foobar'.matches('o+b')", "true" },
        { "matches('foobar', 'o+b')", "true" },
        { "'foobar'.matches('^o')", "false" },
        { "'cows'.matches('')", "true" },
        { "''.matches('')", "true" },
        { "''.matches('foo|bar')", "false" },
        { "'é'.matches('^.$')", "true" },
        { "'a\\nb'.matches('a.b')", "false" },
        { "'a\\nb'.matches('(?s)a.b')", "true" },
        /* Patterns that are made when they are needed. */
        { "kilo.matches(kilo.substring(0, 5) + '$')", "true" },
        { "kilo.matches('b|' + kilo.substring(0, 1))", "true" },
        { "['a', 'b', 'c', 'd', 'e', 'f', 'a'].filter(p, 'badge'.matches('^' + p + '|e$'))",
          "['a', 'b', 'c', 'd', 'e', 'f', 'a']" },
        { "kilo.matches('(' + kilo)", NULL },
        { "kilo.matches('(' + kilo.substring(0, 3))", NULL },
        { "kilo.matches(kilo)", "true" },
        { "kilo.matches(kilo + 'a')", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void matches_bad_constant_is_refused_at_load(void **state)
{
    static const char *const sources[] = {
        "'a'.matches('(')",
        "matches('a', '[')",
        "'a'.matches('(?=a)')",
        "'a'.matches('(a)\\\\1')",
        "'a'.matches('a{1001}')",
        "'a'.matches(1)",
        "'a'.matches('(?:(?:a{30}){30}){30}')",
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
}

static void matches_work_is_charged(void **state)
{
    static const char *const sources[] = {
        "many.all(i, big.matches('b$' + string(i % 2)) == false)",
        "many.all(i, !big.matches('(?:a|b)*a(?:a|b){400}c'))",
        "many.all(i, !'x'.matches('a{900}' + string(i)))",
        "many.all(i, !'x'.matches('(?:a{30}){30}' + string(i)))",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static struct cel_value call(struct cel_run *run, struct str text, struct str pattern)
{
    struct cel_value args[] = { cel_string(text), cel_string(pattern) };

    return cel_regex_library.rows[0].fn(run, args, 2);
}

/* The pattern may come from a request. */
static void matches_error_does_not_quote_the_pattern(void **state)
{
    struct arena arena;
    struct cel_run run = { .arena = &arena, .limits = &cel_default_limits };
    struct cel_value v;

    (void)state;
    arena_init(&arena);
    v = call(&run, STR("x"), STR("(secret"));
    assert_int_equal(v.kind, CEL_ERROR);
    assert_true(str_eq(cel_str(v), STR("bad regular expression: missing )")));
    arena_fini(&arena);
}

static void matches_without_a_cache_works(void **state)
{
    struct arena arena;
    struct cel_run run = { .arena = &arena, .limits = &cel_default_limits };

    (void)state;
    arena_init(&arena);
    assert_true(cel_is_true(call(&run, STR("xay"), STR("a"))));
    assert_false(cel_is_true(call(&run, STR("xby"), STR("a"))));
    arena_fini(&arena);
}

static void matches_cached_pattern_costs_less(void **state)
{
    struct regex_cache *cache = regex_cache_new(2);
    struct arena arena;
    struct cel_run run = { .arena = &arena, .limits = &cel_default_limits, .regexes = cache };
    uint32_t first;

    (void)state;
    arena_init(&arena);
    (void)call(&run, STR("x"), STR("a{100}"));
    first = run.steps;
    assert_true(first > 1000);
    (void)call(&run, STR("x"), STR("a{100}"));
    assert_true(run.steps - first < 10);
    regex_cache_free(cache);
    arena_fini(&arena);
}

static void cel_regex_matches_stops_at_the_limit(void **state)
{
    char message[REGEX_MESSAGE_BYTES];
    struct regex *regex = regex_new(STR("a"), message);
    struct cel_limits limits = cel_default_limits;
    struct arena arena;
    struct cel_run run = { .arena = &arena, .limits = &limits };
    char text[6400];

    (void)state;
    arena_init(&arena);
    memset(text, 'b', sizeof(text));
    limits.steps = 100000;
    assert_int_equal(cel_regex_matches(&run, regex, str_of(text, sizeof(text))).kind, CEL_BOOL);
    limits.steps = run.steps;
    run.steps = 0;
    assert_int_equal(cel_regex_matches(&run, regex, str_of(text, sizeof(text))).kind, CEL_BOOL);
    limits.steps--;
    run.steps = 0;
    assert_true(cel_is_error(cel_regex_matches(&run, regex, str_of(text, sizeof(text)))));
    assert_true(run.spent);
    regex_free(regex);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_searches_anywhere),
        cmocka_unit_test(matches_bad_constant_is_refused_at_load),
        cmocka_unit_test(matches_work_is_charged),
        cmocka_unit_test(matches_error_does_not_quote_the_pattern),
        cmocka_unit_test(matches_without_a_cache_works),
        cmocka_unit_test(matches_cached_pattern_costs_less),
        cmocka_unit_test(cel_regex_matches_stops_at_the_limit),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_regex", tests, NULL, NULL);
}
