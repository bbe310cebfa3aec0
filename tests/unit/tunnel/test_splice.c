/*
 * Unit tests of tunnel/splice.
 * Links: tests/unit/tunnel/fake_stream
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/worker.h"
#include "tests/unit/tunnel/fake_stream.h"
#include "tunnel/splice.h"

struct fixture {
    struct worker *worker;
    struct fake_stream a;
    struct fake_stream b;
    struct splice *splice;
    unsigned done;
    enum close_reason why;
};

static void on_done(void *arg, enum close_reason why)
{
    struct fixture *f = arg;

    f->done++;
    f->why = why;
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){ .worker = worker_new("test", 0) };
    fake_stream_init(&f.a, 1000);
    fake_stream_init(&f.b, 1000);
    f.splice = splice_new(f.worker, &f.a.stream, &f.b.stream, on_done, &f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->done == 0)
        splice_close(f->splice, CLOSE_DONE);
    worker_free(f->worker); /* runs what was deferred */
    fake_stream_fini(&f->a);
    fake_stream_fini(&f->b);
    return 0;
}

static size_t feed(struct fake_stream *from, struct str data)
{
    return from->stream.events->on_data(from->stream.arg, data);
}

static void splice_data_crosses_both_ways(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(feed(&f->a, STR("to b")), 4);
    assert_int_equal(feed(&f->b, STR("to a")), 4);
    assert_true(str_eq(buf_str(&f->b.written), STR("to b")));
    assert_true(str_eq(buf_str(&f->a.written), STR("to a")));
}

static void splice_stats_count_what_was_taken(void **state)
{
    struct fixture *f = *state;
    const struct splice_stats *stats = splice_stats(f->splice);

    f->b.room = 3;
    assert_int_equal(feed(&f->a, STR("12345")), 3);
    assert_int_equal(feed(&f->b, STR("1234567")), 7);
    assert_int_equal(stats->from_a, 3);
    assert_int_equal(stats->from_b, 7);
    assert_int_not_equal(stats->active_ms, 0);
}

static void splice_full_side_holds_the_other_back(void **state)
{
    struct fixture *f = *state;
    unsigned before = f->a.resumed;

    f->b.room = 3;
    assert_int_equal(feed(&f->a, STR("12345")), 3);
    assert_int_equal(f->a.resumed, before);
    f->b.stream.events->on_writable(f->b.stream.arg);
    assert_int_equal(f->a.resumed, before + 1);
}

static void splice_ends_behind_the_last_bytes_of_b(void **state)
{
    struct fixture *f = *state;

    splice_end_behind_b(f->splice);
    assert_int_equal(feed(&f->b, STR("last")), 4);
    assert_int_equal(f->done, 0);
    f->b.stream.events->on_eof(f->b.stream.arg);
    assert_true(str_eq(buf_str(&f->a.written), STR("last")));
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, CLOSE_DONE);
}

static void splice_ends_at_once_when_b_has_ended(void **state)
{
    struct fixture *f = *state;

    f->b.stream.events->on_eof(f->b.stream.arg);
    assert_int_equal(f->done, 0);
    splice_end_behind_b(f->splice);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, CLOSE_DONE);
}

static void splice_that_ends_behind_b_does_not_mind_its_reset(void **state)
{
    struct fixture *f = *state;

    splice_end_behind_b(f->splice);
    f->b.stream.events->on_closed(f->b.stream.arg, CLOSE_RESET);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, CLOSE_DONE);
}

static void splice_half_close_passes_and_second_end_finishes(void **state)
{
    struct fixture *f = *state;

    f->a.stream.events->on_eof(f->a.stream.arg);
    assert_true(f->b.ended);
    assert_false(f->a.ended);
    assert_int_equal(f->done, 0);
    assert_int_equal(feed(&f->b, STR("late")), 4);
    f->b.stream.events->on_eof(f->b.stream.arg);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, CLOSE_DONE);
    assert_true(f->a.closed && f->b.closed);
}

static void splice_closed_side_closes_the_other_with_its_reason(void **state)
{
    struct fixture *f = *state;

    f->b.stream.events->on_closed(f->b.stream.arg, CLOSE_SESSION_LOST);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, CLOSE_SESSION_LOST);
    assert_int_equal(f->a.why, CLOSE_SESSION_LOST);
}

static void splice_close_from_outside_tells_nobody(void **state)
{
    struct fixture *f = *state;

    splice_close(f->splice, CLOSE_CANCELLED);
    assert_true(f->a.closed && f->b.closed);
    assert_int_equal(f->done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(splice_data_crosses_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(splice_stats_count_what_was_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(splice_full_side_holds_the_other_back, setup, teardown),
        cmocka_unit_test_setup_teardown(splice_ends_behind_the_last_bytes_of_b, setup, teardown),
        cmocka_unit_test_setup_teardown(splice_ends_at_once_when_b_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(splice_that_ends_behind_b_does_not_mind_its_reset, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(splice_half_close_passes_and_second_end_finishes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(splice_closed_side_closes_the_other_with_its_reason, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(splice_close_from_outside_tells_nobody, setup, teardown),
    };

    return cmocka_run_group_tests_name("tunnel/splice", tests, NULL, NULL);
}
