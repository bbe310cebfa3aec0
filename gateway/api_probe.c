#include "gateway/api_probe.h"

#include "base/job.h"
#include "base/mem.h"
#include "base/worker.h"
#include "tunnel/api/api.h"

enum { API_PROBE_MS = 1000 };

struct api_probe {
    struct api *api;            /* borrowed */
    struct job_pool *jobs;      /* borrowed */
    struct worker_timer *timer; /* owned; NULL: not started, or stopped */
};

static void wait_again(struct api_probe *p)
{
    if (p->timer != NULL)
        worker_timer_start(p->timer, API_PROBE_MS);
}

static void try_store(void *arg)
{
    struct api_probe *p = arg;

    (void)api_try_store(p->api);
}

static void on_tried(struct worker *w, void *arg)
{
    (void)w;
    wait_again(arg);
}

static void on_timer(struct worker *w, void *arg)
{
    struct api_probe *p = arg;

    if (api_is_well(p->api))
        wait_again(p);
    else
        job_submit(p->jobs, w, try_store, on_tried, p);
}

struct api_probe *api_probe_new(struct api *api, struct job_pool *jobs)
{
    struct api_probe *p = mem_zalloc(sizeof(*p));

    p->api = api;
    p->jobs = jobs;
    return p;
}

void api_probe_start(struct api_probe *p, struct worker *w)
{
    p->timer = worker_timer_new(w, on_timer, p);
    wait_again(p);
}

void api_probe_stop(struct api_probe *p)
{
    if (p == NULL || p->timer == NULL)
        return;
    worker_timer_free(p->timer);
    p->timer = NULL;
}

void api_probe_free(struct api_probe *p)
{
    mem_free(p);
}
