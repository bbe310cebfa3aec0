/*
 * An event is made once, by whoever it happened to, and handed over as a reference; choosing, filtering
 * and writing JSON is done here, so what subscriptions ask for costs requests nothing. A queue under a
 * mutex for each worker would save a message an event, but the mailbox of a worker is lock-free and is
 * there already.
 *
 * A destination that no plan has any more keeps its outlet until what is queued has arrived, for at most
 * RETIRED_MAX_MS: a reload loses nothing. Of one origin that are RETIRED_MAX, since users make and delete
 * destinations as they like.
 */
#include "gateway/event_hub_int.h"

#include <assert.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/event_filter.h"
#include "gateway/event_trial.h"
#include "gateway/fetch.h"
#include "tunnel/event_json.h"

enum {
    EVENT_JSON_MAX_BYTES = 4 * 1024 * 1024, /* far above what the limits of an event allow */
    RETIRED_MAX_MS = 5 * 60 * 1000,
    RETIRED_MAX = 32,
    SWEEP_MS = 10 * 1000,
    HURRY_MS = 250, /* between attempts while the process ends */
};

static_assert(EVENT_TYPES <= 64, "the types that are wanted are bits of one number");

static struct event_hub *hub_of(struct event_sink *s)
{
    return (struct event_hub *)s; /* the sink is the first member */
}

static size_t event_bytes(const struct event *ev)
{
    return sizeof(*ev) + arena_used(&ev->arena);
}

/* ---- choosing -------------------------------------------------------------------------- */

static void deliver(struct event_hub *h, const struct hub_part *p,
                    const struct event_subscription *s, const struct event_source *source,
                    const struct event *ev)
{
    buf_clear(&h->text);
    event_json_add(&h->text, ev, source->fields);
    if (buf_failed(&h->text)) {
        log_warn("event.dropped", LS("event_id", ev->id), LS("reason", "it is too large"));
        return;
    }
    for (size_t i = 0; i < s->destination_count; i++)
        event_outlet_add(p->outlets[s->destinations[i]], buf_str(&h->text));
}

static bool passes(struct event_hub *h, struct event_filter *filter, const struct event *ev)
{
    enum event_filter_answer answer = event_filter_match(filter, ev);

    if (answer == EVENT_FILTER_FAILS)
        atomic_fetch_add_explicit(&h->filter_failures, 1, memory_order_relaxed);
    return answer == EVENT_PASSES;
}

static void choose(struct event_hub *h, const struct hub_part *p, const struct event *ev)
{
    size_t filter = 0;

    for (size_t i = 0; i < p->plan->subscription_count; i++) {
        const struct event_subscription *s = &p->plan->subscriptions[i];
        bool is_theirs = s->account.n == 0 || str_eq(s->account, ev->account);

        for (size_t k = 0; k < s->source_count; k++, filter++) {
            if (is_theirs && s->sources[k].type == ev->type && passes(h, p->filters[filter], ev))
                deliver(h, p, s, &s->sources[k], ev);
        }
    }
}

static void tell_backlog(struct event_hub *h)
{
    uint64_t dropped = atomic_load_explicit(&h->backlog_dropped, memory_order_relaxed);

    if (dropped == h->backlog_told)
        return;
    log_warn("event.dropped", LS("reason", "too many wait to be taken up"),
             LU("events", dropped - h->backlog_told), LU("dropped_total", dropped));
    h->backlog_told = dropped;
}

/* ---- posting --------------------------------------------------------------------------- */

struct posted {
    struct event_hub *hub; /* borrowed: outlives its worker's messages */
    struct event *event;   /* counted */
};

static void on_event(struct worker *w, void *arg)
{
    struct posted *post = arg;
    struct event_hub *h = post->hub;

    (void)w;
    atomic_fetch_sub_explicit(&h->backlog_bytes, event_bytes(post->event), memory_order_relaxed);
    for (size_t i = 0; i < EVENT_ORIGINS && !h->is_closed; i++) {
        if (h->parts[i] != NULL)
            choose(h, h->parts[i], post->event);
    }
    tell_backlog(h);
    event_unref(post->event);
    mem_free(post);
}

