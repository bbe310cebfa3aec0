/*
 * lower: from the checked tree to operations. Whatever has only constant operands is evaluated
 * here, by the operations themselves, and replaced by its value; if that is an error it stays as it
 * is, since the error may never be reached (`1 / 0 > 0 || x`).
 */
#include <assert.h>

#include "policy/cel/program_int.h"

struct cel_op *lower_op(struct lowering *l, cel_op_fn *eval)
{
    struct cel_op *op = arena_zalloc(&l->program->arena, sizeof(*op));

    op->eval = eval;
    return op;
}

const struct cel_op *lower_constant(struct lowering *l, struct cel_value v)
{
    struct cel_op *op = lower_op(l, cel_op_constant);

    op->as.value = v;
    return op;
}

bool lower_is_constant(const struct cel_op *op)
{
    return op->eval == cel_op_constant;
}

const struct cel_op *lower_fold(struct lowering *l, const struct cel_op *op)
{
    struct cel_value v = cel_op_eval(&l->run, op);

    return cel_is_error(v) || l->run.spent ? op : lower_constant(l, v);
}

/* Text that lives as long as the program: the source does, what the parser made does not. */
static struct str keep(struct lowering *l, struct str s)
{
    uintptr_t at = (uintptr_t)s.p;
    uintptr_t source = (uintptr_t)l->source.p;

    if (at >= source && at <= source + l->source.n)
        return s;
    return arena_str(&l->program->arena, s);
}

static struct cel_value kept_value(struct lowering *l, struct cel_value v)
{
    if (v.kind == CEL_STRING)
        return cel_string(keep(l, cel_str(v)));
    return v.kind == CEL_BYTES ? cel_bytes(keep(l, cel_str(v))) : v;
}

static const struct cel_op *lower_error(struct lowering *l, struct str text)
{
    text = keep(l, text);
    return lower_constant(
        l, (struct cel_value){ .kind = CEL_ERROR, .n = (uint32_t)text.n, .as.p = text.p });
}

/* ---- names ---- */

static void note_slot(struct lowering *l, unsigned slot)
{
    struct cel_program_slot *s = l->program->slots;

    while (s != NULL && s->slot != slot)
        s = s->next;
    if (s != NULL)
        return;
    s = arena_alloc(&l->program->arena, sizeof(*s));
    *s = (struct cel_program_slot){ .next = l->program->slots, .slot = slot };
    l->program->slots = s;
}

static const struct cel_op *lower_index(struct lowering *l, cel_op_fn *eval, unsigned index)
{
    struct cel_op *op = lower_op(l, eval);

    op->as.index = index;
    return op;
}

static const struct cel_op *lower_ident(struct lowering *l, const struct cel_node *n)
{
    switch (n->ref.kind) {
    case CEL_REF_SLOT:
        note_slot(l, n->ref.index);
        return lower_index(l, cel_op_slot, n->ref.index);
    case CEL_REF_LOCAL:
        return lower_index(l, cel_op_local, n->ref.index);
    case CEL_REF_VALUE:
        return lower_constant(l, n->ref.value);
    case CEL_REF_NONE:
        break;
    }
    return lower_error(l, STR("unknown variable"));
}

/* ---- selection ---- */

static const struct cel_object_type *object_type(const struct cel_node *n)
{
    const struct cel_type *t = n->type;

    if (t != NULL && t->kind == CEL_T_OPTIONAL)
        t = t->params[0];
    return t != NULL && t->kind == CEL_T_OBJECT ? t->object : NULL;
}

static const struct cel_op *lower_field(struct lowering *l, cel_op_fn *eval,
                                        const struct cel_op *operand, const struct cel_node *n,
                                        struct str name)
{
    struct cel_field *field = arena_alloc(&l->program->arena, sizeof(*field));
    struct cel_op *op = lower_op(l, eval);

    *field = cel_field_of(keep(l, name), object_type(n));
    op->as.select.operand = operand;
    op->as.select.field = field;
    return lower_is_constant(operand) ? lower_fold(l, op) : op;
}

static const struct cel_op *lower_select(struct lowering *l, const struct cel_node *n)
{
    const struct cel_node *operand = n->as.select.operand;

    return lower_field(l, n->as.select.optional ? cel_op_select_optional : cel_op_select,
                       lower_node(l, operand), operand, n->as.select.field);
}

static const struct cel_op *lower_pair(struct lowering *l, cel_op_fn *eval,
                                       const struct cel_op *left, const struct cel_op *right)
{
    struct cel_op *op = lower_op(l, eval);

    op->as.pair.left = left;
    op->as.pair.right = right;
    return lower_is_constant(left) && lower_is_constant(right) ? lower_fold(l, op) : op;
}

/* The operand of has(): in a chain of fields and indexes an absent value has absent ones. */
static const struct cel_op *lower_below(struct lowering *l, const struct cel_node *n)
{
    if (n->kind == CEL_NODE_SELECT && !n->as.select.optional)
        return lower_field(l, cel_op_select_below, lower_below(l, n->as.select.operand),
                           n->as.select.operand, n->as.select.field);
    if (n->kind == CEL_NODE_CALL && str_eq(n->as.call.name, STR("_[_]")) && n->as.call.count == 2)
        return lower_pair(l, cel_op_index_below, lower_below(l, n->as.call.args[0]),
                          lower_node(l, n->as.call.args[1]));
    return lower_node(l, n);
}

