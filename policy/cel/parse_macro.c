/*
 * Macros (spec cel 5, 6; spec traffic-policy 5.8) are told by their name, by whether they have a
 * receiver and by the number of arguments, once these have been read as expressions: the variable
 * of a macro then is a name like any other, which keeps the grammar free of macros.
 */
#include <assert.h>

#include "policy/cel/parse_int.h"

/* receiver.name(variables..., [filter], body) */
struct macro_row {
    struct str name;
    unsigned vars;
    bool filter;
    bool loops; /* its body is evaluated again and again, so nesting is limited */
    enum cel_macro macro;
};

static const struct macro_row rows[] = {
    { STR_INIT("all"), 1, false, true, CEL_MACRO_ALL },
    { STR_INIT("all"), 2, false, true, CEL_MACRO_ALL },
    { STR_INIT("exists"), 1, false, true, CEL_MACRO_EXISTS },
    { STR_INIT("exists"), 2, false, true, CEL_MACRO_EXISTS },
    { STR_INIT("exists_one"), 1, false, true, CEL_MACRO_EXISTS_ONE },
    { STR_INIT("exists_one"), 2, false, true, CEL_MACRO_EXISTS_ONE },
    { STR_INIT("existsOne"), 1, false, true, CEL_MACRO_EXISTS_ONE },
    { STR_INIT("existsOne"), 2, false, true, CEL_MACRO_EXISTS_ONE },
    { STR_INIT("map"), 1, false, true, CEL_MACRO_MAP },
    { STR_INIT("map"), 1, true, true, CEL_MACRO_MAP },
    { STR_INIT("filter"), 1, false, true, CEL_MACRO_FILTER },
    { STR_INIT("transformList"), 2, false, true, CEL_MACRO_TRANSFORM_LIST },
    { STR_INIT("transformList"), 2, true, true, CEL_MACRO_TRANSFORM_LIST },
    { STR_INIT("transformMap"), 2, false, true, CEL_MACRO_TRANSFORM_MAP },
    { STR_INIT("transformMap"), 2, true, true, CEL_MACRO_TRANSFORM_MAP },
    { STR_INIT("sortBy"), 1, false, true, CEL_MACRO_SORT_BY },
    { STR_INIT("optMap"), 1, false, false, CEL_MACRO_OPT_MAP },
    { STR_INIT("optFlatMap"), 1, false, false, CEL_MACRO_OPT_FLAT_MAP },
    { STR_INIT("or"), 0, false, false, CEL_MACRO_OR },
    { STR_INIT("orValue"), 0, false, false, CEL_MACRO_OR_VALUE },
};

static const struct macro_row *find_row(const struct cel_parsed_call *call)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].vars + rows[i].filter + 1U == call->count && str_eq(rows[i].name, call->name))
            return &rows[i];
    }
    return NULL;
}

/* A macro of a call; its parts are filled in and adopted by the caller. */
static struct cel_node *new_macro(struct cel_parser *p, const struct cel_parsed_call *call,
                                  enum cel_macro macro, struct cel_node *range,
                                  struct cel_node *body)
{
    struct cel_node *n = cel_parse_node(p, CEL_NODE_MACRO, call->at);

    if (n == NULL)
        return NULL;
    n->as.macro.macro = macro;
    n->as.macro.range = range;
    n->as.macro.body = body;
    cel_parse_adopt(p, n, range);
    cel_parse_adopt(p, n, body);
    return n;
}

/* The name of the macro's variable in argument `index`. */
static int read_var(struct cel_parser *p, const struct cel_parsed_call *call, size_t index,
                    struct str *out)
{
    const struct cel_node *arg = call->args[index];

    if (arg->kind != CEL_NODE_IDENT || arg->as.ident.rooted) {
        (void)cel_parse_fail(p, arg->at, "argument %zu of %.*s() is a variable: a plain name",
                             index + 1, STR_ARG(call->name));
        return -1;
    }
    *out = arg->as.ident.name;
    return 0;
}

static int read_vars(struct cel_parser *p, const struct cel_parsed_call *call,
                     const struct macro_row *row, struct cel_node *n)
{
    if (row->vars > 0 && read_var(p, call, 0, &n->as.macro.var1) == -1)
        return -1;
    if (row->vars < 2)
        return 0;
    if (read_var(p, call, 1, &n->as.macro.var2) == -1)
        return -1;
    if (!str_eq(n->as.macro.var1, n->as.macro.var2))
        return 0;
    (void)cel_parse_fail(p, call->args[1]->at, "both variables of %.*s() have the same name",
                         STR_ARG(call->name));
    return -1;
}

/* Counts a loop around those of the arguments. */
static int count_loop(struct cel_parser *p, const struct cel_parsed_call *call)
{
    p->loops++;
    if (p->loops <= p->limits->macro_depth)
        return 0;
    (void)cel_parse_fail(p, call->at, "macros such as %.*s() are nested more than %u deep",
                         STR_ARG(call->name), p->limits->macro_depth);
    return -1;
}

static struct cel_node *expand_row(struct cel_parser *p, const struct cel_parsed_call *call,
                                   const struct macro_row *row)
{
    struct cel_node *n = new_macro(p, call, row->macro, call->target, call->args[call->count - 1]);

    if (n == NULL || read_vars(p, call, row, n) == -1)
        return NULL;
    if (row->filter) {
        n->as.macro.filter = call->args[row->vars];
        cel_parse_adopt(p, n, n->as.macro.filter);
    }
    return row->loops && count_loop(p, call) == -1 ? NULL : n;
}

/* ---- has() ---- */

