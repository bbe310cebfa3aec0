#include "policy/cel/check_int.h"

/*
 * Macros bring variables of their own. Each has a place in cel_run.locals; when the walk leaves the
 * macro its places are free again, so a program needs as many as its deepest nesting. The range is
 * walked before the variables exist: it does not see them, and it may use the same places, since it
 * is evaluated to its end before they are set.
 */

/* The variables of one macro. */
struct variables {
    struct scope first;
    struct scope second;
    unsigned locals; /* in use outside */
};

static unsigned take_locals(struct checker *c, size_t count)
{
    unsigned first = c->locals;

    c->locals += (unsigned)count;
    if (c->locals > c->locals_max)
        c->locals_max = c->locals;
    return first;
}

/* Opens the scope of var1, and of var2 if the macro has one. */
static void enter(struct checker *c, struct cel_node *n, struct variables *v,
                  const struct cel_type *type1, const struct cel_type *type2)
{
    v->locals = c->locals;
    n->as.macro.local1 = take_locals(c, 1);
    v->first = (struct scope){
        .outer = c->scope, .name = n->as.macro.var1, .type = type1, .local = n->as.macro.local1
    };
    c->scope = &v->first;
    if (n->as.macro.var2.n == 0)
        return;
    n->as.macro.local2 = take_locals(c, 1);
    v->second = (struct scope){
        .outer = &v->first, .name = n->as.macro.var2, .type = type2, .local = n->as.macro.local2
    };
    c->scope = &v->second;
}

static void leave(struct checker *c, const struct variables *v)
{
    c->scope = v->first.outer;
    c->locals = v->locals;
}

/* ---- loops over lists and maps ---- */

/* What a range gives: keys (indexes of a list) and values. */
struct elements {
    const struct cel_type *key;
    const struct cel_type *value;
    bool is_list; /* its one variable is the value, a map's the key */
};

static bool check_range(struct checker *c, struct cel_node *range, struct elements *e)
{
    const struct cel_type *any = cel_type_basic(CEL_T_DYN);
    const struct cel_type *t = check_node(c, range);

    *e = (struct elements){ any, any, true };
    if (t == NULL)
        return false;
    t = unify_shallow(&c->unifier, t);
    if (t->kind == CEL_T_VARIABLE) /* may be either, so nothing is to be learned from the body */
        return unify(&c->unifier, t, any);
    if (t->kind == CEL_T_DYN || t->kind == CEL_T_ERROR)
        return true;
    if (t->kind == CEL_T_LIST)
        *e = (struct elements){ cel_type_basic(CEL_T_INT), t->params[0], true };
    else if (t->kind == CEL_T_MAP)
        *e = (struct elements){ t->params[0], t->params[1], false };
    else
        (void)check_fail(c, range->at, "only a list or a map has elements, %.*s has none",
                         STR_ARG(check_text(c, t)));
    return t->kind == CEL_T_LIST || t->kind == CEL_T_MAP;
}

static const struct cel_type *sort_result(struct checker *c, const struct cel_node *n,
                                          const struct elements *e)
{
    static const enum cel_type_kind orders[] = { CEL_T_INT,      CEL_T_UINT,     CEL_T_DOUBLE,
                                                 CEL_T_BOOL,     CEL_T_STRING,   CEL_T_BYTES,
                                                 CEL_T_DURATION, CEL_T_TIMESTAMP };
    const struct cel_node *key = n->as.macro.body;

    if (!e->is_list)
        return check_fail(c, n->at, "sortBy() sorts lists only");
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct unify_mark mark = unify_mark(&c->unifier);
        bool is_order = unify(&c->unifier, cel_type_basic(orders[i]), key->type);

        unify_undo(&c->unifier, mark);
        if (is_order)
            return cel_type_list(&c->scratch, e->value);
    }
    return check_fail(c, key->at, "sortBy() cannot sort by %.*s",
                      STR_ARG(check_text(c, key->type)));
}

