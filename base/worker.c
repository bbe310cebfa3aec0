/*
 * The mailbox is a lock-free stack that posters push to and the worker takes whole and reverses:
 * a post costs one compare-and-swap and, when the box was empty, one ev_async_send. A queue under
 * a mutex would do too, but a worker could then wait for a poster that was descheduled.
 */
#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ev.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

struct message {
    struct message *next;
    worker_fn *fn;
    void *arg;
};

struct worker {
    const char *name; /* borrowed: static */
    unsigned id;
    struct ev_loop *loop; /* owned */
    pthread_t thread;
    bool started;
    bool stopping; /* own thread only */

    _Atomic(struct message *) mailbox; /* newest first */
    ev_async wakeup;

    struct message *deferred; /* oldest first */
    struct message **deferred_tail;
    ev_prepare turn_end;

    struct metrics metrics;
};

struct worker_timer {
    struct worker *worker; /* borrowed: outlives us */
    worker_fn *fn;
    void *arg;
    ev_timer watcher;
};

static _Thread_local struct worker *current_worker;

static struct message *message_new(worker_fn *fn, void *arg)
{
    struct message *m = mem_zalloc(sizeof(*m));

    m->fn = fn;
    m->arg = arg;
    return m;
}

static void run_mailbox(struct worker *w)
{
    struct message *newest = atomic_exchange_explicit(&w->mailbox, NULL, memory_order_acquire);
    struct message *oldest = NULL;

    while (newest != NULL) {
        struct message *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct message *m = oldest;

        oldest = m->next;
        m->fn(w, m->arg);
        mem_free(m);
    }
}

/* Deferred calls may defer again; those run in the same round. */
static void run_deferred(struct worker *w)
{
    while (w->deferred != NULL) {
        struct message *m = w->deferred;

        w->deferred = m->next;
        if (w->deferred == NULL)
            w->deferred_tail = &w->deferred;
        m->fn(w, m->arg);
        mem_free(m);
    }
}

static void on_wakeup(struct ev_loop *loop, ev_async *watcher, int revents)
{
    (void)loop;
    (void)revents;
    run_mailbox(watcher->data);
}

/* Runs before the loop blocks, which is after all callbacks of the turn. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
    struct worker *w = watcher->data;

    (void)revents;
    do { /* what runs here may feed events, and their callbacks defer again */
        run_deferred(w);
        ev_invoke_pending(loop);
    } while (w->deferred != NULL);
    log_flush();
    if (w->stopping)
        ev_break(loop, EVBREAK_ALL);
}

struct worker *worker_new(const char *name, unsigned id)
{
    struct worker *w = mem_zalloc(sizeof(*w));

    w->name = name;
    w->id = id;
    w->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    assert(w->loop != NULL);
    w->deferred_tail = &w->deferred;
    ev_async_init(&w->wakeup, on_wakeup);
    w->wakeup.data = w;
    ev_async_start(w->loop, &w->wakeup);
    ev_prepare_init(&w->turn_end, on_turn_end);
    w->turn_end.data = w;
    ev_prepare_start(w->loop, &w->turn_end);
    return w;
}

void worker_free(struct worker *w)
{
    struct worker *outer = current_worker;

    if (w == NULL)
        return;
    current_worker = w;
    do { /* what runs here may post and defer again */
        run_mailbox(w);
        run_deferred(w);
    } while (atomic_load_explicit(&w->mailbox, memory_order_relaxed) != NULL);
    current_worker = outer;
    ev_async_stop(w->loop, &w->wakeup);
    ev_prepare_stop(w->loop, &w->turn_end);
    ev_loop_destroy(w->loop);
    mem_free(w);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    current_worker = w;
    (void)pthread_setname_np(pthread_self(), w->name); /* only for people who look */
    ev_run(w->loop, 0);
    run_deferred(w);
    log_flush();
    current_worker = NULL;
    return NULL;
}

void worker_start(struct worker *w)
{
    sigset_t all;
    sigset_t old;
    int rc;

    /* Signals belong to the main thread's loop. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, NULL, worker_main, w);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(rc == 0);
    w->started = true;
}

static void stop_here(struct worker *w, void *arg)
{
    (void)arg;
    w->stopping = true;
}

void worker_stop(struct worker *w)
{
    worker_post(w, stop_here, NULL);
}

void worker_join(struct worker *w)
{
    int rc;

    assert(w->started);
    rc = pthread_join(w->thread, NULL);
    assert(rc == 0);
    (void)rc;
    w->started = false;
}

void worker_post(struct worker *w, worker_fn *fn, void *arg)
{
    struct message *m = message_new(fn, arg);
    struct message *head = atomic_load_explicit(&w->mailbox, memory_order_relaxed);

    do {
        m->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&w->mailbox, &head, m, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL)
        ev_async_send(w->loop, &w->wakeup);
}

void worker_defer(struct worker *w, worker_fn *fn, void *arg)
{
    struct message *m = message_new(fn, arg);

    *w->deferred_tail = m;
    w->deferred_tail = &m->next;
}

unsigned worker_id(const struct worker *w)
{
    return w->id;
}

struct metrics *worker_metrics(struct worker *w)
{
    return &w->metrics;
}

struct ev_loop *worker_loop(struct worker *w)
{
    return w->loop;
}

struct worker *worker_current(void)
{
    return current_worker;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct worker_timer *t = watcher->data;

    (void)loop;
    (void)revents;
    t->fn(t->worker, t->arg);
}

struct worker_timer *worker_timer_new(struct worker *w, worker_fn *fn, void *arg)
{
    struct worker_timer *t = mem_zalloc(sizeof(*t));

    t->worker = w;
    t->fn = fn;
    t->arg = arg;
    ev_init(&t->watcher, on_timer);
    t->watcher.data = t;
    return t;
}

void worker_timer_start(struct worker_timer *t, uint64_t delay_ms)
{
    ev_timer_stop(t->worker->loop, &t->watcher);
    /* The loop's time is that of the turn's beginning; a long callback would shorten the wait. */
    ev_now_update(t->worker->loop);
    ev_timer_set(&t->watcher, (double)delay_ms / 1000.0, 0.0);
    ev_timer_start(t->worker->loop, &t->watcher);
}

void worker_timer_stop(struct worker_timer *t)
{
    ev_timer_stop(t->worker->loop, &t->watcher);
}

void worker_timer_free(struct worker_timer *t)
{
    if (t == NULL)
        return;
    worker_timer_stop(t);
    mem_free(t);
}
