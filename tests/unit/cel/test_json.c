/*
 * Unit tests of policy/cel/json.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/cel.h"

static struct cel_limits limits;
static struct arena arena;
static struct cel_run run;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    limits = cel_default_limits;
    run = (struct cel_run){ .arena = &arena, .limits = &limits };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void expect_json(struct cel_value v, bool sorted, const char *want)
{
    struct cel_value json = cel_to_json(&run, v, sorted);

    if (json.kind != CEL_STRING || !str_eq(cel_str(json), str_from(want)))
        fail_msg("%.*s instead of %s", STR_ARG(cel_str(json)), want);
}

/* Text of `count` brackets around a number. */
static struct str nested(unsigned count)
{
    char *p = arena_alloc(&arena, 2 * (size_t)count + 1);

    memset(p, '[', count);
    p[count] = '1';
    memset(p + count + 1, ']', count);
    return str_of(p, 2 * (size_t)count + 1);
}

static void cel_to_json_of_each_type(void **state)
{
    struct addr ip = { .family = 4, .ip = { 10, 1, 2, 3 } };
    struct cel_value held = cel_int(5);
    const struct {
        struct cel_value v;
        const char *want;
    } cases[] = {
        { cel_null(), "null" },
        { cel_bool(true), "true" },
        { cel_int(-42), "-42" },
        { cel_int(9007199254740991), "9007199254740991" },
        { cel_int(9007199254740992), "\"9007199254740992\"" },
        { cel_int(INT64_MIN), "\"-9223372036854775808\"" },
        { cel_uint(UINT64_MAX), "\"18446744073709551615\"" },
        { cel_double(1.0), "1" },
        { cel_double(0.5), "0.5" },
        { cel_double(1e300), "1e+300" },
        { cel_double(NAN), "\"NaN\"" },
        { cel_double(-INFINITY), "\"-Infinity\"" },
        { cel_string(STR("a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9")),
          "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"" },
        { cel_string(STR("\0")), "\"\\u0000\"" },
        { cel_bytes(STR("\xff\x00")), "\"/wA=\"" },
        { cel_timestamp(0, 0), "\"1970-01-01T00:00:00Z\"" },
        { cel_duration(1500000000), "\"1.5s\"" },
        { cel_type_value(STR("int")), "\"int\"" },
        { (struct cel_value){ .kind = CEL_IP, .as.ip = &ip }, "\"10.1.2.3\"" },
        { cel_optional(NULL), "null" },
        { cel_optional(&held), "5" },
        { cel_list_new(&run, NULL, 0), "[]" },
        { cel_map_value(cel_map_new(&run, 0)), "{}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_json(cases[i].v, true, cases[i].want);
}

static void cel_to_json_keys_are_sorted_when_asked(void **state)
{
    struct cel_map_builder *b = cel_map_new(&run, 0);

    (void)state;
    assert_true(cel_map_put(b, cel_string(STR("b")), cel_int(1)));
    assert_true(cel_map_put(b, cel_string(STR("ab")), cel_int(2)));
    assert_true(cel_map_put(b, cel_int(10), cel_int(3)));
    assert_true(cel_map_put(b, cel_bool(true), cel_int(4)));
    assert_true(cel_map_put(b, cel_string(STR("a")), cel_int(5)));
    expect_json(cel_map_value(b), false, "{\"b\":1,\"ab\":2,\"10\":3,\"true\":4,\"a\":5}");
    expect_json(cel_map_value(b), true, "{\"10\":3,\"a\":5,\"ab\":2,\"b\":1,\"true\":4}");
}

static void cel_to_json_error_inside_is_the_result(void **state)
{
    struct cel_value items[] = { cel_int(1), cel_error(&run, "inner"), cel_int(2) };
    struct cel_value json = cel_to_json(&run, cel_list_new(&run, items, 3), false);

    (void)state;
    assert_true(cel_is_error(json));
    assert_true(str_eq(cel_str(json), STR("inner")));
}

static void cel_to_json_size_at_limit(void **state)
{
    static char bytes[98];
    struct cel_value v = cel_string(str_of(bytes, sizeof(bytes)));

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    limits.string_bytes = 100;
    assert_int_equal(cel_to_json(&run, v, false).n, 100);
    limits.string_bytes = 99;
    assert_true(cel_is_error(cel_to_json(&run, v, false)));
    assert_true(run.spent);
}

static void cel_to_json_nesting_at_limit(void **state)
{
    struct cel_value v = cel_from_json(&run, nested(limits.value_depth));
    struct cel_value deeper = cel_list_new(&run, &v, 1);

    (void)state;
    assert_int_equal(cel_to_json(&run, v, false).n, 2 * limits.value_depth + 1);
    assert_true(cel_is_error(cel_to_json(&run, deeper, false)));
    assert_true(run.spent);
}

static void cel_from_json_reads_each_type(void **state)
{
    struct cel_value v =
        cel_from_json(&run, STR(" {\"z\": [1, -2.5e3, true, false, null, \"a\\u00e9\\n\"], "
                                "\"a\": {}, \"n\": 12345678901234567890} "));
    struct cel_value key;
    struct cel_value item;

    (void)state;
    assert_int_equal(v.kind, CEL_MAP);
    assert_int_equal(cel_map_size(v), 3);
    cel_map_entry(&run, v, 0, &key, &item); /* in the order of the text */
    assert_true(str_eq(cel_str(key), STR("z")));
    assert_int_equal(item.as.list->count, 6);
    assert_true(item.as.list->items[0].kind == CEL_DOUBLE && item.as.list->items[0].as.d == 1);
    assert_true(item.as.list->items[1].as.d == -2500);
    assert_true(cel_is_true(item.as.list->items[2]));
    assert_int_equal(item.as.list->items[4].kind, CEL_NULL);
    assert_true(str_eq(cel_str(item.as.list->items[5]), STR("a\xc3\xa9\n")));
    assert_true(cel_map_find(&run, v, cel_string(STR("n")), &item));
    assert_true(item.kind == CEL_DOUBLE && item.as.d == 12345678901234567890.0);
    expect_json(cel_from_json(&run, STR("{\"a\":\"\\u0000\"}")), false, "{\"a\":\"\\u0000\"}");
    expect_json(cel_from_json(&run, STR("\"x\"")), false, "\"x\"");
}

static void cel_from_json_bad_text_is_refused(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),         STR_INIT("x"),           STR_INIT("{\"a\":1,\"a\":2}"),
        STR_INIT("[1,]"),     STR_INIT("[1] 2"),       STR_INIT("\"\xff\""),
        STR_INIT("'a'"),      STR_INIT("1e999"),       STR_INIT("\"\\ud800\""),
        STR_INIT("{\"a\":}"), STR_INIT("[1,2\x00,3]"), STR_INIT("\"secret"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = cel_from_json(&run, cases[i]);

        if (!cel_is_error(v))
            fail_msg("%.*s is accepted", STR_ARG(cases[i]));
        assert_true(str_eq(cel_str(v), STR("the text is no JSON")));
    }
    assert_false(run.spent);
}

static void cel_from_json_nesting_at_limit(void **state)
{
    (void)state;
    assert_int_equal(cel_from_json(&run, nested(limits.value_depth)).kind, CEL_LIST);
    assert_true(cel_is_error(cel_from_json(&run, nested(limits.value_depth + 1))));
    assert_true(run.spent);
}

static void cel_from_json_values_cost_steps(void **state)
{
    (void)state;
    limits.steps = 5;
    assert_int_equal(cel_from_json(&run, STR("[1,\",,,,,\",{}]")).kind, CEL_LIST);
    run.steps = 0;
    assert_true(cel_is_error(cel_from_json(&run, STR("[1,\"\\\",\",{},1]"))));
    assert_true(run.spent);
}

static void cel_from_json_entries_at_limit(void **state)
{
    (void)state;
    limits.entries = 3;
    assert_int_equal(cel_from_json(&run, STR("[1,2,3]")).kind, CEL_LIST);
    assert_int_equal(cel_from_json(&run, STR("{\"a\":1,\"b\":2,\"c\":3}")).kind, CEL_MAP);
    assert_true(cel_is_error(cel_from_json(&run, STR("[1,2,3,4]"))));
    run.spent = false;
    run.steps = 0;
    assert_true(cel_is_error(cel_from_json(&run, STR("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"))));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(cel_to_json_of_each_type),
        CASE(cel_to_json_keys_are_sorted_when_asked),
        CASE(cel_to_json_error_inside_is_the_result),
        CASE(cel_to_json_size_at_limit),
        CASE(cel_to_json_nesting_at_limit),
        CASE(cel_from_json_reads_each_type),
        CASE(cel_from_json_bad_text_is_refused),
        CASE(cel_from_json_nesting_at_limit),
        CASE(cel_from_json_values_cost_steps),
        CASE(cel_from_json_entries_at_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