static const struct cel_type *loop_result(struct checker *c, const struct cel_node *n,
                                          const struct elements *e)
{
    const struct cel_type *body = n->as.macro.body->type;

    switch (n->as.macro.macro) {
    case CEL_MACRO_ALL:
    case CEL_MACRO_EXISTS:
    case CEL_MACRO_EXISTS_ONE:
        return cel_type_basic(CEL_T_BOOL);
    case CEL_MACRO_FILTER:
        return cel_type_list(&c->scratch, e->is_list ? e->value : e->key);
    case CEL_MACRO_TRANSFORM_MAP:
        return cel_type_map(&c->scratch, e->key, body);
    case CEL_MACRO_SORT_BY:
        return sort_result(c, n, e);
    case CEL_MACRO_MAP:
    case CEL_MACRO_TRANSFORM_LIST:
    case CEL_MACRO_BIND:
    case CEL_MACRO_OPT_MAP:
    case CEL_MACRO_OPT_FLAT_MAP:
    case CEL_MACRO_BLOCK:
    case CEL_MACRO_OR:
    case CEL_MACRO_OR_VALUE:
        break;
    }
    return cel_type_list(&c->scratch, body);
}

/* The body of these is a condition. */
static bool is_predicate(enum cel_macro macro)
{
    return macro == CEL_MACRO_ALL || macro == CEL_MACRO_EXISTS || macro == CEL_MACRO_EXISTS_ONE ||
           macro == CEL_MACRO_FILTER;
}

static bool check_body(struct checker *c, struct cel_node *n)
{
    if (n->as.macro.filter != NULL && !check_bool(c, n->as.macro.filter, "the filter"))
        return false;
    if (is_predicate(n->as.macro.macro))
        return check_bool(c, n->as.macro.body, "the condition");
    return check_node(c, n->as.macro.body) != NULL;
}

static const struct cel_type *check_loop(struct checker *c, struct cel_node *n)
{
    struct variables v;
    struct elements e;
    const struct cel_type *first;
    bool is_good;

    if (!check_range(c, n->as.macro.range, &e))
        return NULL;
    first = n->as.macro.var2.n > 0 || !e.is_list ? e.key : e.value;
    enter(c, n, &v, first, e.value);
    is_good = check_body(c, n);
    leave(c, &v);
    return is_good ? loop_result(c, n, &e) : NULL;
}

/* ---- cel.bind, cel.block ---- */

static const struct cel_type *check_with(struct checker *c, struct cel_node *n,
                                         const struct cel_type *type)
{
    struct variables v;
    const struct cel_type *t;

    enter(c, n, &v, type, NULL);
    t = check_node(c, n->as.macro.body);
    leave(c, &v);
    return t;
}

static const struct cel_type *check_bind(struct checker *c, struct cel_node *n)
{
    const struct cel_type *t = check_node(c, n->as.macro.range);

    return t == NULL ? NULL : check_with(c, n, t);
}

/* Each item sees those before it. */
static const struct cel_type *check_block(struct checker *c, struct cel_node *n)
{
    const struct scope *outer = c->scope;
    unsigned locals = c->locals;
    const struct cel_type *t = NULL;
    size_t i;

    n->as.macro.local1 = take_locals(c, n->as.macro.item_count);
    for (i = 0; i < n->as.macro.item_count; i++) {
        struct scope *s = arena_alloc(&c->scratch, sizeof(*s));

        t = check_item(c, &n->as.macro.items[i]);
        if (t == NULL)
            break;
        *s = (struct scope){ .outer = c->scope,
                             .name = arena_fmt(&c->scratch, "@index%zu", i),
                             .type = t,
                             .local = n->as.macro.local1 + (unsigned)i };
        c->scope = s;
    }
    if (i == n->as.macro.item_count)
        t = check_node(c, n->as.macro.body);
    c->scope = outer;
    c->locals = locals;
    return t;
}

