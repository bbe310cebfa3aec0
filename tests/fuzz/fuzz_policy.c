/*
 * Fuzz target of traffic policies: a document, YAML or JSON, up to the first NUL byte. What loads is
 * compiled with all actions, and what compiles is run in every phase over a message whose headers,
 * target and bodies are the text behind the NUL.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/filter.h"
#include "policy/objects.h"
#include "policy/policy.h"
#include "policy/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROBLEMS_MAX_BYTES = 1024 * 1024, FILTERS_MAX = 200, RESUMES_MAX = 10000 };

/* A message that is the same text everywhere. */
struct message {
    struct str text;
    struct str utf8; /* as much of it as expressions may see */
    struct policy_filter *filters[FILTERS_MAX];
    size_t filter_count;
    bool pending;
};

static struct cel_value zero_of(struct message *m, const char *type)
{
    static const struct cel_list none = { .count = 0 };
    struct str name = str_from(type);

    if (str_starts(name, STR("list")))
        return cel_list_of(&none);
    if (str_starts(name, STR("map")))
        return policy_empty_map();
    if (str_eq(name, STR("int")))
        return cel_int((int64_t)m->text.n);
    if (str_eq(name, STR("bool")))
        return cel_bool(m->text.n % 2 != 0);
    if (str_eq(name, STR("timestamp")))
        return cel_timestamp((int64_t)m->text.n, 0);
    return cel_string(m->utf8);
}

static struct cel_value var(void *ctx, enum policy_var slot, struct arena *arena)
{
    (void)arena;
    return zero_of(ctx, policy_vars[slot].type);
}

static const struct addr *client_addr(void *ctx)
{
    static const struct addr client = { .family = 4, .ip = { 192, 0, 2, 1 } };

    (void)ctx;
    return &client;
}

static struct str header_find(void *ctx, enum policy_message which, struct str name, size_t index)
{
    const struct message *m = ctx;

    (void)which;
    (void)name;
    return index == 0 ? m->text : STR_NONE;
}

static bool has_line_end(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return true;
    }
    return false;
}

static void header_add(void *ctx, enum policy_message which, struct str name, struct str value)
{
    (void)ctx;
    (void)which;
    assert(name.n > 0 && !has_line_end(name) && !has_line_end(value));
}

static size_t header_remove(void *ctx, enum policy_message which, struct str name)
{
    (void)ctx;
    (void)which;
    assert(name.n > 0);
    return 1;
}

static void set_target(void *ctx, struct str target)
{
    (void)ctx;
    assert(target.n > 0 && target.p[0] == '/' && !has_line_end(target));
}

/* Every second question has to be asked again. */
static bool is_pending(struct message *m)
{
    m->pending = !m->pending;
    return m->pending;
}

static enum policy_ready body(void *ctx, enum policy_message which, size_t max, struct str *out,
                              struct err *e)
{
    struct message *m = ctx;

    (void)which;
    if (is_pending(m))
        return POLICY_PENDING;
    if (m->text.n > max) {
        (void)err_set(e, E_POLICY_BODY_TOO_LARGE, "too large");
        return POLICY_FAILED;
    }
    *out = m->text;
    return POLICY_READY;
}

static void set_body(void *ctx, enum policy_message which, struct str text)
{
    (void)ctx;
    (void)which;
    (void)text;
}

static bool has_body(void *ctx, enum policy_message which)
{
    (void)ctx;
    (void)which;
    return true;
}

static void add_filter(void *ctx, struct policy_filter *filter)
{
    struct message *m = ctx;

    if (m->filter_count == FILTERS_MAX)
        filter->ops->free(filter);
    else
        m->filters[m->filter_count++] = filter;
}

static enum policy_ready fetch(void *ctx, const struct policy_fetch *request,
                               struct policy_fetched *out, struct err *e)
{
    struct message *m = ctx;

    (void)request;
    if (is_pending(m))
        return POLICY_PENDING;
    *out = (struct policy_fetched){ .status = 200, .body = m->text };
    if (m->text.n % 3 != 0)
        return POLICY_READY;
    (void)err_set(e, E_FETCH_FAILED, "failed");
    return POLICY_FAILED;
}

static enum policy_ready fetch_shared(void *ctx, const struct policy_shared_fetch *request,
                                      struct policy_shared_fetched *out, struct err *e)
{
    struct message *m = ctx;

    (void)request;
    (void)e;
    if (is_pending(m))
        return POLICY_PENDING;
    *out = (struct policy_shared_fetched){ m->text, 1 };
    return POLICY_READY;
}

static enum policy_ready job(void *ctx, struct policy_job *work)
{
    (void)ctx;
    work->run(work);
    return POLICY_READY;
}

static struct str secret(void *ctx, struct str vault, struct str name)
{
    const struct message *m = ctx;

    (void)vault;
    return name.n % 2 == 0 ? STR_NONE : m->utf8;
}

