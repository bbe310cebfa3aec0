/*
 * Unit tests of base/worker and base/job.
 * cmocka's checks work on the main thread only, so workers note what they saw and the main thread
 * looks at it after worker_join().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <ev.h>

#include "base/clock.h"
#include "base/job.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/worker.h"

/* A record of what happened in which order on one worker. */
struct trace {
    int step[64];
    size_t count;
    sem_t done;
};

static void trace_init(struct trace *t)
{
    memset(t->step, 0, sizeof(t->step));
    t->count = 0;
    (void)sem_init(&t->done, 0, 0);
}

static void note(struct trace *t, int step)
{
    if (t->count < sizeof(t->step) / sizeof(t->step[0]))
        t->step[t->count] = step;
    t->count++;
}

static void assert_steps(const struct trace *t, const int *steps, size_t count)
{
    assert_int_equal(t->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(t->step[i], steps[i]);
}

#define ASSERT_STEPS(t, ...)                                                                       \
    assert_steps((t), (const int[]){ __VA_ARGS__ },                                                \
                 sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static void run_out(struct worker *w)
{
    worker_stop(w);
    worker_join(w);
}

/* ---- mailbox --------------------------------------------------------------------------- */

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
    struct worker *to;
    unsigned sent;
    unsigned received; /* on the worker */
    unsigned misordered;
    struct ticket {
        struct poster *from;
        unsigned number;
    } tickets[POSTS];
};

static void on_ticket(struct worker *w, void *arg)
{
    struct ticket *t = arg;

    if (t->number != t->from->received || w != t->from->to || worker_current() != w)
        t->from->misordered++;
    t->from->received++;
}

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (; p->sent < POSTS; p->sent++) {
        p->tickets[p->sent] = (struct ticket){ .from = p, .number = p->sent };
        worker_post(p->to, on_ticket, &p->tickets[p->sent]);
    }
    return NULL;
}

static void worker_post_from_many_threads_keeps_the_order_of_each(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct poster *posters = mem_zalloc_array(POSTERS, sizeof(*posters));
    pthread_t threads[POSTERS];

    (void)state;
    worker_start(w);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].to = w;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    run_out(w);
    worker_free(w);
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(posters[i].received, POSTS);
        assert_int_equal(posters[i].misordered, 0);
    }
    mem_free(posters);
}

/* A ball that two workers throw to each other: each throw must wake the other up. */
struct ball {
    struct worker *player[2];
    unsigned throws_left;
    sem_t done;
};

static void on_ball(struct worker *w, void *arg)
{
    struct ball *b = arg;

    if (b->throws_left == 0) {
        (void)sem_post(&b->done);
        return;
    }
    b->throws_left--;
    worker_post(b->player[w == b->player[0]], on_ball, b);
}

static void worker_post_between_workers_always_wakes(void **state)
{
    struct ball b = { .throws_left = 5000 };

    (void)state;
    (void)sem_init(&b.done, 0, 0);
    for (unsigned i = 0; i < 2; i++)
        b.player[i] = worker_new("test", i);
    for (unsigned i = 0; i < 2; i++)
        worker_start(b.player[i]);
    worker_post(b.player[0], on_ball, &b);
    (void)sem_wait(&b.done);
    assert_int_equal(b.throws_left, 0);
    for (unsigned i = 0; i < 2; i++)
        run_out(b.player[i]); /* both, before one that the other may be posting to goes */
    for (unsigned i = 0; i < 2; i++)
        worker_free(b.player[i]);
    (void)sem_destroy(&b.done);
}

static void note_4(struct worker *w, void *arg)
{
    (void)w;
    note(arg, 4);
}

static void note_3_then_post(struct worker *w, void *arg)
{
    note(arg, 3);
    worker_post(w, note_4, arg);
}

static void note_1_then_defer(struct worker *w, void *arg)
{
    note(arg, worker_current() == w ? 1 : -1);
    worker_defer(w, note_3_then_post, arg);
}

static void note_2(struct worker *w, void *arg)
{
    (void)w;
    note(arg, 2);
}

static void worker_free_runs_what_is_left_and_what_that_posts(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct trace t;

    (void)state;
    trace_init(&t);
    worker_post(w, note_1_then_defer, &t);
    worker_post(w, note_2, &t);
    assert_int_equal(t.count, 0);
    worker_free(w);
    ASSERT_STEPS(&t, 1, 2, 3, 4);
    assert_null(worker_current());
    worker_free(NULL);
}

static void worker_stop_ends_after_what_was_posted_before(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct trace t;

    (void)state;
    trace_init(&t);
    worker_post(w, note_2, &t);
    worker_stop(w);
    worker_start(w);
    worker_join(w);
    ASSERT_STEPS(&t, 2);
    worker_free(w);
}

static void worker_has_its_number_loop_and_metrics(void **state)
{
    struct worker *w = worker_new("name", 7);

    (void)state;
    assert_int_equal(worker_id(w), 7);
    assert_non_null(worker_loop(w));
    assert_non_null(worker_metrics(w));
    assert_null(worker_current());
    worker_free(w);
}

/* ---- deferred calls -------------------------------------------------------------------- */

