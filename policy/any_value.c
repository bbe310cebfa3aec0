#include "policy/any_value.h"

#include "base/mem.h"
#include "policy/action.h"

static void read_value(const struct field *f, size_t depth, struct any_value *out);

/* What an unquoted scalar means; strings, with or without quotes, are templates. */
static void read_scalar(const struct field *f, struct any_value *out)
{
    int64_t i;
    double d;
    bool b;

    if (f->node == NULL || doc_is_null(f->node))
        out->literal = cel_null();
    else if (doc_to_bool(f->node, &b))
        out->literal = cel_bool(b);
    else if (doc_to_int(f->node, &i))
        out->literal = cel_int(i);
    else if (doc_to_double(f->node, &d))
        out->literal = cel_double(d);
    else
        out->text = field_template(f);
}

static void read_list(const struct field *f, size_t depth, struct any_value *out)
{
    out->kind = DOC_LIST;
    (void)field_list(f, 0, SIZE_MAX, &out->count);
    out->items = mem_zalloc_array(out->count, sizeof(*out->items));
    for (size_t i = 0; i < out->count; i++) {
        struct field item = field_item(f, i);

        read_value(&item, depth + 1, &out->items[i]);
    }
}

static void read_map(const struct field *f, size_t depth, struct any_value *out)
{
    out->kind = DOC_MAP;
    (void)field_map(f, SIZE_MAX, &out->count);
    out->items = mem_zalloc_array(out->count, sizeof(*out->items));
    out->keys = mem_zalloc_array(out->count, sizeof(*out->keys));
    for (size_t i = 0; i < out->count; i++) {
        struct str key;
        struct field item = field_entry(f, i, &key);

        out->keys[i] = str_dup(key);
        read_value(&item, depth + 1, &out->items[i]);
    }
}

static void read_value(const struct field *f, size_t depth, struct any_value *out)
{
    uint64_t max = field_limits(f)->policy_vars_depth;

    out->kind = DOC_SCALAR;
    if (f->node == NULL || f->node->kind == DOC_SCALAR)
        read_scalar(f, out);
    else if (depth > max)
        (void)field_problem(f, E_POLICY_VARS_DEPTH, "it is nested more than %llu levels deep",
                            (unsigned long long)max);
    else if (f->node->kind == DOC_LIST)
        read_list(f, depth, out);
    else
        read_map(f, depth, out);
}

void any_value_read(const struct field *f, struct any_value *out)
{
    read_value(f, 1, out);
}

static int refuse_memory(struct err *e)
{
    return err_set(e, E_POLICY_MEMORY, "the values need too much memory");
}

static int evaluate_list(const struct any_value *v, struct action_run *run, struct cel_value *out,
                         struct err *e)
{
    struct cel_value *items = arena_alloc(run->arena, v->count * sizeof(*items));

    for (size_t i = 0; i < v->count; i++) {
        if (any_value_evaluate(&v->items[i], run, &items[i], e) == -1)
            return -1;
    }
    *out = cel_list_new(action_values(run), items, v->count);
    return cel_is_error(*out) ? refuse_memory(e) : 0;
}

static int evaluate_map(const struct any_value *v, struct action_run *run, struct cel_value *out,
                        struct err *e)
{
    struct cel_map_builder *map = cel_map_new(action_values(run), v->count);
    struct cel_value item = cel_null();

    for (size_t i = 0; i < v->count; i++) {
        if (any_value_evaluate(&v->items[i], run, &item, e) == -1)
            return -1;
        if (map == NULL || !cel_map_set(map, cel_string(str_from(v->keys[i])), item))
            return refuse_memory(e);
    }
    if (map == NULL)
        return refuse_memory(e);
    *out = cel_map_value(map);
    return 0;
}

int any_value_evaluate(const struct any_value *v, struct action_run *run, struct cel_value *out,
                       struct err *e)
{
    switch (v->kind) {
    case DOC_SCALAR:
        *out = v->literal;
        return v->text == NULL ? 0 : template_value(v->text, run, out, e);
    case DOC_LIST:
        return evaluate_list(v, run, out, e);
    case DOC_MAP:
        return evaluate_map(v, run, out, e);
    }
    return -1;
}

/* As deep as the document was allowed to be. */
void any_value_fini(struct any_value *v)
{
    template_free(v->text);
    for (size_t i = 0; i < v->count; i++) {
        any_value_fini(&v->items[i]);
        if (v->keys != NULL)
            mem_free(v->keys[i]);
    }
    mem_free(v->items);
    mem_free(v->keys);
}
