/*
 * Unit tests of policy/cel/fn_math.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cel/fn_scene.h"

static void greatest_and_least_keep_the_type(void **state)
{
    static const struct fn_row rows[] = {
        { "math.greatest(-5)", "-5" },
        { "math.greatest(1, 1u)", "1" },
        { "math.greatest(1u, 1)", "1u" },
        { "math.greatest(1.0, 1)", "1.0" },
        { "math.greatest(1, 2.5, 2u)", "2.5" },
        { "math.greatest(9223372036854775807, 18446744073709551615u)", "18446744073709551615u" },
        { "math.greatest([5.4, 10, 3u, -5.0, 3.5])", "10" },
        { "math.greatest([1])", "1" },
        { "math.greatest([])", NULL },
        { "math.least([])", NULL },
        { "math.least(5.5)", "5.5" },
        { "math.least(1, -9223372036854775808)", "-9223372036854775808" },
        { "math.least(5.4, 10, 3u, -5.0, 1.797693e308)", "-5.0" },
        { "math.least(5.4, 10, 3u, 1u, 18446744073709551615u)", "1u" },
        { "math.least(many)", "0" },
        { "math.greatest(many)", "9999" },
        { "math.greatest(dyn(1), dyn(2))", "2" },
        { "math.greatest([dyn('a')])", NULL },
        { "math.greatest([1, dyn('a')])", NULL },
        { "math.greatest(1, 2, dyn('a'))", NULL },
        { "math.greatest(dyn('a'))", NULL },
        { "math.greatest(1, dyn(null))", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void doubles_are_rounded(void **state)
{
    static const struct fn_row rows[] = {
        { "math.ceil(1.2)", "2.0" },
        { "math.ceil(-1.2)", "-1.0" },
        { "math.floor(1.2)", "1.0" },
        { "math.floor(-1.2)", "-2.0" },
        { "math.round(1.5)", "2.0" },
        { "math.round(2.5)", "3.0" },
        { "math.round(-1.5)", "-2.0" },
        { "math.round(-1.4)", "-1.0" },
        { "math.round(0.49999999999999994)", "0.0" },
        { "math.trunc(-1.9)", "-1.0" },
        { "math.isNaN(math.trunc(0.0/0.0))", "true" },
        { "math.ceil(1.0/0.0)", "double('inf')" },
        { "math.isNaN(0.0/0.0)", "true" },
        { "math.isNaN(1.0)", "false" },
        { "math.isInf(-1.0/0.0)", "true" },
        { "math.isInf(0.0/0.0)", "false" },
        { "math.isFinite(1.0)", "true" },
        { "math.isFinite(1.0/0.0)", "false" },
        { "math.isFinite(0.0/0.0)", "false" },
        { "math.ceil(dyn(1))", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void abs_and_sign_are_of_all_numbers(void **state)
{
    static const struct fn_row rows[] = {
        { "math.abs(-11)", "11" },
        { "math.abs(11)", "11" },
        { "math.abs(11u)", "11u" },
        { "math.abs(-1.5)", "1.5" },
        { "math.abs(-9223372036854775807)", "9223372036854775807" },
        { "math.abs(-9223372036854775808)", NULL },
        { "math.sign(-42)", "-1" },
        { "math.sign(0)", "0" },
        { "math.sign(100)", "1" },
        { "math.sign(0u)", "0u" },
        { "math.sign(100u)", "1u" },
        { "math.sign(-0.5)", "-1.0" },
        { "math.sign(0.0)", "0.0" },
        { "math.isNaN(math.sign(0.0/0.0))", "true" },
        { "math.sign(dyn(true))", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void bits_are_of_ints_and_uints(void **state)
{
    static const struct fn_row rows[] = {
        { "math.bitAnd(1, -1)", "1" },
        { "math.bitAnd(1u, 2u)", "0u" },
        { "math.bitOr(1, 2)", "3" },
        { "math.bitOr(1u, 4u)", "5u" },
        { "math.bitXor(4, -2)", "-6" },
        { "math.bitXor(1u, 3u)", "2u" },
        { "math.bitNot(-1)", "0" },
        { "math.bitNot(1u)", "18446744073709551614u" },
        { "math.bitShiftLeft(1, 2)", "4" },
        { "math.bitShiftLeft(1, 63)", "-9223372036854775808" },
        { "math.bitShiftLeft(-1, 64)", "0" },
        { "math.bitShiftLeft(-1, 200)", "0" },
        { "math.bitShiftLeft(1u, 63)", "9223372036854775808u" },
        { "math.bitShiftRight(1024, 2)", "256" },
        { "math.bitShiftRight(-1024, 3)", "2305843009213693824" },
        { "math.bitShiftRight(-1024, 64)", "0" },
        { "math.bitShiftRight(1024u, 9223372036854775807)", "0u" },
        { "math.bitShiftRight(1u, -1)", NULL },
        { "math.bitShiftLeft(1, -1)", NULL },
        { "math.bitAnd(2u, dyn(''))", NULL },
        { "math.bitAnd(dyn(2), 2u)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void math_wrong_types_are_refused_at_load(void **state)
{
    static const char *const sources[] = {
        "math.greatest()",         "math.greatest('a')",
        "math.greatest('a', 'b')", "math.least(['a'])",
        "math.least(1, true)",     "math.ceil(1)",
        "math.abs('a')",           "math.bitAnd(1, 1u)",
        "math.bitNot(1.0)",        "math.bitShiftLeft(1, 1u)",
        "math.isNaN(1)",
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greatest_and_least_keep_the_type),
        cmocka_unit_test(doubles_are_rounded),
        cmocka_unit_test(abs_and_sign_are_of_all_numbers),
        cmocka_unit_test(bits_are_of_ints_and_uints),
        cmocka_unit_test(math_wrong_types_are_refused_at_load),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_math", tests, NULL, NULL);
}
