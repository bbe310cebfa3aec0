#include "tests/unit/policy/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/compiled.h"
#include "policy/cookies.h"
#include "policy/engine.h"
#include "policy/filter.h"
#include "policy/objects.h"
#include "policy/request_url.h"
#include "policy/run_int.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024, VALUES_MAX = FAKE_HOST_FIELDS_MAX };

/* ---- headers --------------------------------------------------------------------------------- */

static struct str find_field(const struct fake_message *m, struct str name, size_t index)
{
    for (size_t i = 0; i < m->count; i++) {
        if (str_eq_nocase(m->fields[i].name, name) && index-- == 0)
            return m->fields[i].value;
    }
    return STR_NONE;
}

static struct str header_find(void *ctx, enum policy_message m, struct str name, size_t index)
{
    const struct fake_host *h = ctx;

    return find_field(&h->messages[m], name, index);
}

static void header_add(void *ctx, enum policy_message m, struct str name, struct str value)
{
    struct fake_host *h = ctx;
    struct fake_message *message = &h->messages[m];

    assert_true(message->count < FAKE_HOST_FIELDS_MAX);
    message->fields[message->count++] =
        (struct policy_header){ arena_str(&h->arena, name), arena_str(&h->arena, value) };
}

static size_t header_remove(void *ctx, enum policy_message m, struct str name)
{
    struct fake_host *h = ctx;
    struct fake_message *message = &h->messages[m];
    size_t kept = 0;
    size_t removed;

    for (size_t i = 0; i < message->count; i++) {
        if (!str_eq_nocase(message->fields[i].name, name))
            message->fields[kept++] = message->fields[i];
    }
    removed = message->count - kept;
    message->count = kept;
    return removed;
}

/* The headers as expressions see them: looked up in any case, missing ones are empty lists. */
struct headers_map {
    struct cel_map map;
    const struct fake_message *message;
    struct arena *arena;
};

static struct cel_value values_of(const struct headers_map *m, struct str name)
{
    struct cel_value *items = arena_alloc(m->arena, VALUES_MAX * sizeof(*items));
    struct cel_list *list = arena_alloc(m->arena, sizeof(*list));
    size_t count = 0;

    while (find_field(m->message, name, count).p != NULL) {
        items[count] = cel_string(find_field(m->message, name, count));
        count++;
    }
    *list = (struct cel_list){ items, count };
    return cel_list_of(list);
}

/* The index of the n-th name that did not come before. */
static size_t nth_name(const struct fake_message *m, size_t n)
{
    size_t i;

    for (i = 0; i < m->count; i++) {
        bool first = true;

        for (size_t k = 0; k < i; k++)
            first = first && !str_eq_nocase(m->fields[k].name, m->fields[i].name);
        if (first && n-- == 0)
            break;
    }
    return i;
}

static size_t headers_size(const struct cel_map *map)
{
    const struct fake_message *m = ((const struct headers_map *)map)->message;
    size_t n = 0;

    while (nth_name(m, n) < m->count)
        n++;
    return n;
}

static bool headers_find(struct cel_run *run, const struct cel_map *map,
                         const struct cel_value *key, struct cel_value *out)
{
    const struct headers_map *m = (const struct headers_map *)map;

    (void)run;
    if (key->kind != CEL_STRING || find_field(m->message, cel_str(*key), 0).p == NULL)
        return false;
    *out = values_of(m, cel_str(*key));
    return true;
}

static void headers_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                          struct cel_value *key, struct cel_value *value)
{
    const struct headers_map *m = (const struct headers_map *)map;
    struct str name = m->message->fields[nth_name(m->message, index)].name;
    char *lower = arena_alloc(m->arena, name.n);

    (void)run;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = char_lower(name.p[i]);
    *key = cel_string(str_of(lower, name.n));
    *value = values_of(m, name);
}

static const struct cel_map_ops headers_ops = {
    .size = headers_size,
    .find = headers_find,
    .entry = headers_entry,
    .missing_is_empty = true,
};

static struct cel_value headers_value(const struct fake_host *h, enum policy_message m,
                                      struct arena *arena)
{
    struct headers_map *map = arena_alloc(arena, sizeof(*map));

    *map = (struct headers_map){ { &headers_ops }, &h->messages[m], arena };
    return cel_map_of(&map->map);
}

