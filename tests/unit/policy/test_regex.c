/*
 * Unit tests of policy/regex: the shim, the weight of patterns, the cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/regex.h"

static struct regex *compile(struct str pattern)
{
    char message[REGEX_MESSAGE_BYTES] = "";
    struct regex *r = regex_new(pattern, message);

    if (r == NULL)
        fail_msg("%.*s: %s", STR_ARG(pattern), message);
    return r;
}

static void regex_matches_anywhere_in_the_text(void **state)
{
    static const struct {
        struct str pattern;
        struct str text;
        bool matches;
    } cases[] = {
        { STR_INIT("ubb"), STR_INIT("hubba"), true },
        { STR_INIT("o+b"), STR_INIT("foobar"), true },
        { STR_INIT("foo|bar"), STR_INIT(""), false },
        { STR_INIT(""), STR_INIT("cows"), true },
        { STR_INIT(""), STR_INIT(""), true },
        { STR_INIT(""), { NULL, 0 }, true },
        { STR_INIT("x"), { NULL, 0 }, false },
        { { NULL, 0 }, STR_INIT("x"), true },
        { STR_INIT("gr(a|e)y"), STR_INIT("grey"), true },
        { STR_INIT("^b"), STR_INIT("ab"), false },
        { STR_INIT("a$"), STR_INIT("a\n"), false },
        { STR_INIT("^a.c$"),
          STR_INIT("a\xc3\xa9"
                   "c"),
          true },
        { STR_INIT("^.{3}$"), STR_INIT("\xe2\x82\xac\xf0\x9f\x98\x80z"), true },
        { STR_INIT("(?i)STRASSE"), STR_INIT("strasse"), true },
        { STR_INIT("\\p{Greek}"), STR_INIT("\xce\xb1"), true },
        { STR_INIT("a\\x00b"), STR_INIT("a\0b"), true },
        { STR_INIT("a\0b"), STR_INIT("a\0b"), true },
        /* Bytes that are not UTF-8 match nothing but \C. */
        { STR_INIT("."), STR_INIT("\xff"), false },
        { STR_INIT("\\C"), STR_INIT("\xff"), true },
        { STR_INIT("[^a]"), STR_INIT("\xe2\x82"), false },
        { STR_INIT("z$"), STR_INIT("\xff\xfez"), true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct regex *r = compile(cases[i].pattern);

        if (regex_matches(r, cases[i].text) != cases[i].matches)
            fail_msg("case %zu", i);
        regex_free(r);
    }
}

