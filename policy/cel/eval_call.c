/*
 * eval_call: calls of functions and operators. The kinds of the arguments are tested in each call,
 * also where the checker knows the types: it is one bit test, it finds errors on the way, and no
 * function of a library or host has to trust another with its memory.
 */
#include <string.h>

#include "policy/cel/fn_regex.h"
#include "policy/cel/program_int.h"

enum { ARGS_ON_STACK = 4 };

/* ---- one function ---- */

struct cel_value cel_op_call_1(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value arg = cel_op_eval(run, op->as.direct.args[0]);

    if (!cel_kinds_have(op->as.direct.kinds[0], arg))
        return cel_is_error(arg) ? arg : *op->as.direct.mismatch;
    return op->as.direct.fn(run, &arg, 1);
}

struct cel_value cel_op_call_2(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value args[2];

    args[0] = cel_op_eval(run, op->as.direct.args[0]);
    if (cel_is_error(args[0]))
        return args[0];
    args[1] = cel_op_eval(run, op->as.direct.args[1]);
    if (cel_is_error(args[1]))
        return args[1];
    if (!cel_kinds_have(op->as.direct.kinds[0], args[0]) ||
        !cel_kinds_have(op->as.direct.kinds[1], args[1]))
        return *op->as.direct.mismatch;
    return op->as.direct.fn(run, args, 2);
}

/* ---- any number of arguments and functions ---- */

static bool fits(const struct cel_candidate *c, const struct cel_value *args, size_t count)
{
    if (c->variadic ? count < c->count : count != c->count)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t k = i < c->count ? i : c->count - 1;

        if (!cel_kinds_have(c->kinds[k], args[i]))
            return false;
        if (c->objects != NULL && c->objects[k] != NULL && c->objects[k] != args[i].as.object->type)
            return false;
    }
    return true;
}

static struct cel_value call_with(struct cel_run *run, const struct cel_op_call *call,
                                  struct cel_value *args)
{
    for (size_t i = 0; i < call->count; i++) {
        args[i] = cel_op_eval(run, call->args[i]);
        if (cel_is_error(args[i]))
            return args[i];
    }
    for (size_t i = 0; i < call->candidate_count; i++) {
        if (fits(&call->candidates[i], args, call->count))
            return call->candidates[i].fn(run, args, call->count);
    }
    return call->mismatch;
}

struct cel_value cel_op_call(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_op_call *call = op->as.call;
    struct cel_value few[ARGS_ON_STACK];
    struct cel_value *args = few;

    if (call->count > ARGS_ON_STACK)
        args = cel_alloc(run, call->count * sizeof(*args));
    return args == NULL ? cel_spent(run) : call_with(run, call, args);
}

/* ---- operators with a constant on one side ---- */

struct cel_value cel_op_index(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.pair.left);
    struct cel_value key;

    if (cel_is_error(v))
        return v;
    key = cel_op_eval(run, op->as.pair.right);
    return cel_is_error(key) ? key : cel_index(run, v, key);
}

struct cel_value cel_op_index_constant(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.compare.operand);

    return cel_is_error(v) ? v : cel_index(run, v, op->as.compare.value);
}

struct cel_value cel_op_equal_string(struct cel_run *run, const struct cel_op *op)
{
    const struct cel_value *constant = &op->as.compare.value;
    struct cel_value v = cel_op_eval(run, op->as.compare.operand);
    bool same;

    if (cel_is_error(v))
        return v;
    same = v.kind == CEL_STRING && v.n == constant->n;
    if (same && !cel_charge_bytes(run, v.n))
        return cel_spent(run);
    same = same && (v.n == 0 || memcmp(v.as.p, constant->as.p, v.n) == 0);
    return cel_bool(same != op->as.compare.negated);
}

struct cel_value cel_op_equal_int(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.compare.operand);

    if (v.kind != CEL_INT) {
        v = cel_is_error(v) ? v : cel_equal(run, v, op->as.compare.value);
        return cel_is_error(v) ? v : cel_bool(v.as.b != op->as.compare.negated);
    }
    return cel_bool((v.as.i == op->as.compare.value.as.i) != op->as.compare.negated);
}

/* The set has the strings, ints, uints and bools of the list. A double is looked for in the list
 * itself: above 2^53 it equals integers that are not its own value (spec cel 3). */
struct cel_value cel_op_in_set(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.in.operand);
    const struct cel_list *list = op->as.in.list.as.list;
    struct cel_value ignored;
    bool found;

    if (cel_is_error(v))
        return v;
    if (v.kind != CEL_DOUBLE) {
        found = cel_map_find(run, op->as.in.set, v, &ignored);
        return run->spent ? cel_spent(run) : cel_bool(found);
    }
    for (size_t i = 0; i < list->count; i++) {
        struct cel_value same = cel_equal(run, v, list->items[i]);

        if (cel_is_error(same) || same.as.b)
            return same;
    }
    return cel_bool(false);
}

/* ---- matches() with a constant pattern ---- */

struct cel_value cel_op_matches(struct cel_run *run, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(run, op->as.matches.operand);

    if (v.kind != CEL_STRING)
        return cel_is_error(v) ? v : op->as.matches.mismatch;
    return cel_regex_matches(run, op->as.matches.regex, cel_str(v));
}
