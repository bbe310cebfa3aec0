/* remove-headers: takes all fields of some names out of the message of its phase (spec
 * traffic-policy 6.18). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"

struct remove_headers {
    size_t count;
    char *names[HEADER_RULE_FIELDS_MAX]; /* owned */
};

static int read_headers(struct fields *c, struct remove_headers *r)
{
    const json_t *list;

    if (fields_list(c, "headers", HEADER_RULE_FIELDS_MAX, &list) == -1)
        return -1;
    if (json_array_size(list) == 0)
        return fields_missing(c, "headers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct str name;

        if (fields_list_str(c, "headers", list, i, &name) == -1 ||
            fields_check_literal(c, name) == -1 || header_rule_check_name(c, name) == -1)
            return -1;
        if (str_eq_nocase(name, STR("host")))
            return err_set(c->e, E_HEADER_NEEDS_REPLACEMENT,
                           "a message cannot be without 'host'; replace it with add-headers");
        r->names[r->count++] = str_dup(name);
    }
    return 0;
}

void *remove_headers_compile(struct fields *c)
{
    static const char *const known[] = { "headers", NULL };
    struct remove_headers *r = mem_zalloc(sizeof(*r));

    if (fields_open(c, known) == -1 || read_headers(c, r) == -1) {
        remove_headers_free(r);
        return NULL;
    }
    return r;
}

enum policy_verdict remove_headers_run(const void *compiled, const struct action_run *run)
{
    const struct remove_headers *r = compiled;

    for (size_t i = 0; i < r->count; i++)
        (void)run->host->header_remove(run->ctx, str_from(r->names[i]));
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
