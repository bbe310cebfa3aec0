/*
 * A roll is filled by all workers and by control, each of which has a part and a reference; the last
 * part wakes who waits. Who stops waiting at the end of the process leaves the roll to the others.
 */
#include "tunnel/census.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/ref.h"
#include "base/shared_text.h"
#include "tunnel/api/host.h"
#include "tunnel/control.h"
#include "tunnel/endpoint.h"
#include "tunnel/registry.h"

enum {
    END_TRIES = 500, /* to see a session gone */
    END_PAUSE_MS = 10,
};

struct census {
    struct control *control; /* borrowed: outlives all but census_free() */
    pthread_mutex_t lock;    /* for all rolls */
    pthread_cond_t filled;
    bool stopping;
    size_t count;
    struct census_source sources[];
};

struct part {
    struct census_roll *roll;           /* counted */
    const struct census_source *source; /* borrowed: of the census */
};

struct census_roll {
    struct api_live live; /* first: what release() gets */
    struct ref ref;
    struct census *census; /* borrowed: outlives us */
    struct arena arena;    /* texts of sessions; under the lock */
    struct arena urls; /* texts of endpoints; control's alone until its part is in, as are they */
    size_t pending;
    const char *end; /* the session to be ended, instead of a census; in the arena */
    bool found;
    struct api_session *sessions; /* owned; live.sessions */
    struct api_live_endpoint *endpoints;
    struct endpoint **held; /* counted: whose strings the endpoints borrow */
    struct part parts[];
};

/* ---- rolls ----------------------------------------------------------------------------------- */

static void roll_unref(struct census_roll *r)
{
    if (!ref_dec(&r->ref))
        return;
    for (size_t i = 0; i < r->live.endpoint_count; i++)
        endpoint_unref(r->held[i]);
    mem_free(r->held);
    mem_free(r->endpoints);
    mem_free(r->sessions);
    arena_fini(&r->arena);
    arena_fini(&r->urls);
    mem_free(r);
}

static void release(struct api_live *live)
{
    roll_unref((struct census_roll *)(void *)live);
}

static const char *keep(struct arena *a, const char *text)
{
    return arena_fmt(a, "%s", text).p;
}

static struct census_roll *roll_new(struct census *c, const char *end)
{
    struct census_roll *r = mem_zalloc(sizeof(*r) + c->count * sizeof(struct part));

    ref_init(&r->ref);
    r->census = c;
    r->live.release = release;
    arena_init(&r->arena);
    arena_init(&r->urls);
    if (end != NULL)
        r->end = keep(&r->arena, end);
    return r;
}

/* One part has come in. */
static void part_done(struct census_roll *r)
{
    struct census *c = r->census;

    (void)pthread_mutex_lock(&c->lock);
    r->pending--;
    (void)pthread_cond_broadcast(&c->filled);
    (void)pthread_mutex_unlock(&c->lock);
    roll_unref(r);
}

/* Room for one more, doubled when it is full. */
static void *grow(void *list, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return list;
    return mem_realloc(list, (count == 0 ? 1 : 2 * count) * size);
}

void census_add_session(struct census_roll *r, const struct api_session *session)
{
    struct api_session *s;

    (void)pthread_mutex_lock(&r->census->lock);
    r->sessions = grow(r->sessions, r->live.session_count, sizeof(*r->sessions));
    s = &r->sessions[r->live.session_count++];
    *s = *session;
    s->id = keep(&r->arena, session->id);
    s->account = keep(&r->arena, session->account);
    s->credential = keep(&r->arena, session->credential);
    s->key = keep(&r->arena, session->key);
    s->client = keep(&r->arena, session->client);
    (void)pthread_mutex_unlock(&r->census->lock);
}

