/* set-vars: names values for later expressions of the phase (spec traffic-policy 6.24). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/any_value.h"

enum { NAME_MAX_BYTES = 128 };

struct set_vars {
    size_t count;
    char **names;             /* owned */
    struct any_value *values; /* owned */
};

static bool is_name(struct str s)
{
    if (s.n == 0 || s.n > NAME_MAX_BYTES || char_is_digit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_alpha(s.p[i]) && !char_is_digit(s.p[i]) && s.p[i] != '_')
            return false;
    }
    return true;
}

static void read_var(const struct field *entry, struct set_vars *v)
{
    struct str name;
    struct field value;

    if (entry->node == NULL || entry->node->kind != DOC_MAP || entry->node->count != 1) {
        (void)field_problem(entry, E_POLICY_VARS_SHAPE,
                            "each entry of vars must be a mapping with one name and its value");
        return;
    }
    value = field_entry(entry, 0, &name);
    if (!is_name(name)) {
        (void)field_problem(&value, E_POLICY_FIELD,
                            "'%.*s' is no variable name; use letters, digits and '_'",
                            STR_ARG(str_slice(name, 0, 64)));
        return;
    }
    v->names[v->count] = str_dup(name);
    any_value_read(&value, &v->values[v->count]);
    v->count++;
}

void *set_vars_compile(const struct fields *c)
{
    static const char *const known[] = { "vars", NULL };
    struct set_vars *v = mem_zalloc(sizeof(*v));
    struct field list = fields_need(c, "vars");
    size_t count = 0;

    (void)fields_known(c, known);
    if (field_is_given(&list) && list.node->kind != DOC_LIST)
        (void)field_problem_hint(&list, E_POLICY_VARS_SHAPE, "write '- name: value'",
                                 "it must be a list of mappings with one entry each");
    else
        (void)field_list(&list, 1, fields_limits(c)->policy_vars_max, &count);
    v->names = mem_zalloc_array(count, sizeof(*v->names));
    v->values = mem_zalloc_array(count, sizeof(*v->values));
    for (size_t i = 0; i < count; i++) {
        struct field entry = field_item(&list, i);

        read_var(&entry, v);
    }
    return v;
}

enum policy_verdict set_vars_run(const void *compiled, struct action_run *run)
{
    const struct set_vars *v = compiled;
    struct err e;

    for (size_t i = 0; i < v->count; i++) {
        struct cel_value value = cel_null();

        if (any_value_evaluate(&v->values[i], run, &value, &e) == -1 ||
            action_set_var(run, str_from(v->names[i]), value, &e) == -1)
            return action_fail_err(run, &e);
    }
    return POLICY_CONTINUE;
}

void set_vars_free(void *compiled)
{
    struct set_vars *v = compiled;

    if (v == NULL)
        return;
    for (size_t i = 0; i < v->count; i++) {
        mem_free(v->names[i]);
        any_value_fini(&v->values[i]);
    }
    mem_free(v->names);
    mem_free(v->values);
    mem_free(v);
}
