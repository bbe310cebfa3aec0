/*
 * Unit tests of gateway/http2_budget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/http2_budget.h"

static unsigned take_all(struct http2_budget *b, uint64_t now_ms)
{
    unsigned n = 0;

    while (http2_budget_take(b, now_ms))
        n++;
    return n;
}

static void take_allows_a_burst_and_then_the_rate(void **state)
{
    struct http2_budget b;

    (void)state;
    http2_budget_init(&b, 100, 10, 5000);
    assert_int_equal(take_all(&b, 5000), 100);
    assert_int_equal(take_all(&b, 5099), 0);
    assert_int_equal(take_all(&b, 5100), 1);
    assert_int_equal(take_all(&b, 6100), 10);
}

static void time_that_makes_no_token_is_kept(void **state)
{
    struct http2_budget b;
    unsigned taken = 0;

    (void)state;
    http2_budget_init(&b, 1, 3, 0);
    for (uint64_t ms = 0; ms < 10000; ms += 7)
        taken += take_all(&b, ms);
    assert_in_range(taken, 30, 31); /* the burst, and 3 a second for 10 seconds */
}

static void a_long_silence_is_worth_one_burst(void **state)
{
    struct http2_budget b;

    (void)state;
    http2_budget_init(&b, 100, 10, 0);
    assert_int_equal(take_all(&b, UINT64_MAX / 2), 100);
    assert_int_equal(take_all(&b, UINT64_MAX / 2), 0);
}

static void earn_fills_up_to_the_burst(void **state)
{
    struct http2_budget b;

    (void)state;
    http2_budget_init(&b, 10, 1, 0);
    assert_int_equal(take_all(&b, 0), 10);
    http2_budget_earn(&b, 3);
    assert_int_equal(take_all(&b, 0), 3);
    http2_budget_earn(&b, UINT64_MAX);
    assert_int_equal(take_all(&b, 0), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_allows_a_burst_and_then_the_rate),
        cmocka_unit_test(time_that_makes_no_token_is_kept),
        cmocka_unit_test(a_long_silence_is_worth_one_burst),
        cmocka_unit_test(earn_fills_up_to_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