static void defer_6(struct worker *w, void *arg)
{
    (void)w;
    note(arg, 6);
    (void)sem_post(&((struct trace *)arg)->done);
}

static void defer_4(struct worker *w, void *arg)
{
    note(arg, 4);
    worker_defer(w, defer_6, arg);
}

static void defer_5(struct worker *w, void *arg)
{
    (void)w;
    note(arg, 5);
}

static void defer_from_here(struct worker *w, void *arg)
{
    note(arg, 1);
    worker_defer(w, defer_4, arg);
    worker_defer(w, defer_5, arg);
    note(arg, 2);
}

static void note_3(struct worker *w, void *arg)
{
    (void)w;
    note(arg, 3);
}

static void worker_defer_runs_after_all_callbacks_of_the_turn(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct trace t;

    (void)state;
    trace_init(&t);
    worker_post(w, defer_from_here, &t);
    worker_post(w, note_3, &t);
    worker_start(w);
    (void)sem_wait(&t.done);
    run_out(w);
    ASSERT_STEPS(&t, 1, 2, 3, 4, 5, 6);
    worker_free(w);
}

/* An event that a deferred call feeds, as sshd does when an SSH channel is to be read on. */
struct fed_event {
    ev_io watcher;
    struct worker *worker;
    sem_t done;
};

static void finish_fed_event(struct worker *w, void *arg)
{
    struct fed_event *f = arg;

    (void)w;
    (void)sem_post(&f->done);
}

static void on_fed_event(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct fed_event *f = watcher->data;

    (void)loop;
    (void)revents;
    worker_defer(f->worker, finish_fed_event, f);
}

static void feed_event(struct worker *w, void *arg)
{
    struct fed_event *f = arg;

    ev_feed_event(worker_loop(w), &f->watcher, EV_CUSTOM);
}

static void defer_feed_event(struct worker *w, void *arg)
{
    worker_defer(w, feed_event, arg);
}

static void worker_defer_from_an_event_of_a_deferred_call_runs_before_the_loop_waits(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct fed_event f = { .worker = w };
    struct timespec deadline;

    (void)state;
    (void)sem_init(&f.done, 0, 0);
    ev_init(&f.watcher, on_fed_event);
    f.watcher.data = &f;
    worker_post(w, defer_feed_event, &f);
    worker_start(w);
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    assert_int_equal(sem_timedwait(&f.done, &deadline), 0);
    run_out(w);
    worker_free(w);
    (void)sem_destroy(&f.done);
}

/* ---- timers ---------------------------------------------------------------------------- */

struct clockwork {
    struct trace trace;
    struct worker_timer *timer;
    struct worker_timer *other;
    uint64_t started_ms;
    uint64_t fired_ms;
};

static void clockwork_init(struct clockwork *c)
{
    *c = (struct clockwork){ 0 };
    trace_init(&c->trace);
}

static void on_third_tick_done(struct worker *w, void *arg)
{
    struct clockwork *c = arg;

    (void)w;
    note(&c->trace, 1);
    if (c->trace.count < 3) {
        worker_timer_start(c->timer, 5);
        return;
    }
    c->fired_ms = clock_mono_ms();
    worker_timer_free(c->timer); /* from its own callback */
    (void)sem_post(&c->trace.done);
}

static void start_ticking(struct worker *w, void *arg)
{
    struct clockwork *c = arg;

    c->started_ms = clock_mono_ms();
    c->timer = worker_timer_new(w, on_third_tick_done, c);
    worker_timer_start(c->timer, 5);
}

static void worker_timer_restarts_and_ends_from_its_callback(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct clockwork c;

    (void)state;
    clockwork_init(&c);
    worker_start(w);
    worker_post(w, start_ticking, &c);
    (void)sem_wait(&c.trace.done);
    run_out(w);
    ASSERT_STEPS(&c.trace, 1, 1, 1);
    assert_true(c.fired_ms - c.started_ms >= 12); /* 3 times 5, less the rounding of the loop */
    worker_free(w);
}

static void on_never(struct worker *w, void *arg)
{
    struct clockwork *c = arg;

    (void)w;
    note(&c->trace, -1);
}

static void on_late(struct worker *w, void *arg)
{
    struct clockwork *c = arg;

    (void)w;
    note(&c->trace, 2);
    c->fired_ms = clock_mono_ms();
    (void)sem_post(&c->trace.done);
}

static void start_and_change_mind(struct worker *w, void *arg)
{
    struct clockwork *c = arg;

    c->started_ms = clock_mono_ms();
    c->timer = worker_timer_new(w, on_never, c);
    worker_timer_start(c->timer, 1);
    worker_timer_stop(c->timer);
    worker_timer_stop(c->timer);
    c->other = worker_timer_new(w, on_late, c);
    worker_timer_start(c->other, 1);
    worker_timer_start(c->other, 40); /* the later start counts */
}