static bool hub_wants(const struct event_sink *s, enum event_type type)
{
    const struct event_hub *h = (const struct event_hub *)s; /* the sink is the first member */

    return (atomic_load_explicit(&h->wanted, memory_order_relaxed) >> type & 1) != 0;
}

static void hub_publish(struct event_sink *s, struct event *ev)
{
    struct event_hub *h = hub_of(s);
    size_t bytes = event_bytes(ev);
    uint64_t before = atomic_fetch_add_explicit(&h->backlog_bytes, bytes, memory_order_relaxed);
    struct posted *post;

    if (before + bytes > atomic_load_explicit(&h->backlog_max_bytes, memory_order_relaxed)) {
        atomic_fetch_sub_explicit(&h->backlog_bytes, bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&h->backlog_dropped, 1, memory_order_relaxed);
        event_unref(ev);
        return;
    }
    post = mem_zalloc(sizeof(*post));
    post->hub = h;
    post->event = ev;
    worker_post(h->worker, on_event, post);
}

/* ---- draining -------------------------------------------------------------------------- */

static bool is_all_delivered(const struct event_hub *h)
{
    const struct event_outlet *o;

    DL_FOREACH(h->outlets, o)
    {
        if (o->queue.count > 0)
            return false;
    }
    return true;
}

static void remove_outlet(struct event_hub *h, struct event_outlet *o)
{
    (void)pthread_mutex_lock(&h->lock);
    DL_DELETE(h->outlets, o);
    (void)pthread_mutex_unlock(&h->lock);
    event_outlet_close(o);
}

static void remove_empty(struct event_hub *h)
{
    struct event_outlet *o;
    struct event_outlet *next;

    DL_FOREACH_SAFE(h->outlets, o, next)
    {
        if (o->is_retired && o->queue.count == 0)
            remove_outlet(h, o);
    }
}

static void on_empty(void *arg)
{
    struct event_hub *h = arg;

    remove_empty(h);
    if (h->is_draining && is_all_delivered(h))
        worker_stop(h->worker);
}

static void drop_retired(struct event_hub *h, struct event_outlet *o)
{
    log_warn("event.dropped", LS("destination", o->name), LS("reason", "the destination is gone"),
             LU("events", o->queue.count));
    remove_outlet(h, o);
}

static void on_sweep(struct worker *w, void *arg)
{
    struct event_hub *h = arg;
    struct event_outlet *o;
    struct event_outlet *next;

    (void)w;
    if (h->is_draining) { /* the time is up */
        worker_stop(h->worker);
        return;
    }
    DL_FOREACH_SAFE(h->outlets, o, next)
    {
        if (o->is_retired && clock_mono_ms() - o->retired_ms >= RETIRED_MAX_MS)
            drop_retired(h, o);
    }
    worker_timer_start(h->sweep, SWEEP_MS);
}

struct drain {
    struct event_hub *hub; /* borrowed: outlives its worker's messages */
    uint64_t max_ms;
};

static void begin_drain(struct worker *w, void *arg)
{
    const struct drain *d = arg;
    struct event_hub *h = d->hub;
    struct event_outlet *o;

    h->is_draining = true;
    worker_timer_start(h->sweep, d->max_ms);
    DL_FOREACH(h->outlets, o)
    {
        event_outlet_hurry(o, HURRY_MS);
    }
    if (h->outlets == NULL)
        worker_stop(w);
}

void event_hub_drain(struct event_hub *h, uint64_t max_ms)
{
    struct drain d = { .hub = h, .max_ms = max_ms };
    const struct event_outlet *o;

    worker_post(h->worker, begin_drain, &d);
    worker_join(h->worker);
    h->is_started = false;
    DL_FOREACH(h->outlets, o)
    {
        if (o->queue.count > 0)
            log_error("event.lost", LS("destination", o->name), LU("events", o->queue.count),
                      LS("reason", "the process ends"));
    }
}