/* ---- optionals ---- */

/* What the range holds; NULL after check_fail(). */
static const struct cel_type *check_optional(struct checker *c, struct cel_node *n,
                                             const char *name)
{
    const struct cel_type *t = check_node(c, n);
    const struct cel_type *held = t == NULL ? NULL : check_held(c, t);

    if (t != NULL && held == NULL)
        return check_fail(c, n->at, "%s() is of optionals only, not of %.*s", name,
                          STR_ARG(check_text(c, t)));
    return held;
}

static const struct cel_type *check_opt_map(struct checker *c, struct cel_node *n)
{
    const struct cel_type *held = check_optional(c, n->as.macro.range, "optMap");
    const struct cel_type *t = held == NULL ? NULL : check_with(c, n, held);

    return t == NULL ? NULL : cel_type_optional(&c->scratch, t);
}

static const struct cel_type *check_opt_flat_map(struct checker *c, struct cel_node *n)
{
    const struct cel_type *held = check_optional(c, n->as.macro.range, "optFlatMap");
    const struct cel_type *t = held == NULL ? NULL : check_with(c, n, held);

    if (t == NULL)
        return NULL;
    held = check_held(c, t);
    if (held == NULL)
        return check_fail(c, n->as.macro.body->at, "optFlatMap() must give an optional, not %.*s",
                          STR_ARG(check_text(c, t)));
    return cel_type_optional(&c->scratch, held);
}

/* a.or(b), a.orValue(b): `held` is what a holds or may be, `other` what takes its place. */
static const struct cel_type *join_other(struct checker *c, const struct cel_node *n,
                                         const char *name, const struct cel_type *held,
                                         const struct cel_type *other)
{
    const struct cel_type *t = unify_join(&c->unifier, held, other);

    if (t != NULL)
        return t;
    return check_fail(c, n->as.macro.body->at, "%s() gives %.*s in place of %.*s", name,
                      STR_ARG(check_text(c, other)), STR_ARG(check_text(c, held)));
}

static const struct cel_type *check_or(struct checker *c, struct cel_node *n)
{
    const struct cel_type *held = check_optional(c, n->as.macro.range, "or");
    const struct cel_type *other = held == NULL ? NULL : check_optional(c, n->as.macro.body, "or");
    const struct cel_type *t = other == NULL ? NULL : join_other(c, n, "or", held, other);

    return t == NULL ? NULL : cel_type_optional(&c->scratch, t);
}

static const struct cel_type *check_or_value(struct checker *c, struct cel_node *n)
{
    const struct cel_type *held = check_optional(c, n->as.macro.range, "orValue");
    const struct cel_type *other = held == NULL ? NULL : check_node(c, n->as.macro.body);

    return other == NULL ? NULL : join_other(c, n, "orValue", held, other);
}

const struct cel_type *check_macro(struct checker *c, struct cel_node *n)
{
    switch (n->as.macro.macro) {
    case CEL_MACRO_ALL:
    case CEL_MACRO_EXISTS:
    case CEL_MACRO_EXISTS_ONE:
    case CEL_MACRO_MAP:
    case CEL_MACRO_FILTER:
    case CEL_MACRO_TRANSFORM_LIST:
    case CEL_MACRO_TRANSFORM_MAP:
    case CEL_MACRO_SORT_BY:
        break;
    case CEL_MACRO_BIND:
        return check_bind(c, n);
    case CEL_MACRO_BLOCK:
        return check_block(c, n);
    case CEL_MACRO_OPT_MAP:
        return check_opt_map(c, n);
    case CEL_MACRO_OPT_FLAT_MAP:
        return check_opt_flat_map(c, n);
    case CEL_MACRO_OR:
        return check_or(c, n);
    case CEL_MACRO_OR_VALUE:
        return check_or_value(c, n);
    }
    return check_loop(c, n);
}