static const struct policy_ip_rules *ip_policy(void *ctx, struct str name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static enum policy_ready terminate_tls(void *ctx, const struct policy_tls *settings, struct err *e)
{
    (void)ctx;
    if (settings->authority_count % 2 == 0)
        return POLICY_READY;
    (void)err_set(e, E_CERTIFICATE_PEM, "no certificate");
    return POLICY_FAILED;
}

static int forward(void *ctx, struct str url, struct err *e)
{
    (void)ctx;
    return url.n % 2 == 0 ? 0 : err_set(e, E_ENDPOINT_OFFLINE, "offline");
}

static const struct policy_host host = {
    .var = var,
    .client_addr = client_addr,
    .header_find = header_find,
    .header_add = header_add,
    .header_remove = header_remove,
    .set_target = set_target,
    .body = body,
    .set_body = set_body,
    .has_body = has_body,
    .add_filter = add_filter,
    .fetch = fetch,
    .fetch_shared = fetch_shared,
    .job = job,
    .secret = secret,
    .ip_policy = ip_policy,
    .terminate_tls = terminate_tls,
    .forward = forward,
};

/* ---- running --------------------------------------------------------------------------------- */

static void check_response(const struct policy_response *r)
{
    assert(r->header_count <= POLICY_RESPONSE_HEADERS_MAX);
    assert(r->error != E_OK || (r->status >= 200 && r->status <= 599));
    for (size_t i = 0; i < r->header_count; i++)
        assert(!has_line_end(r->headers[i].name) && !has_line_end(r->headers[i].value));
}

static void run_phase(struct policy_run *run, enum policy_phase phase)
{
    const struct err offline = { .code = E_ENDPOINT_OFFLINE, .msg = "offline" };
    enum policy_verdict verdict = policy_run_phase(run, phase);

    for (int i = 0; verdict == POLICY_SUSPEND || verdict == POLICY_FORWARD; i++) {
        assert(i < RESUMES_MAX);
        verdict = verdict == POLICY_SUSPEND ? policy_run_resume(run)
                                            : policy_run_forward_failed(run, &offline);
    }
    assert(verdict != POLICY_RESPOND || phase != POLICY_ON_TCP_CONNECT);
    if (verdict == POLICY_RESPOND)
        check_response(policy_run_response(run));
}

static void run_filter(struct policy_filter *f, struct str text)
{
    struct buf out;
    struct err e = { .code = E_OK };

    buf_init(&out, FILTER_OUTPUT_MAX_BYTES);
    for (; text.n > 0; text = str_skip(text, FILTER_INPUT_MAX_BYTES)) {
        if (f->ops->push(f, str_slice(text, 0, FILTER_INPUT_MAX_BYTES), &out, &e) == -1)
            break;
    }
    if (e.code == E_OK)
        (void)f->ops->finish(f, &out, &e); /* a body that is none may be refused */
    f->ops->free(f);
    buf_fini(&out);
}

static void run_policy(const struct counted *policy, struct str text)
{
    struct message m = { .text = text, .utf8 = str_slice(text, 0, utf8_good(text)) };
    struct policy_local *local = policy_local_new();
    struct policy_filter *events;
    struct policy_run *run;
    struct arena arena;

    arena_init(&arena);
    run = policy_run_new(&(struct policy_run_params){ .policy = policy,
                                                      .host = &host,
                                                      .ctx = &m,
                                                      .arena = &arena,
                                                      .local = local,
                                                      .endpoint = STR("a.example") });
    for (unsigned phase = 0; phase < POLICY_ON_EVENT_STREAM_MESSAGE; phase++)
        run_phase(run, (enum policy_phase)phase);
    policy_run_upstream_result(run, true);
    for (size_t i = 0; i < m.filter_count; i++)
        run_filter(m.filters[i], text);
    events = policy_run_event_stream_filter(run);
    if (events != NULL)
        run_filter(events, text);
    policy_run_free(run);
    arena_fini(&arena);
    policy_local_free(local);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Small enough that no policy runs for long. */
static struct policy_limits small_limits(void)
{
    struct policy_limits limits = policy_default_limits;

    limits.policy_rules_max = 20;
    limits.policy_expressions_max = 10;
    limits.policy_actions_max = 10;
    limits.policy_steps_max = 2000;
    limits.rate_limit_buckets_max = 1024;
    return limits;
}

static struct counted *load(struct str text)
{
    static struct policy_engine *engine;
    const struct policy_limits limits = small_limits();
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d = policy_document_parse(STR("d"), text, &limits, problems);
    const struct policy_document *documents[] = { d };
    struct policy_params params = {
        .limits = &limits, .documents = documents, .document_count = 1, .account = STR("a")
    };
    struct counted *policy = NULL;
    struct buf formatted;

    if (engine == NULL)
        engine = policy_engine_new();
    params.engine = engine;
    if (d != NULL)
        policy = policy_compile(&params, problems);
    assert((policy == NULL) == (policy_problems_errors(problems) > 0));
    buf_init(&formatted, PROBLEMS_MAX_BYTES);
    policy_problems_format(problems, &formatted);
    assert(!buf_failed(&formatted));
    buf_fini(&formatted);
    policy_document_free(d);
    policy_problems_free(problems);
    return policy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    size_t end = str_find_char(input, '\0');
    struct counted *policy = load(str_slice(input, 0, end));

    if (policy != NULL)
        run_policy(policy, str_skip(input, end + 1));
    counted_unref(policy);
    return 0;
}
