/*
 * Unit tests of base/str.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static void str_to_u64_at_limits(void **state)
{
    uint64_t n = 7;

    (void)state;
    assert_int_equal(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &n), 0);
    assert_int_equal(n, UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &n), -1);
    assert_int_equal(str_to_u64(STR("65535"), 65535, &n), 0);
    assert_int_equal(n, 65535);
    assert_int_equal(str_to_u64(STR("65536"), 65535, &n), -1);
    assert_int_equal(str_to_u64(STR("5"), 3, &n), -1);
    assert_int_equal(n, 65535);
}

static void str_to_u64_refuses_what_is_no_number(void **state)
{
    static const struct str cases[] = { STR_INIT(""),   STR_INIT(" 1"), STR_INIT("1 "),
                                        STR_INIT("+1"), STR_INIT("-1"), STR_INIT("0x1"),
                                        STR_INIT("1a") };
    uint64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(str_to_u64(cases[i], UINT64_MAX, &n), -1);
}

static void str_next_yields_every_piece(void **state)
{
    struct str rest = STR("a,,");
    struct str piece;

    (void)state;
    assert_true(str_next(&rest, ',', &piece));
    assert_true(str_eq(piece, STR("a")));
    assert_true(str_next(&rest, ',', &piece));
    assert_int_equal(piece.n, 0);
    assert_true(str_next(&rest, ',', &piece));
    assert_int_equal(piece.n, 0);
    assert_false(str_next(&rest, ',', &piece));
}

static void str_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("http"), STR("http")), 0);
    assert_int_equal(str_distance(STR("htp"), STR("http")), 1);
    assert_int_equal(str_distance(STR(""), STR("tcp")), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
}

static void str_compare_orders_by_bytes(void **state)
{
    (void)state;
    assert_int_equal(str_compare(STR(""), STR_NONE), 0);
    assert_int_equal(str_compare(STR("ab"), STR("ab")), 0);
    assert_true(str_compare(STR(""), STR("a")) < 0);
    assert_true(str_compare(STR("ab"), STR("a")) > 0);
    assert_true(str_compare(STR("a\x80"), STR("az")) > 0);
}

static void str_trim_leaves_inner_space(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    assert_true(str_eq(str_trim(STR(" ")), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_to_u64_at_limits),
        cmocka_unit_test(str_to_u64_refuses_what_is_no_number),
        cmocka_unit_test(str_next_yields_every_piece),
        cmocka_unit_test(str_distance_counts_edits),
        cmocka_unit_test(str_compare_orders_by_bytes),
        cmocka_unit_test(str_trim_leaves_inner_space),
    };

    return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
