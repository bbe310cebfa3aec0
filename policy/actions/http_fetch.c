/*
 * http-request: asks another server while the visitor's request waits, and leaves the answer to
 * expressions (spec traffic-policy 6.10, D39, D40). Sending is the host's; this builds the request,
 * decides about another attempt, and keeps what came back.
 */
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "policy/action.h"
#include "policy/fetch_report.h"
#include "policy/header_rule.h"
#include "policy/local.h"
#include "policy/target_url.h"

enum {
    PARAMS_MAX = 32,
    KEY_MAX_CHARS = 128,
    VALUE_MAX_CHARS = 8192,
    REDIRECTS_MAX = 5,
    TIMEOUT_MS = 3000,
    TIMEOUT_MIN_MS = 1000,
    TIMEOUT_MAX_MS = 30000,
    RETRIES_MAX = 3,
    ATTEMPTS_MAX = 1 + RETRIES_MAX,
    RESPONSE_MAX_BYTES = 256 * 1024,
    URL_MAX_BYTES = 1024 * 1024, /* all parameters at their longest and then some */
    OWN_HEADERS = 4,
    ID_BYTES = 16,
    WARNINGS_A_SECOND = 5,
};

enum { ON_ERROR_CONTINUE, ON_ERROR_HALT };

struct http_fetch {
    struct template *url; /* owned */
    unsigned method;
    size_t param_count;
    struct {
        char *key;              /* owned */
        struct template *value; /* owned */
    } params[PARAMS_MAX];
    struct header_rules headers;
    struct template *body; /* owned */
    int64_t max_redirects;
    uint64_t timeout_ms;
    struct cel_program *retry_condition; /* owned; NULL: never */
    unsigned on_error;
};

static const char *const methods[] = { "GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", NULL };

/* ---- config ---------------------------------------------------------------------------------- */

static bool takes_body(unsigned method)
{
    struct str name = str_from(methods[method]);

    return str_eq(name, STR("POST")) || str_eq(name, STR("PUT")) || str_eq(name, STR("PATCH"));
}

static void read_url(const struct fields *c, struct http_fetch *h)
{
    struct field url = fields_need(c, "url");
    struct str literal;

    h->url = field_template(&url);
    if (h->url != NULL && template_is_literal(h->url, &literal) && !target_url_is_http(literal))
        (void)field_problem_hint(&url, E_POLICY_URL, "for example https://api.internal/check",
                                 "it must be an http or https URL");
}

static void read_param(const struct field *f, struct http_fetch *h)
{
    static const char *const known[] = { "key", "value", NULL };
    struct fields param = field_fields(f);
    struct field key;
    struct field value;
    struct str name = STR_NONE;
    struct str literal;

    if (param.map == NULL)
        return; /* it was reported */
    (void)fields_known(&param, known);
    key = fields_need(&param, "key");
    value = fields_need(&param, "value");
    if (field_text(&key, &name) == 0 && field_is_given(&key) && name.n == 0)
        (void)field_problem(&key, E_POLICY_EMPTY, "it must not be empty");
    if (utf8_count(name) > KEY_MAX_CHARS)
        (void)field_problem(&key, E_POLICY_QUERY_KEY, "%zu characters, at most %d are allowed",
                            utf8_count(name), KEY_MAX_CHARS);
    h->params[h->param_count].key = str_dup(name);
    h->params[h->param_count].value = field_template(&value);
    if (template_is_literal(h->params[h->param_count].value, &literal) &&
        utf8_count(literal) > VALUE_MAX_CHARS)
        (void)field_problem(&value, E_POLICY_QUERY_VALUE, "%zu characters, at most %d are allowed",
                            utf8_count(literal), VALUE_MAX_CHARS);
    h->param_count++;
}

static void read_params(const struct fields *c, struct http_fetch *h)
{
    struct field list = fields_find(c, "query_params");
    size_t count = 0;

    if (field_list(&list, 0, SIZE_MAX, &count) == -1)
        return;
    if (count > PARAMS_MAX) {
        (void)field_problem(&list, E_POLICY_QUERY_PARAMS,
                            "%zu query parameters, at most %d are allowed", count, PARAMS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);

        read_param(&item, h);
    }
}

