/*
 * Unit tests of policy/cel/fn_lists and policy/cel/fn_optionals.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cel/fn_scene.h"

static void slice_is_half_open(void **state)
{
    static const struct fn_row rows[] = {
        { "[1, 2, 3, 4].slice(1, 3)", "[2, 3]" },
        { "[1, 2].slice(0, 2)", "[1, 2]" },
        { "[1, 2].slice(1, 1)", "[]" },
        { "[1, 2].slice(2, 2)", "[]" },
        { "[].slice(0, 0)", "[]" },
        { "[1, 2].slice(0, 3)", NULL },
        { "[1, 2].slice(-1, 1)", NULL },
        { "[1, 2].slice(1, 0)", NULL },
        { "[1, 2].slice(3, 3)", NULL },
        { "many.slice(9998, 10000)", "[9998, 9999]" },
        { "[1].slice(-9223372036854775808, 9223372036854775807)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void flatten_goes_one_level_or_more(void **state)
{
    static const struct fn_row rows[] = {
        { "[1, [2, [3, 4]]].flatten()", "[1, 2, [3, 4]]" },
        { "[1, [2, [3, [4]]]].flatten(2)", "[1, 2, 3, [4]]" },
        { "[1, [2, [3, [4]]]].flatten(9223372036854775807)", "[1, 2, 3, 4]" },
        { "[1, [2]].flatten(0)", "[1, [2]]" },
        { "[].flatten()", "[]" },
        { "[[], [[]]].flatten()", "[[]]" },
        { "[[1], {'a': [2]}, 'b'].flatten()", "[1, {'a': [2]}, 'b']" },
        { "[1].flatten(-1)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void sort_needs_one_type_that_has_an_order(void **state)
{
    static const struct fn_row rows[] = {
        { "[3, 1, 2].sort()", "[1, 2, 3]" },
        { "[3u, 1u].sort()", "[1u, 3u]" },
        { "[2.5, -1.0].sort()", "[-1.0, 2.5]" },
        { "['b', 'a', 'é', 'B', ''].sort()", "['', 'B', 'a', 'b', 'é']" },
        { "[b'b', b'a'].sort()", "[b'a', b'b']" },
        { "[true, false].sort()", "[false, true]" },
        { "[duration('2s'), duration('1s')].sort()", "[duration('1s'), duration('2s')]" },
        { "[timestamp(2), timestamp(1)].sort()", "[timestamp(1), timestamp(2)]" },
        { "[].sort()", "[]" },
        { "[1].sort()", "[1]" },
        { "[1, 'b'].sort()", NULL },
        { "[1, 2u].sort()", NULL },
        { "[[1]].sort()", NULL },
        { "[null].sort()", NULL },
        { "many.map(i, 9999 - i).sort().slice(0, 3)", NULL }, /* compares cost steps */
        { "many.slice(0, 1000).map(i, 999 - i).sort().slice(0, 3)", "[0, 1, 2]" },
        { "[{'n': 2}, {'n': 1}].sortBy(e, e.n)[0].n", "1" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void distinct_keeps_what_came_first(void **state)
{
    static const struct fn_row rows[] = {
        { "['b', 'b', 'a'].distinct()", "['b', 'a']" },
        { "[1, 1.0, 1u, 2].distinct()", "[1, 2]" },
        { "[1.0, 1].distinct()", "[1.0]" },
        { "[1u, 1, 2u].distinct()", "[1u, 2u]" },
        { "[1, '1', true, b'1', null, null, [1], [1.0]].distinct()",
          "[1, '1', true, b'1', null, [1]]" },
        { "[{'a': 1}, {'a': 1u}].distinct()", "[{'a': 1}]" },
        { "[].distinct()", "[]" },
        { "many.slice(0, 2000).map(i, i % 7).distinct()", "[0, 1, 2, 3, 4, 5, 6]" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void range_and_join(void **state)
{
    static const struct fn_row rows[] = {
        { "lists.range(3)", "[0, 1, 2]" }, { "lists.range(0)", "[]" },
        { "lists.range(-1)", NULL },       { "size(lists.range(10000))", "10000" },
        { "['a', 'b'].join()", "'ab'" },   { "['a', 'b'].join('-')", "'a-b'" },
        { "['a'].join('-')", "'a'" },      { "[].join()", "''" },
        { "[].join('-')", "''" },          { "['', ''].join(', ')", "', '" },
        { "dyn(['a', 1]).join()", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void lists_wrong_types_are_refused_at_load(void **state)
{
    static const char *const sources[] = {
        "[1].slice(1)", "'a'.slice(0, 1)", "[1, 2].join()", "lists.range('3')", "{'a': 1}.sort()",
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
}

static void lists_results_have_limits(void **state)
{
    static const char *const sources[] = {
        "lists.range(10001)",
        "lists.range(9223372036854775807)",
        "[many, [1]].flatten()",
        "many.map(i, many).flatten()",
        "many.map(i, [i]).distinct()",
        "many.map(i, 'aaaaaaaaaa').join()",
        "many.all(i, many.distinct().size() > 0)",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static void optionals_are_made_and_opened(void **state)
{
    static const struct fn_row rows[] = {
        { "optional.of(1).value()", "1" },
        { "optional.of(null).hasValue()", "true" },
        { "optional.none().hasValue()", "false" },
        { "optional.none().value()", NULL },
        { "optional.ofNonZeroValue(42).value()", "42" },
        { "optional.ofNonZeroValue('a').value()", "'a'" },
        { "[optional.ofNonZeroValue(null), optional.ofNonZeroValue(false),"
          " optional.ofNonZeroValue(0), optional.ofNonZeroValue(0u),"
          " optional.ofNonZeroValue(-0.0), optional.ofNonZeroValue(''),"
          " optional.ofNonZeroValue(b''), optional.ofNonZeroValue([]),"
          " optional.ofNonZeroValue({}), optional.ofNonZeroValue(duration('0'))]"
          ".exists(o, o.hasValue())",
          "false" },
        { "[optional.ofNonZeroValue(true), optional.ofNonZeroValue(-1),"
          " optional.ofNonZeroValue(double('NaN')), optional.ofNonZeroValue([0]),"
          " optional.ofNonZeroValue({'': 0}), optional.ofNonZeroValue(timestamp(0)),"
          " optional.ofNonZeroValue(int), optional.ofNonZeroValue(ip('::'))]"
          ".all(o, o.hasValue())",
          "true" },
    };

    (void)state;
    FN_CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_is_half_open),
        cmocka_unit_test(flatten_goes_one_level_or_more),
        cmocka_unit_test(sort_needs_one_type_that_has_an_order),
        cmocka_unit_test(distinct_keeps_what_came_first),
        cmocka_unit_test(range_and_join),
        cmocka_unit_test(lists_wrong_types_are_refused_at_load),
        cmocka_unit_test(lists_results_have_limits),
        cmocka_unit_test(optionals_are_made_and_opened),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_lists", tests, NULL, NULL);
}