/* ---- variables ------------------------------------------------------------------------------- */

static struct cel_value zero_of(const char *type)
{
    static const struct cel_list none = { .count = 0 };

    if (str_starts(str_from(type), STR("list")))
        return cel_list_of(&none);
    if (str_starts(str_from(type), STR("map")))
        return policy_empty_map();
    if (strcmp(type, "int") == 0)
        return cel_int(0);
    if (strcmp(type, "bool") == 0)
        return cel_bool(false);
    if (strcmp(type, "timestamp") == 0)
        return cel_timestamp(1720829416, 0);
    return cel_string(STR(""));
}

static struct cel_value cookies(struct fake_host *h, enum policy_message m, struct str name,
                                struct arena *arena)
{
    struct str *values = arena_alloc(arena, VALUES_MAX * sizeof(*values));
    size_t count = 0;

    while (count < VALUES_MAX && find_field(&h->messages[m], name, count).p != NULL) {
        values[count] = find_field(&h->messages[m], name, count);
        count++;
    }
    return m == POLICY_REQUEST ? cookies_of_request(arena, values, count)
                               : cookies_of_response(arena, values, count);
}

static struct cel_value url_var(struct fake_host *h, enum policy_var var, struct arena *arena)
{
    struct request_url url;

    request_url_build(arena, STR("https"), find_field(&h->messages[POLICY_REQUEST], STR("host"), 0),
                      h->target, &url);
    switch ((unsigned)var) {
    case VAR_REQ_URL:
        return cel_string(url.url);
    case VAR_REQ_URL_RAW:
        return cel_string(url.raw);
    case VAR_REQ_URL_RAW_PATH:
        return cel_string(url.raw_path);
    case VAR_REQ_URL_AUTHORITY:
        return cel_string(url.authority);
    case VAR_REQ_URL_PATH:
        return cel_string(url.path);
    case VAR_REQ_URL_QUERY:
        return cel_string(url.query);
    case VAR_REQ_URL_URI:
        return cel_string(url.uri);
    case VAR_REQ_URL_HOST:
        return cel_string(url.host);
    case VAR_REQ_URL_SCHEME:
        return cel_string(url.scheme);
    case VAR_REQ_URL_QUERY_PARAMS:
        return request_url_query_params(arena, url.query);
    default:
        return zero_of(policy_vars[var].type);
    }
}

static struct cel_value text_or_empty(struct str s)
{
    return cel_string(s.p == NULL ? STR("") : s);
}

static struct cel_value var(void *ctx, enum policy_var slot, struct arena *arena)
{
    struct fake_host *h = ctx;
    const struct fake_message *request = &h->messages[POLICY_REQUEST];
    char ip[ADDR_IP_TEXT_BYTES];

    h->var_count++;
    if (h->var_is_set[slot])
        return h->vars[slot];
    switch ((unsigned)slot) {
    case VAR_CONN_CLIENT_IP:
        return cel_string(arena_str(arena, str_from(addr_format_ip(&h->client, ip))));
    case VAR_ENDPOINT_URL:
        return cel_string(STR("https://app.example.com"));
    case VAR_REQ_HEADERS:
        return headers_value(h, POLICY_REQUEST, arena);
    case VAR_RES_HEADERS:
        return headers_value(h, POLICY_RESPONSE, arena);
    case VAR_REQ_COOKIES:
        return cookies(h, POLICY_REQUEST, STR("cookie"), arena);
    case VAR_RES_COOKIES:
        return cookies(h, POLICY_RESPONSE, STR("set-cookie"), arena);
    case VAR_REQ_METHOD:
        return cel_string(h->method);
    case VAR_REQ_HOST:
        return text_or_empty(find_field(request, STR("host"), 0));
    case VAR_RES_STATUS_CODE:
        return cel_int(h->status);
    default:
        return url_var(h, slot, arena);
    }
}

void fake_host_set_var(struct fake_host *h, enum policy_var slot, struct cel_value value)
{
    h->vars[slot] = value;
    h->var_is_set[slot] = true;
}

/* ---- the rest of the table ------------------------------------------------------------------- */

static const struct addr *client_addr(void *ctx)
{
    const struct fake_host *h = ctx;

    return &h->client;
}

