/*
 * Unit tests of gateway/event_queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/event_queue.h"

enum { NO_LIMIT = 1 << 20, NAME_BYTES = 16, LIST_BYTES = 256 };

/* Adds events "first", "first + 1" and so on; returns how many were dropped. */
static size_t add(struct event_queue *q, unsigned first, unsigned count)
{
    size_t dropped = 0;
    char name[NAME_BYTES];

    for (unsigned i = first; i < first + count; i++) {
        int n = snprintf(name, sizeof(name), "%u", i);

        dropped += event_queue_add(q, str_of(name, (size_t)n));
    }
    return dropped;
}

static void expect(const struct event_queue *q, const char *want)
{
    char list[LIST_BYTES] = "";
    size_t at = 0;
    size_t bytes = 0;

    for (const struct event_text *t = q->first; t != NULL; t = t->next) {
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%.*s ", (int)t->n, t->p);
        bytes += t->n;
    }
    assert_string_equal(list, want);
    assert_int_equal(q->bytes, bytes);
}

static void event_queue_add_up_to_the_limit_drops_nothing(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 3);
    assert_int_equal(add(&q, 1, 3), 0);
    expect(&q, "1 2 3 ");
    event_queue_fini(&q);
    assert_int_equal(q.count, 0);
}

static void event_queue_add_above_the_limit_drops_the_oldest(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 3);
    assert_int_equal(add(&q, 1, 4), 1);
    expect(&q, "2 3 4 ");
    assert_int_equal(add(&q, 5, 2), 2);
    expect(&q, "4 5 6 ");
    event_queue_fini(&q);
}

static void event_queue_add_spares_what_is_in_flight(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 3);
    (void)add(&q, 1, 3);
    assert_int_equal(event_queue_send(&q, 2, NO_LIMIT), 2);
    assert_int_equal(add(&q, 4, 1), 1);
    expect(&q, "1 2 4 ");
    event_queue_settle(&q, 2);
    expect(&q, "4 ");
    assert_int_equal(add(&q, 5, 2), 0);
    expect(&q, "4 5 6 ");
    event_queue_fini(&q);
}

static void event_queue_add_all_in_flight_drops_the_new_one(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 2);
    (void)add(&q, 1, 2);
    assert_int_equal(event_queue_send(&q, 10, NO_LIMIT), 2);
    assert_int_equal(add(&q, 3, 1), 1);
    expect(&q, "1 2 ");
    event_queue_settle(&q, 0);
    assert_int_equal(add(&q, 4, 1), 1);
    expect(&q, "2 4 ");
    event_queue_fini(&q);
}

static void event_queue_send_keeps_to_both_limits(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 100);
    assert_int_equal(event_queue_send(&q, 5, NO_LIMIT), 0);
    (void)add(&q, 10, 20);
    assert_int_equal(event_queue_send(&q, 5, NO_LIMIT), 5);
    event_queue_settle(&q, 5);
    assert_int_equal(event_queue_send(&q, 5, 7), 3); /* two bytes each */
    event_queue_settle(&q, 3);
    assert_int_equal(event_queue_send(&q, 5, 1), 1); /* one always goes */
    event_queue_settle(&q, 0);
    assert_int_equal(q.count, 12);
    event_queue_fini(&q);
}

static void event_queue_settle_a_part_keeps_the_rest_in_order(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 100);
    (void)add(&q, 1, 4);
    (void)event_queue_send(&q, 3, NO_LIMIT);
    event_queue_settle(&q, 1);
    expect(&q, "2 3 4 ");
    assert_int_equal(event_queue_send(&q, 10, NO_LIMIT), 3);
    event_queue_settle(&q, 3);
    expect(&q, "");
    (void)add(&q, 5, 1);
    expect(&q, "5 ");
    event_queue_fini(&q);
}

static void event_queue_resize_drops_what_no_longer_fits(void **state)
{
    struct event_queue q;

    (void)state;
    event_queue_init(&q, 5);
    (void)add(&q, 1, 5);
    assert_int_equal(event_queue_resize(&q, 2), 3);
    expect(&q, "4 5 ");
    assert_int_equal(event_queue_resize(&q, 9), 0);
    event_queue_fini(&q);
}

static void event_queue_add_bytes_have_a_limit_too(void **state)
{
    enum { HALF = EVENT_QUEUE_MAX_BYTES / 2 };
    struct event_queue q;
    char *half = mem_zalloc(HALF);

    (void)state;
    event_queue_init(&q, 100);
    assert_int_equal(event_queue_add(&q, str_of(half, HALF)), 0);
    assert_int_equal(event_queue_add(&q, str_of(half, HALF)), 0);
    assert_int_equal(event_queue_add(&q, STR("x")), 1);
    assert_int_equal(q.count, 2);
    event_queue_fini(&q);
    mem_free(half);
}

static void event_backoff_next_doubles_up_to_the_limit(void **state)
{
    struct event_backoff b = { .min_ms = 100, .max_ms = 1000 };
    static const uint64_t want[] = { 100, 200, 400, 800, 1000, 1000 };

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_int_equal(event_backoff_next(&b, 0), want[i]);
    b.failures = 1000;
    assert_int_equal(event_backoff_next(&b, 0), 1000);
}

static void event_backoff_next_jitter_takes_up_to_a_half(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 1000; random++) {
        struct event_backoff b = { .min_ms = 100, .max_ms = 1000 };

        assert_in_range(event_backoff_next(&b, random), 50, 100);
        assert_in_range(event_backoff_next(&b, random * 7919), 100, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_queue_add_up_to_the_limit_drops_nothing),
        cmocka_unit_test(event_queue_add_above_the_limit_drops_the_oldest),
        cmocka_unit_test(event_queue_add_spares_what_is_in_flight),
        cmocka_unit_test(event_queue_add_all_in_flight_drops_the_new_one),
        cmocka_unit_test(event_queue_send_keeps_to_both_limits),
        cmocka_unit_test(event_queue_settle_a_part_keeps_the_rest_in_order),
        cmocka_unit_test(event_queue_resize_drops_what_no_longer_fits),
        cmocka_unit_test(event_queue_add_bytes_have_a_limit_too),
        cmocka_unit_test(event_backoff_next_doubles_up_to_the_limit),
        cmocka_unit_test(event_backoff_next_jitter_takes_up_to_a_half),
    };

    return cmocka_run_group_tests_name("gateway/event_queue", tests, NULL, NULL);
}