static void worker_timer_stopped_never_fires_and_started_twice_fires_once(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct clockwork c;

    (void)state;
    clockwork_init(&c);
    worker_start(w);
    worker_post(w, start_and_change_mind, &c);
    (void)sem_wait(&c.trace.done);
    run_out(w);
    ASSERT_STEPS(&c.trace, 2);
    assert_true(c.fired_ms - c.started_ms >= 38);
    worker_timer_free(c.timer);
    worker_timer_free(c.other);
    worker_timer_free(NULL);
    worker_free(w);
}

static void worker_timer_with_no_delay_is_not_called_at_once(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct clockwork c;

    (void)state;
    clockwork_init(&c);
    c.other = worker_timer_new(w, on_late, &c);
    worker_timer_start(c.other, 0);
    assert_int_equal(c.trace.count, 0);
    worker_start(w);
    (void)sem_wait(&c.trace.done);
    run_out(w);
    ASSERT_STEPS(&c.trace, 2);
    worker_timer_free(c.other);
    worker_free(w);
}

static void busy_then_start(struct worker *w, void *arg)
{
    struct clockwork *c = arg;
    uint64_t until = clock_mono_ms() + 60;

    while (clock_mono_ms() < until) {
        /* a callback that takes its time */
    }
    c->started_ms = clock_mono_ms();
    c->other = worker_timer_new(w, on_late, c);
    worker_timer_start(c->other, 40);
}

static void worker_timer_started_late_in_a_turn_has_its_full_delay(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct clockwork c;

    (void)state;
    clockwork_init(&c);
    worker_start(w);
    worker_post(w, busy_then_start, &c);
    (void)sem_wait(&c.trace.done);
    run_out(w);
    assert_true(c.fired_ms - c.started_ms >= 38);
    worker_timer_free(c.other);
    worker_free(w);
}

/* ---- jobs ------------------------------------------------------------------------------ */

struct batch {
    struct worker *worker;
    atomic_uint worked;
    atomic_uint worked_on_the_worker;
    unsigned done; /* on the worker */
    unsigned done_elsewhere;
    unsigned wanted;
    sem_t all_done;
};

static void on_work(void *arg)
{
    struct batch *b = arg;

    if (worker_current() != NULL)
        b->worked_on_the_worker++;
    b->worked++;
}

static void on_work_done(struct worker *w, void *arg)
{
    struct batch *b = arg;

    if (worker_current() != b->worker || w != b->worker)
        b->done_elsewhere++;
    if (++b->done == b->wanted)
        (void)sem_post(&b->all_done);
}

static void job_submit_works_elsewhere_and_comes_back(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct job_pool *pool = job_pool_new(3);
    struct batch b = { .worker = w, .wanted = 500 };

    (void)state;
    (void)sem_init(&b.all_done, 0, 0);
    worker_start(w);
    for (unsigned i = 0; i < b.wanted; i++)
        job_submit(pool, w, on_work, on_work_done, &b);
    (void)sem_wait(&b.all_done);
    job_pool_free(pool);
    run_out(w);
    worker_free(w);
    assert_int_equal(b.worked, b.wanted);
    assert_int_equal(b.worked_on_the_worker, 0);
    assert_int_equal(b.done_elsewhere, 0);
    (void)sem_destroy(&b.all_done);
}

static void on_slow_work(void *arg)
{
    const struct timespec pause = { .tv_nsec = 200000 };

    (void)nanosleep(&pause, NULL);
    on_work(arg);
}

static void job_pool_free_finishes_what_is_queued(void **state)
{
    struct worker *w = worker_new("test", 0);
    struct job_pool *pool = job_pool_new(2);
    struct batch b = { .worker = w, .wanted = 200 };

    (void)state;
    (void)sem_init(&b.all_done, 0, 0);
    for (unsigned i = 0; i < b.wanted; i++)
        job_submit(pool, w, on_slow_work, on_work_done, &b);
    job_pool_free(pool);
    assert_int_equal(b.worked, b.wanted);
    assert_int_equal(b.done, 0); /* the worker has not run yet */
    worker_free(w);
    assert_int_equal(b.done, b.wanted);
    job_pool_free(NULL);
    (void)sem_destroy(&b.all_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_post_from_many_threads_keeps_the_order_of_each),
        cmocka_unit_test(worker_post_between_workers_always_wakes),
        cmocka_unit_test(worker_free_runs_what_is_left_and_what_that_posts),
        cmocka_unit_test(worker_stop_ends_after_what_was_posted_before),
        cmocka_unit_test(worker_has_its_number_loop_and_metrics),
        cmocka_unit_test(worker_defer_runs_after_all_callbacks_of_the_turn),
        cmocka_unit_test(worker_defer_from_an_event_of_a_deferred_call_runs_before_the_loop_waits),
        cmocka_unit_test(worker_timer_restarts_and_ends_from_its_callback),
        cmocka_unit_test(worker_timer_stopped_never_fires_and_started_twice_fires_once),
        cmocka_unit_test(worker_timer_with_no_delay_is_not_called_at_once),
        cmocka_unit_test(worker_timer_started_late_in_a_turn_has_its_full_delay),
        cmocka_unit_test(job_submit_works_elsewhere_and_comes_back),
        cmocka_unit_test(job_pool_free_finishes_what_is_queued),
    };

    return cmocka_run_group_tests_name("base/worker", tests, NULL, NULL);
}
