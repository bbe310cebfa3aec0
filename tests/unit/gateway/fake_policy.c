#include "tests/unit/gateway/fake_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/exchange_int.h"
#include "gateway/policy_vars.h"

static atomic_int runs;
static atomic_uint made;
static atomic_uint upstream_ok;
static atomic_uint upstream_failed;
static atomic_int filters;

static void policy_free(struct counted *c)
{
    mem_free(c);
}

struct counted *fake_policy_new(unsigned phases, fake_rule_fn *rule, void *arg)
{
    struct fake_policy *p = mem_zalloc(sizeof(*p));

    ref_init(&p->counted.ref);
    p->counted.free = policy_free;
    p->phases = phases;
    p->rule = rule;
    p->arg = arg;
    return &p->counted;
}

int fake_policy_runs(void)
{
    return atomic_load(&runs);
}

unsigned fake_policy_made(void)
{
    return atomic_load(&made);
}

unsigned fake_policy_upstream_ok(void)
{
    return atomic_load(&upstream_ok);
}

unsigned fake_policy_upstream_failed(void)
{
    return atomic_load(&upstream_failed);
}

void fake_policy_reset(void)
{
    atomic_store(&made, 0);
    atomic_store(&upstream_ok, 0);
    atomic_store(&upstream_failed, 0);
}

/* ---- policy/run.h ---- */

struct policy_local {
    int unused;
};

struct policy_local *policy_local_new(void)
{
    return mem_zalloc(sizeof(struct policy_local));
}

void policy_local_free(struct policy_local *local)
{
    mem_free(local);
}

bool policy_has_phase(const struct counted *policy, enum policy_phase phase)
{
    return policy != NULL && (((const struct fake_policy *)policy)->phases >> phase & 1) != 0;
}

bool policy_ends_tls(const struct counted *policy)
{
    (void)policy;
    return false;
}

struct policy_run *policy_run_new(const struct policy_run_params *params)
{
    struct policy_run *run = arena_zalloc(params->arena, sizeof(*run));

    run->policy = (const struct fake_policy *)params->policy;
    counted_ref((struct counted *)(uintptr_t)params->policy);
    run->host = params->host;
    run->ctx = params->ctx;
    run->arena = params->arena;
    atomic_fetch_add(&runs, 1);
    atomic_fetch_add(&made, 1);
    return run;
}

void policy_run_free(struct policy_run *run)
{
    if (run == NULL)
        return;
    atomic_fetch_sub(&runs, 1);
    counted_unref((struct counted *)(uintptr_t)&run->policy->counted);
}

static enum policy_verdict call(struct policy_run *run)
{
    run->calls++;
    run->response = (struct policy_response){ .error = E_OK };
    return run->policy->rule(run);
}

enum policy_verdict policy_run_phase(struct policy_run *run, enum policy_phase phase)
{
    run->phase = phase;
    run->calls = 0;
    run->state = NULL;
    return call(run);
}

enum policy_verdict policy_run_resume(struct policy_run *run)
{
    return call(run);
}

enum policy_verdict policy_run_forward_failed(struct policy_run *run, const struct err *why)
{
    (void)why;
    return call(run);
}

const struct policy_response *policy_run_response(const struct policy_run *run)
{
    return &run->response;
}

const struct policy_outcome *policy_run_outcome(const struct policy_run *run)
{
    return &run->outcome;
}

void policy_run_upstream_result(struct policy_run *run, bool failed)
{
    (void)run;
    atomic_fetch_add(failed ? &upstream_failed : &upstream_ok, 1);
}

struct policy_filter *policy_run_event_stream_filter(struct policy_run *run)
{
    return policy_has_phase(&run->policy->counted, POLICY_ON_EVENT_STREAM_MESSAGE)
               ? fake_filter_new(1, false)
               : NULL;
}

/* ---- gateway/policy_vars.h ---- */

struct cel_value policy_vars_get(struct exchange_hop *hop, enum policy_var var, struct arena *arena)
{
    (void)hop;
    (void)var;
    (void)arena;
    return cel_null();
}

struct cel_value policy_vars_visit(const struct policy_visit *v, enum policy_var var)
{
    (void)v;
    (void)var;
    return cel_null();
}

void policy_facts_forget_url(struct exchange *x)
{
    (void)x;
}

/* ---- answers ---- */

enum policy_verdict fake_answer(struct policy_run *run, unsigned status, const char *body,
                                bool rules)
{
    run->response.status = status;
    run->response.body = str_from(body);
    run->response.runs_response_phase = rules;
    return POLICY_RESPOND;
}

