/*
 * verify-webhook: only lets webhooks through that their provider signed (spec traffic-policy 6.26, D55).
 * policy/webhook.h says what is right; this reads the config, waits for the body and for the certificate
 * that a message of Amazon SNS names, and acts. Certificates never change at their URL, so a worker
 * keeps them read.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/local.h"
#include "policy/result.h"
#include "policy/webhook.h"

enum {
    LIST_MAX_BYTES = 4096,
    CERTIFICATE_TIMEOUT_MS = 5 * 1000,
    CERTIFICATE_FRESH_MS = 24 * 60 * 60 * 1000,
    CERTIFICATE_STALE_MS = 7 * 24 * 60 * 60 * 1000,
};

struct verify_webhook {
    struct webhook *webhook; /* owned */
    struct template *secret; /* owned; NULL: there is none */
    struct webhook_key *key; /* owned: of a literal secret; else NULL */
    size_t body_max_bytes;
    bool enforce;
};

/* ---- compile --------------------------------------------------------------------------------- */

static void read_provider(const struct fields *c, struct verify_webhook *v)
{
    struct field f = fields_need(c, "provider");
    struct str id = STR_NONE;
    struct buf list;

    if (field_text(&f, &id) == -1 || !field_is_given(&f))
        return;
    v->webhook = webhook_new(id);
    if (v->webhook != NULL)
        return;
    buf_init(&list, LIST_MAX_BYTES);
    buf_add_str(&list, STR("supported: "));
    webhook_list(&list);
    buf_add_char(&list, '\0');
    (void)field_problem_hint(&f, E_POLICY_WEBHOOK_PROVIDER, buf_str(&list).p,
                             "'%.*s' is no known webhook provider", STR_ARG(str_slice(id, 0, 64)));
    buf_fini(&list);
}

static void read_secret(const struct fields *c, struct verify_webhook *v)
{
    struct field f = fields_find(c, "secret");
    struct str literal;
    struct err e;

    if (!field_is_given(&f)) {
        if (v->webhook != NULL && webhook_needs_secret(v->webhook))
            (void)field_problem(&f, E_POLICY_WEBHOOK_SECRET, "it is required for this provider");
        return;
    }
    v->secret = field_template(&f);
    if (v->secret == NULL || v->webhook == NULL || !template_is_literal(v->secret, &literal))
        return;
    v->key = webhook_key_new(v->webhook, literal, &e);
    if (v->key != NULL)
        return;
    /* Published documents have placeholders here, so a wrong form is no error. */
    if (e.code == E_POLICY_WEBHOOK_SECRET || e.code == E_SYSTEM)
        (void)field_problem(&f, e.code, "%s", e.msg);
    else
        field_warn(&f, "%s; no request will be verified with it", e.msg);
}

void *verify_webhook_compile(const struct fields *c)
{
    static const char *const known[] = { "provider", "secret", "enforce", NULL };
    struct verify_webhook *v = mem_zalloc(sizeof(*v));
    struct field enforce = fields_find(c, "enforce");

    v->enforce = true;
    v->body_max_bytes = fields_limits(c)->policy_body_max_bytes;
    (void)fields_known(c, known);
    (void)field_bool(&enforce, &v->enforce);
    read_provider(c, v);
    read_secret(c, v);
    return v;
}

void verify_webhook_free(void *compiled)
{
    struct verify_webhook *v = compiled;

    if (v == NULL)
        return;
    template_free(v->secret);
    webhook_key_free(v->key);
    webhook_free(v->webhook);
    mem_free(v);
}

/* ---- run ------------------------------------------------------------------------------------- */

/* What is kept while it waits. */
struct progress {
    struct str body;
    bool has_body;
    bool is_fetching;
    struct policy_shared_fetch fetch; /* of the certificate */
};

static struct str find_header(void *ctx, struct str name, size_t index)
{
    struct action_run *run = ctx;

    return run->host->header_find(run->ctx, POLICY_REQUEST, name, index);
}

static struct str string_var(struct action_run *run, enum policy_var var)
{
    struct cel_value v = run->host->var(run->ctx, var, run->arena);

    return v.kind == CEL_STRING ? cel_str(v) : STR_NONE;
}

/* ---- certificates ---- */

enum { PREFIX_BYTES = 4, KEY_BYTES = LOCAL_KEY_MAX_BYTES };

/* "sns" and the URL, which is short. */
static struct str cache_key(struct str url, char key[KEY_BYTES])
{
    size_t n = url.n < KEY_BYTES - PREFIX_BYTES ? url.n : KEY_BYTES - PREFIX_BYTES;

    memcpy(key, "sns", PREFIX_BYTES);
    memcpy(key + PREFIX_BYTES, url.p, n);
    return str_of(key, PREFIX_BYTES + n);
}

static void free_certificate(void *object)
{
    webhook_certificate_free(object);
}

