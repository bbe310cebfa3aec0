/*
 * Unit tests of policy/cel/value, policy/cel/run and policy/cel/sort.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/run.h"
#include "policy/cel/sort.h"

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

static struct cel_value text(const char *s)
{
    return cel_string(str_from(s));
}

static struct cel_value list(size_t count, ...)
{
    struct cel_value items[8];
    va_list ap;

    va_start(ap, count);
    for (size_t i = 0; i < count; i++)
        items[i] = va_arg(ap, struct cel_value);
    va_end(ap);
    return cel_list_new(&run, items, count);
}

/* A map of one entry. */
static struct cel_value map(struct cel_value key, struct cel_value value)
{
    struct cel_map_builder *b = cel_map_new(&run, 1);

    assert_non_null(b);
    assert_true(cel_map_put(b, key, value));
    return cel_map_value(b);
}

static void cel_equal_works_across_types(void **state)
{
    const struct {
        struct cel_value a;
        struct cel_value b;
        bool same;
    } cases[] = {
        { cel_int(1), cel_int(1), true },
        { cel_int(1), cel_uint(1), true },
        { cel_int(1), cel_double(1), true },
        { cel_uint(1), cel_double(1.5), false },
        { cel_int(-1), cel_uint(UINT64_MAX), false },
        { cel_double(0.0), cel_double(-0.0), true },
        { cel_double(NAN), cel_double(NAN), false },
        { cel_int(1), cel_double(NAN), false },
        /* above 2^53 ints are compared as doubles: digits are lost on purpose */
        { cel_int(INT64_MAX), cel_double(9223372036854775808.0), true },
        { cel_int(INT64_MIN), cel_double(-9223372036854775808.0), true },
        { cel_int(INT64_MIN), cel_double(-9223372036854777856.0), false },
        { cel_uint(UINT64_MAX), cel_double(18446744073709551616.0), true },
        { cel_int(1), text("1"), false },
        { text("abc"), text("abc"), true },
        { text("abc"), text("abd"), false },
        { text("abc"), text("ab"), false },
        { text(""), text(""), true },
        { text("a"), cel_bytes(STR("a")), false },
        { cel_bool(true), cel_bool(true), true },
        { cel_bool(true), cel_int(1), false },
        { cel_null(), cel_null(), true },
        { cel_null(), cel_bool(false), false },
        { (struct cel_value){ .kind = CEL_NULL, .absent = true }, cel_null(), true },
        { cel_timestamp(5, 7), cel_timestamp(5, 7), true },
        { cel_timestamp(5, 7), cel_timestamp(5, 8), false },
        { cel_duration(5), cel_duration(5), true },
        { cel_duration(5), cel_int(5), false },
        { cel_type_value(STR("int")), cel_type_value(STR("int")), true },
        { cel_type_value(STR("int")), cel_type_value(STR("uint")), false },
        { cel_optional(NULL), cel_optional(NULL), true },
        { cel_optional(&(struct cel_value){ .kind = CEL_NULL }), cel_optional(NULL), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = cel_equal(&run, cases[i].a, cases[i].b);
        struct cel_value w = cel_equal(&run, cases[i].b, cases[i].a);

        if (v.kind != CEL_BOOL || v.as.b != cases[i].same || w.as.b != cases[i].same)
            fail_msg("case %zu", i);
    }
}

static void cel_equal_compares_what_is_inside(void **state)
{
    struct cel_value a = list(3, cel_double(1), cel_uint(2), text("x"));
    struct cel_value b = list(3, cel_int(1), cel_int(2), text("x"));
    struct cel_value c = list(3, cel_int(1), cel_int(2), text("y"));
    struct cel_value m = map(cel_int(1), a);
    struct cel_value n = map(cel_uint(1), b);

    (void)state;
    assert_true(cel_is_true(cel_equal(&run, a, b)));
    assert_false(cel_is_true(cel_equal(&run, a, c)));
    assert_false(cel_is_true(cel_equal(&run, a, list(2, cel_int(1), cel_int(2)))));
    assert_true(cel_is_true(cel_equal(&run, m, n)));
    assert_false(cel_is_true(cel_equal(&run, m, map(cel_int(2), a))));
    assert_false(cel_is_true(cel_equal(&run, m, map(cel_int(1), c))));
    assert_false(cel_is_true(cel_equal(&run, m, a)));
    assert_true(cel_is_true(cel_equal(&run, cel_optional(&a), cel_optional(&b))));
}

static void cel_equal_addresses_are_compared_without_ports(void **state)
{
    struct cel_cidr a = { .base = { .family = 4, .ip = { 10, 0, 0, 1 } }, .bits = 8 };
    struct cel_cidr b = a;
    struct cel_value v = { .kind = CEL_CIDR, .as.cidr = &a };
    struct cel_value w = { .kind = CEL_CIDR, .as.cidr = &b };

    (void)state;
    assert_true(cel_is_true(cel_equal(&run, v, w)));
    b.bits = 9;
    assert_false(cel_is_true(cel_equal(&run, v, w)));
    v = (struct cel_value){ .kind = CEL_IP, .as.ip = &a.base };
    w = (struct cel_value){ .kind = CEL_IP, .as.ip = &b.base };
    assert_true(cel_is_true(cel_equal(&run, v, w)));
    b.base.ip[3] = 2;
    assert_false(cel_is_true(cel_equal(&run, v, w)));
}

/* Lists in lists: value_depth levels are compared, one more ends the run. */
static void cel_equal_nesting_is_bounded(void **state)
{
    struct cel_value v = cel_int(1);

    (void)state;
    for (unsigned i = 0; i < limits.value_depth; i++)
        v = list(1, v);
    assert_true(cel_is_true(cel_equal(&run, v, v)));
    v = list(1, v);
    assert_true(cel_is_error(cel_equal(&run, v, v)));
    assert_true(run.spent);
}

static void cel_equal_long_values_cost_steps(void **state)
{
    static char bytes[64 * 100];
    struct cel_value v = cel_bytes(str_of(bytes, sizeof(bytes)));

    (void)state;
    limits.steps = 101;
    assert_true(cel_is_true(cel_equal(&run, v, v)));
    assert_int_equal(run.steps, 101);
    run.steps = 0;
    limits.steps = 100;
    assert_true(cel_is_error(cel_equal(&run, v, v)));
}

static void cel_compare_orders_values(void **state)
{
    const struct {
        struct cel_value a;
        struct cel_value b;
        enum cel_order order;
    } cases[] = {
        { cel_int(-1), cel_uint(0), CEL_LESS },
        { cel_uint(UINT64_MAX), cel_int(INT64_MAX), CEL_GREATER },
        { cel_int(INT64_MAX), cel_double(9223372036854775808.0), CEL_SAME },
        { cel_int(INT64_MAX), cel_double(9223372036854777856.0), CEL_LESS },
        { cel_int(INT64_MIN), cel_double(-9223372036854777856.0), CEL_GREATER },
        { cel_uint(0), cel_double(-0.5), CEL_GREATER },
        { cel_uint(UINT64_MAX), cel_double(18446744073709555712.0), CEL_LESS },
        { cel_double(NAN), cel_int(0), CEL_UNORDERED },
        { cel_uint(0), cel_double(NAN), CEL_UNORDERED },
        { cel_double(INFINITY), cel_int(INT64_MAX), CEL_GREATER },
        { cel_bool(false), cel_bool(true), CEL_LESS },
        { text("Abc"), text("aBC"), CEL_LESS },
        { text("ab"), text("abc"), CEL_LESS },
        { text(""), text(""), CEL_SAME },
        { text("\xc3\xa9"), text("z"), CEL_GREATER },
        { cel_bytes(STR("\xff")), cel_bytes(STR("\x01")), CEL_GREATER },
        { cel_timestamp(5, 1), cel_timestamp(5, 2), CEL_LESS },
        { cel_timestamp(-5, 1), cel_timestamp(5, 0), CEL_LESS },
        { cel_duration(1), cel_duration(-1), CEL_GREATER },
        { cel_null(), cel_null(), CEL_NO_ORDER },
        { cel_int(1), text("1"), CEL_NO_ORDER },
        { cel_bool(true), cel_int(1), CEL_NO_ORDER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum cel_order order = cel_compare(&run, cases[i].a, cases[i].b);

        if (order != cases[i].order)
            fail_msg("case %zu: %d", i, (int)order);
    }
}

static void cel_type_name_is_that_of_the_language(void **state)
{
    (void)state;
    assert_true(str_eq(cel_type_name(cel_null()), STR("null_type")));
    assert_true(str_eq(cel_type_name(cel_timestamp(0, 0)), STR("google.protobuf.Timestamp")));
    assert_true(str_eq(cel_type_name(cel_optional(NULL)), STR("optional_type")));
    assert_true(str_eq(cel_type_name(cel_type_value(STR("int"))), STR("type")));
}

/* ---- run ---- */

static void cel_alloc_at_limit(void **state)
{
    (void)state;
    limits.arena_bytes = 64;
    assert_non_null(cel_alloc(&run, 1)); /* counts 16 */
    assert_non_null(cel_alloc(&run, 48));
    assert_false(run.spent);
    assert_null(cel_alloc(&run, 1));
    assert_true(run.spent);
    assert_null(cel_alloc(&run, SIZE_MAX));
}

static void cel_charge_at_limit(void **state)
{
    (void)state;
    limits.steps = 10;
    assert_true(cel_charge(&run, 10));
    assert_true(cel_charge(&run, 0));
    assert_true(cel_charge_bytes(&run, 63));
    assert_false(run.spent);
    assert_false(cel_charge_bytes(&run, 64));
    assert_true(run.spent);
    assert_false(cel_charge(&run, SIZE_MAX));
}

static void cel_spent_leaves_no_step(void **state)
{
    (void)state;
    assert_true(cel_is_error(cel_spent(&run)));
    assert_false(cel_charge(&run, 1));
}

static void cel_text_alloc_at_limit(void **state)
{
    (void)state;
    limits.string_bytes = 100;
    assert_non_null(cel_text_alloc(&run, 100));
    assert_null(cel_text_alloc(&run, 101));
    assert_true(run.spent);
}

static void cel_error_text_is_formatted(void **state)
{
    struct cel_value v = cel_error(&run, "no such key '%.*s'", 3, "abcdef");

    (void)state;
    assert_true(cel_is_error(v));
    assert_true(str_eq(cel_str(v), STR("no such key 'abc'")));
    assert_true(str_eq(cel_str(cel_error(&run, "plain")), STR("plain")));
    limits.arena_bytes = 0;
    v = cel_error(&run, "%d", 1);
    assert_true(run.spent && cel_is_error(v));
}

static void cel_list_new_at_limit(void **state)
{
    struct cel_value items[3] = { cel_int(1), cel_int(2), cel_int(3) };
    struct cel_value v;

    (void)state;
    limits.entries = 2;
    v = cel_list_new(&run, items, 2);
    assert_int_equal(v.kind, CEL_LIST);
    assert_int_equal(v.as.list->items[1].as.i, 2);
    assert_true(cel_is_error(cel_list_new(&run, items, 3)));
}

/* ---- sort ---- */

static void cel_sort_is_stable(void **state)
{
    struct cel_value items[100];
    struct cel_value keys[100];
    struct cel_list from = { .items = items, .count = 100 };
    struct cel_value sorted;

    (void)state;
    for (int i = 0; i < 100; i++) {
        items[i] = cel_int(i);
        keys[i] = cel_int(i * 37 % 10);
    }
    sorted = cel_sort(&run, &from, keys);
    assert_int_equal(sorted.kind, CEL_LIST);
    for (size_t i = 1; i < 100; i++) {
        int64_t a = sorted.as.list->items[i - 1].as.i;
        int64_t b = sorted.as.list->items[i].as.i;

        assert_true(keys[a].as.i < keys[b].as.i || (keys[a].as.i == keys[b].as.i && a < b));
    }
}

static void cel_sort_nan_comes_first(void **state)
{
    struct cel_value items[] = { cel_double(2), cel_double(NAN), cel_double(-1), cel_double(NAN) };
    struct cel_list from = { .items = items, .count = 4 };
    struct cel_value sorted = cel_sort(&run, &from, items);

    (void)state;
    assert_true(isnan(sorted.as.list->items[0].as.d) && isnan(sorted.as.list->items[1].as.d));
    assert_true(sorted.as.list->items[2].as.d == -1 && sorted.as.list->items[3].as.d == 2);
}

static void cel_sort_mixed_types_are_refused(void **state)
{
    struct cel_value items[] = { cel_int(2), text("b") };
    struct cel_value nulls[] = { cel_null() };
    struct cel_list from = { .items = items, .count = 2 };
    struct cel_list of_null = { .items = nulls, .count = 1 };
    struct cel_list empty = { .count = 0 };

    (void)state;
    assert_true(cel_is_error(cel_sort(&run, &from, items)));
    assert_true(cel_is_error(cel_sort(&run, &of_null, nulls)));
    assert_false(run.spent);
    assert_int_equal(cel_sort(&run, &empty, NULL).kind, CEL_LIST);
}

static void cel_sort_costs_steps(void **state)
{
    struct cel_value items[64];
    struct cel_list from = { .items = items, .count = 64 };

    (void)state;
    for (int i = 0; i < 64; i++)
        items[i] = cel_int(-i);
    limits.steps = 64 * 6 + 64 / 4; /* passes, and the new list */
    assert_int_equal(cel_sort(&run, &from, items).kind, CEL_LIST);
    run.steps = 0;
    limits.steps--;
    assert_true(cel_is_error(cel_sort(&run, &from, items)));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(cel_equal_works_across_types),
        CASE(cel_equal_compares_what_is_inside),
        CASE(cel_equal_addresses_are_compared_without_ports),
        CASE(cel_equal_nesting_is_bounded),
        CASE(cel_equal_long_values_cost_steps),
        CASE(cel_compare_orders_values),
        CASE(cel_type_name_is_that_of_the_language),
        CASE(cel_alloc_at_limit),
        CASE(cel_charge_at_limit),
        CASE(cel_spent_leaves_no_step),
        CASE(cel_text_alloc_at_limit),
        CASE(cel_error_text_is_formatted),
        CASE(cel_list_new_at_limit),
        CASE(cel_sort_is_stable),
        CASE(cel_sort_nan_comes_first),
        CASE(cel_sort_mixed_types_are_refused),
        CASE(cel_sort_costs_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
