/*
 * Unit tests of policy/cel/map: small maps, which are searched, and large ones, which are hashed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/cel/run.h"

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

static bool has(struct cel_value map, struct cel_value key)
{
    struct cel_value ignored;

    return cel_map_find(&run, map, key, &ignored);
}

static struct cel_value number_text(int i)
{
    return cel_string(arena_fmt(&arena, "key %d", i));
}

static void cel_map_put_any_size_is_found(void **state)
{
    static const int sizes[] = { 0, 1, 7, 8, 9, 15, 16, 17, 100, 1000 };

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t expected = 0; expected <= 20; expected += 10) {
            struct cel_map_builder *b = cel_map_new(&run, expected);
            struct cel_value map = cel_map_value(b);

            for (int i = 0; i < sizes[s]; i++) {
                assert_true(cel_map_put(b, number_text(i), cel_int(i)));
                assert_true(cel_map_put(b, cel_int(i), cel_int(-i)));
            }
            assert_int_equal(cel_map_size(map), 2 * sizes[s]);
            for (int i = 0; i < sizes[s]; i++) {
                struct cel_value v;
                struct cel_value key;

                assert_true(cel_map_find(&run, map, number_text(i), &v));
                assert_int_equal(v.as.i, i);
                assert_true(cel_map_find(&run, map, cel_int(i), &v));
                assert_int_equal(v.as.i, -i);
                assert_false(cel_map_put(b, number_text(i), cel_null()));
                cel_map_entry(&run, map, 2 * (size_t)i, &key, &v);
                assert_true(str_eq(cel_str(key), cel_str(number_text(i))));
            }
            assert_false(has(map, number_text(sizes[s])));
            assert_false(has(map, cel_int(sizes[s])));
            run.bytes = run.steps = 0;
        }
    }
    assert_false(run.spent);
}

/* The same for a map that is searched and one that is hashed. */
static void check_keys(size_t others)
{
    struct cel_map_builder *b = cel_map_new(&run, 0);
    struct cel_value map = cel_map_value(b);

    for (size_t i = 0; i < others; i++)
        assert_true(cel_map_put(b, number_text((int)i), cel_null()));
    assert_true(cel_map_put(b, cel_int(1), cel_null()));
    assert_true(cel_map_put(b, cel_uint(2), cel_null()));
    assert_true(cel_map_put(b, cel_uint(UINT64_MAX), cel_null()));
    assert_true(cel_map_put(b, cel_int(INT64_MIN), cel_null()));
    assert_true(cel_map_put(b, cel_bool(true), cel_null()));
    assert_true(cel_map_put(b, text(""), cel_null()));

    assert_true(has(map, cel_int(1)) && has(map, cel_uint(1)) && has(map, cel_double(1)));
    assert_true(has(map, cel_int(2)) && has(map, cel_uint(2)) && has(map, cel_double(2)));
    assert_true(has(map, cel_uint(UINT64_MAX)) && has(map, cel_int(INT64_MIN)));
    assert_true(has(map, cel_double(-9223372036854775808.0)));
    assert_true(has(map, cel_bool(true)) && has(map, text("")));

    assert_false(has(map, cel_double(1.5)) || has(map, cel_double(NAN)));
    assert_false(has(map, cel_double(INFINITY)) || has(map, cel_double(-1e300)));
    assert_false(has(map, cel_double(18446744073709551616.0)) || has(map, cel_int(-1)));
    assert_false(has(map, cel_bool(false)) || has(map, text("1")) || has(map, cel_null()));
    assert_false(has(map, cel_bytes(STR(""))) || has(map, cel_duration(1)));

    assert_false(cel_map_put(b, cel_uint(1), cel_null()) || cel_map_put(b, cel_int(2), cel_null()));
    assert_false(cel_map_put(b, cel_double(5), cel_null()));
    assert_false(cel_map_put(b, cel_null(), cel_null()));
    assert_false(cel_map_put(b, cel_bytes(STR("x")), cel_null()));
    assert_int_equal(cel_map_size(map), others + 6);
    assert_false(run.spent);
}

static void cel_map_find_equal_keys_are_the_same(void **state)
{
    (void)state;
    check_keys(0);
    check_keys(50);
}

static void cel_map_set_replaces(void **state)
{
    struct cel_map_builder *b = cel_map_new(&run, 0);
    struct cel_value v;

    (void)state;
    assert_true(cel_map_set(b, cel_int(1), text("a")));
    assert_true(cel_map_set(b, cel_uint(1), text("b")));
    assert_int_equal(cel_map_size(cel_map_value(b)), 1);
    assert_true(cel_map_find(&run, cel_map_value(b), cel_int(1), &v));
    assert_true(str_eq(cel_str(v), STR("b")));
    assert_false(cel_map_set(b, cel_null(), text("c")));
}

static void cel_map_put_at_limit(void **state)
{
    struct cel_map_builder *b = cel_map_new(&run, 0);

    (void)state;
    limits.entries = 20;
    for (int i = 0; i < 20; i++)
        assert_true(cel_map_put(b, cel_int(i), cel_null()));
    assert_false(run.spent);
    assert_false(cel_map_put(b, cel_int(20), cel_null()));
    assert_true(run.spent);
    assert_int_equal(cel_map_size(cel_map_value(b)), 20);
    assert_false(has(cel_map_value(b), cel_int(20)));
    assert_null(cel_map_new(&run, 21));
}

/* Wherever memory ends, what was accepted is found and nothing else is. */
static void cel_map_put_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 4096; bytes += 64) {
        struct cel_map_builder *b;
        int i = 0;

        limits.arena_bytes = bytes;
        run.bytes = run.steps = 0;
        run.spent = false;
        b = cel_map_new(&run, 0);
        if (b == NULL)
            continue;
        while (cel_map_put(b, cel_int(i), cel_null()))
            i++;
        assert_true(run.spent);
        assert_int_equal(cel_map_size(cel_map_value(b)), i);
        assert_false(has(cel_map_value(b), cel_int(i)));
        assert_true(i == 0 || has(cel_map_value(b), cel_int(i - 1)));
    }
}

static void cel_map_find_long_key_costs_steps(void **state)
{
    static char bytes[6400];
    struct cel_map_builder *b = cel_map_new(&run, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = 'x';
    limits.steps = 100;
    assert_false(has(cel_map_value(b), cel_string(str_of(bytes, sizeof(bytes)))));
    assert_false(run.spent);
    assert_false(has(cel_map_value(b), cel_string(str_of(bytes, 64))));
    assert_true(run.spent);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(cel_map_put_any_size_is_found),
        CASE(cel_map_find_equal_keys_are_the_same),
        CASE(cel_map_set_replaces),
        CASE(cel_map_put_at_limit),
        CASE(cel_map_put_without_memory_changes_nothing),
        CASE(cel_map_find_long_key_costs_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
