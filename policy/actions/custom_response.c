/*
 * custom-response: answers with a response of the policy's own, or puts it in the upstream's place
 * (spec traffic-policy 6.7).
 */
#include <jansson.h>

#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"

struct custom_response {
    unsigned status;
    struct template *body; /* owned */
    bool body_is_literal;
    struct str type; /* static: media type of a literal body */
    struct header_rules headers;
};

/* RFC 9110 section 6.4.1. */
static bool may_have_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 205 && status != 304;
}

static bool is_json(struct str text)
{
    json_t *json = json_loadb(text.p, text.n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

    json_decref(json);
    return json != NULL;
}

/* The media type of a body that came without one (D37). */
static struct str infer_type(struct str body)
{
    struct str text = str_trim(body);

    if (body.n == 0)
        return STR_NONE;
    if (text.n > 0 && (text.p[0] == '{' || text.p[0] == '[') && is_json(text))
        return STR("application/json");
    if (str_starts_nocase(text, STR("<!doctype html")) || str_starts_nocase(text, STR("<html")))
        return STR("text/html; charset=utf-8");
    if (str_starts(text, STR("<?xml")))
        return STR("text/xml; charset=utf-8");
    return STR("text/plain; charset=utf-8");
}

static void read_body(const struct fields *c, struct custom_response *r)
{
    struct field body = fields_find(c, "body");
    struct field content = fields_find(c, "content"); /* another name of it */
    struct str literal;

    if (field_is_given(&body) && field_is_given(&content))
        (void)field_problem(&content, E_POLICY_DUPLICATE,
                            "'body' and 'content' are the same field");
    else if (field_is_given(&content))
        body = content;
    r->body = field_template(&body);
    r->body_is_literal = template_is_literal(r->body, &literal);
    if (!r->body_is_literal)
        return;
    r->type = infer_type(literal);
    if (!may_have_body(r->status) && literal.n > 0)
        (void)field_problem(&body, E_STATUS_WITHOUT_BODY,
                            "a response with status %u cannot have a body", r->status);
}

void *custom_response_compile(const struct fields *c)
{
    static const char *const known[] = { "status_code", "body", "content", "headers", NULL };
    struct custom_response *r = mem_zalloc(sizeof(*r));
    struct field status = fields_find(c, "status_code");
    struct field headers = fields_find(c, "headers");
    int64_t value = 200;

    (void)fields_known(c, known);
    (void)field_int(&status, 200, 599, &value);
    r->status = (unsigned)value;
    read_body(c, r);
    (void)header_rules_read(&headers, HEADER_RULE_OWN, &r->headers);
    return r;
}

static bool has_type(const struct custom_response *r)
{
    for (size_t i = 0; i < r->headers.count; i++) {
        if (str_eq(str_from(r->headers.fields[i].name), STR("content-type")))
            return true;
    }
    return false;
}

enum policy_verdict custom_response_run(const void *compiled, struct action_run *run)
{
    const struct custom_response *r = compiled;
    struct policy_response *response = run->response;
    struct str values[HEADER_RULE_FIELDS_MAX];
    struct str body;
    struct err e;

    /* All values first: one that fails must not leave half of a response behind. */
    if (template_text(r->body, run, &body, &e) == -1 ||
        header_rules_values(&r->headers, run, values, &e) == -1)
        return action_fail_err(run, &e);
    if (body.n > 0 && !may_have_body(r->status))
        return action_fail(run, E_STATUS_WITHOUT_BODY,
                           "custom-response: a response with status %u cannot have a body",
                           r->status);
    response->status = r->status;
    response->body = body;
    response->runs_response_phase = run->phase == POLICY_ON_HTTP_REQUEST;
    header_rules_respond(&r->headers, run, values);
    if (body.n > 0 && !has_type(r))
        action_respond_header(run, STR("content-type"),
                              r->body_is_literal ? r->type : infer_type(body));
    return POLICY_RESPOND;
}

void custom_response_free(void *compiled)
{
    struct custom_response *r = compiled;

    if (r == NULL)
        return;
    template_free(r->body);
    header_rules_fini(&r->headers);
    mem_free(r);
}
