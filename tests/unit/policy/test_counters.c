/*
 * Unit tests of policy/counters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "policy/counters_int.h"

static struct counters_registry *registry;

static int set_up(void **state)
{
    (void)state;
    registry = counters_registry_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    counters_registry_free(registry);
    return 0;
}

static struct counters *counters(size_t buckets)
{
    return counters_of(registry, STR("team"), buckets);
}

static struct counter_key key_of(struct counters *c, const char *text)
{
    const struct str part = str_from(text);

    return counters_key(c, &part, 1);
}

static const struct rate_limit_rule three_a_minute = { .capacity = 3, .rate_ms = 60000 };

enum { MINUTE = 60000 };

static void counters_of_an_account_are_the_same_each_time(void **state)
{
    (void)state;
    assert_ptr_equal(counters(1024), counters(1024));
    assert_ptr_not_equal(counters(1024), counters_of(registry, STR("other"), 1024));
}

static void key_of_parts_separates_them(void **state)
{
    const struct str one[] = { STR("ab"), STR("c") };
    const struct str two[] = { STR("a"), STR("bc") };
    struct counters *c = counters(1024);
    struct counter_key a = counters_key(c, one, 2);
    struct counter_key b = counters_key(c, two, 2);

    (void)state;
    assert_false(a.hi == b.hi && a.lo == b.lo);
}

static void rate_limit_at_capacity_refuses_and_says_how_long(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "k");
    uint64_t wait;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE + 1000), 0);
    wait = counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE + 1000);
    assert_in_range(wait, 59000, 59002);
    /* Refused ones are not counted: the wait does not grow. */
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE + 1000), wait);
    assert_int_not_equal(counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE + 1000 + wait - 2),
                         0);
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE + 1000 + wait), 0);
    assert_int_equal(counters_rate_limit(c, key_of(c, "other"), &three_a_minute, 10 * MINUTE), 0);
}

static void rate_limit_weighs_the_window_before(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "k");
    uint64_t wait;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 10 * MINUTE), 0);
    /* A third into the next minute two of the three still count: one more may come. */
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 20000), 0);
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 20000), 1);
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 20001), 0);
    wait = counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 20001);
    assert_int_equal(wait, 20000);
    assert_int_not_equal(counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 40000), 0);
    assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 11 * MINUTE + 20001 + wait), 0);
    /* After two quiet minutes nothing counts. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(counters_rate_limit(c, k, &three_a_minute, 14 * MINUTE), 0);
    assert_int_not_equal(counters_rate_limit(c, k, &three_a_minute, 14 * MINUTE), 0);
}

static void rate_limit_with_the_largest_numbers_does_not_overflow(void **state)
{
    const struct rate_limit_rule rule = { .capacity = 2000000000, .rate_ms = 86400000 };
    struct counters *c = counters(1024);

    (void)state;
    assert_int_equal(counters_rate_limit(c, key_of(c, "k"), &rule, UINT64_C(1) << 41), 0);
}

static void rate_limit_past_its_buckets_forgets_the_oldest(void **state)
{
    struct counters *c = counters(1024);
    char name[32];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counters_rate_limit(c, key_of(c, "first"), &three_a_minute, 0), 0);
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(
            counters_rate_limit(c, key_of(c, name), &three_a_minute, (1 + i / 200) * MINUTE), 0);
    }
    assert_int_equal(counters_rate_limit(c, key_of(c, "first"), &three_a_minute, 0), 0);
}

/* ---- many threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, TRIES = 20000, CAPACITY = 30000 };

struct crowd {
    struct counters *counters;
    atomic_uint allowed;
};

static void *hit(void *arg)
{
    const struct rate_limit_rule rule = { .capacity = CAPACITY, .rate_ms = MINUTE };
    struct crowd *crowd = arg;
    struct counter_key k = key_of(crowd->counters, "shared");

    for (int i = 0; i < TRIES; i++) {
        if (counters_rate_limit(crowd->counters, k, &rule, 5 * MINUTE) == 0)
            atomic_fetch_add(&crowd->allowed, 1);
    }
    return NULL;
}

static void rate_limit_of_four_threads_is_exact(void **state)
{
    struct crowd crowd = { .counters = counters(1024) };
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hit, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.allowed), CAPACITY);
}

/* ---- breakers ------------------------------------------------------------------------------------ */

