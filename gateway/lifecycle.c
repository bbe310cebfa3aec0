#include "gateway/lifecycle.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ev.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* Time beyond the drain limit after which a worker that does not report is not waited for. */
#define DRAIN_SLACK_S 2.0
/* Time for the SSH sessions to take their goodbye. */
#define CLOSE_MAX_S 5.0

enum phase { PHASE_SERVE, PHASE_DRAIN, PHASE_CLOSE, PHASE_END };
enum { PHASE_COUNT = PHASE_END + 1 };

struct lifecycle {
    struct lifecycle_params params;
    enum phase phase;
    atomic_size_t waiting[PHASE_COUNT]; /* workers that have not reported in that phase */
    ev_async reported;
    ev_timer patience; /* how long this phase waits for reports */
    ev_signal terminated;
    ev_signal interrupted;
    ev_signal hung_up;
    ev_signal moved; /* files were */
};

/* Starts what a phase does on every worker. */
static void post_phase(struct lifecycle *l, worker_fn *fn, double patience_s)
{
    atomic_store(&l->waiting[l->phase], l->params.worker_count);
    for (size_t i = 0; i < l->params.worker_count; i++)
        worker_post(l->params.workers[i], fn, l->params.arg);
    ev_timer_stop(l->params.loop, &l->patience);
    ev_timer_set(&l->patience, patience_s, 0.0);
    ev_timer_start(l->params.loop, &l->patience);
}

/* The one writer of the phase; each has the one after it as its only successor. */
static void enter_next_phase(struct lifecycle *l)
{
    uint64_t max_ms;

    switch (l->phase) {
    case PHASE_SERVE:
        l->phase = PHASE_DRAIN;
        max_ms = l->params.drain_max_ms(l->params.arg);
        (void)sd_notify(0, "STOPPING=1"); /* nobody listens outside systemd, and that is fine */
        log_info("drain.start", LU("max_ms", max_ms));
        post_phase(l, l->params.drain, (double)max_ms / 1000.0 + DRAIN_SLACK_S);
        break;
    case PHASE_DRAIN:
        l->phase = PHASE_CLOSE;
        log_info("drain.end", LU("workers_cut", atomic_load(&l->waiting[PHASE_DRAIN])));
        post_phase(l, l->params.close, CLOSE_MAX_S);
        break;
    case PHASE_CLOSE:
        l->phase = PHASE_END;
        ev_break(l->params.loop, EVBREAK_ALL);
        break;
    case PHASE_END:
        break;
    }
    log_flush();
}

static void report(struct lifecycle *l, enum phase phase)
{
    (void)atomic_fetch_sub(&l->waiting[phase], 1);
    ev_async_send(l->params.loop, &l->reported);
}

void lifecycle_on_drained(struct worker *w, void *arg)
{
    (void)w;
    report(arg, PHASE_DRAIN);
}

void lifecycle_on_closed(struct worker *w, void *arg)
{
    (void)w;
    report(arg, PHASE_CLOSE);
}

static void on_reported(struct ev_loop *loop, ev_async *w, int revents)
{
    struct lifecycle *l = w->data;

    (void)loop;
    (void)revents;
    if (atomic_load(&l->waiting[l->phase]) == 0)
        enter_next_phase(l);
}

static void on_patience_lost(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    enter_next_phase(w->data);
}

static void on_terminated(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct lifecycle *l = w->data;

    (void)loop;
    (void)revents;
    if (l->phase == PHASE_SERVE || l->phase == PHASE_DRAIN)
        enter_next_phase(l);
}

static void on_hung_up(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct lifecycle *l = w->data;

    (void)loop;
    (void)revents;
    if (l->phase != PHASE_SERVE)
        return;
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
    l->params.reopen(l->params.arg);
    l->params.reload(l->params.arg);
    (void)sd_notify(0, "READY=1"); /* nobody listens outside systemd, and that is fine */
    log_flush();
}

static void on_moved(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct lifecycle *l = w->data;

    (void)loop;
    (void)revents;
    l->params.reopen(l->params.arg);
}

static void start_signal(struct lifecycle *l, ev_signal *w,
                         void (*fn)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(w, fn, number);
    w->data = l;
    ev_signal_start(l->params.loop, w);
}

struct lifecycle *lifecycle_new(const struct lifecycle_params *params)
{
    struct lifecycle *l = mem_zalloc(sizeof(*l));

    l->params = *params;
    /* Nobody reports while serving, so that phase never counts down to nothing. */
    atomic_init(&l->waiting[PHASE_SERVE], 1);
    ev_async_init(&l->reported, on_reported);
    l->reported.data = l;
    ev_async_start(params->loop, &l->reported);
    ev_init(&l->patience, on_patience_lost);
    l->patience.data = l;
    start_signal(l, &l->terminated, on_terminated, SIGTERM);
    start_signal(l, &l->interrupted, on_terminated, SIGINT);
    start_signal(l, &l->hung_up, on_hung_up, SIGHUP);
    start_signal(l, &l->moved, on_moved, SIGUSR1);
    return l;
}

void lifecycle_run(struct lifecycle *l)
{
    (void)sd_notify(0, "READY=1"); /* nobody listens outside systemd, and that is fine */
    ev_run(l->params.loop, 0);
}

void lifecycle_free(struct lifecycle *l)
{
    if (l == NULL)
        return;
    ev_async_stop(l->params.loop, &l->reported);
    ev_timer_stop(l->params.loop, &l->patience);
    ev_signal_stop(l->params.loop, &l->terminated);
    ev_signal_stop(l->params.loop, &l->interrupted);
    ev_signal_stop(l->params.loop, &l->hung_up);
    ev_signal_stop(l->params.loop, &l->moved);
    mem_free(l);
}