/* Fetches what is not there; *out is NULL unless it is READY. */
static enum policy_ready get_certificate(struct action_run *run, struct progress *p, struct str url,
                                         const struct webhook_certificate **out, struct err *e)
{
    struct policy_shared_fetched fetched = { 0 };
    struct webhook_certificate *certificate;
    char key[KEY_BYTES];
    enum policy_ready ready;

    *out = p->is_fetching ? NULL : policy_local_find(run->local, cache_key(url, key));
    if (*out != NULL)
        return POLICY_READY;
    if (!p->is_fetching)
        p->fetch =
            (struct policy_shared_fetch){ .url = url,
                                          .timeout_ms = CERTIFICATE_TIMEOUT_MS,
                                          .response_max_bytes = WEBHOOK_CERTIFICATE_MAX_BYTES,
                                          .fresh_ms = CERTIFICATE_FRESH_MS,
                                          .stale_ms = CERTIFICATE_STALE_MS };
    ready = run->host->fetch_shared(run->ctx, &p->fetch, &fetched, e);
    p->is_fetching = ready == POLICY_PENDING;
    if (ready == POLICY_FAILED)
        (void)err_set(e, E_WEBHOOK_UNVERIFIED,
                      "the webhook could not be verified: the certificate cannot be had");
    if (ready != POLICY_READY)
        return ready;
    certificate = webhook_certificate_new(fetched.body, e);
    if (certificate == NULL)
        return POLICY_FAILED;
    policy_local_put(run->local, cache_key(p->fetch.url, key), certificate, free_certificate);
    *out = certificate;
    return POLICY_READY;
}

/* ---- the end ---- */

static void note(struct action_run *run, bool verified, const struct err *why)
{
    run->outcome->webhook_decision = verified ? STR("allow") : STR("block");
    if (action_wants_result(run)) {
        const struct result_field result[] = { { "verified", cel_bool(verified) },
                                               { "error", action_error_value(run, why) } };

        result_set(run, result, 2);
    }
}

static enum policy_verdict refuse(const struct verify_webhook *v, struct action_run *run,
                                  const struct err *e)
{
    note(run, false, e);
    return v->enforce ? action_fail_err(run, e) : POLICY_CONTINUE;
}

/* A question of the provider is answered with or without `enforce`: the upstream does not know it. */
static enum policy_verdict answer(struct action_run *run, const struct webhook_outcome *out,
                                  const struct err *e)
{
    bool good = out->status < 400;

    note(run, good, good ? NULL : e);
    run->response->status = out->status;
    run->response->body = out->body;
    if (out->type.n > 0) {
        action_respond_header(run, STR("content-type"), out->type);
        action_respond_header(run, STR("x-content-type-options"), STR("nosniff"));
    }
    return POLICY_RESPOND;
}

static enum policy_verdict act(const struct verify_webhook *v, struct action_run *run,
                               struct progress *p, const struct webhook_key *key)
{
    struct webhook_request request = {
        .method = string_var(run, VAR_REQ_METHOD),
        .url = string_var(run, VAR_REQ_URL_RAW),
        .body = p->body,
        .now_ms = clock_wall_ms(),
        .header = find_header,
        .ctx = run,
        .arena = run->arena,
    };
    struct webhook_outcome out;
    struct err e = { .code = E_WEBHOOK_UNVERIFIED };
    enum webhook_verdict verdict = webhook_check(v->webhook, key, &request, &out, &e);

    if (verdict == WEBHOOK_CERTIFICATE) {
        switch (get_certificate(run, p, out.certificate_url, &request.certificate, &e)) {
        case POLICY_READY:
            verdict = webhook_check(v->webhook, key, &request, &out, &e);
            break;
        case POLICY_PENDING:
            return POLICY_SUSPEND;
        case POLICY_FAILED:
            return refuse(v, run, &e);
        }
    }
    switch (verdict) {
    case WEBHOOK_VERIFIED:
        note(run, true, NULL);
        return POLICY_CONTINUE;
    case WEBHOOK_ANSWER:
        return answer(run, &out, &e);
    case WEBHOOK_REFUSED:
    case WEBHOOK_CERTIFICATE:
        break;
    }
    return refuse(v, run, &e);
}

/* With the secret of this request. */
static enum policy_verdict check(const struct verify_webhook *v, struct action_run *run,
                                 struct progress *p)
{
    struct webhook_key *key;
    enum policy_verdict verdict;
    struct str secret;
    struct err e;

    if (v->secret == NULL || v->key != NULL)
        return act(v, run, p, v->key);
    if (template_text(v->secret, run, &secret, &e) == -1)
        return action_fail_err(run, &e);
    key = webhook_key_new(v->webhook, secret, &e);
    if (key == NULL) {
        (void)err_set(&e, E_WEBHOOK_UNVERIFIED,
                      "the webhook could not be verified: the secret of the policy is no good");
        return refuse(v, run, &e);
    }
    verdict = act(v, run, p, key);
    webhook_key_free(key);
    return verdict;
}

enum policy_verdict verify_webhook_run(const void *compiled, struct action_run *run)
{
    const struct verify_webhook *v = compiled;
    struct progress *p = run->state;
    struct err e;

    if (p == NULL)
        run->state = p = arena_zalloc(run->arena, sizeof(*p));
    if (!p->has_body && run->host->has_body(run->ctx, POLICY_REQUEST)) {
        switch (run->host->body(run->ctx, POLICY_REQUEST, v->body_max_bytes, &p->body, &e)) {
        case POLICY_READY:
            break;
        case POLICY_PENDING:
            return POLICY_SUSPEND;
        case POLICY_FAILED:
            note(run, false, &e);
            return action_fail_err(run, &e);
        }
    }
    p->has_body = true;
    return check(v, run, p);
}
