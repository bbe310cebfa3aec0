#include "gateway/event_trial.h"

#include <assert.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/worker.h"
#include "gateway/event_post.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"

enum trial_state { TRIAL_FREE, TRIAL_RUNS, TRIAL_DONE };

struct event_trial {
    struct worker *worker;   /* borrowed */
    struct fetcher *fetcher; /* borrowed; NULL: cancelled */
    pthread_mutex_t lock;    /* for what follows, up to the plan */
    pthread_cond_t changed;
    enum trial_state state;
    bool is_stopped;
    enum event_sent how; /* of TRIAL_DONE */
    struct err e;

    /* Written while it is free, then the worker's. */
    struct event_plan *plan; /* counted: of this one destination; NULL: none */
    char *event;             /* owned */
    struct fetch *fetch;     /* owned; NULL: none is under way */
};

/* ---- on the worker -------------------------------------------------------------------------- */

static void on_done(void *arg)
{
    struct event_trial *t = arg;

    (void)pthread_mutex_lock(&t->lock);
    t->how = event_post_result(t->fetch, &t->e);
    fetch_free(t->fetch);
    t->fetch = NULL;
    t->state = TRIAL_DONE;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}

static void begin(struct worker *w, void *arg)
{
    struct event_trial *t = arg;
    struct event_post_params params = { .fetcher = t->fetcher, .done = on_done, .arg = t };
    struct buf body;

    (void)w;
    if (t->fetcher == NULL) /* the process ends */
        return;
    params.destination = &t->plan->destinations[0];
    params.rules = event_post_rules(params.destination);
    buf_init(&body, SIZE_MAX / 2); /* it is of one event */
    event_post_begin(params.destination, &body);
    event_post_add(params.destination, &body, str_from(t->event));
    event_post_end(params.destination, &body);
    params.body = buf_str(&body);
    t->fetch = event_post_start(&params);
    buf_fini(&body);
    fetch_rules_unref(params.rules);
}

/* ---- on the thread that waits --------------------------------------------------------------- */

static void clear(struct event_trial *t)
{
    event_plan_unref(t->plan);
    mem_free(t->event);
    t->plan = NULL;
    t->event = NULL;
    t->state = TRIAL_FREE;
}

/* Under the lock. */
static int start(struct event_trial *t, const struct event_destination *d, struct str event,
                 struct err *e)
{
    struct event_plan *plan;

    if (t->is_stopped)
        return err_set(e, E_FETCH_FAILED, "the gateway is shutting down");
    if (t->state != TRIAL_FREE)
        return err_set(e, E_RATE_LIMITED, "another test event is under way");
    plan = event_plan_new();
    if (event_plan_add_destination(plan, d, e) == -1) {
        event_plan_unref(plan);
        return -1;
    }
    t->plan = plan;
    t->event = str_dup(event);
    t->state = TRIAL_RUNS;
    worker_post(t->worker, begin, t);
    return 0;
}

int event_trial_run(struct event_trial *t, const struct event_destination *d, struct str event,
                    struct err *e)
{
    int rc;

    (void)pthread_mutex_lock(&t->lock); /* fails only when misused, as does the unlock */
    rc = start(t, d, event, e);
    while (rc == 0 && t->state == TRIAL_RUNS && !t->is_stopped)
        (void)pthread_cond_wait(&t->changed, &t->lock); /* likewise */
    if (rc == 0 && t->state == TRIAL_DONE) {
        rc = t->how == EVENT_SENT ? 0 : -1;
        *e = t->e;
        clear(t);
    } else if (rc == 0) {
        rc = err_set(e, E_FETCH_FAILED, "the gateway is shutting down");
    }
    (void)pthread_mutex_unlock(&t->lock);
    return rc;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct event_trial *event_trial_new(struct worker *w, struct fetcher *fetcher)
{
    struct event_trial *t = mem_zalloc(sizeof(*t));
    int failed = pthread_mutex_init(&t->lock, NULL);

    assert(failed == 0);
    failed = pthread_cond_init(&t->changed, NULL);
    assert(failed == 0);
    (void)failed;
    t->worker = w;
    t->fetcher = fetcher;
    return t;
}

void event_trial_stop(struct event_trial *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->is_stopped = true;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}

void event_trial_cancel(struct event_trial *t)
{
    fetch_free(t->fetch);
    t->fetch = NULL;
    t->fetcher = NULL;
}

void event_trial_free(struct event_trial *t)
{
    if (t == NULL)
        return;
    clear(t);
    (void)pthread_cond_destroy(&t->changed); /* fails only while it is waited on */
    (void)pthread_mutex_destroy(&t->lock);   /* fails only while it is locked */
    mem_free(t);
}
