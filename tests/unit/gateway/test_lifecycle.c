/*
 * Unit tests of gateway/lifecycle, with real workers and real signals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <signal.h>

#include <cmocka.h>
#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/lifecycle.h"

/* Lifecycles that end sooner than LONG_MS did not wait for the drain limit. */
enum { WORKERS = 2, SHORT_MS = 100, LONG_MS = 60000 };

/* Two workers that do as told; signals are sent at the start, and from drain_here(). */
struct scene {
    struct ev_loop *loop;
    struct worker *workers[WORKERS];
    struct lifecycle *lifecycle;
    bool never_drains;
    uint64_t drain_max_ms;
    atomic_uint drained;
    atomic_uint closed;
    unsigned reloaded;
    unsigned reopened;
    int signals[4]; /* sent one after the other, 50 ms apart; ends with 0 */
    size_t sent;
    ev_timer sender;
};

static void drain_here(struct worker *w, void *arg)
{
    struct scene *s = arg;

    (void)atomic_fetch_add(&s->drained, 1);
    if (!s->never_drains)
        lifecycle_on_drained(w, s->lifecycle);
}

static void close_here(struct worker *w, void *arg)
{
    struct scene *s = arg;

    (void)atomic_fetch_add(&s->closed, 1);
    lifecycle_on_closed(w, s->lifecycle);
}

static void reload(void *arg)
{
    struct scene *s = arg;

    s->reloaded++;
}

static void reopen(void *arg)
{
    struct scene *s = arg;

    s->reopened++;
}

static uint64_t drain_max_ms(void *arg)
{
    const struct scene *s = arg;

    return s->drain_max_ms;
}

static void on_send(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct scene *s = w->data;

    (void)revents;
    (void)kill(getpid(), s->signals[s->sent++]);
    if (s->signals[s->sent] == 0)
        ev_timer_stop(loop, w);
}

/* Runs a lifecycle to its end; returns how many milliseconds that took. */
static uint64_t scene_run(struct scene *s)
{
    struct lifecycle_params params = {
        .workers = s->workers,
        .worker_count = WORKERS,
        .drain = drain_here,
        .close = close_here,
        .reload = reload,
        .reopen = reopen,
        .drain_max_ms = drain_max_ms,
        .arg = s,
    };
    uint64_t start = clock_mono_ms();
    uint64_t took;

    s->loop = params.loop = ev_default_loop(EVFLAG_AUTO);
    for (unsigned i = 0; i < WORKERS; i++) {
        s->workers[i] = worker_new("worker", i);
        worker_start(s->workers[i]);
    }
    s->lifecycle = lifecycle_new(&params);
    ev_timer_init(&s->sender, on_send, 0.05, 0.05);
    s->sender.data = s;
    ev_timer_start(s->loop, &s->sender);
    lifecycle_run(s->lifecycle);
    took = clock_mono_ms() - start;
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_stop(s->workers[i]);
        worker_join(s->workers[i]);
        worker_free(s->workers[i]);
    }
    lifecycle_free(s->lifecycle);
    return took;
}

static void lifecycle_run_terminated_drains_then_closes_every_worker(void **state)
{
    struct scene s = { .signals = { SIGTERM }, .drain_max_ms = LONG_MS };

    (void)state;
    assert_in_range(scene_run(&s), 0, LONG_MS - 1);
    assert_int_equal(atomic_load(&s.drained), WORKERS);
    assert_int_equal(atomic_load(&s.closed), WORKERS);
    assert_int_equal(s.reloaded, 0);
}

static void lifecycle_run_hung_up_reloads_and_goes_on(void **state)
{
    struct scene s = { .signals = { SIGHUP, SIGHUP, SIGINT }, .drain_max_ms = LONG_MS };

    (void)state;
    (void)scene_run(&s);
    assert_int_equal(s.reloaded, 2);
    assert_int_equal(s.reopened, 2);
    assert_int_equal(atomic_load(&s.closed), WORKERS);
}

static void lifecycle_run_user_signal_reopens_files_only(void **state)
{
    struct scene s = { .signals = { SIGUSR1, SIGINT }, .drain_max_ms = LONG_MS };

    (void)state;
    (void)scene_run(&s);
    assert_int_equal(s.reloaded, 0);
    assert_int_equal(s.reopened, 1);
}

static void lifecycle_run_worker_that_never_drains_is_not_waited_for(void **state)
{
    struct scene s = { .signals = { SIGTERM }, .never_drains = true, .drain_max_ms = SHORT_MS };

    (void)state;
    assert_in_range(scene_run(&s), 2000, LONG_MS); /* the limit, and 2 s, but for rounding */
    assert_int_equal(atomic_load(&s.closed), WORKERS);
}

static void lifecycle_run_second_signal_ends_the_wait(void **state)
{
    struct scene s = { .signals = { SIGTERM, SIGTERM },
                       .never_drains = true,
                       .drain_max_ms = LONG_MS };

    (void)state;
    assert_in_range(scene_run(&s), 0, LONG_MS - 1);
    assert_int_equal(atomic_load(&s.closed), WORKERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lifecycle_run_terminated_drains_then_closes_every_worker),
        cmocka_unit_test(lifecycle_run_hung_up_reloads_and_goes_on),
        cmocka_unit_test(lifecycle_run_user_signal_reopens_files_only),
        cmocka_unit_test(lifecycle_run_worker_that_never_drains_is_not_waited_for),
        cmocka_unit_test(lifecycle_run_second_signal_ends_the_wait),
    };

    log_configure(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests_name("gateway/lifecycle", tests, NULL, NULL);
}
