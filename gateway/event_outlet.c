#include "gateway/event_outlet.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

enum { DROP_LOG_BURST = 1 }; /* lines a second */

static void look(struct worker *w, void *arg);

/* Work is done at the end of the loop turn, so what came in one turn goes in one batch. */
static void kick(struct event_outlet *o)
{
    if (o->is_kicked || o->is_closed)
        return;
    o->is_kicked = true;
    worker_defer(o->worker, look, o);
}

static void note_queued(struct event_outlet *o)
{
    atomic_store_explicit(&o->counts.queued, o->queue.count, memory_order_relaxed);
}

static void note_dropped(struct event_outlet *o, size_t n)
{
    uint64_t suppressed;

    if (n == 0)
        return;
    atomic_fetch_add_explicit(&o->counts.dropped, n, memory_order_relaxed);
    if (log_limit_pass(&o->drop_log, DROP_LOG_BURST, clock_mono_ms(), &suppressed))
        log_warn("event.dropped", LS("destination", o->name), LS("reason", "the queue is full"),
                 LU("queue_max", o->queue.max),
                 LU("dropped_total", atomic_load(&o->counts.dropped)));
}

/* ---- sending --------------------------------------------------------------------------- */

static void arrive(struct event_outlet *o, size_t n)
{
    if (n > 0 && o->backoff.failures > 0)
        log_info("event.delivery_resumed", LS("destination", o->name),
                 LU("failures", o->backoff.failures), LU("queued", o->queue.count));
    if (n > 0)
        o->backoff.failures = 0;
    atomic_fetch_add_explicit(&o->counts.delivered, n, memory_order_relaxed);
    event_queue_settle(&o->queue, n);
    note_queued(o);
}

static void wait_and_retry(struct event_outlet *o, const struct err *e)
{
    uint32_t random;
    uint64_t delay_ms;

    rand_bytes(&random, sizeof(random));
    delay_ms = event_backoff_next(&o->backoff, random);
    atomic_fetch_add_explicit(&o->counts.failures, 1, memory_order_relaxed);
    log_warn("event.delivery_failed", LS("destination", o->name), LS("target", o->ops->name),
             LERR(e), LU("retry_in_ms", delay_ms), LU("queued", o->queue.count));
    o->state = EVENT_OUTLET_WAITS;
    worker_timer_start(o->retry, delay_ms);
}

/* A batch is halved until it fits; one event that is too large by itself would stop all others. */
static void shrink(struct event_outlet *o, size_t batch)
{
    if (batch > 1) {
        o->batch_max = batch / 2;
        event_queue_settle(&o->queue, 0);
        return;
    }
    atomic_fetch_add_explicit(&o->counts.refused, 1, memory_order_relaxed);
    log_warn("event.dropped", LS("destination", o->name), LS("reason", "it is too large"),
             LU("bytes", o->queue.in_flight_bytes));
    event_queue_settle(&o->queue, 1);
    note_queued(o);
}

/* The batch in flight is over; `arrived` of its events are with the target. */
static void settle(struct event_outlet *o, enum event_sent how, size_t arrived, const struct err *e)
{
    size_t batch = o->queue.in_flight;

    o->state = EVENT_OUTLET_IDLE;
    switch (how) {
    case EVENT_SENT:
        arrive(o, batch);
        kick(o);
        return;
    case EVENT_TOO_LARGE:
        shrink(o, batch);
        kick(o);
        return;
    case EVENT_FAILED:
        arrive(o, arrived);
        wait_and_retry(o, e);
        return;
    case EVENT_PENDING:
        break;
    }
    assert(false && "a batch that is over is not pending");
}

static void send(struct event_outlet *o)
{
    struct err e = { .code = E_OK };
    size_t arrived = 0;
    enum event_sent how;

    (void)event_queue_send(&o->queue, o->batch_max, EVENT_BATCH_MAX_BYTES);
    o->state = EVENT_OUTLET_SENDS;
    how = o->ops->send(o, &arrived, &e);
    if (how != EVENT_PENDING)
        settle(o, how, arrived, &e);
}