static void set_target(void *ctx, struct str path_and_query)
{
    struct fake_host *h = ctx;

    h->target = arena_str(&h->arena, path_and_query);
    h->target_set = true;
}

/* True when the question has to be asked again: each first one is pending. */
static bool is_pending(struct fake_host *h)
{
    if (h->no_pending)
        return false;
    h->pending = !h->pending;
    return h->pending;
}

static enum policy_ready body(void *ctx, enum policy_message m, size_t max_bytes, struct str *out,
                              struct err *e)
{
    struct fake_host *h = ctx;

    if (is_pending(h))
        return POLICY_PENDING;
    if (h->body_error != E_OK) {
        (void)err_set(e, h->body_error, "the body could not be buffered");
        return POLICY_FAILED;
    }
    if (h->messages[m].body.n > max_bytes) {
        (void)err_set(e, E_POLICY_BODY_TOO_LARGE, "the body is too large");
        return POLICY_FAILED;
    }
    *out = h->messages[m].body;
    return POLICY_READY;
}

static void set_body(void *ctx, enum policy_message m, struct str text)
{
    struct fake_host *h = ctx;

    h->messages[m].body = arena_str(&h->arena, text);
    h->messages[m].body_set = true;
}

static bool has_body(void *ctx, enum policy_message m)
{
    const struct fake_host *h = ctx;

    return !h->messages[m].no_body;
}

static void add_filter(void *ctx, struct policy_filter *filter)
{
    struct fake_host *h = ctx;

    assert_true(h->filter_count < FAKE_HOST_FILTERS_MAX);
    h->filters[h->filter_count++] = filter;
}

static const struct fake_fetch *find_fetch(const struct fake_host *h, struct str url)
{
    for (size_t i = 0; i < FAKE_HOST_ENTRIES_MAX && h->fetches[i].url != NULL; i++) {
        if (str_eq(url, str_from(h->fetches[i].url)))
            return &h->fetches[i];
    }
    return NULL;
}

static enum policy_ready answer(const struct fake_fetch *f, struct policy_fetched *out,
                                struct err *e)
{
    if (f == NULL || f->error != E_OK) {
        (void)err_set(e, f == NULL ? E_FETCH_FAILED : f->error, "the request failed");
        return POLICY_FAILED;
    }
    *out = f->fetched;
    return POLICY_READY;
}

static enum policy_ready fetch(void *ctx, const struct policy_fetch *request,
                               struct policy_fetched *out, struct err *e)
{
    struct fake_host *h = ctx;
    struct policy_header *headers;

    if (is_pending(h))
        return POLICY_PENDING;
    h->fetch_count++;
    headers = arena_alloc(&h->arena, (request->header_count + 1) * sizeof(*headers));
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = (struct policy_header){ arena_str(&h->arena, request->headers[i].name),
                                             arena_str(&h->arena, request->headers[i].value) };
    h->last_fetch = *request;
    h->last_fetch.headers = headers;
    h->last_fetch.url = arena_str(&h->arena, request->url);
    h->last_fetch.method = arena_str(&h->arena, request->method);
    h->last_fetch.body = arena_str(&h->arena, request->body);
    *out = (struct policy_fetched){ .status = 0 };
    return answer(find_fetch(h, request->url), out, e);
}

static enum policy_ready fetch_shared(void *ctx, const struct policy_shared_fetch *request,
                                      struct policy_shared_fetched *out, struct err *e)
{
    struct fake_host *h = ctx;
    const struct fake_fetch *f = find_fetch(h, request->url);
    struct policy_fetched fetched;
    enum policy_ready ready;

    if (is_pending(h))
        return POLICY_PENDING;
    h->shared_count++;
    ready = answer(f, &fetched, e);
    if (ready == POLICY_READY)
        *out = (struct policy_shared_fetched){ fetched.body, f->version == 0 ? 1 : f->version };
    return ready;
}

static enum policy_ready job(void *ctx, struct policy_job *work)
{
    struct fake_host *h = ctx;

    if (h->job == NULL)
        work->run(work);
    h->job = is_pending(h) ? work : NULL;
    return h->job == NULL ? POLICY_READY : POLICY_PENDING;
}

static struct str secret(void *ctx, struct str vault, struct str name)
{
    const struct fake_host *h = ctx;

