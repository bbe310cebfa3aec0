/*
 * worker: one thread that runs one libev loop, with a mailbox, deferred calls and timers.
 * An object belongs to the worker that made it; other threads reach it only by worker_post().
 * Owns:   its loop, its thread, its metrics, the messages in its mailbox.
 * Thread: worker_post(), worker_id() and worker_metrics() on any; all else on the worker's own, or
 *         before worker_start() / after worker_join() on the thread that made it.
 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct metrics;
struct worker;
struct worker_timer;

typedef void worker_fn(struct worker *w, void *arg);

/* `name` (borrowed, static) shows in logs and as the thread's name; `id` is its place among its like. */
struct worker *worker_new(const char *name, unsigned id);
/*
 * Frees w; its thread must not run, nor any that may still be inside a worker_post() to it: join all
 * workers before the first is freed. Messages still in the mailbox are run first, and so is what
 * they post to w.
 */
void worker_free(struct worker *w);

/* Starts the thread. */
void worker_start(struct worker *w);
/* Asks the loop to end after the turn that runs this message; thread-safe. */
void worker_stop(struct worker *w);
/* Waits for the thread to end. */
void worker_join(struct worker *w);

/*
 * Queues fn(w, arg) for w's thread: messages from one thread run in the order they were posted.
 * Never blocks and never fails. Thread-safe.
 */
void worker_post(struct worker *w, worker_fn *fn, void *arg);

/*
 * Runs fn(w, arg) at the end of the present loop turn, when no callback of the worker is on the
 * stack: where closed objects are freed and where work that may not nest is done.
 */
void worker_defer(struct worker *w, worker_fn *fn, void *arg);

unsigned worker_id(const struct worker *w);
struct metrics *worker_metrics(struct worker *w);

/* The libev loop, for watchers of sshd and gateway. */
struct ev_loop *worker_loop(struct worker *w);
/* The worker whose thread this is, or NULL. */
struct worker *worker_current(void);

/*
 * A one-shot timer for layers that do not know libev. The callback may start it again or free it.
 * A delay counts from the call of worker_timer_start(), however long the turn has lasted.
 */
struct worker_timer *worker_timer_new(struct worker *w, worker_fn *fn, void *arg);
void worker_timer_start(struct worker_timer *t, uint64_t delay_ms);
void worker_timer_stop(struct worker_timer *t);
void worker_timer_free(struct worker_timer *t);

#endif