static void look(struct worker *w, void *arg)
{
    struct event_outlet *o = arg;

    (void)w;
    o->is_kicked = false;
    if (o->is_closed || o->state != EVENT_OUTLET_IDLE)
        return;
    if (o->queue.count > 0)
        send(o);
    else
        o->on_empty(o->arg);
}

void event_outlet_on_sent(struct event_outlet *o, enum event_sent how, const struct err *e)
{
    settle(o, how, 0, e);
}

static void on_retry(struct worker *w, void *arg)
{
    struct event_outlet *o = arg;

    (void)w;
    o->state = EVENT_OUTLET_IDLE;
    kick(o);
}

/* ---- life ------------------------------------------------------------------------------ */

static void take_settings(struct event_outlet *o, const struct event_outlet_params *params)
{
    event_plan_ref(params->plan);
    event_plan_unref(o->plan);
    o->plan = params->plan;
    o->settings = params->settings;
    o->batch_max = params->settings->body == EVENT_BODY_ONE ? 1 : params->settings->batch_max;
    o->backoff.min_ms = params->retry_min_ms;
    o->backoff.max_ms = params->retry_max_ms;
}

struct event_outlet *event_outlet_new(const struct event_outlet_params *params)
{
    static const struct event_target_ops *const targets[] = {
        [EVENT_TARGET_FILE] = &event_file_target,
        [EVENT_TARGET_HTTP] = &event_http_target,
    };
    struct event_outlet *o = mem_zalloc(sizeof(*o));

    o->worker = params->worker;
    o->fetcher = params->fetcher;
    o->origin = params->origin;
    o->name = str_dup(params->settings->name);
    o->ops = targets[params->settings->target];
    o->on_empty = params->on_empty;
    o->arg = params->arg;
    event_queue_init(&o->queue, params->settings->queue_max);
    o->retry = worker_timer_new(o->worker, on_retry, o);
    take_settings(o, params);
    o->target = o->ops->open(o);
    return o;
}

static void free_outlet(struct worker *w, void *arg)
{
    struct event_outlet *o = arg;

    (void)w;
    event_queue_fini(&o->queue);
    event_plan_unref(o->plan);
    mem_free(o->name);
    mem_free(o);
}

void event_outlet_close(struct event_outlet *o)
{
    o->is_closed = true;
    worker_timer_free(o->retry);
    o->retry = NULL;
    o->ops->close(o);
    worker_defer(o->worker, free_outlet, o); /* a look may be deferred */
}

void event_outlet_configure(struct event_outlet *o, const struct event_outlet_params *params)
{
    bool is_other = !event_destination_is_same(o->settings, params->settings);

    take_settings(o, params);
    o->is_retired = false;
    note_dropped(o, event_queue_resize(&o->queue, params->settings->queue_max));
    note_queued(o);
    /* The API makes a new plan whenever anybody changes anything of his own. */
    if (is_other || o->origin == EVENT_ORIGIN_CONFIG)
        event_outlet_reopen(o);
}

/* What was in the way may be gone, so it is tried at once. */
void event_outlet_reopen(struct event_outlet *o)
{
    o->ops->reopen(o);
    if (o->state != EVENT_OUTLET_WAITS)
        return;
    worker_timer_stop(o->retry);
    o->state = EVENT_OUTLET_IDLE;
    kick(o);
}

void event_outlet_add(struct event_outlet *o, struct str text)
{
    note_dropped(o, event_queue_add(&o->queue, text));
    note_queued(o);
    if (o->state == EVENT_OUTLET_IDLE)
        kick(o);
}

void event_outlet_hurry(struct event_outlet *o, uint64_t ms)
{
    o->backoff.max_ms = ms;
    o->backoff.min_ms = o->backoff.min_ms > ms ? ms : o->backoff.min_ms;
    if (o->state == EVENT_OUTLET_WAITS) {
        worker_timer_stop(o->retry);
        o->state = EVENT_OUTLET_IDLE;
    }
    kick(o);
}