/* What identifies a request of the gateway must not come from a policy. */
static bool is_own_header(struct str name)
{
    return str_eq(name, STR("sallyport-req-type")) || str_eq(name, STR("sallyport-req-id"));
}

static void read_headers(const struct fields *c, struct http_fetch *h)
{
    struct field headers = fields_find(c, "headers");

    (void)header_rules_read(&headers, HEADER_RULE_OWN, &h->headers);
    for (size_t i = 0; i < h->headers.count; i++) {
        if (is_own_header(str_from(h->headers.fields[i].name)))
            (void)field_problem(&headers, E_POLICY_NOT_SETTABLE,
                                "header '%s' is set by the gateway", h->headers.fields[i].name);
    }
}

void *http_fetch_compile(const struct fields *c)
{
    static const char *const known[] = {
        "url",           "method",  "query_params",    "headers",  "body",
        "max_redirects", "timeout", "retry_condition", "on_error", NULL
    };
    static const char *const on_error[] = { "continue", "halt", NULL };
    struct http_fetch *h = mem_zalloc(sizeof(*h));
    struct field method = fields_find(c, "method");
    struct field body = fields_find(c, "body");
    struct field redirects = fields_find(c, "max_redirects");
    struct field timeout = fields_find(c, "timeout");
    struct field retry = fields_find(c, "retry_condition");
    struct field error = fields_find(c, "on_error");

    h->timeout_ms = TIMEOUT_MS;
    (void)fields_known(c, known);
    read_url(c, h);
    (void)field_choice(&method, methods, &h->method);
    read_params(c, h);
    read_headers(c, h);
    h->body = field_template(&body);
    if (field_is_given(&body) && !takes_body(h->method))
        field_warn(&body, "a body with %s means nothing to most servers", methods[h->method]);
    (void)field_int(&redirects, 0, REDIRECTS_MAX, &h->max_redirects);
    (void)field_duration(&timeout, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &h->timeout_ms);
    h->retry_condition = field_retry_condition(&retry);
    (void)field_choice(&error, on_error, &h->on_error);
    return h;
}

/* ---- building the request -------------------------------------------------------------------- */

/* One run of the action, in the arena of the exchange. */
struct fetching {
    struct policy_fetch request;
    struct policy_header headers[HEADER_RULE_FIELDS_MAX + OWN_HEADERS];
    uint64_t deadline_ms; /* monotonic */
    bool is_pending;
    bool is_kept; /* somebody reads the attempts */
    struct cel_value request_value;
    size_t count; /* of attempts that are over */
    struct fetch_attempt attempts[ATTEMPTS_MAX];
};

static int add_param(const struct http_fetch *h, struct action_run *run, size_t i, struct buf *url,
                     struct err *e)
{
    struct str value;

    if (template_text(h->params[i].value, run, &value, e) == -1)
        return -1;
    if (utf8_count(value) > VALUE_MAX_CHARS)
        return err_set(e, E_POLICY_FIELD_EVALUATION,
                       "query_params[%zu].value: more than %d characters", i, VALUE_MAX_CHARS);
    target_url_add_query(url, str_from(h->params[i].key));
    buf_add_char(url, '=');
    target_url_add_query(url, value);
    return 0;
}

/* The URL without its fragment, which is never sent, and the parameters behind its query. */
static int join_url(const struct http_fetch *h, struct action_run *run, struct buf *url,
                    struct err *e)
{
    struct str text;
    bool has_query;

    if (template_text(h->url, run, &text, e) == -1)
        return -1;
    text = str_slice(text, 0, str_find_char(text, '#'));
    has_query = str_find_char(text, '?') < text.n;
    target_url_add(url, text);
    for (size_t i = 0; i < h->param_count; i++) {
        buf_add_char(url, has_query ? '&' : '?');
        has_query = true;
        if (add_param(h, run, i, url, e) == -1)
            return -1;
    }
    if (buf_failed(url))
        return err_set(e, E_POLICY_MEMORY, "url: more than %d bytes", URL_MAX_BYTES);
    return 0;
}