    for (size_t i = 0; i < FAKE_HOST_ENTRIES_MAX && h->secrets[i].vault != NULL; i++) {
        if (str_eq(vault, str_from(h->secrets[i].vault)) &&
            str_eq(name, str_from(h->secrets[i].name)))
            return str_from(h->secrets[i].value);
    }
    return STR_NONE;
}

static const struct policy_ip_rules *ip_policy(void *ctx, struct str name)
{
    const struct fake_host *h = ctx;

    for (size_t i = 0; i < FAKE_HOST_ENTRIES_MAX && h->ip_policies[i].name != NULL; i++) {
        if (str_eq(name, str_from(h->ip_policies[i].name)))
            return &h->ip_policies[i].rules;
    }
    return NULL;
}

static enum policy_ready terminate_tls(void *ctx, const struct policy_tls *settings, struct err *e)
{
    struct fake_host *h = ctx;
    struct str *texts = arena_alloc(&h->arena, (settings->authority_count + 1) * sizeof(*texts));

    if (is_pending(h))
        return POLICY_PENDING;
    for (size_t i = 0; i < settings->authority_count; i++)
        texts[i] = arena_str(&h->arena, settings->authorities[i]);
    h->tls_count++;
    h->tls = *settings;
    h->tls.authorities = texts;
    h->tls.certificate = arena_str(&h->arena, settings->certificate);
    h->tls.key = arena_str(&h->arena, settings->key);
    if (h->tls_error.code != E_OK) {
        *e = h->tls_error;
        return POLICY_FAILED;
    }
    fake_host_set_var(h, VAR_CONN_TLS_VERSION, cel_string(STR("1.3")));
    return POLICY_READY;
}

static int forward(void *ctx, struct str url, struct err *e)
{
    struct fake_host *h = ctx;

    h->forwarded = arena_str(&h->arena, url);
    return h->forward_error.code == E_OK
               ? 0
               : err_set(e, h->forward_error.code, "%s", h->forward_error.msg);
}

static const struct policy_host fake_table = {
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

/* ---- a host ---------------------------------------------------------------------------------- */

void fake_host_init(struct fake_host *h, const char *client_ip)
{
    *h = (struct fake_host){ .method = STR("GET"), .target = STR("/"), .status = 200 };
    assert_int_equal(addr_parse_ip(str_from(client_ip), &h->client), 0);
    arena_init(&h->arena);
    h->local = policy_local_new();
    h->vars = mem_zalloc_array(POLICY_VAR_COUNT, sizeof(*h->vars));
    h->var_is_set = mem_zalloc_array(POLICY_VAR_COUNT, sizeof(*h->var_is_set));
}

static void free_filters(struct fake_host *h)
{
    for (size_t i = 0; i < h->filter_count; i++)
        h->filters[i]->ops->free(h->filters[i]);
    h->filter_count = 0;
}

void fake_host_fini(struct fake_host *h)
{
    free_filters(h);
    policy_run_free(h->run);
    if (h->job != NULL) /* a run that was freed while it waited */
        h->job->free(h->job);
    policy_local_free(h->local);
    mem_free(h->vars);
    mem_free(h->var_is_set);
    arena_fini(&h->arena);
}

void fake_host_add(struct fake_host *h, const char *name, const char *value)
{
    header_add(h, POLICY_REQUEST, str_from(name), str_from(value));
}

void fake_host_add_response(struct fake_host *h, const char *name, const char *value)
{
    header_add(h, POLICY_RESPONSE, str_from(name), str_from(value));
}

static const char *join_values(struct fake_host *h, const struct policy_header *fields,
                               size_t count, const char *name)
{
    struct buf joined;
    const char *text = NULL;

    buf_init(&joined, TEXT_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_nocase(fields[i].name, str_from(name)))
            continue;
        if (text != NULL)
            buf_add_char(&joined, ',');
        buf_add_str(&joined, fields[i].value);
        text = "";
    }
    buf_add_char(&joined, '\0');
    if (text != NULL)
        text = arena_str(&h->arena, buf_str(&joined)).p;
    buf_fini(&joined);
    return text;
}

const char *fake_host_values(struct fake_host *h, const char *name)
{
    const struct fake_message *m = &h->messages[POLICY_REQUEST];

    return join_values(h, m->fields, m->count, name);
}

