#include "gateway/upstream_http2_pool.h"

#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/gateway_int.h"
#include "gateway/upstream.h"
#include "gateway/upstream_http2_session.h"
#include "tunnel/endpoint.h"

/* How long an upstream that chose HTTP/1.1 is not asked again. */
enum { HTTP1_MEMORY_MS = 60000 };

struct upstream_http2_group {
    UT_hash_handle hh;
    struct endpoint *endpoint; /* counted; the key */
    struct upstream_http2_session *sessions;
    size_t count;
    uint64_t http1_until_ms; /* 0: it did not choose HTTP/1.1 */
};

struct upstream_http2_pool {
    struct gateway *gateway; /* borrowed: outlives us */
    struct upstream_http2_group *groups;
};

struct upstream_http2_pool *upstream_http2_pool_new(struct gateway *g)
{
    struct upstream_http2_pool *p = mem_zalloc(sizeof(*p));

    p->gateway = g;
    return p;
}

static void free_group(struct upstream_http2_pool *p, struct upstream_http2_group *group)
{
    HASH_DEL(p->groups, group);
    endpoint_unref(group->endpoint);
    mem_free(group);
}

void upstream_http2_pool_free(struct upstream_http2_pool *p)
{
    if (p == NULL)
        return;
    upstream_http2_pool_clear(p);
    mem_free(p);
}

static struct upstream_http2_group *find_group(struct upstream_http2_pool *p,
                                               const struct endpoint *ep)
{
    struct upstream_http2_group *group;

    HASH_FIND_PTR(p->groups, &ep, group);
    return group;
}

static struct upstream_http2_group *get_group(struct upstream_http2_pool *p, struct endpoint *ep)
{
    struct upstream_http2_group *group = find_group(p, ep);

    if (group != NULL)
        return group;
    group = mem_zalloc(sizeof(*group));
    endpoint_ref(ep);
    group->endpoint = ep;
    HASH_ADD_PTR(p->groups, endpoint, group);
    return group;
}

bool upstream_http2_pool_may_speak(struct upstream_http2_pool *p, const struct endpoint *ep)
{
    const struct upstream_http2_group *group;

    if (ep->upstream.protocol != UPSTREAM_HTTP2)
        return false;
    group = find_group(p, ep);
    return group == NULL || group->http1_until_ms <= clock_mono_ms();
}

void upstream_http2_pool_note_http1(struct upstream_http2_pool *p, struct endpoint *ep)
{
    get_group(p, ep)->http1_until_ms = clock_mono_ms() + HTTP1_MEMORY_MS;
}

struct upstream_http2_session *upstream_http2_pool_take(struct upstream_http2_pool *p,
                                                        const struct upstream_params *params)
{
    struct upstream_http2_group *group;
    struct upstream_http2_session *least = NULL;
    struct upstream_http2_session *s;

    /* The header of the PROXY protocol speaks for one visitor. */
    if (params->endpoint->upstream.proxy_protocol != 0)
        return upstream_http2_session_new(params, true);
    group = get_group(p, params->endpoint);
    DL_FOREACH(group->sessions, s)
    {
        if (upstream_http2_session_has_room(s))
            return s;
        if (least == NULL || s->count < least->count)
            least = s;
    }
    if (group->count >= p->gateway->config->upstream_http2_conns_max)
        return least;
    s = upstream_http2_session_new(params, false);
    s->pooled = true;
    DL_PREPEND(group->sessions, s);
    group->count++;
    return s;
}

void upstream_http2_pool_remove(struct upstream_http2_pool *p, struct upstream_http2_session *s)
{
    struct upstream_http2_group *group = find_group(p, s->ep);

    s->pooled = false;
    DL_DELETE(group->sessions, s);
    group->count--;
    if (group->count == 0 && group->http1_until_ms == 0)
        free_group(p, group);
}

static void drop_group(struct upstream_http2_pool *p, struct upstream_http2_group *group)
{
    group->http1_until_ms = 1; /* keeps the group until its sessions have left */
    while (group->sessions != NULL)
        upstream_http2_session_retire(group->sessions);
    free_group(p, group);
}

void upstream_http2_pool_drop(struct upstream_http2_pool *p, const struct endpoint *ep)
{
    struct upstream_http2_group *group = find_group(p, ep);

    if (group != NULL)
        drop_group(p, group);
}

void upstream_http2_pool_clear(struct upstream_http2_pool *p)
{
    while (p->groups != NULL)
        drop_group(p, p->groups);
}