static int keep_url(struct action_run *run, struct str url, struct str *out, struct err *e)
{
    char *copy = cel_alloc(action_values(run), url.n);

    if (copy == NULL)
        return err_set(e, E_POLICY_MEMORY, "url: the URL needs too much memory");
    if (url.p != NULL)
        memcpy(copy, url.p, url.n);
    *out = str_of(copy, url.n);
    return 0;
}

static int build_url(const struct http_fetch *h, struct action_run *run, struct fetching *f,
                     struct err *e)
{
    struct buf url;
    int rc;

    buf_init(&url, URL_MAX_BYTES);
    rc = join_url(h, run, &url, e);
    if (rc == 0)
        rc = keep_url(run, buf_str(&url), &f->request.url, e);
    buf_fini(&url);
    return rc;
}

static bool has_header(const struct fetching *f, struct str name)
{
    for (size_t i = 0; i < f->request.header_count; i++) {
        if (str_eq(f->headers[i].name, name))
            return true;
    }
    return false;
}

static void add_header(struct fetching *f, struct str name, struct str value)
{
    f->headers[f->request.header_count++] = (struct policy_header){ name, value };
}

static struct str new_id(struct action_run *run)
{
    unsigned char id[ID_BYTES];
    char text[2 * ID_BYTES + 1];