const char *fake_host_response_values(struct fake_host *h, const char *name)
{
    const struct fake_message *m = &h->messages[POLICY_RESPONSE];

    return join_values(h, m->fields, m->count, name);
}

const char *fake_host_answer(struct fake_host *h, const char *name)
{
    return join_values(h, h->response->headers, h->response->header_count, name);
}

struct policy_engine *fake_host_engine(void)
{
    static struct policy_engine *engine;

    if (engine == NULL)
        engine = policy_engine_new();
    return engine;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static bool knows_ip_policy(void *arg, struct str name)
{
    (void)arg;
    return str_starts(name, STR("ipp_")); /* all others are unknown */
}

static struct counted *compile(const char *text, struct policy_problems *problems)
{
    struct policy_document *d =
        policy_document_parse(STR("test.yml"), str_from(text), &policy_default_limits, problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = {
        .engine = fake_host_engine(),
        .limits = &policy_default_limits,
        .documents = documents,
        .document_count = 1,
        .account = STR("default"),
        .has_ip_policy = knows_ip_policy,
    };
    struct counted *policy = d == NULL ? NULL : policy_compile(&params, problems);

    policy_document_free(d); /* a policy must not borrow from its document */
    return policy;
}

/* True if a line of the problems holds both texts. */
static bool has_line(struct str problems, const char *mark, const char *needle)
{
    struct str line;

    while (str_next(&problems, '\n', &line)) {
        if (str_find(line, str_from(mark)) < line.n && str_find(line, str_from(needle)) < line.n)
            return true;
    }
    return false;
}

/* Fails and shows all problems unless one line has both texts. */
static void expect_line(const struct policy_problems *p, const char *mark, const char *needle)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    policy_problems_format(p, &text);
    if (!has_line(buf_str(&text), mark, needle))
        fail_msg("no '%s' with '%s' among:\n%.*s", mark, needle, STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

static void expect_none(const struct policy_problems *p)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    policy_problems_format(p, &text);
    if (policy_problems_errors(p) > 0)
        fail_msg("unexpected problems:\n%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

struct counted *fake_host_compile(const char *document)
{
    struct policy_problems *problems = policy_problems_new();
    struct counted *policy = compile(document, problems);

    expect_none(problems);
    assert_non_null(policy);
    ((struct policy *)policy)->results_read = ~UINT64_C(0);
    policy_problems_free(problems);
    return policy;
}

void fake_host_expect_refused(const char *document, enum err_code code, const char *needle)
{
    struct policy_problems *problems = policy_problems_new();
    char mark[48];

    assert_null(compile(document, problems));
    (void)snprintf(mark, sizeof(mark), "error[ERR_SALLYPORT_%u]", err_number(code));
    expect_line(problems, mark, needle);
    policy_problems_free(problems);
}

void fake_host_expect_warning(const char *document, const char *needle)
{
    struct policy_problems *problems = policy_problems_new();
    struct counted *policy = compile(document, problems);

    expect_none(problems);
    expect_line(problems, "warning:", needle);
    counted_unref(policy);
    policy_problems_free(problems);
}

static const char *wrap(struct buf *out, enum policy_phase phase, const char *action,
                        const char *config)
{
    buf_init(out, TEXT_MAX_BYTES);
    buf_add_fmt(out, "{'%s': [{'actions': [{'type': '%s', 'config': %s}]}]}%c",
                policy_phase_name(phase), action, config, '\0');
    assert_false(buf_failed(out));
    return buf_str(out).p;
}

struct counted *fake_host_compile_action(enum policy_phase phase, const char *action,
                                         const char *config)
{
    struct buf text;
    struct counted *policy = fake_host_compile(wrap(&text, phase, action, config));

    buf_fini(&text);
    return policy;
}

void fake_host_expect_config_refused(enum policy_phase phase, const char *action,
                                     const char *config, enum err_code code, const char *needle)
{
    struct buf text;

    fake_host_expect_refused(wrap(&text, phase, action, config), code, needle);
    buf_fini(&text);
}

void fake_host_expect_config_warning(enum policy_phase phase, const char *action,
                                     const char *config, const char *needle)
{
    struct buf text;

    fake_host_expect_warning(wrap(&text, phase, action, config), needle);
    buf_fini(&text);
}

/* ---- running --------------------------------------------------------------------------------- */

static enum policy_verdict settle(struct fake_host *h, enum policy_verdict verdict)
{
    while (verdict == POLICY_SUSPEND) {
        h->suspended++;
        assert_true(h->suspended < 1000); /* an action that waits for nothing */
        verdict = policy_run_resume(h->run);
    }
    h->response = policy_run_response(h->run);
    h->outcome = policy_run_outcome(h->run);
    return verdict;
}

enum policy_verdict fake_host_start(struct fake_host *h, const struct counted *policy,
                                    enum policy_phase phase)
{
    const struct policy_run_params params = {
        .policy = policy,
        .host = &fake_table,
        .ctx = h,
        .arena = &h->arena,
        .local = h->local,
        .endpoint = STR("app.example.com"),
    };

    policy_run_free(h->run);
    h->run = policy_run_new(&params);
    return policy_run_phase(h->run, phase);
}

enum policy_verdict fake_host_run(struct fake_host *h, const struct counted *policy,
                                  enum policy_phase phase)
{
    return settle(h, fake_host_start(h, policy, phase));
}

enum policy_verdict fake_host_next(struct fake_host *h, enum policy_phase phase)
{
    return settle(h, policy_run_phase(h->run, phase));
}

enum policy_verdict fake_host_forward_failed(struct fake_host *h, enum err_code code,
                                             const char *text)
{
    struct err e;

    (void)err_set(&e, code, "%s", text);
    return settle(h, policy_run_forward_failed(h->run, &e));
}

enum policy_verdict fake_run(struct fake_host *h, const char *document, enum policy_phase phase)
{
    struct counted *policy = fake_host_compile(document);
    enum policy_verdict verdict = fake_host_run(h, policy, phase);

    counted_unref(policy); /* the run has its own */
    return verdict;
}

enum policy_verdict fake_run_action(struct fake_host *h, enum policy_phase phase,
                                    const char *action, const char *config)
{
    struct buf text;
    enum policy_verdict verdict = fake_run(h, wrap(&text, phase, action, config), phase);

    buf_fini(&text);
    return verdict;
}

const char *fake_host_eval(struct fake_host *h, enum policy_phase phase, const char *expression)
{
    const struct cel_compile_params params = {
        .env = fake_host_engine()->envs[phase],
        .check_flags = CEL_CHECK_HAS_INDEX,
    };
    struct cel_issue issue;
    struct cel_program *program = cel_compile(&params, str_from(expression), &issue);
    struct cel_value text;
    const char *out;

    if (program == NULL)
        fail_msg("%s: %s", expression, issue.text);
    text = run_text(h->run, run_evaluate(h->run, program));
    out =
        arena_fmt(&h->arena, "%s%.*s", cel_is_error(text) ? "error: " : "", STR_ARG(cel_str(text)))
            .p;
    cel_program_free(program);
    return out;
}

/* Pushes bytes through filter `index` and those behind it. */
static void filter_from(struct fake_host *h, size_t index, struct str in, bool last, size_t piece,
                        struct buf *out)
{
    const struct policy_filter_ops *ops;
    struct buf passed;
    struct err e = { .code = E_OK };

    if (index == h->filter_count) {
        buf_add_str(out, in);
        return;
    }
    ops = h->filters[index]->ops;
    buf_init(&passed, FILTER_OUTPUT_MAX_BYTES);
    for (; in.n > 0; in = str_skip(in, piece)) {
        if (ops->push(h->filters[index], str_slice(in, 0, piece), &passed, &e) == -1)
            fail_msg("the response was cut: %s", e.msg);
        if (ops->flush != NULL)
            assert_int_equal(ops->flush(h->filters[index], &passed, &e), 0);
    }
    if (last)
        assert_int_equal(ops->finish(h->filters[index], &passed, &e), 0);
    filter_from(h, index + 1, buf_str(&passed), last, piece, out);
    buf_fini(&passed);
}

struct str fake_host_filter(struct fake_host *h, struct str text, size_t piece)
{
    struct buf out;
    struct str kept;

    assert_true(piece > 0 && piece <= FILTER_INPUT_MAX_BYTES);
    buf_init(&out, TEXT_MAX_BYTES);
    filter_from(h, 0, text, true, piece, &out);
    kept = arena_str(&h->arena, buf_str(&out));
    buf_fini(&out);
    free_filters(h);
    return kept;
}
