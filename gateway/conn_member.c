#include "gateway/conn_member.h"

#include <utlist.h>

#include "base/mem.h"
#include "tunnel/endpoint.h"
#include "tunnel/pool.h"
#include "tunnel/routes.h"

struct conn_member {
    struct conn_member *next; /* oldest first */
    struct endpoint *endpoint;
};

static void forget(struct conn_member **list, struct conn_member *m)
{
    LL_DELETE(*list, m);
    endpoint_unref(m->endpoint);
    mem_free(m);
}

static struct conn_member *find(struct conn_member *list, const struct pool *pool)
{
    struct conn_member *m;

    LL_FOREACH(list, m)
    {
        if (endpoint_has_same_address(m->endpoint, pool->members[0]))
            break;
    }
    return m;
}

static void keep(struct conn_member **list, struct endpoint *ep)
{
    struct conn_member *m;
    int count;

    LL_COUNT(*list, m, count);
    if (count == CONN_MEMBERS_MAX)
        forget(list, *list);
    m = mem_zalloc(sizeof(*m));
    endpoint_ref(ep);
    m->endpoint = ep;
    LL_APPEND(*list, m);
}

struct endpoint *conn_member_choose(struct conn_member **list, const struct routes *routes,
                                    const struct pool *pool)
{
    struct conn_member *m;
    struct endpoint *ep;

    if (pool == NULL || !pool->keeps)
        return routes_choose(routes, pool);
    m = find(*list, pool);
    if (m != NULL && !endpoint_is_withdrawn(m->endpoint))
        return m->endpoint;
    if (m != NULL)
        forget(list, m);
    ep = routes_choose(routes, pool);
    keep(list, ep);
    return ep;
}

void conn_members_free(struct conn_member *list)
{
    while (list != NULL)
        forget(&list, list);
}
