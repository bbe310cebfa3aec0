/*
 * eval_macro: macros (spec cel 5 and 6). Each turn of a loop costs a step besides those of its
 * body, so a loop ends soon after a limit was hit, even where errors are absorbed.
 */
#include "policy/cel/program_int.h"
#include "policy/cel/sort.h"

/* ---- ranges ---- */

/* The range of a loop: a list or a map. False: *out is the error. */
static bool eval_range(struct cel_run *run, const struct cel_op_macro *m, struct cel_value *out,
                       size_t *count)
{
    *out = cel_op_eval(run, m->range);
    if (out->kind == CEL_LIST) {
        *count = out->as.list->count;
        return true;
    }
    if (out->kind == CEL_MAP) {
        *count = cel_map_size(*out);
        return true;
    }
    if (!cel_is_error(*out))
        *out = cel_error(run, "only lists and maps have elements to go through");
    return false;
}

/* Sets the variables for turn i; false when the run has no step left. The one variable of a map is
 * the key. */
static bool begin_turn(struct cel_run *run, const struct cel_op_macro *m, struct cel_value range,
                       size_t i)
{
    struct cel_value key;
    struct cel_value value;

    if (!cel_charge(run, 1))
        return false;
    if (range.kind == CEL_MAP) {
        cel_map_entry(run, range, i, &key, &value);
    } else {
        value = range.as.list->items[i];
        key = m->has_two ? cel_int((int64_t)i) : value;
    }
    run->locals[m->local1] = key;
    if (m->has_two)
        run->locals[m->local2] = value;
    return true;
}

/* A BOOL, or an error. */
static struct cel_value eval_predicate(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op);

    return v.kind == CEL_BOOL || cel_is_error(v) ? v : cel_error(run, "a condition is no bool");
}

/* ---- questions ---- */

/* all() and exists(): `absorbing` decides over everything else, also over errors. */
static struct cel_value eval_quantifier(struct cel_run *run, const struct cel_op *op,
                                        bool absorbing)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_value error = cel_null();
    struct cel_value range;
    size_t count;

    if (!eval_range(run, m, &range, &count))
        return range;
    for (size_t i = 0; i < count; i++) {
        struct cel_value v;

        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        v = eval_predicate(run, m->body);
        if (cel_is_error(v)) {
            if (!cel_is_error(error))
                error = v;
        } else if (v.as.b == absorbing) {
            return v;
        }
    }
    return cel_is_error(error) ? error : cel_bool(!absorbing);
}

struct cel_value cel_op_all(struct cel_run *run, const struct cel_op *op)
{
    return eval_quantifier(run, op, false);
}

struct cel_value cel_op_exists(struct cel_run *run, const struct cel_op *op)
{
    return eval_quantifier(run, op, true);
}

struct cel_value cel_op_exists_one(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_value range;
    size_t count;
    size_t found = 0;

    if (!eval_range(run, m, &range, &count))
        return range;
    for (size_t i = 0; i < count; i++) {
        struct cel_value v;

        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        v = eval_predicate(run, m->body);
        if (cel_is_error(v))
            return v;
        found += v.as.b;
    }
    return cel_bool(found == 1);
}

/* ---- new lists and maps ---- */

/* A list that grows; the arena keeps what it grew out of, so doubling bounds that to its size. */
struct growing {
    struct cel_value *items;
    size_t count;
    size_t cap;
};

static bool push(struct cel_run *run, struct growing *g, struct cel_value v)
{
    struct cel_value *items;
    size_t cap = g->cap == 0 ? 8 : g->cap * 2;

    if (g->count >= run->limits->entries) {
        (void)cel_spent(run);
        return false;
    }
    if (g->count == g->cap) {
        items = cel_alloc(run, cap * sizeof(*items));
        if (items == NULL)
            return false;
        for (size_t i = 0; i < g->count; i++)
            items[i] = g->items[i];
        g->items = items;
        g->cap = cap;
    }
    g->items[g->count++] = v;
    return true;
}

static struct cel_value list_of(struct cel_run *run, const struct growing *g)
{
    struct cel_list *list = cel_alloc(run, sizeof(*list));

    if (list == NULL)
        return cel_spent(run);
    *list = (struct cel_list){ .items = g->items, .count = g->count };
    return cel_list_of(list);
}

