/* add-headers: appends fields to the message of its phase (spec traffic-policy 6.1). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"
#include "policy/result.h"

struct add_headers {
    struct header_rules headers;
};

void *add_headers_compile(const struct fields *c)
{
    static const char *const known[] = { "headers", NULL };
    struct add_headers *a = mem_zalloc(sizeof(*a));
    struct field headers = fields_need(c, "headers");

    (void)fields_known(c, known);
    (void)header_rules_read(&headers, HEADER_RULE_CHANGE, &a->headers);
    if (field_is_given(&headers) && headers.node->kind == DOC_MAP && headers.node->count == 0)
        (void)field_problem(&headers, E_POLICY_MISSING, "give at least one header");
    return a;
}

static enum policy_message message_of(const struct action_run *run)
{
    return run->phase == POLICY_ON_HTTP_REQUEST ? POLICY_REQUEST : POLICY_RESPONSE;
}

static void add(struct action_run *run, struct str name, struct str value)
{
    enum policy_message m = message_of(run);

    /* A request has one Host, so it is replaced where others are appended. */
    if (m == POLICY_REQUEST && str_eq(name, STR("host")))
        (void)run->host->header_remove(run->ctx, m, name);
    run->host->header_add(run->ctx, m, name, value);
}

static void set_result(struct action_run *run, const struct header_rules *rules,
                       const struct str *values)
{
    struct result_field added[HEADER_RULE_FIELDS_MAX];
    struct result_field result;

    for (size_t i = 0; i < rules->count; i++)
        added[i] = (struct result_field){ rules->fields[i].name, cel_string(values[i]) };
    result = (struct result_field){ "headers_added", result_map(run, added, rules->count) };
    result_set(run, &result, 1);
}

enum policy_verdict add_headers_run(const void *compiled, struct action_run *run)
{
    const struct add_headers *a = compiled;
    const struct header_rules *rules = &a->headers;
    struct str values[HEADER_RULE_FIELDS_MAX];
    struct err e;

    /* All values first: one that fails must not leave half of the fields behind. */
    if (header_rules_values(rules, run, values, &e) == -1)
        return action_fail_err(run, &e);
    for (size_t i = 0; i < rules->count; i++)
        add(run, str_from(rules->fields[i].name), values[i]);
    if (action_wants_result(run))
        set_result(run, rules, values);
    return POLICY_CONTINUE;
}

void add_headers_free(void *compiled)
{
    struct add_headers *a = compiled;

    if (a == NULL)
        return;
    header_rules_fini(&a->headers);
    mem_free(a);
}
