/*
 * lower_call: which function a call goes to. One overload that fits: straight to it. Several, since
 * a type is only known at run time: the evaluator takes the first whose kinds fit. Operators that
 * work across types then have one function for all kinds.
 */
#include "base/mem.h"
#include "policy/cel/operators.h"
#include "policy/cel/program_int.h"
#include "policy/regex.h"

/* Every kind of value but an error. */
#define ANY_KIND (cel_kinds_of(CEL_ERROR) - 1)

/* A call while it is lowered: the receiver is its first argument. */
struct call {
    const struct cel_node *node;
    const struct cel_op **args;
    size_t count;
    bool constant;  /* all arguments are */
    bool typed;     /* the types of all arguments are known */
    unsigned flags; /* of the rows of all candidates */
    struct cel_candidate *candidates;
    size_t candidate_count;
};

static const struct cel_node *argument(const struct cel_node *n, size_t i)
{
    if (n->as.call.target == NULL)
        return n->as.call.args[i];
    return i == 0 ? n->as.call.target : n->as.call.args[i - 1];
}

static void lower_arguments(struct lowering *l, struct call *call)
{
    const struct cel_node *n = call->node;

    call->count = n->as.call.count + (n->as.call.target != NULL);
    call->args = arena_alloc(&l->program->arena, call->count * sizeof(struct cel_op *));
    call->constant = true;
    call->typed = true;
    for (size_t i = 0; i < call->count; i++) {
        const struct cel_node *arg = argument(n, i);

        call->args[i] = lower_node(l, arg);
        call->constant = call->constant && lower_is_constant(call->args[i]);
        call->typed = call->typed && arg->type != NULL && arg->type->kind != CEL_T_DYN;
    }
}

/* ---- candidates ---- */

static cel_kinds kinds_of_type(const struct cel_type *t)
{
    switch (t->kind) {
    case CEL_T_NULL:
        return cel_kinds_of(CEL_NULL);
    case CEL_T_BOOL:
        return cel_kinds_of(CEL_BOOL);
    case CEL_T_INT:
        return cel_kinds_of(CEL_INT);
    case CEL_T_UINT:
        return cel_kinds_of(CEL_UINT);
    case CEL_T_DOUBLE:
        return cel_kinds_of(CEL_DOUBLE);
    case CEL_T_STRING:
        return cel_kinds_of(CEL_STRING);
    case CEL_T_BYTES:
        return cel_kinds_of(CEL_BYTES);
    case CEL_T_TIMESTAMP:
        return cel_kinds_of(CEL_TIMESTAMP);
    case CEL_T_DURATION:
        return cel_kinds_of(CEL_DURATION);
    case CEL_T_LIST:
        return cel_kinds_of(CEL_LIST);
    case CEL_T_MAP:
        return cel_kinds_of(CEL_MAP);
    case CEL_T_TYPE:
        return cel_kinds_of(CEL_TYPE);
    case CEL_T_OPTIONAL:
        return cel_kinds_of(CEL_OPTIONAL);
    case CEL_T_IP:
        return cel_kinds_of(CEL_IP);
    case CEL_T_CIDR:
        return cel_kinds_of(CEL_CIDR);
    case CEL_T_OBJECT:
        return cel_kinds_of(CEL_OBJECT);
    case CEL_T_DYN:
    case CEL_T_PARAM:
    case CEL_T_VARIABLE:
        return ANY_KIND;
    case CEL_T_ABSTRACT:
    case CEL_T_ERROR:
        break; /* no value has such a type */
    }
    return 0;
}

static void add_candidate(struct lowering *l, struct call *call, const struct cel_overload *o)
{
    const struct cel_object_type **objects = NULL;
    cel_kinds *kinds;

    if (o->row == NULL)
        return;
    kinds = arena_alloc(&l->program->arena, o->count * sizeof(*kinds));
    for (size_t i = 0; i < o->count; i++) {
        kinds[i] = kinds_of_type(o->params[i]);
        if (o->params[i]->kind != CEL_T_OBJECT)
            continue;
        if (objects == NULL)
            objects = arena_zalloc(&l->program->arena, o->count * sizeof(*objects));
        objects[i] = o->params[i]->object;
    }
    call->candidates[call->candidate_count++] = (struct cel_candidate){
        .fn = o->row->fn,
        .kinds = kinds,
        .objects = objects,
        .count = o->count,
        .variadic = o->variadic,
    };
    call->flags |= o->row->flags;
}

