#include <assert.h>

#include "base/mem.h"
#include "policy/cel/check_int.h"

/*
 * Compatibility is not equality: dyn fits everything, null fits what can be absent, and a variable
 * that has met int may meet dyn later and is then dyn (spec cel 11: keep the more general). So a
 * variable's binding can change after it was set, and every change goes through the trail.
 * A variable that stands for another one points at it; only the last of such a chain is bound.
 */

struct unify_change {
    size_t variable;
    const struct cel_type *was;
};

void unifier_init(struct unifier *u, struct arena *arena)
{
    *u = (struct unifier){ .arena = arena };
}

void unifier_fini(struct unifier *u)
{
    mem_free(u->bound);
    mem_free(u->trail);
}

const struct cel_type *unify_fresh(struct unifier *u)
{
    struct cel_type *t = arena_zalloc(u->arena, sizeof(*t));

    if (u->count == u->capacity) {
        u->capacity = u->capacity > 0 ? u->capacity * 2 : 16;
        u->bound = mem_realloc(u->bound, u->capacity * sizeof(*u->bound));
    }
    t->kind = CEL_T_VARIABLE;
    t->variable = (unsigned)u->count;
    u->bound[u->count++] = NULL;
    return t;
}

static void set(struct unifier *u, const struct cel_type *variable, const struct cel_type *t)
{
    struct unify_change *change;

    if (u->trail_count == u->trail_capacity) {
        u->trail_capacity = u->trail_capacity > 0 ? u->trail_capacity * 2 : 16;
        u->trail = mem_realloc(u->trail, u->trail_capacity * sizeof(*u->trail));
    }
    change = &u->trail[u->trail_count++];
    change->variable = variable->variable;
    change->was = u->bound[variable->variable];
    u->bound[variable->variable] = t;
}

struct unify_mark unify_mark(const struct unifier *u)
{
    return (struct unify_mark){ .variables = u->count, .trail = u->trail_count };
}

void unify_undo(struct unifier *u, struct unify_mark mark)
{
    while (u->trail_count > mark.trail) {
        const struct unify_change *change = &u->trail[--u->trail_count];

        u->bound[change->variable] = change->was;
    }
    u->count = mark.variables;
}

/* The last variable of a chain, or a type that is none. */
static const struct cel_type *last(const struct unifier *u, const struct cel_type *t)
{
    while (t->kind == CEL_T_VARIABLE) {
        const struct cel_type *next = u->bound[t->variable];

        if (next == NULL || next->kind != CEL_T_VARIABLE)
            break;
        t = next;
    }
    return t;
}

const struct cel_type *unify_shallow(const struct unifier *u, const struct cel_type *t)
{
    t = last(u, t);
    if (t->kind == CEL_T_VARIABLE && u->bound[t->variable] != NULL)
        return u->bound[t->variable];
    return t;
}

/* True if the work is done with: types that share parts can be exponentially larger than the
 * expression, so all walks over them count. */
static bool spend(struct unifier *u, size_t work)
{
    if (u->work < CHECK_WORK_MAX)
        u->work += work;
    return unify_is_spent(u);
}

const struct cel_type *unify_deep(struct unifier *u, struct arena *into, const struct cel_type *t,
                                  size_t from)
{
    const struct cel_type *params[CEL_TYPE_PARAMS_MAX];

    t = unify_shallow(u, t);
    if (spend(u, CHECK_WORK_NODE))
        return cel_type_basic(CEL_T_DYN);
    if (t->kind == CEL_T_VARIABLE)
        return t->variable >= from ? cel_type_basic(CEL_T_DYN) : t;
    if (t->count == 0)
        return t;
    for (size_t i = 0; i < t->count; i++)
        params[i] = unify_deep(u, into, t->params[i], from);
    return cel_type_with_params(into, t, params);
}

static bool occurs(struct unifier *u, const struct cel_type *variable, const struct cel_type *t)
{
    if (spend(u, 1))
        return true;
    t = unify_shallow(u, t);
    if (t->kind == CEL_T_VARIABLE)
        return t->variable == variable->variable;
    for (size_t i = 0; i < t->count; i++) {
        if (occurs(u, variable, t->params[i]))
            return true;
    }
    return false;
}

/* Binds the last of a chain. */
static bool bind(struct unifier *u, const struct cel_type *variable, const struct cel_type *t)
{
    if (occurs(u, variable, t))
        return false;
    set(u, variable, t);
    return true;
}

static bool is_dyn(const struct cel_type *t)
{
    return t->kind == CEL_T_DYN || t->kind == CEL_T_ERROR;
}

