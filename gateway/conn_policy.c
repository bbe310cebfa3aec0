#include "gateway/conn_policy.h"

#include <assert.h>

#include <utlist.h>

#include "base/arena.h"
#include "base/mem.h"
#include "gateway/conn_int.h"
#include "gateway/exchange.h"
#include "gateway/forward.h"
#include "gateway/gateway_int.h"
#include "gateway/policy_data.h"
#include "gateway/policy_vars.h"
#include "gateway/policy_wait.h"
#include "tunnel/endpoint.h"

enum conn_policy_state {
    CONN_POLICY_RUNS, /* or is suspended */
    CONN_POLICY_PASSED,
    CONN_POLICY_DENIED,
    CONN_POLICY_FORWARDS,
    CONN_POLICY_CANCELLED,
};

enum conn_policy_tls {
    CONN_POLICY_TLS_NOT_ASKED,
    CONN_POLICY_TLS_SHAKES_HANDS,
    CONN_POLICY_TLS_DONE,
};

struct conn_policy {
    struct conn_policy *next; /* of the connection's list */
    size_t users;             /* the list, and each use */
    enum conn_policy_state state;
    enum conn_policy_tls tls;
    bool told;               /* an event tells what came of it */
    struct gateway *gateway; /* borrowed while it runs; the connection may move after */
    const struct exchange_origin *origin; /* borrowed while it runs */
    struct addr client;
    struct endpoint *endpoint; /* counted */
    struct endpoint *target;   /* entered: where it forwards to; NULL: nowhere */
    struct policy_data *data;  /* counted: values borrow from it, also over a reload */
    struct policy_run *run;    /* owned */
    struct arena arena;        /* of the run */
    struct policy_visit_facts facts;
    struct policy_waiter waiter;
    struct conn_policy_use *uses; /* list of those who wait */
    bool waking;                  /* the run goes on at the end of the loop turn */
};

/* ---- the host ---------------------------------------------------------------------------------- */

static struct cel_value host_var(void *ctx, enum policy_var var, struct arena *arena)
{
    struct conn_policy *p = ctx;
    const struct policy_visit visit = {
        .gateway = p->gateway,
        .origin = p->origin,
        .client = &p->client,
        .endpoint = p->endpoint,
        .data = p->data,
        .arena = arena,
        .facts = &p->facts,
    };

    return policy_vars_visit(&visit, var);
}

static const struct addr *host_client_addr(void *ctx)
{
    const struct conn_policy *p = ctx;

    return &p->client;
}

static enum policy_ready host_fetch(void *ctx, const struct policy_fetch *request,
                                    struct policy_fetched *out, struct err *e)
{
    struct conn_policy *p = ctx;

    return policy_wait_fetch(&p->waiter, request, out, e);
}

static enum policy_ready host_fetch_shared(void *ctx, const struct policy_shared_fetch *request,
                                           struct policy_shared_fetched *out, struct err *e)
{
    struct conn_policy *p = ctx;

    return policy_wait_fetch_shared(&p->waiter, request, out, e);
}

static enum policy_ready host_job(void *ctx, struct policy_job *job)
{
    struct conn_policy *p = ctx;

    return policy_wait_job(&p->waiter, job);
}

static struct str host_secret(void *ctx, struct str vault, struct str name)
{
    const struct conn_policy *p = ctx;

    return policy_data_secret(p->data, str_from(p->endpoint->account), vault, name);
}

static const struct policy_ip_rules *host_ip_policy(void *ctx, struct str name)
{
    const struct conn_policy *p = ctx;

    return policy_data_ip_policy(p->data, str_from(p->endpoint->account), name);
}

static void wake(void *arg);

static void on_secured(void *arg)
{
    struct conn_policy *p = arg;

    p->tls = CONN_POLICY_TLS_DONE;
    wake(p);
}

static enum policy_ready host_terminate_tls(void *ctx, const struct policy_tls *settings,
                                            struct err *e)
{
    struct conn_policy *p = ctx;

    switch (p->tls) {
    case CONN_POLICY_TLS_NOT_ASKED:
        break;
    case CONN_POLICY_TLS_SHAKES_HANDS:
        return POLICY_PENDING;
    case CONN_POLICY_TLS_DONE:
        return POLICY_READY;
    }
    if (p->origin->conn == NULL)
        (void)err_set(e, E_GATEWAY, "TLS cannot begin in the middle of a connection");
    else if (conn_terminate_tls(p->origin->conn, p->endpoint, settings, on_secured, p, e) == 0)
        p->tls = CONN_POLICY_TLS_SHAKES_HANDS;
    return p->tls == CONN_POLICY_TLS_SHAKES_HANDS ? POLICY_PENDING : POLICY_FAILED;
}