static void regex_new_bad_pattern_says_why(void **state)
{
    static const struct {
        struct str pattern;
        const char *message;
    } cases[] = {
        { STR_INIT("("), "missing ): (" },
        { STR_INIT("a)"), "unexpected ): a)" },
        { STR_INIT("[a"), "missing ]: [a" },
        { STR_INIT("*"), "no argument for repetition operator: *" },
        { STR_INIT("a**"), "bad repetition operator: **" },
        { STR_INIT("(?=x)"), "invalid perl operator: (?=" },
        { STR_INIT("(?<!x)"), "invalid perl operator: (?<" },
        { STR_INIT("(x)\\1"), "invalid escape sequence: \\1" },
        { STR_INIT("a{1001}"), "invalid repetition size: {1001}" },
        { STR_INIT("\xff"), "invalid UTF-8" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[REGEX_MESSAGE_BYTES] = "";

        assert_null(regex_new(cases[i].pattern, message));
        assert_string_equal(message, cases[i].message);
    }
}

static void regex_new_message_is_cut(void **state)
{
    char pattern[1000];
    char message[REGEX_MESSAGE_BYTES];

    (void)state;
    memset(pattern, 'a', sizeof(pattern));
    pattern[0] = '(';
    assert_null(regex_new(str_of(pattern, sizeof(pattern)), message));
    assert_int_equal(strlen(message), REGEX_MESSAGE_BYTES - 1);
}

static void regex_find_gives_groups_and_tells_unmatched_ones(void **state)
{
    struct str text = STR("one b=2, a=1");
    struct regex *r = compile(STR("(a)?(b)?=(\\d*)()"));
    struct str groups[6];

    (void)state;
    assert_int_equal(regex_group_count(r), 4);
    assert_true(regex_find(r, text, 0, groups, 6));
    assert_true(str_eq(groups[0], STR("b=2")));
    assert_ptr_equal(groups[0].p, text.p + 4);
    assert_null(groups[1].p);
    assert_true(str_eq(groups[2], STR("b")));
    assert_true(str_eq(groups[3], STR("2")));
    assert_non_null(groups[4].p);
    assert_int_equal(groups[4].n, 0);
    assert_null(groups[5].p);

    assert_true(regex_find(r, text, 5, groups, 1));
    assert_true(str_eq(groups[0], STR("=2")));
    assert_true(regex_find(r, text, 7, groups, 2));
    assert_true(str_eq(groups[1], STR("a")));
    assert_false(regex_find(r, text, text.n, groups, 1));
    assert_false(regex_find(r, text, text.n + 1, groups, 1));
    assert_true(regex_find(r, text, 0, NULL, 0));
    regex_free(r);
}

static void regex_find_sees_what_stands_before_its_start(void **state)
{
    struct regex *r = compile(STR("^b"));
    struct str group;

    (void)state;
    assert_false(regex_find(r, STR("ab"), 1, &group, 1));
    regex_free(r);
    r = compile(STR("\\bb"));
    assert_false(regex_find(r, STR("ab"), 1, &group, 1));
    assert_true(regex_find(r, STR("-b"), 1, &group, 1));
    regex_free(r);
}

static void regex_find_more_groups_than_can_be_told_is_safe(void **state)
{
    char pattern[150 * 3];
    struct str groups[REGEX_GROUPS_MAX + 10];
    struct regex *r;

    (void)state;
    for (size_t i = 0; i < 150; i++)
        memcpy(pattern + 3 * i, "(a)", 3);
    r = compile(str_of(pattern, sizeof(pattern)));
    memset(pattern, 'a', sizeof(pattern));
    assert_int_equal(regex_group_count(r), 150);
    assert_true(regex_find(r, str_of(pattern, 150), 0, groups, REGEX_GROUPS_MAX + 10));
    assert_int_equal(groups[0].n, 150);
    assert_non_null(groups[REGEX_GROUPS_MAX - 1].p);
    assert_null(groups[REGEX_GROUPS_MAX].p);
    regex_free(r);
}

/* ---- weight ---- */

static void regex_weight_writes_repetitions_out(void **state)
{
    static const struct {
        struct str pattern;
        size_t least;
        size_t most;
    } cases[] = {
        { STR_INIT(""), 0, 0 },
        { STR_INIT("abc"), 3, 3 },
        { STR_INIT("a{10}"), 10, 30 },
        { STR_INIT("a{2,10}"), 10, 30 },
        { STR_INIT("a{10,}"), 10, 30 },
        { STR_INIT("(?:ab){10}"), 20, 60 },
        { STR_INIT("(?:a{10}b{10}){10}"), 200, 1000 },
        { STR_INIT("((a{10}){10}){10}"), 1000, 10000 },
        { STR_INIT("(((((a{100})))))"), 100, 300 },
        { STR_INIT("[a-z]{100}"), 100, 300 },
        { STR_INIT("[^a]{100}"), 100, 3000 },
        { STR_INIT(".{100}"), 100, 3000 },
        { STR_INIT("\\pL{10}"), 2000, 5000 },
        { STR_INIT("\\p{Greek}{10}"), 2000, 5000 },
        { STR_INIT("[\\pL\\d]{10}"), 2000, 5000 },
        /* No repetitions. */
        { STR_INIT("a{,10}"), 1, 10 },
        { STR_INIT("a{x}"), 1, 10 },
        { STR_INIT("a{"), 1, 10 },
        { STR_INIT("a{10"), 1, 10 },
        { STR_INIT("a\\{1000}"), 1, 20 },
        { STR_INIT("\\x{2028}"), 1, 20 },
        { STR_INIT("[{1000}]"), 1, 20 },
        { STR_INIT("\\Qa{1000}\\E"), 1, 20 },
        { STR_INIT("\\Qa{1000}"), 1, 20 },
        /* What looks like the end of a group or class and is none. */
        { STR_INIT("(?:[)]a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:\\)a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:\\Q)\\Ea{10}){10}"), 100, 1000 },
        { STR_INIT("(?:[])]a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:[^])]a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:[\\])]a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:[[:alpha:])]a{10}){10}"), 100, 1000 },
        { STR_INIT("(?:[\\p{L})]a{10}){10}"), 100, 10000 },
        /* What RE2 refuses still has a weight. */
        { STR_INIT(")"), 0, 1 },
        { STR_INIT("{10}"), 0, 10 },
        { STR_INIT("["), 0, 10 },
        { STR_INIT("\\"), 0, 10 },
        { STR_INIT("\\p{"), 0, 1000 },
        { STR_INIT("a{99999999999999999999}{99999999999999}"), REGEX_WEIGHT_MAX + 1, SIZE_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t weight = regex_weight(cases[i].pattern);

        if (weight < cases[i].least || weight > cases[i].most)
            fail_msg("%.*s weighs %zu", STR_ARG(cases[i].pattern), weight);
    }
}

static void regex_new_weight_has_its_limit(void **state)
{
    char pattern[REGEX_WEIGHT_MAX + 1];
    char message[REGEX_MESSAGE_BYTES] = "";

    (void)state;
    memset(pattern, 'a', sizeof(pattern));
    assert_int_equal(regex_weight(str_of(pattern, REGEX_WEIGHT_MAX)), REGEX_WEIGHT_MAX);
    regex_free(compile(str_of(pattern, REGEX_WEIGHT_MAX)));
    assert_null(regex_new(str_of(pattern, REGEX_WEIGHT_MAX + 1), message));
    assert_non_null(strstr(message, "too large"));
    /* Deeper nesting than is followed. */
    memset(pattern, '(', 1000);
    memset(pattern + 1000, ')', 1000);
    assert_null(regex_new(str_of(pattern, 2000), message));
}

static void regex_new_within_adds_to_the_budget(void **state)
{
    struct regex_budget budget = { .max = 7 };
    char message[REGEX_MESSAGE_BYTES] = "";

    (void)state;
    regex_free(regex_new_within(&budget, STR("abc"), message));
    assert_int_equal(budget.used, 3);
    regex_free(regex_new_within(NULL, STR("abcdefghi"), message));
    regex_free(regex_new_within(&budget, STR("abcd"), message));
    assert_string_equal(message, "");
    assert_null(regex_new_within(&budget, STR("a"), message));
    assert_non_null(strstr(message, "more than 7 characters together"));
}

static uint64_t cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Far above what was measured, so that a slow machine passes and an exponential engine does not. */
enum { PATIENCE_MS = 60000 };

static void regex_new_large_patterns_are_refused_or_compiled_in_time(void **state)
{
    static const char *const atoms[] = { "a",   "[ab]", "[^c]", ".", "\\pL",
                                         "\\C", "(a)",  "\\b",  "^", "(?:a|bc)" };
    static const char *const repetitions[] = { "?", "*", "{1000}", "{0,1000}", "{0,30}", "{10,}" };
    uint64_t start = cpu_ms();
    char message[REGEX_MESSAGE_BYTES];
    char pattern[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(atoms) / sizeof(atoms[0]); i++) {
        for (size_t j = 0; j < sizeof(repetitions) / sizeof(repetitions[0]); j++) {
            for (size_t count = 1; count <= 100; count *= 10) {
                size_t n = 3;

                memcpy(pattern, "(?:", n);
                for (size_t k = 0; k < count; k++)
                    n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "%s%s", atoms[i],
                                          repetitions[j]);
                n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "){0,10}x");
                regex_free(regex_new(str_of(pattern, n), message));
            }
        }
    }
    assert_true(cpu_ms() - start < PATIENCE_MS);
}

