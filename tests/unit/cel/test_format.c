/*
 * Unit tests of policy/cel/format.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/format.h"
#include "tests/unit/cel/fn_scene.h"

static void format_text_stays_and_percents_are_escaped(void **state)
{
    static const struct fn_row rows[] = {
        { "'no substitution'.format([])", "'no substitution'" },
        { "''.format([])", "''" },
        { "'%%'.format([])", "'%'" },
        { "'100%%'.format([])", "'100%'" },
        { "'%%%s%%'.format(['text'])", "'%text%'" },
        { "'%%s'.format([])", "'%s'" },
        { "'%d %d, %s'.format([1, 2, 'A'])", "'1 2, A'" },
        { "'é%s€'.format(['😀'])", "'é😀€'" },
        { "dyn('%s').format([1, 2])", "'1'" }, /* what is left over does not matter when it runs */
    };

    (void)state;
    FN_CHECK(rows);
}

static void format_s_writes_every_value(void **state)
{
    static const struct fn_row rows[] = {
        { "'%s'.format(['a\"b'])", "'a\"b'" },
        { "'%s'.format([-7])", "'-7'" },
        { "'%s'.format([7u])", "'7'" },
        { "'%s %s'.format([true, false])", "'true false'" },
        { "'%s'.format([null])", "'null'" },
        { "'%s %s %s'.format([1.5, 2.0, -0.0])", "'1.5 2 -0'" },
        { "'%s'.format([1e21])", "'1000000000000000000000'" },
        { "'%s'.format([1e-7])", "'0.0000001'" },
        { "'%s %s %s'.format([double('NaN'), double('inf'), double('-inf')])",
          "'NaN Infinity -Infinity'" },
        { "'%s'.format([b'xyz'])", "'xyz'" },
        { "'%s'.format([b'a\\xff\\xfeb\\xc3'])", "'a\\ufffdb\\ufffd'" },
        { "'%s'.format([type('')])", "'string'" },
        { "'%s'.format([timestamp('2023-02-03T23:31:20+00:00')])", "'2023-02-03T23:31:20Z'" },
        { "'%s'.format([duration('1h45m47s')])", "'6347s'" },
        { "'%s'.format([ip('10.0.0.1')])", "'10.0.0.1'" },
        { "'%s'.format([cidr('10.0.0.0/8')])", "'10.0.0.0/8'" },
        { "'%s'.format([[]])", "'[]'" },
        { "'%s'.format([['abc', 3.14, null, [9, 8], duration('1s')]])",
          "'[abc, 3.14, null, [9, 8], 1s]'" },
        { "'%s'.format([{}])", "'{}'" },
        { "'%s'.format([{'b': 1, 'a': {'z': double('inf')}}])", "'{a: {z: Infinity}, b: 1}'" },
        { "'%s'.format([{'strKey': 'x', 6: duration('422s'), true: 42}])",
          "'{6: 422s, strKey: x, true: 42}'" },
        { "'%.3s'.format(['abcdef'])", "'abcdef'" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void format_numbers_have_their_verbs(void **state)
{
    static const struct fn_row rows[] = {
        { "'%d %d %d %d'.format([1, -1, 2u, 2.5])", "'1 -1 2 2.5'" },
        { "'%d'.format([-9223372036854775808])", "'-9223372036854775808'" },
        { "'%d'.format([18446744073709551615u])", "'18446744073709551615'" },
        { "'%d'.format([double('NaN')])", "'NaN'" },
        { "'%f %f %f'.format([2.71828, 2, 3u])", "'2.718280 2.000000 3.000000'" },
        { "'%.3f'.format([1.2345])", "'1.234'" },
        { "'%.0f %.0f %.0f'.format([0.5, 1.5, 2.5])", "'0 2 2'" },
        { "'%.3f %.3f'.format([123.4999, -123.4994])", "'123.500 -123.499'" },
        { "'%.1f'.format([-0.0])", "'-0.0'" },
        { "'%f %f %f'.format([double('NaN'), double('inf'), double('-inf')])",
          "'NaN Infinity -Infinity'" },
        { "size('%.100f'.format([1.7976931348623157e308]))", "410" },
        { "size('%.100f'.format([-1.7976931348623157e308]))", "411" },
        { "'%e'.format([2.71828])", "'2.718280e+00'" },
        { "'%.6e'.format([1052.032911275])", "'1.052033e+03'" },
        { "'%.0e'.format([12345])", "'1e+04'" },
        { "'%e'.format([1e-300])", "'1.000000e-300'" },
        { "'%e'.format([double('-inf')])", "'-Infinity'" },
        { "'%x %X'.format([30, 30])", "'1e 1E'" },
        { "'%x'.format([-30])", "'-1e'" },
        { "'%x'.format([-9223372036854775808])", "'-8000000000000000'" },
        { "'%x'.format([18446744073709551615u])", "'ffffffffffffffff'" },
        { "'%x %X'.format(['Hi', b'\\xab\\x00'])", "'4869 AB00'" },
        { "'%x'.format([''])", "''" },
        { "'%o %o'.format([11, 65535u])", "'13 177777'" },
        { "'%o'.format([-8])", "'-10'" },
        { "'%b %b %b'.format([5, -5, 64u])", "'101 -101 1000000'" },
        { "'%b%b'.format([true, false])", "'10'" },
        { "'%b'.format([0])", "'0'" },
        { "size('%b'.format([-9223372036854775808]))", "65" },
        { "'%d-%x'.format([42, 26])", "'42-1a'" },
    };

    (void)state;
    FN_CHECK(rows);
}

/* Through dyn(), so that they load. */
static void format_wrong_values_are_errors(void **state)
{
    static const struct fn_row rows[] = {
        { "dyn('%a').format([1])", NULL },     { "dyn('%E').format([0.5])", NULL },
        { "dyn('%').format([])", NULL },       { "dyn('a%').format([1])", NULL },
        { "dyn('%.').format([1])", NULL },     { "dyn('%.f').format([1])", NULL },
        { "dyn('%.101f').format([1])", NULL }, { "dyn('%.-1f').format([1])", NULL },
        { "dyn('%.5').format([1])", NULL },    { "dyn('%.99999999999f').format([1])", NULL },
        { "dyn('%5d').format([1])", NULL },    { "dyn('% d').format([1])", NULL },
        { "dyn('%s').format([])", NULL },      { "dyn('%s %s').format([1])", NULL },
        { "dyn('%d').format(['1'])", NULL },   { "dyn('%d').format([true])", NULL },
        { "dyn('%f').format(['1'])", NULL },   { "dyn('%f').format([null])", NULL },
        { "dyn('%e').format([b'1'])", NULL },  { "dyn('%x').format([0.5])", NULL },
        { "dyn('%x').format([null])", NULL },  { "dyn('%X').format([true])", NULL },
        { "dyn('%o').format(['a'])", NULL },   { "dyn('%o').format([1.0])", NULL },
        { "dyn('%b').format(['abc'])", NULL }, { "dyn('%b').format([1.0])", NULL },
        { "dyn('%d').format([[1]])", NULL },   { "dyn('%\\u0000').format([1])", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void format_mistakes_are_found_at_load(void **state)
{
    static const char *const sources[] = {
        "'%a'.format([1])",      "'%'.format([1])",
        "'%.101f'.format([1])",  "'%s'.format([])",
        "'%s'.format([1, 2])",   "'%d'.format(['a'])",
        "'%b'.format([[true]])", "'%x'.format([1.5])",
        "'x'.format([1])",       "'%s %d'.format(['a', 'b'])",
    };
    static const struct fn_row fine[] = {
        { "'%d'.format([dyn(1)])", "'1'" },
        { "'%s'.format([?optional.of(1)])", "'1'" },
        { "'%d %d'.format([1] + [2])", "'1 2'" },
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
    FN_CHECK(fine);
}

static void format_check_says_what_is_wrong(void **state)
{
    const struct cel_type *types[] = { cel_type_basic(CEL_T_INT), cel_type_basic(CEL_T_STRING),
                                       cel_type_basic(CEL_T_DYN), NULL };
    static const struct {
        struct str format;
        size_t count;
        const char *message; /* NULL: it is fine */
    } cases[] = {
        { STR_INIT("%d%s%x%x"), 4, NULL },
        { STR_INIT("%d %d"), 2,
          "value 2 of the format is for %d, which takes int, uint or double" },
        { STR_INIT("%s"), 2, "the format uses 1 value, but the list has 2" },
        { STR_INIT("%s%s%s"), 2, "the format uses 3 values, but the list has 2" },
        { STR_INIT("%q"), 1, "the format has a '%' without one of s d f e x X o b % behind it" },
        { STR_INIT("%.f"), 1, "the format has a '.' without a number behind it" },
        { STR_INIT("%.101f"), 1, "the format has a precision above 100" },
        { STR_INIT("%.100f"), 1, NULL },
        { STR_INIT("%s%s%s%s%s%s"), SIZE_MAX, NULL },
    };
    char message[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool fine =
            cel_format_check(cases[i].format, cases[i].count,
                             cases[i].count == SIZE_MAX ? NULL : types, message, sizeof(message));

        assert_int_equal(fine, cases[i].message == NULL);
        if (!fine)
            assert_string_equal(message, cases[i].message);
    }
    assert_false(cel_format_check(STR("%q"), 0, NULL, message, 5));
    assert_string_equal(message, "the ");
}

static void format_output_has_limits(void **state)
{
    static const char *const sources[] = {
        "'%s%s'.format([big, 'a'])",
        "'%x'.format([big])",
        "'%s'.format([many.map(i, kilo)])",
        "'%s'.format([many.map(i, [big])])",
        "many.all(i, '%.100f'.format([double(i) * 1e300]) != '')",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static void format_nesting_has_a_limit(void **state)
{
    enum { LEVELS = 70 };
    char source[3 * LEVELS + 40];
    const char *sources[] = { source };
    size_t n = 0;

    (void)state;
    n += (size_t)snprintf(source, sizeof(source), "'%%s'.format([");
    for (size_t i = 0; i < LEVELS; i++)
        source[n++] = '[';
    for (size_t i = 0; i < LEVELS; i++)
        source[n++] = ']';
    memcpy(source + n, "])", 3);
    FN_CHECK_SPENT(sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_text_stays_and_percents_are_escaped),
        cmocka_unit_test(format_s_writes_every_value),
        cmocka_unit_test(format_numbers_have_their_verbs),
        cmocka_unit_test(format_wrong_values_are_errors),
        cmocka_unit_test(format_mistakes_are_found_at_load),
        cmocka_unit_test(format_check_says_what_is_wrong),
        cmocka_unit_test(format_output_has_limits),
        cmocka_unit_test(format_nesting_has_a_limit),
    };

    return cmocka_run_group_tests_name("policy/cel/format", tests, NULL, NULL);
}