struct cel_value cel_op_filter(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct growing kept = { 0 };
    struct cel_value range;
    size_t count;

    if (!eval_range(run, m, &range, &count))
        return range;
    for (size_t i = 0; i < count; i++) {
        struct cel_value v;

        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        v = eval_predicate(run, m->body);
        if (cel_is_error(v))
            return v;
        if (v.as.b && !push(run, &kept, run->locals[m->local1]))
            return cel_spent(run);
    }
    return list_of(run, &kept);
}

/* True or false of the filter, or an error; true without a filter. */
static struct cel_value eval_filter(struct cel_run *run, const struct cel_op_macro *m)
{
    return m->filter == NULL ? cel_bool(true) : eval_predicate(run, m->filter);
}

struct cel_value cel_op_map_list(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct growing made = { 0 };
    struct cel_value range;
    size_t count;

    if (!eval_range(run, m, &range, &count))
        return range;
    for (size_t i = 0; i < count; i++) {
        struct cel_value v;

        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        v = eval_filter(run, m);
        if (!cel_is_error(v) && !v.as.b)
            continue;
        v = cel_is_error(v) ? v : cel_op_eval(run, m->body);
        if (cel_is_error(v))
            return v;
        if (!push(run, &made, v))
            return cel_spent(run);
    }
    return list_of(run, &made);
}

struct cel_value cel_op_transform_map(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_map_builder *made;
    struct cel_value range;
    size_t count;

    if (!eval_range(run, m, &range, &count))
        return range;
    made = cel_map_new(run, 0);
    if (made == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < count; i++) {
        struct cel_value v;

        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        v = eval_filter(run, m);
        if (!cel_is_error(v) && !v.as.b)
            continue;
        v = cel_is_error(v) ? v : cel_op_eval(run, m->body);
        if (cel_is_error(v))
            return v;
        if (!cel_map_set(made, run->locals[m->local1], v))
            return cel_spent(run);
    }
    return cel_map_value(made);
}

struct cel_value cel_op_sort_by(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_value *keys;
    struct cel_value range;
    size_t count;

    if (!eval_range(run, m, &range, &count))
        return range;
    if (range.kind != CEL_LIST)
        return cel_error(run, "only lists can be sorted");
    keys = cel_alloc(run, count * sizeof(*keys));
    if (keys == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < count; i++) {
        if (!begin_turn(run, m, range, i))
            return cel_spent(run);
        keys[i] = cel_op_eval(run, m->body);
        if (cel_is_error(keys[i]))
            return keys[i];
    }
    return cel_sort(run, range.as.list, keys);
}

/* ---- variables ---- */

/* An error is kept in the variable like any value: it counts only where the variable is used. */
struct cel_value cel_op_bind(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;

    run->locals[m->local1] = cel_op_eval(run, m->range);
    return cel_op_eval(run, m->body);
}

struct cel_value cel_op_block(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;

    for (size_t i = 0; i < m->item_count; i++)
        run->locals[m->local1 + i] = cel_op_eval(run, m->items[i].value);
    return cel_op_eval(run, m->body);
}

/* ---- optionals ---- */

/* The optional that a macro works on; false: *out is the error. */
static bool eval_optional(struct cel_run *run, const struct cel_op *op, struct cel_value *out)
{
    *out = cel_op_eval(run, op);
    if (out->kind == CEL_OPTIONAL)
        return true;
    if (!cel_is_error(*out))
        *out = cel_error(run, "the value is no optional");
    return false;
}

struct cel_value cel_op_opt_map(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_value v;

    if (!eval_optional(run, m->range, &v) || v.as.held == NULL)
        return v;
    run->locals[m->local1] = *v.as.held;
    v = cel_op_eval(run, m->body);
    return cel_is_error(v) ? v : cel_optional_of(run, v);
}

struct cel_value cel_op_opt_flat_map(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_macro *m = op->as.macro;
    struct cel_value v;

    if (!eval_optional(run, m->range, &v) || v.as.held == NULL)
        return v;
    run->locals[m->local1] = *v.as.held;
    (void)eval_optional(run, m->body, &v);
    return v;
}

struct cel_value cel_op_optional_or(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v;

    if (!eval_optional(run, op->as.macro->range, &v) || v.as.held != NULL)
        return v;
    (void)eval_optional(run, op->as.macro->body, &v);
    return v;
}

struct cel_value cel_op_optional_or_value(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v;

    if (!eval_optional(run, op->as.macro->range, &v))
        return v;
    return v.as.held != NULL ? *v.as.held : cel_op_eval(run, op->as.macro->body);
}