/* What a connection may go to: its own kind, and behind TLS what TLS carries (D38). Policies of http
 * and https endpoints do not forward connections (D10). */
static unsigned target_schemes(const struct conn_policy *p)
{
    switch (p->endpoint->url.scheme) {
    case SCHEME_TCP:
        return FORWARD_TCP;
    case SCHEME_TLS:
        return p->origin->tls != NULL ? FORWARD_TLS | FORWARD_TCP : FORWARD_TLS;
    case SCHEME_HTTP:
    case SCHEME_HTTPS:
        break;
    }
    return 0;
}

static int host_forward(void *ctx, struct str url, struct err *e)
{
    struct conn_policy *p = ctx;

    endpoint_leave(p->target);
    p->target = forward_find(p->gateway, p->endpoint, url, target_schemes(p), e);
    return p->target == NULL ? -1 : 0;
}

/* No message exists yet, and no action of this phase asks for one. */
static const struct policy_host conn_policy_host = {
    .var = host_var,
    .client_addr = host_client_addr,
    .fetch = host_fetch,
    .fetch_shared = host_fetch_shared,
    .job = host_job,
    .secret = host_secret,
    .ip_policy = host_ip_policy,
    .terminate_tls = host_terminate_tls,
    .forward = host_forward,
};

/* ---- life -------------------------------------------------------------------------------------- */

static void release(struct conn_policy *p)
{
    if (--p->users > 0)
        return;
    policy_run_free(p->run);
    policy_data_unref(p->data);
    endpoint_leave(p->target);
    endpoint_unref(p->endpoint);
    arena_fini(&p->arena);
    mem_free(p);
}

static struct conn_policy *policy_new(struct gateway *g, const struct exchange_origin *origin,
                                      const struct addr *client, struct endpoint *ep)
{
    struct conn_policy *p = mem_zalloc(sizeof(*p));
    struct policy_run_params params;

    arena_init(&p->arena);
    p->users = 1;
    p->gateway = g;
    p->origin = origin;
    p->client = *client;
    p->endpoint = ep;
    endpoint_ref(ep);
    p->data = g->policy_data;
    policy_data_ref(p->data);
    p->waiter = (struct policy_waiter){ .gateway = g, .wake = wake, .arg = p };
    params = (struct policy_run_params){
        .policy = ep->policy,
        .host = &conn_policy_host,
        .ctx = p,
        .arena = &p->arena,
        .local = gateway_policy_local(g),
        .endpoint = str_from(ep->url.host),
    };
    p->run = policy_run_new(&params);
    return p;
}

/* Makes room in the list; a run that is under way, or may go on, stays, however many there are. */
static void drop_oldest(struct conn_policy **list)
{
    struct conn_policy *p;
    int count;

    LL_COUNT(*list, p, count);
    if (count < CONN_POLICIES_MAX)
        return;
    LL_FOREACH(*list, p)
    {
        if (p->state == CONN_POLICY_RUNS || p->state == CONN_POLICY_FORWARDS)
            continue;
        LL_DELETE(*list, p);
        release(p);
        return;
    }
}

/* ---- running ----------------------------------------------------------------------------------- */

static enum policy_verdict verdict_of(const struct conn_policy *p)
{
    switch (p->state) {
    case CONN_POLICY_RUNS:
        return POLICY_SUSPEND;
    case CONN_POLICY_PASSED:
        return POLICY_CONTINUE;
    case CONN_POLICY_FORWARDS:
        return POLICY_FORWARD;
    case CONN_POLICY_DENIED:
    case CONN_POLICY_CANCELLED:
        break;
    }
    return POLICY_CLOSE;
}

static enum policy_verdict settle(struct conn_policy *p, enum policy_verdict verdict)
{
    if (verdict == POLICY_SUSPEND)
        return verdict;
    policy_wait_cancel(&p->waiter);
    if (verdict == POLICY_CONTINUE)
        p->state = CONN_POLICY_PASSED;
    else if (verdict == POLICY_FORWARD)
        p->state = CONN_POLICY_FORWARDS;
    else
        p->state = CONN_POLICY_DENIED;
    return verdict_of(p);
}

