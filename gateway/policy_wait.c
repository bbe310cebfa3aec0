#include "gateway/policy_wait.h"

#include <assert.h>
#include <stdbool.h>

#include "base/job.h"
#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/fetch.h"
#include "gateway/fetch_shared.h"
#include "gateway/gateway_int.h"

/* One thing that a policy waits for, or has got last. */
struct policy_wait {
    struct policy_waiter *waiter; /* borrowed; NULL: nobody waits any more */
    bool done;
    bool taken;             /* what it gave stays until the next wait */
    struct policy_job *job; /* owned by the host until it was taken */
    struct fetch *fetch;    /* owned */
    struct fetch_shared_wait shared;
};

static void wait_free(struct policy_wait *w)
{
    if (w->waiter != NULL)
        w->waiter->wait = NULL;
    fetch_free(w->fetch);
    mem_free(w);
}

static struct policy_wait *wait_new(struct policy_waiter *waiter)
{
    struct policy_wait *w;

    if (waiter->wait != NULL) {
        assert(waiter->wait->taken); /* a run waits for one thing at a time */
        wait_free(waiter->wait);
    }
    w = mem_zalloc(sizeof(*w));
    w->waiter = waiter;
    waiter->wait = w;
    return w;
}

/* What was asked for before and is not taken yet, or NULL. */
static struct policy_wait *pending_wait(const struct policy_waiter *waiter)
{
    return waiter->wait != NULL && !waiter->wait->taken ? waiter->wait : NULL;
}

static void on_done(void *arg)
{
    struct policy_wait *w = arg;

    w->done = true;
    w->waiter->wake(w->waiter->arg);
}

/* ---- jobs ------------------------------------------------------------------------------------- */

static void run_job(void *arg)
{
    struct policy_wait *w = arg;

    w->job->run(w->job);
}

static void on_job_done(struct worker *worker, void *arg)
{
    struct policy_wait *w = arg;

    (void)worker;
    if (w->waiter != NULL) {
        on_done(w);
        return;
    }
    w->job->free(w->job);
    wait_free(w);
}

enum policy_ready policy_wait_job(struct policy_waiter *waiter, struct policy_job *job)
{
    struct policy_wait *w = pending_wait(waiter);

    if (w == NULL) {
        w = wait_new(waiter);
        w->job = job;
        job_submit(waiter->gateway->jobs, waiter->gateway->worker, run_job, on_job_done, w);
        return POLICY_PENDING;
    }
    if (!w->done)
        return POLICY_PENDING;
    w->taken = true;
    w->job = NULL; /* the action's from now on */
    return POLICY_READY;
}

/* ---- fetches ---------------------------------------------------------------------------------- */

enum policy_ready policy_wait_fetch(struct policy_waiter *waiter,
                                    const struct policy_fetch *request, struct policy_fetched *out,
                                    struct err *e)
{
    const struct config *config = waiter->gateway->config;
    struct policy_wait *w = pending_wait(waiter);
    struct fetch_params params;

    if (w == NULL) {
        w = wait_new(waiter);
        params = (struct fetch_params){ .request = request,
                                        .rules = config->fetch_rules,
                                        .max = config->policy_fetches_max,
                                        .hops = waiter->hops,
                                        .done = on_done,
                                        .arg = w };
        w->fetch = fetch_start(waiter->gateway->fetcher, &params);
        return POLICY_PENDING;
    }
    if (!w->done)
        return POLICY_PENDING;
    w->taken = true;
    *out = *fetch_result(w->fetch);
    *e = *fetch_error(w->fetch);
    return e->code == E_OK ? POLICY_READY : POLICY_FAILED;
}

enum policy_ready policy_wait_fetch_shared(struct policy_waiter *waiter,
                                           const struct policy_shared_fetch *request,
                                           struct policy_shared_fetched *out, struct err *e)
{
    const struct config *config = waiter->gateway->config;
    struct policy_wait *w = pending_wait(waiter);
    const struct fetch_shared_params params = { .request = request,
                                                .rules = config->fetch_rules,
                                                .max = config->policy_fetches_max };
    enum policy_ready ready;

    if (w != NULL && !w->done)
        return POLICY_PENDING;
    if (w == NULL) {
        w = wait_new(waiter);
        w->shared = (struct fetch_shared_wait){ .done = on_done, .arg = w };
    }
    w->done = false;
    ready = fetch_shared_ask(waiter->gateway->shared, &params, &w->shared, out, e);
    w->taken = ready != POLICY_PENDING;
    return ready;
}

void policy_wait_cancel(struct policy_waiter *waiter)
{
    struct policy_wait *w = waiter->wait;

    if (w == NULL)
        return;
    fetch_shared_leave(&w->shared);
    if (w->job != NULL && !w->done) {
        w->waiter = NULL; /* on_job_done() frees it */
        waiter->wait = NULL;
        return;
    }
    if (w->job != NULL)
        w->job->free(w->job);
    wait_free(w);
}
