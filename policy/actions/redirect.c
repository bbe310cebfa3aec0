/* redirect: sends the visitor to another URL (spec traffic-policy 6.17). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"
#include "policy/url_edit.h"

struct redirect {
    struct url_edit edit;
    struct header_rules headers;
    unsigned status;
};

void *redirect_compile(const struct fields *c)
{
    static const char *const known[] = { "from", "to", "location", "status_code", "headers", NULL };
    struct redirect *r = mem_zalloc(sizeof(*r));
    struct field status = fields_find(c, "status_code");
    struct field headers = fields_find(c, "headers");
    int64_t code = 302;

    (void)fields_known(c, known);
    url_edit_read(c, URL_EDIT_REDIRECT, &r->edit);
    (void)field_int(&status, 300, 308, &code);
    r->status = (unsigned)code;
    (void)header_rules_read(&headers, HEADER_RULE_OWN, &r->headers);
    return r;
}

enum policy_verdict redirect_run(const void *compiled, struct action_run *run)
{
    const struct redirect *r = compiled;
    struct str values[HEADER_RULE_FIELDS_MAX];
    struct url_edited edited;
    struct err e = { .code = E_OK };

    /* All values first: one that fails must not leave half of a response behind. */
    if (url_edit_apply(&r->edit, run, &edited, &e) == 0 && edited.changed)
        (void)header_rules_values(&r->headers, run, values, &e);
    if (action_wants_result(run))
        url_edit_set_result(run, &edited, e.code == E_OK ? NULL : &e);
    if (e.code != E_OK)
        return action_fail_err(run, &e);
    if (!edited.changed)
        return POLICY_CONTINUE;
    run->response->status = r->status;
    run->response->runs_response_phase = true;
    action_respond_header(run, STR("location"), edited.url);
    header_rules_respond(&r->headers, run, values);
    return POLICY_RESPOND;
}

void redirect_free(void *compiled)
{
    struct redirect *r = compiled;

    if (r == NULL)
        return;
    url_edit_fini(&r->edit);
    header_rules_fini(&r->headers);
    mem_free(r);
}