static const struct cel_op *lower_has(struct lowering *l, const struct cel_node *n)
{
    const struct cel_node *operand = n->as.has.operand;

    if (n->as.has.index != NULL)
        return lower_pair(l, cel_op_has_index, lower_below(l, operand),
                          lower_node(l, n->as.has.index));
    if (n->as.has.field.n > 0)
        return lower_field(l, cel_op_has, lower_below(l, operand), operand, n->as.has.field);
    if (operand->kind != CEL_NODE_IDENT || operand->ref.kind != CEL_REF_SLOT)
        return lower_node(l, operand); /* what it is when it cannot be a variable: an error */
    note_slot(l, operand->ref.index);
    return lower_index(l, cel_op_has_slot, operand->ref.index);
}

/* ---- logic ---- */

static const struct cel_op *lower_operands(struct lowering *l, const struct cel_node *n,
                                           cel_op_fn *eval)
{
    size_t count = n->as.operands.count;
    const struct cel_op **items = arena_alloc(&l->program->arena, count * sizeof(struct cel_op *));
    struct cel_op *op = lower_op(l, eval);
    bool constant = true;

    for (size_t i = 0; i < count; i++) {
        items[i] = lower_node(l, n->as.operands.items[i]);
        constant = constant && lower_is_constant(items[i]);
    }
    op->as.operands.items = items;
    op->as.operands.count = count;
    return constant ? lower_fold(l, op) : op;
}

/* ---- literals of lists and maps ---- */

/* False when one of them is no constant. */
static bool lower_items(struct lowering *l, const struct cel_item *from, size_t count,
                        const struct cel_op_item **out)
{
    struct cel_op_item *items = arena_alloc(&l->program->arena, count * sizeof(*items));
    bool constant = true;

    for (size_t i = 0; i < count; i++) {
        items[i].key = from[i].key == NULL ? NULL : lower_node(l, from[i].key);
        items[i].value = lower_node(l, from[i].value);
        items[i].optional = from[i].optional;
        constant = constant && lower_is_constant(items[i].value) &&
                   (items[i].key == NULL || lower_is_constant(items[i].key));
    }
    *out = items;
    return constant;
}

static const struct cel_op *lower_entries(struct lowering *l, const struct cel_node *n,
                                          cel_op_fn *eval)
{
    struct cel_op *op = lower_op(l, eval);
    bool constant = lower_items(l, n->as.entries.items, n->as.entries.count, &op->as.entries.items);

    op->as.entries.count = n->as.entries.count;
    return constant ? lower_fold(l, op) : op;
}

/* ---- macros ---- */

static cel_op_fn *macro_fn(enum cel_macro macro)
{
    static cel_op_fn *const fns[] = {
        [CEL_MACRO_ALL] = cel_op_all,
        [CEL_MACRO_EXISTS] = cel_op_exists,
        [CEL_MACRO_EXISTS_ONE] = cel_op_exists_one,
        [CEL_MACRO_MAP] = cel_op_map_list,
        [CEL_MACRO_FILTER] = cel_op_filter,
        [CEL_MACRO_TRANSFORM_LIST] = cel_op_map_list,
        [CEL_MACRO_TRANSFORM_MAP] = cel_op_transform_map,
        [CEL_MACRO_SORT_BY] = cel_op_sort_by,
        [CEL_MACRO_BIND] = cel_op_bind,
        [CEL_MACRO_OPT_MAP] = cel_op_opt_map,
        [CEL_MACRO_OPT_FLAT_MAP] = cel_op_opt_flat_map,
        [CEL_MACRO_BLOCK] = cel_op_block,
        [CEL_MACRO_OR] = cel_op_optional_or,
        [CEL_MACRO_OR_VALUE] = cel_op_optional_or_value,
    };

    return fns[macro];
}

static const struct cel_op *lower_macro(struct lowering *l, const struct cel_node *n)
{
    struct cel_op *op = lower_op(l, macro_fn(n->as.macro.macro));
    struct cel_op_macro *m = arena_zalloc(&l->program->arena, sizeof(*m));

    m->range = n->as.macro.range == NULL ? NULL : lower_node(l, n->as.macro.range);
    m->filter = n->as.macro.filter == NULL ? NULL : lower_node(l, n->as.macro.filter);
    m->body = lower_node(l, n->as.macro.body);
    (void)lower_items(l, n->as.macro.items, n->as.macro.item_count, &m->items);
    m->item_count = n->as.macro.item_count;
    m->local1 = n->as.macro.local1;
    m->local2 = n->as.macro.local2;
    m->has_two = n->as.macro.var2.n > 0;
    op->as.macro = m;
    return op;
}

const struct cel_op *lower_node(struct lowering *l, const struct cel_node *n)
{
    switch (n->kind) {
    case CEL_NODE_LITERAL:
        return lower_constant(l, kept_value(l, n->as.literal));
    case CEL_NODE_IDENT:
        return lower_ident(l, n);
    case CEL_NODE_SELECT:
        return lower_select(l, n);
    case CEL_NODE_HAS:
        return lower_has(l, n);
    case CEL_NODE_CALL:
        return lower_call(l, n);
    case CEL_NODE_AND:
        return lower_operands(l, n, cel_op_and);
    case CEL_NODE_OR:
        return lower_operands(l, n, cel_op_or);
    case CEL_NODE_COND:
        assert(n->as.operands.count == 3);
        return lower_operands(l, n, cel_op_conditional);
    case CEL_NODE_LIST:
        return lower_entries(l, n, cel_op_list);
    case CEL_NODE_MAP:
        return lower_entries(l, n, cel_op_map);
    case CEL_NODE_MACRO:
        return lower_macro(l, n);
    case CEL_NODE_ERROR:
        break;
    }
    return lower_error(l, n->as.text);
}