static void stop_waiting(struct conn_policy_use *use)
{
    if (!use->waits)
        return;
    use->waits = false;
    DL_DELETE(use->policy->uses, use);
}

static void on_wake(struct worker *w, void *arg)
{
    struct conn_policy *p = arg;
    enum policy_verdict verdict;

    (void)w;
    p->waking = false;
    if (p->state != CONN_POLICY_RUNS)
        return; /* the connection ended meanwhile */
    verdict = settle(p, policy_run_resume(p->run));
    if (verdict == POLICY_SUSPEND)
        return;
    p->users++; /* those who hear of it may let go of it */
    while (p->uses != NULL) {
        struct conn_policy_use *use = p->uses;

        stop_waiting(use);
        use->done(use->arg, verdict);
    }
    release(p);
}

static void wake(void *arg)
{
    struct conn_policy *p = arg;

    if (p->waking || p->state != CONN_POLICY_RUNS)
        return;
    p->waking = true;
    worker_defer(p->gateway->worker, on_wake, p);
}

static void wait(struct conn_policy_use *use)
{
    use->waits = true;
    DL_APPEND(use->policy->uses, use);
}

static void take(struct conn_policy *p, struct conn_policy_use *use)
{
    p->users++;
    use->policy = p;
}

bool conn_policy_covers(const struct endpoint *ran, const struct endpoint *ep)
{
    if (ran == ep)
        return true;
    return ran->connect_rules != 0 && endpoint_has_same_connect_rules(ran, ep) &&
           endpoint_has_same_address(ran, ep);
}

static struct conn_policy *find(struct conn_policy *list, const struct endpoint *ep,
                                const struct addr *client)
{
    struct conn_policy *p;

    LL_FOREACH(list, p)
    {
        if (conn_policy_covers(p->endpoint, ep) && addr_ip_equal(&p->client, client))
            break;
    }
    return p;
}

enum policy_verdict conn_policy_ask(struct gateway *g, const struct exchange_origin *origin,
                                    const struct addr *client, struct endpoint *ep,
                                    struct conn_policy_use *use)
{
    struct conn_policy *p;
    enum policy_verdict verdict;

    assert(use->policy == NULL);
    if (!policy_has_phase(ep->policy, POLICY_ON_TCP_CONNECT))
        return POLICY_CONTINUE;
    p = use->is_alone ? NULL : find(*origin->connects, ep, client);
    if (p == NULL) {
        drop_oldest(origin->connects);
        p = policy_new(g, origin, client, ep);
        LL_APPEND(*origin->connects, p);
        verdict = settle(p, policy_run_phase(p->run, POLICY_ON_TCP_CONNECT));
    } else {
        verdict = verdict_of(p);
    }
    take(p, use);
    use->is_first = use->has_event && !p->told;
    p->told = p->told || use->has_event;
    if (verdict == POLICY_SUSPEND)
        wait(use);
    return verdict;
}

struct endpoint *conn_policy_target(struct conn_policy_use *use)
{
    struct endpoint *target = use->policy->target;

    use->policy->target = NULL;
    return target;
}

enum policy_verdict conn_policy_forward_failed(struct conn_policy_use *use, const struct err *why)
{
    struct conn_policy *p = use->policy;
    enum policy_verdict verdict;

    assert(use->is_alone && p->state == CONN_POLICY_FORWARDS);
    p->state = CONN_POLICY_RUNS;
    verdict = settle(p, policy_run_forward_failed(p->run, why));
    if (verdict == POLICY_SUSPEND)
        wait(use);
    return verdict;
}

void conn_policy_forget(struct conn_policy_use *use)
{
    stop_waiting(use);
}

void conn_policy_leave(struct conn_policy_use *use)
{
    stop_waiting(use);
    if (use->policy != NULL)
        release(use->policy);
    use->policy = NULL;
}

const struct policy_run *conn_policy_run(const struct conn_policy_use *use)
{
    return use->policy == NULL ? NULL : use->policy->run;
}

void conn_policies_cancel(struct conn_policy *list)
{
    struct conn_policy *p;

    LL_FOREACH(list, p)
    {
        if (p->state != CONN_POLICY_RUNS)
            continue;
        p->state = CONN_POLICY_CANCELLED;
        policy_wait_cancel(&p->waiter);
    }
}

void conn_policies_free(struct conn_policy *list)
{
    struct conn_policy *p;
    struct conn_policy *next;

    LL_FOREACH_SAFE(list, p, next)
    {
        release(p);
    }
}