/* ---- configuring ----------------------------------------------------------------------- */

static struct event_outlet *find_outlet(struct event_hub *h, enum event_origin origin,
                                        const struct event_destination *d)
{
    static const struct event_target_ops *const targets[] = {
        [EVENT_TARGET_FILE] = &event_file_target,
        [EVENT_TARGET_HTTP] = &event_http_target,
    };
    struct event_outlet *o;

    DL_FOREACH(h->outlets, o)
    {
        if (o->origin == origin && o->ops == targets[d->target] &&
            str_eq(str_from(o->name), d->name))
            return o;
    }
    return NULL;
}

static struct event_outlet *take_outlet(struct event_hub *h, enum event_origin origin,
                                        struct event_plan *plan, const struct event_destination *d)
{
    const struct event_outlet_params params = {
        .worker = h->worker,
        .fetcher = h->fetcher,
        .origin = origin,
        .plan = plan,
        .settings = d,
        .retry_min_ms = h->limits.retry_min_ms,
        .retry_max_ms = h->limits.retry_max_ms,
        .on_empty = on_empty,
        .arg = h,
    };
    struct event_outlet *o = find_outlet(h, origin, d);

    if (o != NULL) {
        event_outlet_configure(o, &params);
        return o;
    }
    o = event_outlet_new(&params);
    (void)pthread_mutex_lock(&h->lock);
    DL_APPEND(h->outlets, o);
    (void)pthread_mutex_unlock(&h->lock);
    return o;
}

/* All of an origin; those that the next plan has too are taken back at once. */
static void retire(struct event_hub *h, enum event_origin origin)
{
    struct event_outlet *o;

    DL_FOREACH(h->outlets, o)
    {
        if (o->origin != origin || o->is_retired)
            continue;
        o->is_retired = true;
        o->retired_ms = clock_mono_ms();
    }
}

/* The one that was retired first; NULL when there are no more than may be. */
static struct event_outlet *find_surplus(const struct event_hub *h, enum event_origin origin)
{
    struct event_outlet *first = NULL;
    struct event_outlet *o;
    size_t count = 0;

    DL_FOREACH(h->outlets, o)
    {
        if (o->origin != origin || !o->is_retired)
            continue;
        count++;
        if (first == NULL || o->retired_ms < first->retired_ms)
            first = o;
    }
    return count > RETIRED_MAX ? first : NULL;
}

struct plan_change {
    struct event_hub *hub; /* borrowed: outlives its worker's messages */
    enum event_origin origin;
    struct hub_part *part;
};

static void on_plan(struct worker *w, void *arg)
{
    struct plan_change *c = arg;
    struct event_hub *h = c->hub;
    const struct event_plan *plan = c->part->plan;
    struct event_outlet *surplus;
    uint64_t wanted = 0;

    (void)w;
    if (h->is_closed) { /* the process never began to serve */
        hub_part_free(c->part);
        mem_free(c);
        return;
    }
    retire(h, c->origin);
    for (size_t i = 0; i < plan->destination_count; i++)
        c->part->outlets[i] = take_outlet(h, c->origin, c->part->plan, &plan->destinations[i]);
    hub_part_free(h->parts[c->origin]);
    h->parts[c->origin] = c->part;
    for (size_t i = 0; i < EVENT_ORIGINS; i++)
        wanted |= hub_part_wants(h->parts[i]);
    atomic_store(&h->wanted, wanted);
    remove_empty(h);
    while ((surplus = find_surplus(h, c->origin)) != NULL)
        drop_retired(h, surplus);
    mem_free(c);
}

static int hub_configure(struct event_sink *s, enum event_origin origin, struct event_plan *plan,
                         struct err *e)
{
    struct event_hub *h = hub_of(s);
    struct plan_change *c;
    struct hub_part *part = hub_part_new(plan, e);