enum policy_verdict fake_fail(struct policy_run *run, enum err_code code, const char *message)
{
    run->response.error = code;
    (void)snprintf(run->response.message, sizeof(run->response.message), "%s", message);
    return POLICY_RESPOND;
}

/* ---- jobs ---- */

struct slow_job {
    struct policy_job job; /* first */
    atomic_bool *go;
    atomic_uint *freed;
};

static void run_slow(struct policy_job *job)
{
    while (!atomic_load(((struct slow_job *)job)->go))
        (void)usleep(1000);
}

static void free_slow(struct policy_job *job)
{
    atomic_fetch_add(((struct slow_job *)job)->freed, 1);
    mem_free(job);
}

enum policy_verdict fake_gate_rule(struct policy_run *run)
{
    struct fake_gate *gate = run->policy->arg;
    struct slow_job *job = run->state;

    if (job == NULL) {
        job = mem_zalloc(sizeof(*job));
        job->job = (struct policy_job){ .run = run_slow, .free = free_slow };
        job->go = &gate->go;
        job->freed = &gate->freed;
        run->state = job;
        atomic_fetch_add(&gate->started, 1);
    }
    if (run->host->job(run->ctx, &job->job) == POLICY_PENDING)
        return POLICY_SUSPEND;
    job->job.free(&job->job);
    return gate->after == POLICY_RESPOND ? fake_answer(run, 403, "no", false) : gate->after;
}

void fake_gate_wait_started(struct fake_gate *gate, unsigned count)
{
    for (int ms = 0; ms < 20000 && atomic_load(&gate->started) < count; ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&gate->started), count);
}

void fake_gate_open(struct fake_gate *gate)
{
    atomic_store(&gate->go, true);
    for (int ms = 0; ms < 20000 && atomic_load(&gate->freed) < atomic_load(&gate->started); ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&gate->freed), atomic_load(&gate->started));
}

/* ---- filters ---- */

enum { HOARD_MAX = 16 * 1024 * 1024 };

struct fake_filter {
    struct policy_filter filter; /* first */
    size_t factor;
    size_t fails_after; /* 0: never */
    size_t bytes;
    bool hoard;
    struct buf hoarded;
};

static struct fake_filter *filter_of(struct policy_filter *f)
{
    return (struct fake_filter *)f;
}

static int filter_push(struct policy_filter *filter, struct str in, struct buf *out, struct err *e)
{
    struct fake_filter *f = filter_of(filter);
    struct buf *to = f->hoard ? &f->hoarded : out;

    f->bytes += in.n;
    if (f->fails_after > 0 && f->bytes > f->fails_after)
        return err_set(e, E_REPLACE_FAILED, "the filter fails");
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i] >= 'a' && in.p[i] <= 'z' ? (char)(in.p[i] - 'a' + 'A') : in.p[i];

        for (size_t k = 0; k < f->factor; k++)
            buf_add_char(to, c);
    }
    return 0;
}

static int filter_flush(struct policy_filter *filter, struct buf *out, struct err *e)
{
    struct fake_filter *f = filter_of(filter);

    (void)e;
    buf_add_str(out, buf_str(&f->hoarded));
    buf_clear(&f->hoarded);
    return 0;
}

static int filter_finish(struct policy_filter *filter, struct buf *out, struct err *e)
{
    (void)filter_flush(filter, out, e);
    buf_add_char(out, '!');
    return 0;
}

static void filter_free(struct policy_filter *filter)
{
    buf_fini(&filter_of(filter)->hoarded);
    mem_free(filter);
    atomic_fetch_sub(&filters, 1);
}

static const struct policy_filter_ops filter_ops = {
    .name = "fake",
    .push = filter_push,
    .flush = filter_flush,
    .finish = filter_finish,
    .free = filter_free,
};

struct policy_filter *fake_filter_new(size_t factor, bool hoard)
{
    struct fake_filter *f = mem_zalloc(sizeof(*f));

    f->filter.ops = &filter_ops;
    f->factor = factor;
    f->hoard = hoard;
    buf_init(&f->hoarded, HOARD_MAX);
    atomic_fetch_add(&filters, 1);
    return &f->filter;
}

struct policy_filter *fake_filter_failing(size_t bytes)
{
    struct policy_filter *f = fake_filter_new(1, false);

    filter_of(f)->fails_after = bytes;
    return f;
}

int fake_filters(void)
{
    return atomic_load(&filters);
}