    rand_bytes(id, sizeof(id));
    for (size_t i = 0; i < sizeof(id); i++) {
        text[2 * i] = "0123456789abcdef"[id[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    return arena_str(run->arena, str_of(text, 2 * sizeof(id)));
}

static int build_headers(const struct http_fetch *h, struct action_run *run, struct fetching *f,
                         struct err *e)
{
    char client[ADDR_IP_TEXT_BYTES];
    struct str address;

    f->request.headers = f->headers;
    for (size_t i = 0; i < h->headers.count; i++) {
        struct str value;

        if (header_rules_value(&h->headers, i, run, &value, e) == -1)
            return -1;
        add_header(f, str_from(h->headers.fields[i].name), value);
    }
    address = str_from(addr_format_ip(run->host->client_addr(run->ctx), client));
    if (!has_header(f, STR("user-agent")))
        add_header(f, STR("user-agent"), STR("sallyport"));
    if (!has_header(f, STR("x-forwarded-for")))
        add_header(f, STR("x-forwarded-for"), arena_str(run->arena, address));
    add_header(f, STR("sallyport-req-type"), STR("http-request"));
    add_header(f, STR("sallyport-req-id"), STR_NONE); /* the last one: each attempt has its own */
    return 0;
}

static int build(const struct http_fetch *h, struct action_run *run, struct fetching *f,
                 struct err *e)
{
    f->request.method = str_from(methods[h->method]);
    f->request.response_max_bytes = RESPONSE_MAX_BYTES;
    f->request.max_redirects = (unsigned)h->max_redirects;
    f->deadline_ms = clock_mono_ms() + h->timeout_ms;
    f->is_kept = action_wants_result(run) || h->retry_condition != NULL;
    if (build_url(h, run, f, e) == -1 || build_headers(h, run, f, e) == -1)
        return -1;
    return template_text(h->body, run, &f->request.body, e);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void record(struct action_run *run, struct fetching *f, const struct policy_fetched *got,
                   const struct err *why)
{
    struct fetch_attempt *a = &f->attempts[f->count++];

    if (f->is_kept) {
        fetch_attempt_take(run, got, why, a);
        f->request_value = fetch_request_value(run, &f->request);
    } else {
        a->error = *why;
    }
}

static enum policy_ready ask(struct action_run *run, struct fetching *f, struct policy_fetched *got,
                             struct err *why)
{
    uint64_t now_ms = clock_mono_ms();

    if (f->is_pending)
        return run->host->fetch(run->ctx, &f->request, got, why);
    if (!target_url_is_http(f->request.url)) {
        (void)err_set(why, E_FETCH_FAILED, "http-request: it is no http or https URL");
        return POLICY_FAILED;
    }
    f->request.timeout_ms = f->deadline_ms > now_ms ? f->deadline_ms - now_ms : 1;
    f->headers[f->request.header_count - 1].value = new_id(run);
    return run->host->fetch(run->ctx, &f->request, got, why);
}

/* One attempt, from its start or from where it waits. False while it is under way. */
static bool attempt(struct action_run *run, struct fetching *f)
{
    struct policy_fetched got = { 0 };
    struct err why = { .code = E_OK };

    switch (ask(run, f, &got, &why)) {
    case POLICY_PENDING:
        f->is_pending = true;
        return false;
    case POLICY_READY:
        why.code = E_OK;
        break;
    case POLICY_FAILED:
        break;
    }
    f->is_pending = false;
    record(run, f, &got, &why);
    return true;
}

static void warn_condition(struct action_run *run, struct str why)
{
    uint64_t suppressed;

    if (log_limit_pass(&run->local->warnings, WARNINGS_A_SECOND, clock_mono_ms(), &suppressed))
        log_info("policy.retry_condition_failed", LSTR("error", why), LU("suppressed", suppressed));
}

/* A condition that fails asks for nothing: it usually reads a response that there is not. */
static bool wants_retry(const struct http_fetch *h, struct action_run *run, struct fetching *f)
{
    struct cel_value last;
    struct cel_value again;

    if (h->retry_condition == NULL || f->count > RETRIES_MAX)
        return false;
    last = fetch_last_attempt(run, f->request_value, &f->attempts[f->count - 1]);
    if (cel_is_error(last))
        return false;
    action_set_attempts(run, f->count, last);
    again = action_evaluate(run, h->retry_condition);
    if (cel_is_error(again))
        warn_condition(run, cel_str(again));
    return cel_is_true(again);
}

/* True if there is to be another attempt; the time for it may be over. */
static bool goes_on(const struct http_fetch *h, struct action_run *run, struct fetching *f)
{
    struct fetch_attempt *last = &f->attempts[f->count - 1];

    if (!wants_retry(h, run, f))
        return false;
    if (clock_mono_ms() >= f->deadline_ms) {
        (void)err_set(&last->error, E_FETCH_TIMEOUT,
                      "http-request: no time is left for another attempt");
        return false;
    }
    return true;
}

/* ---- run ------------------------------------------------------------------------------------- */

static enum policy_verdict finish(const struct http_fetch *h, struct action_run *run,
                                  struct fetching *f)
{
    const struct err *error = &f->attempts[f->count - 1].error;
    struct cel_value result;

    if (action_wants_result(run)) {
        result = fetch_report_value(run, f->request_value, f->attempts, f->count);
        if (cel_is_error(result))
            return action_fail(run, E_POLICY_MEMORY,
                               "http-request: the response needs too much memory");
        action_set_result(run, result);
    }
    if (error->code != E_OK && h->on_error == ON_ERROR_HALT)
        return action_fail_err(run, error);
    return POLICY_CONTINUE;
}

enum policy_verdict http_fetch_run(const void *compiled, struct action_run *run)
{
    const struct http_fetch *h = compiled;
    struct fetching *f = run->state;
    struct err e = { .code = E_OK };

    if (f == NULL) {
        f = arena_zalloc(run->arena, sizeof(*f));
        run->state = f;
        if (build(h, run, f, &e) == -1)
            return action_fail_err(run, &e);
    }
    do {
        if (!attempt(run, f))
            return POLICY_SUSPEND;
    } while (goes_on(h, run, f));
    return finish(h, run, f);
}

void http_fetch_free(void *compiled)
{
    struct http_fetch *h = compiled;

    if (h == NULL)
        return;
    for (size_t i = 0; i < h->param_count; i++) {
        mem_free(h->params[i].key);
        template_free(h->params[i].value);
    }
    template_free(h->url);
    header_rules_fini(&h->headers);
    template_free(h->body);
    cel_program_free(h->retry_condition);
    mem_free(h);
}