/* Those of sessions; cloud endpoints are in the store. */
static void add_endpoint(void *arg, struct endpoint *ep)
{
    struct census_roll *r = arg;
    size_t n = r->live.endpoint_count;
    char url[URL_TEXT_BYTES];
    bool is_http = ep->url.scheme == SCHEME_HTTP || ep->url.scheme == SCHEME_HTTPS;
    const char *protocol = ep->upstream.protocol == UPSTREAM_HTTP2 ? "http2" : "http1";

    if (ep->session_id[0] == '\0')
        return;
    r->held = grow(r->held, n, sizeof(struct endpoint *));
    r->endpoints = grow(r->endpoints, n, sizeof(*r->endpoints));
    endpoint_ref(ep);
    r->held[n] = ep;
    r->endpoints[n] = (struct api_live_endpoint){
        .id = ep->id,
        .account = ep->account,
        .key = ep->key,
        .session_id = ep->session_id,
        .url = ep->url,
        .url_text = keep(&r->urls, url_format(&ep->url, 80, 443, url)),
        .name = ep->name,
        .description = ep->description,
        .metadata = ep->metadata,
        .policy = shared_text_str(ep->policy_text),
        .upstream_url = ep->upstream_url,
        .upstream_protocol = is_http ? protocol : "",
        .pooling = ep->pooling,
        .started_wall_ms = ep->created_wall_ms,
    };
    r->live.endpoint_count++;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void on_part(struct worker *w, void *arg)
{
    struct part *p = arg;
    struct census_roll *r = p->roll;

    (void)w;
    if (r->end == NULL) {
        p->source->sessions(p->source->ctx, r);
    } else if (p->source->end(p->source->ctx, r->end)) {
        (void)pthread_mutex_lock(&r->census->lock);
        r->found = true;
        (void)pthread_mutex_unlock(&r->census->lock);
    }
    part_done(r);
}

static void on_registry(void *arg, const struct registry *registry)
{
    struct census_roll *r = arg;

    /* Without the lock, for which workers would have to wait: it takes long when there are many. */
    registry_each(registry, add_endpoint, r);
    part_done(r);
}

static void ask_workers(struct census_roll *r)
{
    struct census *c = r->census;

    for (size_t i = 0; i < c->count; i++) {
        r->parts[i] = (struct part){ .roll = r, .source = &c->sources[i] };
        ref_inc(&r->ref);
        worker_post(c->sources[i].worker, on_part, &r->parts[i]);
    }
}

/* False: it never will be whole. */
static bool await(struct census_roll *r)
{
    struct census *c = r->census;
    bool is_whole;

    (void)pthread_mutex_lock(&c->lock);
    while (r->pending > 0 && !c->stopping)
        (void)pthread_cond_wait(&c->filled, &c->lock);
    is_whole = r->pending == 0;
    (void)pthread_mutex_unlock(&c->lock);
    return is_whole;
}

struct api_live *census_take(struct census *c)
{
    struct census_roll *r = roll_new(c, NULL);

    r->pending = c->count + 1;
    ask_workers(r);
    ref_inc(&r->ref);
    control_look(c->control, on_registry, r);
    if (!await(r)) {
        roll_unref(r);
        r = roll_new(c, NULL); /* an empty one */
    }
    r->live.sessions = r->sessions;
    r->live.endpoints = r->endpoints;
    return &r->live;
}

static bool is_live(struct census *c, const char *id)
{
    struct api_live *live = census_take(c);
    bool is = false;

    for (size_t i = 0; i < live->session_count; i++)
        is = is || strcmp(live->sessions[i].id, id) == 0;
    for (size_t i = 0; i < live->endpoint_count; i++)
        is = is || strcmp(live->endpoints[i].session_id, id) == 0;
    live->release(live);
    return is;
}

int census_end(struct census *c, const char *id, struct err *e)
{
    const struct timespec pause = { .tv_nsec = END_PAUSE_MS * 1000000L };
    struct census_roll *r = roll_new(c, id);
    bool found;

    r->pending = c->count;
    ask_workers(r);
    found = await(r) && r->found;
    roll_unref(r);
    if (!found)
        return err_set(e, E_NOT_FOUND, "there is no such session");
    for (unsigned i = 0; i < END_TRIES; i++) {
        if (!is_live(c, id))
            return 0;
        (void)nanosleep(&pause, NULL);
    }
    return err_set(e, E_LIMIT, "it takes too long to end");
}

/* ---- life ------------------------------------------------------------------------------------ */

struct census *census_new(struct control *control, const struct census_source *sources,
                          size_t count)
{
    struct census *c = mem_zalloc(sizeof(*c) + count * sizeof(*sources));

    c->control = control;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->filled, NULL);
    c->count = count;
    memcpy(c->sources, sources, count * sizeof(*sources));
    return c;
}

void census_stop(struct census *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->filled);
    (void)pthread_mutex_unlock(&c->lock);
}

void census_free(struct census *c)
{
    if (c == NULL)
        return;
    (void)pthread_cond_destroy(&c->filled);
    (void)pthread_mutex_destroy(&c->lock);
    mem_free(c);
}
