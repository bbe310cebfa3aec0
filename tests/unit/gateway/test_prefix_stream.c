/*
 * Unit tests of gateway/prefix_stream.
 * Links: tests/unit/tunnel/fake_stream
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/prefix_stream.h"
#include "tests/unit/tunnel/fake_stream.h"

struct fixture {
    struct worker *worker;
    struct fake_stream inner;
    struct stream *stream;
    unsigned opened;
    unsigned writable;
    size_t received;
    bool eof;
    bool closed;
    enum close_reason why;
};

static void on_open(void *arg)
{
    ((struct fixture *)arg)->opened++;
}

static size_t on_data(void *arg, struct str data)
{
    ((struct fixture *)arg)->received += data.n;
    return data.n;
}

static void on_writable(void *arg)
{
    ((struct fixture *)arg)->writable++;
}

static void on_eof(void *arg)
{
    ((struct fixture *)arg)->eof = true;
}

static void on_closed(void *arg, enum close_reason why)
{
    struct fixture *f = arg;

    assert_false(f->closed);
    f->closed = true;
    f->why = why;
}

static const struct stream_events events = { on_open, on_data, on_writable, on_eof, on_closed };

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    f->worker = worker_new("test", 0);
    fake_stream_init(&f->inner, 1000);
    f->stream = prefix_stream_new(f->worker, &f->inner.stream, STR("prefix "), &events, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    stream_close(f->stream, CLOSE_DONE);
    assert_true(f->inner.closed && f->inner.why == CLOSE_DONE);
    worker_free(f->worker);
    fake_stream_fini(&f->inner);
    mem_free(f);
    return 0;
}

static const struct stream_events *inner_events(const struct fixture *f)
{
    return f->inner.stream.events;
}

static void prefix_stream_speaks_first(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(stream_write(f->stream, "early", 5), 0);
    inner_events(f)->on_open(f->inner.stream.arg);
    assert_int_equal(f->opened, 1);
    assert_int_equal(stream_write(f->stream, "then", 4), 4);
    assert_true(str_eq(buf_str(&f->inner.written), STR("prefix then")));
    assert_int_equal(inner_events(f)->on_data(f->inner.stream.arg, STR("answer")), 6);
    assert_int_equal(f->received, 6);
    inner_events(f)->on_writable(f->inner.stream.arg);
    assert_int_equal(f->writable, 1);
    stream_end(f->stream);
    assert_true(f->inner.ended);
    inner_events(f)->on_eof(f->inner.stream.arg);
    assert_true(f->eof);
    stream_resume(f->stream);
    assert_int_equal(f->inner.resumed, 1);
}

static void prefix_stream_opens_when_all_of_it_was_taken(void **state)
{
    struct fixture *f = *state;

    f->inner.room = 3;
    inner_events(f)->on_open(f->inner.stream.arg);
    assert_int_equal(f->opened, 0);
    assert_int_equal(inner_events(f)->on_data(f->inner.stream.arg, STR("hasty")), 0);
    f->inner.room = 1000;
    inner_events(f)->on_writable(f->inner.stream.arg);
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->inner.resumed, 1); /* what came too early may come now */
    assert_true(str_eq(buf_str(&f->inner.written), STR("prefix ")));
}

static void prefix_stream_that_ends_too_early_is_reset(void **state)
{
    struct fixture *f = *state;

    f->inner.room = 3;
    inner_events(f)->on_open(f->inner.stream.arg);
    inner_events(f)->on_eof(f->inner.stream.arg);
    assert_true(f->closed && f->why == CLOSE_RESET);
    inner_events(f)->on_closed(f->inner.stream.arg, CLOSE_DONE); /* said once */
    assert_int_equal(stream_write(f->stream, "x", 1), 1);
}

static void prefix_stream_refusals_are_passed_on(void **state)
{
    struct fixture *f = *state;

    inner_events(f)->on_closed(f->inner.stream.arg, CLOSE_REFUSED);
    assert_true(f->closed && f->why == CLOSE_REFUSED);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(prefix_stream_speaks_first),
        WITH_FIXTURE(prefix_stream_opens_when_all_of_it_was_taken),
        WITH_FIXTURE(prefix_stream_that_ends_too_early_is_reset),
        WITH_FIXTURE(prefix_stream_refusals_are_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
