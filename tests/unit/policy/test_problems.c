/*
 * Unit tests of policy/problems.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/problems.h"

enum { TEXT_MAX_BYTES = 1024 * 1024 };

static struct doc_place at(uint32_t line, uint32_t column)
{
    return (struct doc_place){ line, column };
}

static void expect_text(const struct policy_problems *p, const char *expected)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    policy_problems_format(p, &text);
    buf_add_char(&text, '\0');
    assert_string_equal(buf_str(&text).p, expected);
    buf_fini(&text);
}

static void problems_format_lists_in_document_order(void **state)
{
    struct policy_problems *p = policy_problems_new();

    (void)state;
    (void)problems_add(p, STR("b.yml"), at(9, 1), E_POLICY_ACTION, NULL, "third");
    problems_warn(p, STR("b.yml"), at(2, 7), "first");
    (void)problems_add(p, STR("a.yml"), at(1, 1), E_POLICY_DOCUMENT, "do it so", "fourth");
    assert_int_equal(problems_add(p, STR("b.yml"), at(2, 9), E_POLICY_CONFIG, NULL, "se%s", "cond"),
                     -1);
    assert_int_equal(policy_problems_errors(p), 3);
    assert_int_equal(policy_problems_warnings(p), 1);
    expect_text(p, "b.yml:2:7: warning: first\n"
                   "b.yml:2:9: error[ERR_SALLYPORT_2203]: second\n"
                   "b.yml:9:1: error[ERR_SALLYPORT_2201]: third\n"
                   "a.yml:1:1: error[ERR_SALLYPORT_2236]: fourth\n"
                   "    hint: do it so\n");
    policy_problems_free(p);
}

static void problems_format_of_one_place_keeps_the_order_of_finding(void **state)
{
    struct policy_problems *p = policy_problems_new();

    (void)state;
    for (int i = 0; i < 20; i++)
        (void)problems_add(p, STR("a"), at(1, 1), E_POLICY_FIELD, NULL, "%02d", i);
    expect_text(p, "a:1:1: error[ERR_SALLYPORT_2204]: 00\na:1:1: error[ERR_SALLYPORT_2204]: 01\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 02\na:1:1: error[ERR_SALLYPORT_2204]: 03\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 04\na:1:1: error[ERR_SALLYPORT_2204]: 05\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 06\na:1:1: error[ERR_SALLYPORT_2204]: 07\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 08\na:1:1: error[ERR_SALLYPORT_2204]: 09\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 10\na:1:1: error[ERR_SALLYPORT_2204]: 11\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 12\na:1:1: error[ERR_SALLYPORT_2204]: 13\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 14\na:1:1: error[ERR_SALLYPORT_2204]: 15\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 16\na:1:1: error[ERR_SALLYPORT_2204]: 17\n"
                   "a:1:1: error[ERR_SALLYPORT_2204]: 18\na:1:1: error[ERR_SALLYPORT_2204]: 19\n");
    policy_problems_free(p);
}

static void problems_format_without_place_or_number_leaves_them_out(void **state)
{
    struct policy_problems *p = policy_problems_new();

    (void)state;
    (void)problems_add(p, STR("flags"), at(0, 0), E_POLICY_CONFIG, NULL, "wrong");
    (void)problems_add(p, STR("flags"), at(0, 0), E_SYSTEM, NULL, "no digest");
    expect_text(p, "flags: error[ERR_SALLYPORT_2203]: wrong\nflags: error: no digest\n");
    policy_problems_free(p);
}

/* A document must not be able to forge lines or to drive a terminal. */
static void problems_add_keeps_a_problem_on_its_line(void **state)
{
    struct policy_problems *p = policy_problems_new();

    (void)state;
    (void)problems_add(p, STR("a\nb"), at(1, 1), E_POLICY_FIELD, "x\ry", "1\n2\t3\x1b[0m\x7f");
    expect_text(p, "a b:1:1: error[ERR_SALLYPORT_2204]: 1 2 3 [0m \n    hint: x y\n");
    policy_problems_free(p);
}

static void problems_add_cuts_long_text_between_characters(void **state)
{
    struct policy_problems *p = policy_problems_new();
    char text[3 * PROBLEM_TEXT_BYTES];
    char expected[2 * PROBLEM_TEXT_BYTES];
    size_t n;

    (void)state;
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[sizeof(text) - 3] = '\0';
    (void)problems_add(p, STR("a"), at(1, 1), E_POLICY_FIELD, NULL, "%s", text);
    n = (PROBLEM_TEXT_BYTES - 1) / 3 * 3;
    (void)snprintf(expected, sizeof(expected), "a:1:1: error[ERR_SALLYPORT_2204]: %.*s\n", (int)n,
                   text);
    expect_text(p, expected);
    policy_problems_free(p);
}

static void problems_beyond_the_limit_are_counted_only(void **state)
{
    struct policy_problems *p = policy_problems_new();
    struct buf text;
    struct err e;

    (void)state;
    for (int i = 0; i < PROBLEMS_MAX; i++)
        (void)problems_add(p, STR("a"), at(1, 1), E_POLICY_FIELD, NULL, "x");
    buf_init(&text, TEXT_MAX_BYTES);
    policy_problems_format(p, &text);
    assert_true(str_find(buf_str(&text), STR("more")) == buf_str(&text).n);
    (void)problems_add(p, STR("a"), at(1, 1), E_POLICY_FIELD, NULL, "x");
    for (int i = 0; i < PROBLEMS_MAX + 7; i++)
        problems_warn(p, STR("a"), at(1, 1), "y");
    buf_clear(&text);
    policy_problems_format(p, &text);
    assert_true(str_ends(buf_str(&text), STR("... and 1 more errors\n... and 7 more warnings\n")));
    assert_int_equal(policy_problems_errors(p), PROBLEMS_MAX + 1);
    policy_problems_first(p, &e);
    assert_int_equal(e.code, E_POLICY_FIELD);
    buf_fini(&text);
    policy_problems_free(p);
}

static void problems_first_is_the_first_error_of_the_document(void **state)
{
    struct policy_problems *p = policy_problems_new();
    struct err e = { .code = E_OK };

    (void)state;
    problems_warn(p, STR("a"), at(1, 1), "a warning");
    policy_problems_first(p, &e);
    assert_int_equal(e.code, E_OK);
    (void)problems_add(p, STR("a"), at(8, 1), E_POLICY_FIELD, NULL, "later");
    (void)problems_add(p, STR("a"), at(7, 3), E_POLICY_CONFIG, NULL, "earlier");
    policy_problems_first(p, &e);
    assert_int_equal(e.code, E_POLICY_CONFIG);
    assert_string_equal(e.msg, "earlier");
    policy_problems_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_format_lists_in_document_order),
        cmocka_unit_test(problems_format_of_one_place_keeps_the_order_of_finding),
        cmocka_unit_test(problems_format_without_place_or_number_leaves_them_out),
        cmocka_unit_test(problems_add_keeps_a_problem_on_its_line),
        cmocka_unit_test(problems_add_cuts_long_text_between_characters),
        cmocka_unit_test(problems_beyond_the_limit_are_counted_only),
        cmocka_unit_test(problems_first_is_the_first_error_of_the_document),
    };

    return cmocka_run_group_tests_name("policy/problems", tests, NULL, NULL);
}
