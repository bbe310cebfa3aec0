/*
 * eval: the operations that are no calls and no macros. An operation calls those it needs, so the C
 * stack is as deep as the expression, which the parser bounds. Errors are values: whoever needs a
 * value asks cel_is_error() first, && and || and the macros look further.
 */
#include "policy/cel/program_int.h"

enum { LOCALS_ON_STACK = 8 };

struct cel_value cel_op_constant(struct cel_run *run, const struct cel_op *op)
{
    (void)run;
    return op->as.value;
}

struct cel_value cel_op_slot(struct cel_run *run, const struct cel_op *op)
{
    return run->var(run, op->as.index);
}

struct cel_value cel_op_local(struct cel_run *run, const struct cel_op *op)
{
    return run->locals[op->as.index];
}

/* ---- selection ---- */

struct cel_value cel_op_select(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.select.operand);

    return cel_is_error(v) ? v : cel_select(run, v, op->as.select.field);
}

struct cel_value cel_op_select_optional(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.select.operand);

    return cel_is_error(v) ? v : cel_select_optional(run, v, op->as.select.field);
}

static bool is_absent(struct cel_value v)
{
    return v.kind == CEL_NULL && v.absent;
}

struct cel_value cel_op_select_below(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.select.operand);

    return cel_is_error(v) || is_absent(v) ? v : cel_select(run, v, op->as.select.field);
}

struct cel_value cel_op_index_below(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.pair.left);
    struct cel_value key;

    if (cel_is_error(v) || is_absent(v))
        return v;
    key = cel_op_eval(run, op->as.pair.right);
    return cel_is_error(key) ? key : cel_index(run, v, key);
}

struct cel_value cel_op_has(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.select.operand);

    return cel_is_error(v) ? v : cel_has(run, v, op->as.select.field);
}

struct cel_value cel_op_has_index(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.pair.left);
    struct cel_value key;

    if (cel_is_error(v))
        return v;
    key = cel_op_eval(run, op->as.pair.right);
    return cel_is_error(key) ? key : cel_has_index(run, v, key);
}

/* has(req.url.port), where that is one variable: is it set? The error that an absent timestamp
 * reads as is marked absent too (spec traffic-policy 4, D19). */
struct cel_value cel_op_has_slot(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = run->var(run, op->as.index);

    return cel_is_error(v) && !v.absent ? v : cel_bool(!v.absent);
}

/* ---- logic ---- */

/* && and ||: `absorbing` decides over everything else, also over errors; a non-bool is an error. */
static struct cel_value eval_logic(struct cel_run *run, const struct cel_op *op, bool absorbing)
{
    struct cel_value error = cel_null();

    for (size_t i = 0; i < op->as.operands.count; i++) {
        struct cel_value v = cel_op_eval(run, op->as.operands.items[i]);

        if (v.kind == CEL_BOOL) {
            if (v.as.b == absorbing)
                return v;
        } else if (error.kind == CEL_NULL) {
            error = cel_is_error(v) ? v : cel_error(run, "'&&' and '||' join bools only");
        }
    }
    return cel_is_error(error) ? error : cel_bool(!absorbing);
}

struct cel_value cel_op_and(struct cel_run *run, const struct cel_op *op)
{
    return eval_logic(run, op, false);
}

struct cel_value cel_op_or(struct cel_run *run, const struct cel_op *op)
{
    return eval_logic(run, op, true);
}

struct cel_value cel_op_conditional(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op *const *items = op->as.operands.items;
    struct cel_value v = cel_op_eval(run, items[0]);

    if (v.kind == CEL_BOOL)
        return cel_op_eval(run, items[v.as.b ? 1 : 2]);
    return cel_is_error(v) ? v : cel_error(run, "the condition of '?:' is no bool");
}

/* ---- literals of lists and maps ---- */

/* The value of an element; false when it is to be left out ([?x] of a none). */
static bool eval_item(struct cel_run *run, const struct cel_op_item *item, struct cel_value *out)
{
    *out = cel_op_eval(run, item->value);
    if (!item->optional || cel_is_error(*out))
        return true;
    if (out->kind != CEL_OPTIONAL) {
        *out = cel_error(run, "what follows '?' is no optional");
        return true;
    }
    if (out->as.held == NULL)
        return false;
    *out = *out->as.held;
    return true;
}

struct cel_value cel_op_list(struct cel_run *run, const struct cel_op *op)
{
    size_t max = op->as.entries.count;
    struct cel_list *list;
    struct cel_value *items;
    size_t count = 0;

    if (max > run->limits->entries)
        return cel_spent(run);
    list = cel_alloc(run, sizeof(*list) + max * sizeof(*items));
    if (list == NULL)
        return cel_spent(run);
    items = (struct cel_value *)(list + 1);
    for (size_t i = 0; i < max; i++) {
        if (!eval_item(run, &op->as.entries.items[i], &items[count]))
            continue;
        if (cel_is_error(items[count]))
            return items[count];
        count++;
    }
    *list = (struct cel_list){ .items = items, .count = count };
    return cel_list_of(list);
}

static struct cel_value why_not_put(struct cel_run *run, struct cel_value key)
{
    if (run->spent)
        return cel_spent(run);
    if (key.kind == CEL_STRING || key.kind == CEL_INT || key.kind == CEL_UINT ||
        key.kind == CEL_BOOL)
        return cel_error(run, "a key is twice in a map");
    return cel_error(run, "the key of a map must be a string, an int, a uint or a bool");
}

struct cel_value cel_op_map(struct cel_run *run, const struct cel_op *op)
{
    struct cel_map_builder *map = cel_map_new(run, op->as.entries.count);

    if (map == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < op->as.entries.count; i++) {
        const struct cel_op_item *item = &op->as.entries.items[i];
        struct cel_value key = cel_op_eval(run, item->key);
        struct cel_value value;

        if (cel_is_error(key))
            return key;
        if (!eval_item(run, item, &value))
            continue;
        if (cel_is_error(value))
            return value;
        if (!cel_map_put(map, key, value))
            return why_not_put(run, key);
    }
    return cel_map_value(map);
}

/* ---- the whole ---- */

struct cel_value cel_eval(const struct cel_program *p, struct cel_run *run)
{
    struct cel_value few[LOCALS_ON_STACK];
    struct cel_value *outer = run->locals;
    struct cel_value v;

    run->locals = few;
    if (p->locals > LOCALS_ON_STACK)
        run->locals = cel_alloc(run, p->locals * sizeof(struct cel_value));
    v = run->locals == NULL ? cel_spent(run) : cel_op_eval(run, p->root);
    run->locals = outer;
    return run->spent ? cel_spent(run) : v;
}