/* What null can stand in for (spec cel 11). */
static bool is_nullable(const struct cel_type *t)
{
    switch (t->kind) {
    case CEL_T_NULL:
    case CEL_T_TIMESTAMP:
    case CEL_T_DURATION:
    case CEL_T_OPTIONAL:
    case CEL_T_IP:
    case CEL_T_CIDR:
    case CEL_T_OBJECT:
    case CEL_T_ABSTRACT:
        return true;
    case CEL_T_DYN:
    case CEL_T_BOOL:
    case CEL_T_INT:
    case CEL_T_UINT:
    case CEL_T_DOUBLE:
    case CEL_T_STRING:
    case CEL_T_BYTES:
    case CEL_T_LIST:
    case CEL_T_MAP:
    case CEL_T_TYPE:
    case CEL_T_PARAM:
    case CEL_T_VARIABLE:
    case CEL_T_ERROR:
        break;
    }
    return false;
}

/* Neither is a variable. */
static bool unify_concrete(struct unifier *u, const struct cel_type *a, const struct cel_type *b)
{
    if (a == b || is_dyn(a) || is_dyn(b))
        return true;
    if (a->kind == CEL_T_NULL)
        return is_nullable(b);
    if (b->kind == CEL_T_NULL)
        return is_nullable(a);
    if (a->kind != b->kind || a->object != b->object)
        return false;
    if (a->kind == CEL_T_TYPE) /* type(1) == string is a question, not a mistake */
        return true;
    if (!str_eq(a->name, b->name) || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!unify(u, a->params[i], b->params[i]))
            return false;
    }
    return true;
}

/* A variable that is bound, and a type that is no variable: the binding may become wider. */
static bool widen(struct unifier *u, const struct cel_type *variable, const struct cel_type *t)
{
    const struct cel_type *was = u->bound[variable->variable];
    const struct cel_type *general;

    if (!unify_concrete(u, was, t))
        return false;
    general = unify_general(u, was, t);
    return general == was || bind(u, variable, general);
}

/* Two variables: from now on both stand for the same. */
static bool merge(struct unifier *u, const struct cel_type *a, const struct cel_type *b)
{
    const struct cel_type *type_a = u->bound[a->variable];
    const struct cel_type *type_b = u->bound[b->variable];

    if (a->variable == b->variable)
        return true;
    if (type_b == NULL)
        return bind(u, b, a);
    if (type_a == NULL)
        return bind(u, a, b);
    if (!widen(u, a, type_b))
        return false;
    return bind(u, b, a);
}

bool unify(struct unifier *u, const struct cel_type *a, const struct cel_type *b)
{
    if (spend(u, 1))
        return false;
    a = last(u, a);
    b = last(u, b);
    if (a->kind == CEL_T_VARIABLE && b->kind == CEL_T_VARIABLE)
        return merge(u, a, b);
    if (a->kind == CEL_T_VARIABLE)
        return u->bound[a->variable] != NULL ? widen(u, a, b) : bind(u, a, b);
    if (b->kind == CEL_T_VARIABLE)
        return u->bound[b->variable] != NULL ? widen(u, b, a) : bind(u, b, a);
    return unify_concrete(u, a, b);
}

const struct cel_type *unify_general(struct unifier *u, const struct cel_type *a,
                                     const struct cel_type *b)
{
    const struct cel_type *params[CEL_TYPE_PARAMS_MAX];
    bool is_a = true;

    a = unify_shallow(u, a);
    b = unify_shallow(u, b);
    if (a == b || is_dyn(a) || b->kind == CEL_T_NULL)
        return a;
    if (is_dyn(b) || a->kind == CEL_T_NULL)
        return b;
    if (a->kind != b->kind || spend(u, CHECK_WORK_NODE)) /* of types, below type() */
        return cel_type_basic(CEL_T_DYN);
    if (a->count != b->count)
        return cel_type_basic(CEL_T_TYPE);
    for (size_t i = 0; i < a->count; i++) {
        params[i] = unify_general(u, a->params[i], b->params[i]);
        is_a = is_a && params[i] == unify_shallow(u, a->params[i]);
    }
    return is_a ? a : cel_type_with_params(u->arena, a, params);
}

const struct cel_type *unify_join(struct unifier *u, const struct cel_type *a,
                                  const struct cel_type *b)
{
    struct unify_mark mark = unify_mark(u);

    if (unify(u, a, b))
        return unify_general(u, a, b);
    unify_undo(u, mark);
    return NULL;
}
