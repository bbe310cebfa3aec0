/*
 * Unit tests of gateway/idle.
 * Links: tests/unit/tunnel/fake_stream
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "gateway/idle.h"
#include "tests/unit/tunnel/fake_stream.h"

enum { STREAMS = 4, IDLE_MS = 60000 };

struct fixture {
    struct worker *worker;
    struct idle_pool *pool;
    struct endpoint *endpoint;
    struct fake_stream streams[STREAMS];
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){ .worker = worker_new("test", 0) };
    f.pool = idle_new(f.worker);
    f.endpoint = endpoint_new();
    for (size_t i = 0; i < STREAMS; i++)
        fake_stream_init(&f.streams[i], 1000);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    idle_free(f->pool);
    endpoint_unref(f->endpoint);
    worker_free(f->worker);
    for (size_t i = 0; i < STREAMS; i++)
        fake_stream_fini(&f->streams[i]);
    return 0;
}

static void put(struct fixture *f, size_t i, size_t max)
{
    idle_put(f->pool, f->endpoint, &f->streams[i].stream, max, IDLE_MS);
}

static void idle_take_gives_the_newest_first(void **state)
{
    struct fixture *f = *state;

    put(f, 0, 10);
    put(f, 1, 10);
    assert_ptr_equal(idle_take(f->pool, f->endpoint), &f->streams[1].stream);
    assert_ptr_equal(idle_take(f->pool, f->endpoint), &f->streams[0].stream);
    assert_null(idle_take(f->pool, f->endpoint));
}

static void idle_take_keeps_endpoints_apart(void **state)
{
    struct fixture *f = *state;
    struct endpoint *other = endpoint_new();

    put(f, 0, 10);
    assert_null(idle_take(f->pool, other));
    endpoint_unref(other);
}

static void idle_put_at_the_limit_closes_the_oldest(void **state)
{
    struct fixture *f = *state;

    put(f, 0, 2);
    put(f, 1, 2);
    assert_false(f->streams[0].closed);
    put(f, 2, 2);
    assert_true(f->streams[0].closed);
    assert_false(f->streams[1].closed);
    assert_false(f->streams[2].closed);
}

static void idle_put_with_limit_zero_keeps_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, 0, 0);
    assert_true(f->streams[0].closed);
    assert_null(idle_take(f->pool, f->endpoint));
}

static void idle_stream_that_speaks_or_ends_is_closed(void **state)
{
    struct fixture *f = *state;
    struct stream *s;

    put(f, 0, 10);
    put(f, 1, 10);
    put(f, 2, 10);
    s = &f->streams[0].stream;
    assert_int_equal(s->events->on_data(s->arg, STR("HTTP/1.1 200 OK")), 15);
    s = &f->streams[1].stream;
    s->events->on_eof(s->arg);
    s = &f->streams[2].stream;
    s->events->on_closed(s->arg, CLOSE_SESSION_LOST);
    for (size_t i = 0; i < 3; i++)
        assert_true(f->streams[i].closed);
    assert_null(idle_take(f->pool, f->endpoint));
}

static void idle_drop_closes_those_of_one_endpoint(void **state)
{
    struct fixture *f = *state;
    struct endpoint *other = endpoint_new();

    put(f, 0, 10);
    put(f, 1, 10);
    idle_put(f->pool, other, &f->streams[2].stream, 10, IDLE_MS);
    idle_drop(f->pool, f->endpoint);
    assert_true(f->streams[0].closed && f->streams[1].closed);
    assert_false(f->streams[2].closed);
    idle_drop(f->pool, f->endpoint); /* none left: nothing happens */
    endpoint_unref(other);
}

static void idle_clear_closes_all(void **state)
{
    struct fixture *f = *state;

    put(f, 0, 10);
    put(f, 1, 10);
    idle_clear(f->pool);
    assert_true(f->streams[0].closed && f->streams[1].closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_take_gives_the_newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_take_keeps_endpoints_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_put_at_the_limit_closes_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_put_with_limit_zero_keeps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_stream_that_speaks_or_ends_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_drop_closes_those_of_one_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_clear_closes_all, setup, teardown),
    };

    return cmocka_run_group_tests_name("gateway/idle", tests, NULL, NULL);
}