/* An operator whose operands may be of any kind. */
static void set_operator(struct lowering *l, struct call *call, cel_fn *fn)
{
    cel_kinds *kinds = arena_alloc(&l->program->arena, call->count * sizeof(*kinds));

    for (size_t i = 0; i < call->count; i++)
        kinds[i] = ANY_KIND;
    call->candidate_count = 1;
    call->candidates[0] = (struct cel_candidate){ .fn = fn, .kinds = kinds, .count = call->count };
}

static void find_candidates(struct lowering *l, struct call *call)
{
    const struct cel_node *n = call->node;
    size_t count = n->as.call.overload_count;
    cel_fn *any = cel_operator_any(n->as.call.name);

    call->candidates = arena_alloc(&l->program->arena, (count + 1) * sizeof(*call->candidates));
    if (any != NULL && call->count == 2 && !(call->typed && count == 1)) {
        set_operator(l, call, any);
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_candidate(l, call, n->as.call.overloads[i]);
}

/* ---- the call itself ---- */

/* "+" for "_+_"; names of functions stay. */
static struct str shown_name(struct str name)
{
    bool is_operator = name.n > 1 && name.p[name.n - 1] == '_';

    while (is_operator && name.n > 0 && name.p[0] == '_')
        name = str_skip(name, 1);
    while (is_operator && name.n > 0 && name.p[name.n - 1] == '_')
        name.n--;
    return name;
}

static struct cel_value mismatch(struct lowering *l, const struct call *call)
{
    struct str text =
        arena_fmt(&l->program->arena, "'%.*s' does not work with values of these types",
                  STR_ARG(shown_name(call->node->as.call.name)));

    return (struct cel_value){ .kind = CEL_ERROR, .n = (uint32_t)text.n, .as.p = text.p };
}

static const struct cel_op *lower_direct(struct lowering *l, const struct call *call)
{
    struct cel_op *op = lower_op(l, call->count == 1 ? cel_op_call_1 : cel_op_call_2);
    struct cel_value *error = arena_alloc(&l->program->arena, sizeof(*error));

    *error = mismatch(l, call);
    op->as.direct.fn = call->candidates[0].fn;
    op->as.direct.mismatch = error;
    for (size_t i = 0; i < call->count; i++) {
        op->as.direct.args[i] = call->args[i];
        op->as.direct.kinds[i] = call->candidates[0].kinds[i];
    }
    return op;
}

static const struct cel_op *lower_general(struct lowering *l, const struct call *call)
{
    struct cel_op_call *general = arena_alloc(&l->program->arena, sizeof(*general));
    struct cel_op *op = lower_op(l, cel_op_call);

    *general = (struct cel_op_call){
        .args = call->args,
        .count = call->count,
        .candidates = call->candidates,
        .candidate_count = call->candidate_count,
        .mismatch = mismatch(l, call),
    };
    op->as.call = general;
    return op;
}

static const struct cel_op *lower_any(struct lowering *l, const struct call *call)
{
    if (call->candidate_count == 1 && (call->count == 1 || call->count == 2) &&
        call->candidates[0].count == call->count && call->candidates[0].objects == NULL)
        return lower_direct(l, call);
    return lower_general(l, call);
}

/* ---- operators with a constant operand ---- */

static const struct cel_op *lower_equal(struct lowering *l, const struct call *call, bool negated)
{
    bool left = lower_is_constant(call->args[0]);
    const struct cel_op *operand = call->args[left];
    struct cel_value v = cel_null();
    struct cel_op *op;

    if (left || lower_is_constant(call->args[1]))
        v = call->args[!left]->as.value;
    if (v.kind != CEL_STRING && v.kind != CEL_INT)
        return lower_any(l, call);
    op = lower_op(l, v.kind == CEL_STRING ? cel_op_equal_string : cel_op_equal_int);
    op->as.compare.operand = operand;
    op->as.compare.value = v;
    op->as.compare.negated = negated;
    return op;
}

/* The elements of a list as keys of a map: all must be kinds that can be keys. */
static bool make_set(struct lowering *l, const struct cel_list *list, struct cel_value *out)
{
    struct cel_map_builder *set = cel_map_new(&l->run, list->count);

    for (size_t i = 0; set != NULL && i < list->count; i++) {
        if (!cel_map_set(set, list->items[i], cel_null()))
            return false;
    }
    if (set != NULL)
        *out = cel_map_value(set);
    return set != NULL;
}

static const struct cel_op *lower_in(struct lowering *l, const struct call *call)
{
    struct cel_value list;
    struct cel_value set;
    struct cel_op *op;

    if (!lower_is_constant(call->args[1]))
        return lower_any(l, call);
    list = call->args[1]->as.value;
    if (list.kind != CEL_LIST || !make_set(l, list.as.list, &set))
        return lower_any(l, call);
    op = lower_op(l, cel_op_in_set);
    op->as.in.operand = call->args[0];
    op->as.in.list = list;
    op->as.in.set = set;
    return op;
}

static const struct cel_op *lower_index(struct lowering *l, const struct call *call)
{
    struct cel_op *op;

    if (lower_is_constant(call->args[1]) && !cel_is_error(call->args[1]->as.value)) {
        op = lower_op(l, cel_op_index_constant);
        op->as.compare.operand = call->args[0];
        op->as.compare.value = call->args[1]->as.value;
        return op;
    }
    op = lower_op(l, cel_op_index);
    op->as.pair.left = call->args[0];
    op->as.pair.right = call->args[1];
    return op;
}

/* A pattern that is no good stays a call, which fails when it is reached. */
static const struct cel_op *lower_matches(struct lowering *l, const struct call *call)
{
    const struct cel_op *pattern = call->args[1];
    char message[REGEX_MESSAGE_BYTES];
    struct cel_program_regex *kept;
    struct regex *regex = NULL;
    struct cel_op *op;

    if (lower_is_constant(pattern) && pattern->as.value.kind == CEL_STRING)
        regex = regex_new(cel_str(pattern->as.value), message);
    if (regex == NULL)
        return lower_any(l, call);
    kept = arena_alloc(&l->program->arena, sizeof(*kept));
    *kept = (struct cel_program_regex){ .next = l->program->regexes, .regex = regex };
    l->program->regexes = kept;
    op = lower_op(l, cel_op_matches);
    op->as.matches.operand = call->args[0];
    op->as.matches.regex = regex;
    op->as.matches.mismatch = mismatch(l, call);
    return op;
}

static const struct cel_op *lower_special(struct lowering *l, const struct call *call)
{
    struct str name = call->node->as.call.name;

    if (call->count != 2 || call->candidate_count == 0)
        return lower_any(l, call);
    if (str_eq(name, STR("_==_")))
        return lower_equal(l, call, false);
    if (str_eq(name, STR("_!=_")))
        return lower_equal(l, call, true);
    if (str_eq(name, STR("_in_")))
        return lower_in(l, call);
    if (str_eq(name, STR("_[_]")))
        return lower_index(l, call);
    if ((call->flags & CEL_FN_ARG_REGEX) != 0)
        return lower_matches(l, call);
    return lower_any(l, call);
}

const struct cel_op *lower_call(struct lowering *l, const struct cel_node *n)
{
    struct call call = { .node = n };
    const struct cel_op *op;

    lower_arguments(l, &call);
    find_candidates(l, &call);
    if (!call.constant || (call.flags & CEL_FN_IMPURE) != 0)
        return lower_special(l, &call);
    op = lower_fold(l, lower_any(l, &call));
    return lower_is_constant(op) ? op : lower_special(l, &call);
}
