/*
 * Last in, first out: the warmest stream is reused and the surplus of a burst ages out. One timer
 * looks at the oldest; streams are few, so a list an endpoint does.
 */
#include "gateway/idle.h"

#include <ev.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"

struct idle_stream {
    struct idle_stream *prev;
    struct idle_stream *next;
    struct idle_group *group; /* borrowed: holds us */
    struct stream *stream;    /* owned */
    uint64_t until_ms;
};

struct idle_group {
    UT_hash_handle hh;
    struct idle_pool *pool;    /* borrowed: holds us */
    struct endpoint *endpoint; /* counted; the key */
    struct idle_stream *first; /* newest first */
    size_t count;
};

struct idle_pool {
    struct worker *worker; /* borrowed: outlives us */
    struct idle_group *groups;
    ev_timer sweep;
};

enum { IDLE_SWEEP_MS = 1000 };

static void free_later(struct worker *w, void *arg)
{
    (void)w;
    mem_free(arg);
}

/* Takes s out of the pool; the stream stays open and is the caller's. */
static struct stream *unlink_stream(struct idle_stream *s)
{
    struct idle_group *group = s->group;
    struct stream *stream = s->stream;

    DL_DELETE(group->first, s);
    group->count--;
    if (group->count == 0) {
        HASH_DEL(group->pool->groups, group);
        endpoint_unref(group->endpoint);
        mem_free(group);
    }
    return stream;
}

static void drop(struct idle_stream *s, enum close_reason why)
{
    struct worker *w = s->group->pool->worker;

    metrics_add(worker_metrics(w), METRIC_STREAMS, -1);
    stream_close(unlink_stream(s), why);
    worker_defer(w, free_later, s); /* one of our events may be on the stack */
}

static size_t on_data(void *arg, struct str data)
{
    drop(arg, CLOSE_PROTOCOL); /* nothing was asked, so nothing may be said */
    return data.n;
}

static void on_writable(void *arg)
{
    (void)arg;
}

static void on_eof(void *arg)
{
    drop(arg, CLOSE_DONE);
}

static void on_closed(void *arg, enum close_reason why)
{
    drop(arg, why);
}

static const struct stream_events idle_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static void on_sweep(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct idle_pool *p = watcher->data;
    struct idle_group *group;
    struct idle_group *next_group;
    uint64_t now_ms = clock_mono_ms();

    (void)revents;
    HASH_ITER(hh, p->groups, group, next_group)
    {
        while (group->first->prev->until_ms <= now_ms) { /* the head's prev is the oldest */
            size_t left = group->count - 1;

            drop(group->first->prev, CLOSE_IDLE);
            if (left == 0)
                break; /* the group went with its last stream */
        }
    }
    if (p->groups == NULL)
        ev_timer_stop(loop, watcher);
}

struct idle_pool *idle_new(struct worker *w)
{
    struct idle_pool *p = mem_zalloc(sizeof(*p));

    p->worker = w;
    ev_timer_init(&p->sweep, on_sweep, IDLE_SWEEP_MS / 1000.0, IDLE_SWEEP_MS / 1000.0);
    p->sweep.data = p;
    return p;
}

void idle_free(struct idle_pool *p)
{
    if (p == NULL)
        return;
    idle_clear(p);
    ev_timer_stop(worker_loop(p->worker), &p->sweep);
    mem_free(p);
}

static struct idle_group *find_group(struct idle_pool *p, const struct endpoint *ep)
{
    struct idle_group *group;

    HASH_FIND_PTR(p->groups, &ep, group);
    return group;
}

static struct idle_group *add_group(struct idle_pool *p, struct endpoint *ep)
{
    struct idle_group *group = mem_zalloc(sizeof(*group));

    endpoint_ref(ep);
    group->pool = p;
    group->endpoint = ep;
    HASH_ADD_PTR(p->groups, endpoint, group);
    return group;
}

void idle_put(struct idle_pool *p, struct endpoint *ep, struct stream *s, size_t max,
              uint64_t idle_ms)
{
    struct idle_group *group = find_group(p, ep);
    struct idle_stream *entry;

    if (max == 0 || idle_ms == 0) {
        metrics_add(worker_metrics(p->worker), METRIC_STREAMS, -1);
        stream_close(s, CLOSE_DONE);
        return;
    }
    if (group == NULL)
        group = add_group(p, ep);
    entry = mem_zalloc(sizeof(*entry));
    entry->group = group;
    entry->stream = s;
    entry->until_ms = clock_mono_ms() + idle_ms;
    stream_set_events(s, &idle_events, entry);
    DL_PREPEND(group->first, entry);
    group->count++;
    if (group->count > max)
        drop(group->first->prev, CLOSE_IDLE);
    if (!ev_is_active(&p->sweep))
        ev_timer_again(worker_loop(p->worker), &p->sweep);
}

struct stream *idle_take(struct idle_pool *p, struct endpoint *ep)
{
    struct idle_group *group = find_group(p, ep);
    struct idle_stream *entry;
    struct stream *s;

    if (group == NULL)
        return NULL;
    entry = group->first;
    s = unlink_stream(entry);
    mem_free(entry);
    return s;
}

void idle_drop(struct idle_pool *p, struct endpoint *ep)
{
    while (find_group(p, ep) != NULL)
        drop(find_group(p, ep)->first, CLOSE_DONE);
}

void idle_clear(struct idle_pool *p)
{
    while (p->groups != NULL)
        drop(p->groups->first, CLOSE_DONE);
}