static void regex_matches_backtracking_bombs_take_linear_time(void **state)
{
    static const struct str patterns[] = {
        STR_INIT("(?:a|b|ab)*[cd]"),  STR_INIT("(a*)*b"),      STR_INIT("(a+a+)+b"),
        STR_INIT("(?:a?){30}a{30}b"), STR_INIT("(.*)*(.*)*b"), STR_INIT("((a{0,10}){0,10}){0,9}b"),
        STR_INIT("[ab]*a[ab]{100}b"),
    };
    enum { TEXT_BYTES = 16 * 1024 };
    char *text = mem_alloc(TEXT_BYTES);
    uint64_t start = cpu_ms();

    (void)state;
    memset(text, 'a', TEXT_BYTES);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct regex *r = compile(patterns[i]);
        struct str groups[3];

        assert_false(regex_matches(r, str_of(text, TEXT_BYTES)));
        assert_false(regex_find(r, str_of(text, TEXT_BYTES), 0, groups, 3));
        regex_free(r);
    }
    assert_true(cpu_ms() - start < PATIENCE_MS);
    mem_free(text);
}

/* ---- cache ---- */

static void regex_cache_get_same_pattern_is_compiled_once(void **state)
{
    struct regex_cache *c = regex_cache_new(2);
    char message[REGEX_MESSAGE_BYTES];
    const struct regex *a = regex_cache_get(c, STR("a"), message);

    (void)state;
    assert_non_null(a);
    assert_ptr_equal(regex_cache_get(c, STR("a"), message), a);
    assert_ptr_equal(regex_cache_find(c, STR("a")), a);
    assert_null(regex_cache_find(c, STR("aa")));
    assert_null(regex_cache_find(c, STR_NONE));
    assert_non_null(regex_cache_get(c, STR_NONE, message));
    assert_non_null(regex_cache_find(c, STR("")));
    regex_cache_free(c);
}

