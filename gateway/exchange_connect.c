/*
 * on_tcp_connect of endpoints that share a port: such a connection learns which endpoint it is for
 * from its first request, so the phase runs then, once for each endpoint of the connection (D8). Its
 * run stays with the connection, since later phases may read its results (D25).
 */
#include <utlist.h>

#include "base/mem.h"
#include "gateway/exchange_int.h"
#include "tunnel/endpoint.h"

/* A connection that goes through more endpoints than this runs the phase again for the oldest. */
enum { CONNECTS_MAX = 16 };

struct exchange_connect {
    struct exchange_connect *next;
    struct endpoint *endpoint; /* counted */
    struct policy_run *run;    /* owned */
    struct arena arena;        /* of the run */
};

static void connect_free(struct exchange_connect *c)
{
    policy_run_free(c->run);
    arena_fini(&c->arena);
    endpoint_unref(c->endpoint);
    mem_free(c);
}

void exchange_connects_free(struct exchange_connect *list)
{
    struct exchange_connect *c;
    struct exchange_connect *next;

    LL_FOREACH_SAFE(list, c, next)
    connect_free(c);
}

static void drop_oldest(struct exchange_connect **list)
{
    struct exchange_connect *oldest = *list;

    LL_DELETE(*list, oldest);
    connect_free(oldest);
}

static struct exchange_connect *connect_new(struct exchange *x,
                                            const struct policy_run_params *params)
{
    struct exchange_connect *c = mem_zalloc(sizeof(*c));
    struct policy_run_params own = *params;

    arena_init(&c->arena);
    c->endpoint = x->endpoint;
    endpoint_ref(c->endpoint);
    own.arena = &c->arena;
    c->run = policy_run_new(&own);
    return c;
}

enum policy_verdict exchange_run_connect(struct exchange *x, const struct policy_run_params *params,
                                         const struct policy_run **run)
{
    struct exchange_connect **list = x->origin->connects;
    struct exchange_connect *c;
    enum policy_verdict verdict;
    int count;

    LL_SEARCH_SCALAR(*list, c, endpoint, x->endpoint);
    if (c != NULL) {
        *run = c->run;
        return POLICY_CONTINUE;
    }
    LL_COUNT(*list, c, count);
    if (count >= CONNECTS_MAX)
        drop_oldest(list);
    c = connect_new(x, params);
    LL_APPEND(*list, c);
    verdict = policy_run_phase(c->run, POLICY_ON_TCP_CONNECT);
    x->connect_outcome = policy_run_outcome(c->run);
    *run = c->run;
    return verdict;
}