    if (part == NULL)
        return -1;
    c = mem_zalloc(sizeof(*c));
    c->hub = h;
    c->origin = origin;
    c->part = part;
    /* From now on, though the plan is taken a moment later: events wait behind it. */
    atomic_fetch_or(&h->wanted, hub_part_wants(part));
    worker_post(h->worker, on_plan, c);
    return 0;
}

static int hub_check_filter(const struct event_sink *s, enum event_type type, struct str filter,
                            struct err *e)
{
    struct event_filter *f = event_filter_new(type, filter, e);
    int rc = f == NULL ? -1 : 0;

    (void)s;
    event_filter_free(f);
    return rc;
}

static void on_reopen(struct worker *w, void *arg)
{
    struct event_hub *h = arg;
    struct event_outlet *o;

    (void)w;
    DL_FOREACH(h->outlets, o)
    {
        event_outlet_reopen(o);
    }
    log_info("event.reopened", LNONE);
}

void event_hub_reopen(struct event_hub *h)
{
    worker_post(h->worker, on_reopen, h);
}

struct limits_change {
    struct event_hub *hub; /* borrowed: outlives its worker's messages */
    struct event_hub_limits limits;
};

static void on_limits(struct worker *w, void *arg)
{
    struct limits_change *c = arg;

    (void)w;
    c->hub->limits = c->limits;
    atomic_store(&c->hub->backlog_max_bytes, c->limits.backlog_max_bytes);
    mem_free(c);
}

void event_hub_set_limits(struct event_hub *h, const struct event_hub_limits *limits)
{
    struct limits_change *c = mem_zalloc(sizeof(*c));

    c->hub = h;
    c->limits = *limits;
    worker_post(h->worker, on_limits, c);
}

/* ---- life ------------------------------------------------------------------------------ */

static const struct event_sink_ops hub_ops = {
    .wants = hub_wants,
    .publish = hub_publish,
    .check_filter = hub_check_filter,
    .configure = hub_configure,
};

struct event_hub *event_hub_new(const struct event_hub_limits *limits)
{
    struct event_hub *h = mem_zalloc(sizeof(*h));
    int failed = pthread_mutex_init(&h->lock, NULL);

    static_assert(offsetof(struct event_hub, sink) == 0, "hub_of() relies on it");
    assert(failed == 0);
    (void)failed;
    h->sink.ops = &hub_ops;
    h->limits = *limits;
    atomic_store(&h->backlog_max_bytes, limits->backlog_max_bytes);
    h->worker = worker_new("events", 0);
    h->fetcher = fetcher_new(h->worker, &fetch_for_events);
    h->trial = event_trial_new(h->worker, h->fetcher);
    buf_init(&h->text, EVENT_JSON_MAX_BYTES);
    h->sweep = worker_timer_new(h->worker, on_sweep, h);
    return h;
}

void event_hub_start(struct event_hub *h)
{
    worker_timer_start(h->sweep, SWEEP_MS);
    h->is_started = true;
    worker_start(h->worker);
}

void event_hub_free(struct event_hub *h)
{
    if (h == NULL)
        return;
    assert(!h->is_started);
    h->is_closed = true;
    while (h->outlets != NULL)
        remove_outlet(h, h->outlets);
    worker_timer_free(h->sweep);
    event_trial_cancel(h->trial);
    fetcher_free(h->fetcher);
    h->fetcher = NULL;
    worker_free(h->worker); /* runs what is left in its mailbox */
    event_trial_free(h->trial);
    for (size_t i = 0; i < EVENT_ORIGINS; i++)
        hub_part_free(h->parts[i]);
    buf_fini(&h->text);
    (void)pthread_mutex_destroy(&h->lock); /* fails only while it is locked */
    mem_free(h);
}

struct event_sink *event_hub_sink(struct event_hub *h)
{
    return &h->sink;
}

struct worker *event_hub_worker(struct event_hub *h)
{
    return h->worker;
}

struct event_trial *event_hub_trial(struct event_hub *h)
{
    return h->trial;
}