static void regex_cache_get_full_drops_the_least_recently_used(void **state)
{
    struct regex_cache *c = regex_cache_new(2);
    char message[REGEX_MESSAGE_BYTES];

    (void)state;
    (void)regex_cache_get(c, STR("a"), message);
    (void)regex_cache_get(c, STR("b"), message);
    (void)regex_cache_get(c, STR("a"), message);
    (void)regex_cache_get(c, STR("c"), message);
    assert_non_null(regex_cache_find(c, STR("a")));
    assert_null(regex_cache_find(c, STR("b")));
    assert_non_null(regex_cache_find(c, STR("c")));
    (void)regex_cache_get(c, STR("d"), message);
    assert_null(regex_cache_find(c, STR("a")));
    regex_cache_free(c);
}

static void regex_cache_get_bad_or_long_pattern_is_refused(void **state)
{
    struct regex_cache *c = regex_cache_new(1);
    char pattern[REGEX_RUNTIME_BYTES + 1];
    char message[REGEX_MESSAGE_BYTES] = "";

    (void)state;
    assert_null(regex_cache_get(c, STR("("), message));
    assert_string_equal(message, "missing ): (");
    memset(pattern, 'a', sizeof(pattern));
    assert_non_null(regex_cache_get(c, str_of(pattern, REGEX_RUNTIME_BYTES), message));
    assert_null(regex_cache_get(c, str_of(pattern, REGEX_RUNTIME_BYTES + 1), message));
    assert_non_null(strstr(message, "too large"));
    regex_cache_free(c);
    regex_cache_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regex_matches_anywhere_in_the_text),
        cmocka_unit_test(regex_new_bad_pattern_says_why),
        cmocka_unit_test(regex_new_message_is_cut),
        cmocka_unit_test(regex_find_gives_groups_and_tells_unmatched_ones),
        cmocka_unit_test(regex_find_sees_what_stands_before_its_start),
        cmocka_unit_test(regex_find_more_groups_than_can_be_told_is_safe),
        cmocka_unit_test(regex_weight_writes_repetitions_out),
        cmocka_unit_test(regex_new_weight_has_its_limit),
        cmocka_unit_test(regex_new_within_adds_to_the_budget),
        cmocka_unit_test(regex_new_large_patterns_are_refused_or_compiled_in_time),
        cmocka_unit_test(regex_matches_backtracking_bombs_take_linear_time),
        cmocka_unit_test(regex_cache_get_same_pattern_is_compiled_once),
        cmocka_unit_test(regex_cache_get_full_drops_the_least_recently_used),
        cmocka_unit_test(regex_cache_get_bad_or_long_pattern_is_refused),
    };

    return cmocka_run_group_tests_name("policy/regex", tests, NULL, NULL);
}