/* The argument becomes the node of has(). */
static struct cel_node *expand_has(struct cel_parser *p, const struct cel_parsed_call *call)
{
    struct cel_node *n = call->args[0];
    struct cel_node *operand;
    struct cel_node *index = NULL;
    struct str field = STR_NONE;

    if (n->kind == CEL_NODE_SELECT && !n->as.select.optional) {
        operand = n->as.select.operand;
        field = n->as.select.field;
    } else if (n->kind == CEL_NODE_CALL && str_eq(n->as.call.name, STR("_[_]"))) {
        operand = n->as.call.args[0];
        index = n->as.call.args[1];
    } else {
        return cel_parse_fail(p, n->at, "has() asks for a field: has(a.b)");
    }
    n->kind = CEL_NODE_HAS;
    n->at = call->at;
    n->as.has.operand = operand;
    n->as.has.field = field;
    n->as.has.index = index;
    return n;
}

/* ---- cel.bind, and the output of optimizers ---- */

/* cel.bind(x, value, body) */
static struct cel_node *expand_bind(struct cel_parser *p, const struct cel_parsed_call *call)
{
    struct cel_node *n = new_macro(p, call, CEL_MACRO_BIND, call->args[1], call->args[2]);

    return n == NULL || read_var(p, call, 0, &n->as.macro.var1) == -1 ? NULL : n;
}

/* cel.block([items], body) */
static struct cel_node *expand_block(struct cel_parser *p, const struct cel_parsed_call *call)
{
    const struct cel_node *list = call->args[0];
    struct cel_node *n;

    if (list->kind != CEL_NODE_LIST)
        return cel_parse_fail(p, list->at, "argument 1 of cel.block() is a list literal");
    n = new_macro(p, call, CEL_MACRO_BLOCK, NULL, call->args[1]);
    if (n == NULL)
        return NULL;
    n->as.macro.items = list->as.entries.items;
    n->as.macro.item_count = list->as.entries.count;
    for (size_t i = 0; i < n->as.macro.item_count; i++) {
        const struct cel_item *item = &n->as.macro.items[i];

        if (item->optional)
            return cel_parse_fail(p, item->value->at, "the items of cel.block() are not optional");
        cel_parse_adopt(p, n, item->value);
    }
    return n;
}

/* The number that an argument is written as. */
static int read_number(struct cel_parser *p, const struct cel_parsed_call *call, size_t index,
                       int64_t *out)
{
    const struct cel_node *arg = call->args[index];

    if (arg->kind != CEL_NODE_LITERAL || arg->as.literal.kind != CEL_INT ||
        arg->as.literal.as.i < 0) {
        (void)cel_parse_fail(p, arg->at, "argument %zu of cel.%.*s() is a number, 0 or more",
                             index + 1, STR_ARG(call->name));
        return -1;
    }
    *out = arg->as.literal.as.i;
    return 0;
}

/* The name "cel" of the receiver gives way to a name that nobody can write. */
static struct cel_node *rename_target(const struct cel_parsed_call *call, struct str name)
{
    call->target->as.ident.name = name;
    return call->target;
}

/* cel.index(n): item n of the block around it */
static struct cel_node *expand_index(struct cel_parser *p, const struct cel_parsed_call *call)
{
    int64_t n;

    if (read_number(p, call, 0, &n) == -1)
        return NULL;
    return rename_target(call, arena_fmt(p->arena, "@index%lld", (long long)n));
}

/* cel.iterVar(depth, n): variable n of a macro */
static struct cel_node *expand_iter_var(struct cel_parser *p, const struct cel_parsed_call *call)
{
    int64_t depth;
    int64_t n;

    if (read_number(p, call, 0, &depth) == -1 || read_number(p, call, 1, &n) == -1)
        return NULL;
    return rename_target(call, arena_fmt(p->arena, "@it%lld:%lld", (long long)depth, (long long)n));
}

typedef struct cel_node *expand_fn(struct cel_parser *p, const struct cel_parsed_call *call);

/* What is called on the name "cel". */
static const struct {
    struct str name;
    size_t count;
    expand_fn *expand;
} cel_rows[] = {
    { STR_INIT("bind"), 3, expand_bind },
    { STR_INIT("block"), 2, expand_block },
    { STR_INIT("index"), 1, expand_index },
    { STR_INIT("iterVar"), 2, expand_iter_var },
};

static expand_fn *find_cel_row(const struct cel_parsed_call *call)
{
    const struct cel_node *target = call->target;

    if (target->kind != CEL_NODE_IDENT || target->as.ident.rooted ||
        !str_eq(target->as.ident.name, STR("cel")))
        return NULL;
    for (size_t i = 0; i < sizeof(cel_rows) / sizeof(cel_rows[0]); i++) {
        if (cel_rows[i].count == call->count && str_eq(cel_rows[i].name, call->name))
            return cel_rows[i].expand;
    }
    return NULL;
}

/* ---- all of them ---- */

int cel_parse_macro(struct cel_parser *p, const struct cel_parsed_call *call, struct cel_node **out)
{
    const struct macro_row *row;
    expand_fn *expand = NULL;

    *out = NULL;
    if ((p->flags & CEL_PARSE_NO_MACROS) != 0)
        return 0;
    if (call->target != NULL)
        expand = find_cel_row(call);
    else if (call->count == 1 && str_eq(call->name, STR("has")))
        expand = expand_has;
    row = call->target != NULL && expand == NULL ? find_row(call) : NULL;
    if (expand == NULL && row == NULL)
        return 0;
    *out = row != NULL ? expand_row(p, call, row) : expand(p, call);
    return *out == NULL ? -1 : 0;
}