static const struct breaker_rule half_of_four = {
    .error_threshold = 0.5, .volume_threshold = 4, .window_ms = 10000, .tripped_ms = 5000
};

static void tell(struct counters *c, struct counter_key k, const char *results, uint64_t now_ms)
{
    for (const char *p = results; *p != '\0'; p++)
        counters_breaker_tell(c, k, &half_of_four, *p == 'x', false, now_ms);
}

static void breaker_below_its_volume_stays_closed(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    tell(c, k, "xxx", 20000);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 20001), BREAKER_ALLOW);
    tell(c, k, ".", 20002);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 20003), BREAKER_BLOCK);
}

static void breaker_forgets_what_is_older_than_its_window(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    tell(c, k, "xxx", 20000);
    tell(c, k, "...x", 31000);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 31001), BREAKER_ALLOW);
}

static void breaker_that_opened_tries_one_request_after_a_while(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    tell(c, k, "xx..", 20000);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 24999), BREAKER_BLOCK);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 25000), BREAKER_TRY);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 25001), BREAKER_BLOCK);
    /* It fails: open for as long again. */
    counters_breaker_tell(c, k, &half_of_four, true, true, 25500);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 30499), BREAKER_BLOCK);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 30500), BREAKER_TRY);
    /* It works: closed, and the window is empty. */
    counters_breaker_tell(c, k, &half_of_four, false, true, 30501);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 30502), BREAKER_ALLOW);
    tell(c, k, "xxx", 30503);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 30504), BREAKER_ALLOW);
}

static void breaker_whose_trial_is_never_reported_tries_again(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    tell(c, k, "xxxx", 20000);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 25000), BREAKER_TRY);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 29999), BREAKER_BLOCK);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 30000), BREAKER_TRY);
}

static void breaker_with_zero_thresholds_opens_after_one_success(void **state)
{
    const struct breaker_rule rule = {
        .error_threshold = 0.0, .volume_threshold = 1, .window_ms = 10000, .tripped_ms = 10000
    };
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    counters_breaker_tell(c, k, &rule, false, false, 0);
    assert_int_equal(counters_breaker_ask(c, k, &rule, 1), BREAKER_BLOCK);
}

static void breaker_results_that_come_late_change_nothing(void **state)
{
    struct counters *c = counters(1024);
    struct counter_key k = key_of(c, "b");

    (void)state;
    tell(c, k, "xxxx", 20000);
    tell(c, k, "....", 20001);
    assert_int_equal(counters_breaker_ask(c, k, &half_of_four, 20002), BREAKER_BLOCK);
    assert_int_equal(counters_breaker_ask(c, key_of(c, "b2"), &half_of_four, 20002), BREAKER_ALLOW);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(counters_of_an_account_are_the_same_each_time),
        CASE(key_of_parts_separates_them),
        CASE(rate_limit_at_capacity_refuses_and_says_how_long),
        CASE(rate_limit_weighs_the_window_before),
        CASE(rate_limit_with_the_largest_numbers_does_not_overflow),
        CASE(rate_limit_past_its_buckets_forgets_the_oldest),
        CASE(rate_limit_of_four_threads_is_exact),
        CASE(breaker_below_its_volume_stays_closed),
        CASE(breaker_forgets_what_is_older_than_its_window),
        CASE(breaker_that_opened_tries_one_request_after_a_while),
        CASE(breaker_whose_trial_is_never_reported_tries_again),
        CASE(breaker_with_zero_thresholds_opens_after_one_success),
        CASE(breaker_results_that_come_late_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
