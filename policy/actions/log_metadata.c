/* log: puts values into the event that is written when all is over (spec traffic-policy 6.12). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/any_value.h"

struct log_metadata {
    struct any_value metadata;
};

void *log_metadata_compile(const struct fields *c)
{
    static const char *const known[] = { "metadata", NULL };
    struct log_metadata *l = mem_zalloc(sizeof(*l));
    struct field metadata = fields_need(c, "metadata");

    (void)fields_known(c, known);
    if (field_is_given(&metadata) && metadata.node->kind != DOC_MAP)
        (void)field_problem(&metadata, E_POLICY_CONFIG, "it must be a mapping of names to values");
    else if (field_is_given(&metadata))
        any_value_read(&metadata, &l->metadata);
    return l;
}

/* The value with each text that is a secret the policy has read put out of sight (D42). */
static struct cel_value masked(struct action_run *run, struct cel_value v, unsigned depth)
{
    struct cel_run *values = action_values(run);

    if (v.kind == CEL_STRING && action_is_secret(run, cel_str(v)))
        return cel_string(STR("****"));
    if (v.kind == CEL_LIST && depth > 0) {
        struct cel_value *items = arena_alloc(run->arena, v.as.list->count * sizeof(*items));

        for (size_t i = 0; i < v.as.list->count; i++)
            items[i] = masked(run, v.as.list->items[i], depth - 1);
        return cel_list_new(values, items, v.as.list->count);
    }
    if (v.kind == CEL_MAP && depth > 0) {
        struct cel_map_builder *map = cel_map_new(values, cel_map_size(v));

        for (size_t i = 0; map != NULL && i < cel_map_size(v); i++) {
            struct cel_value key;
            struct cel_value value;

            cel_map_entry(values, v, i, &key, &value);
            (void)cel_map_set(map, key, masked(run, value, depth - 1));
        }
        return map == NULL ? cel_spent(values) : cel_map_value(map);
    }
    return v;
}

enum policy_verdict log_metadata_run(const void *compiled, struct action_run *run)
{
    const struct log_metadata *l = compiled;
    struct cel_run *values = action_values(run);
    struct cel_map_builder *entry = cel_map_new(values, 1);
    struct cel_value metadata;
    struct cel_value json;
    struct err e;

    if (any_value_evaluate(&l->metadata, run, &metadata, &e) == -1)
        return action_fail_err(run, &e);
    if (entry == NULL)
        return action_fail(run, E_POLICY_MEMORY, "log: the values need too much memory");
    (void)cel_map_set(entry, cel_string(STR("metadata")),
                      masked(run, metadata, values->limits->value_depth));
    json = cel_to_json(values, cel_map_value(entry), false);
    if (cel_is_error(json))
        return action_fail(run, E_POLICY_MEMORY,
                           "log: the values are too large or nested too deeply");
    action_log(run, cel_str(json));
    if (action_wants_result(run))
        action_set_result(run, cel_map_value(entry));
    return POLICY_CONTINUE;
}

void log_metadata_free(void *compiled)
{
    struct log_metadata *l = compiled;

    if (l == NULL)
        return;
    any_value_fini(&l->metadata);
    mem_free(l);
}
