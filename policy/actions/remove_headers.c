/* remove-headers: takes all fields of some names out of the message of its phase (spec
 * traffic-policy 6.18). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"
#include "policy/result.h"

struct remove_headers {
    size_t count;
    char *names[HEADER_RULE_FIELDS_MAX]; /* owned */
};

static void read_name(const struct field *f, struct remove_headers *r)
{
    struct str name;

    if (field_text(f, &name) == -1 || header_rule_check_name(f, HEADER_RULE_CHANGE, name) == -1)
        return;
    if (str_eq_nocase(name, STR("host"))) {
        (void)field_problem(f, E_HEADER_NEEDS_REPLACEMENT,
                            "a message cannot be without 'host'; replace it with add-headers");
        return;
    }
    r->names[r->count] = str_dup(name);
    for (char *p = r->names[r->count]; *p != '\0'; p++)
        *p = char_lower(*p);
    r->count++;
}

void *remove_headers_compile(const struct fields *c)
{
    static const char *const known[] = { "headers", NULL };
    struct remove_headers *r = mem_zalloc(sizeof(*r));
    struct field headers = fields_need(c, "headers");
    size_t count = 0;

    (void)fields_known(c, known);
    (void)field_list(&headers, 1, HEADER_RULE_FIELDS_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct field name = field_item(&headers, i);

        read_name(&name, r);
    }
    return r;
}

static void set_result(struct action_run *run, const struct cel_value *removed, size_t count)
{
    const struct result_field result = { "headers_removed",
                                         cel_list_new(action_values(run), removed, count) };

    result_set(run, &result, 1);
}

enum policy_verdict remove_headers_run(const void *compiled, struct action_run *run)
{
    const struct remove_headers *r = compiled;
    enum policy_message m = run->phase == POLICY_ON_HTTP_REQUEST ? POLICY_REQUEST : POLICY_RESPONSE;
    struct cel_value removed[HEADER_RULE_FIELDS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (run->host->header_remove(run->ctx, m, str_from(r->names[i])) > 0)
            removed[count++] = cel_string(str_from(r->names[i]));
    }
    if (action_wants_result(run))
        set_result(run, removed, count);
    return POLICY_CONTINUE;
}

void remove_headers_free(void *compiled)
{
    struct remove_headers *r = compiled;

    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        mem_free(r->names[i]);
    mem_free(r);
}
