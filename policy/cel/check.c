#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "policy/cel/check_int.h"

/*
 * One walk from the leaves up gives each node its type; types that are not settled yet (the element
 * of []) are variables until the end, when they are written into the tree for good. The walk recurses,
 * which is fine: the parser bounds the depth.
 * The first problem ends the walk: what follows it would mostly be its consequences.
 */

const struct cel_type *check_fail(struct checker *c, uint32_t at, const char *fmt, ...)
{
    va_list ap;

    c->issue->stage = CEL_STAGE_CHECK;
    c->issue->at = at;
    va_start(ap, fmt);
    (void)vsnprintf(c->issue->text, sizeof(c->issue->text), fmt, ap);
    va_end(ap);
    return NULL;
}

struct str check_text(struct checker *c, const struct cel_type *t)
{
    return cel_type_text(&c->scratch, unify_deep(&c->unifier, &c->scratch, t, 0));
}

/* ---- names and fields ---- */

static const struct cel_type *dyn(void)
{
    return cel_type_basic(CEL_T_DYN);
}

static const struct cel_type *check_ident(struct checker *c, struct cel_node *n)
{
    const struct scope *local = n->ref.kind == CEL_REF_NONE ? check_find_local(c, n) : NULL;

    if (local != NULL) {
        n->ref.kind = CEL_REF_LOCAL;
        n->ref.index = local->local;
        return local->type;
    }
    if (!check_resolve(c, n))
        return NULL;
    return n->kind == CEL_NODE_ERROR ? dyn() : check_instance(c, n->type);
}

static const struct cel_type *object_field(struct checker *c, const struct cel_type *t,
                                           struct str field, uint32_t at)
{
    const struct cel_object_type *object = t->object;

    for (size_t i = 0; i < object->field_count; i++) {
        if (str_eq(field, str_from(object->fields[i].name))) {
            struct str text = str_from(object->fields[i].type);

            return cel_type_parse(&c->scratch, &text, c->params->env->objects);
        }
    }
    return check_fail(c, at, "%.*s has no field %.*s", STR_ARG(t->name), STR_ARG(field));
}

const struct cel_type *check_held(struct checker *c, const struct cel_type *t)
{
    const struct cel_type *held;

    t = unify_shallow(&c->unifier, t);
    if (t->kind == CEL_T_OPTIONAL)
        return t->params[0];
    if (t->kind == CEL_T_DYN || t->kind == CEL_T_ERROR)
        return dyn();
    if (t->kind != CEL_T_VARIABLE)
        return NULL;
    held = unify_fresh(&c->unifier);
    return unify(&c->unifier, t, cel_type_optional(&c->scratch, held)) ? held : NULL;
}

/* req.url is a string, and yet there are names below it: then the user means one of these. */
static const struct cel_type *no_field(struct checker *c, const struct cel_node *n,
                                       const struct cel_type *t, struct str field, uint32_t at)
{
    if (n->kind == CEL_NODE_IDENT && n->ref.kind == CEL_REF_SLOT &&
        check_is_namespace(c, n->as.ident.name)) {
        struct str name =
            arena_fmt(&c->scratch, "%.*s.%.*s", STR_ARG(n->as.ident.name), STR_ARG(field));

        return check_unknown(c, n->at, name);
    }
    return check_fail(c, at, "%.*s has no fields, so there is no .%.*s", STR_ARG(check_text(c, t)),
                      STR_ARG(field));
}

const struct cel_type *check_field(struct checker *c, const struct cel_node *n,
                                   const struct cel_type *t, struct str field, uint32_t at)
{
    const struct cel_type *inner;

    t = unify_shallow(&c->unifier, t);
    switch (t->kind) {
    case CEL_T_DYN:
    case CEL_T_ERROR:
    case CEL_T_VARIABLE:
        return dyn();
    case CEL_T_MAP:
        return t->params[1];
    case CEL_T_OPTIONAL:
        inner = check_field(c, n, t->params[0], field, at);
        return inner == NULL ? NULL : cel_type_optional(&c->scratch, inner);
    case CEL_T_OBJECT:
        return object_field(c, t, field, at);
    case CEL_T_NULL:
    case CEL_T_BOOL:
    case CEL_T_INT:
    case CEL_T_UINT:
    case CEL_T_DOUBLE:
    case CEL_T_STRING:
    case CEL_T_BYTES:
    case CEL_T_TIMESTAMP:
    case CEL_T_DURATION:
    case CEL_T_LIST:
    case CEL_T_TYPE:
    case CEL_T_IP:
    case CEL_T_CIDR:
    case CEL_T_ABSTRACT:
    case CEL_T_PARAM:
        break;
    }
    return no_field(c, n, t, field, at);
}

static const struct cel_type *check_select(struct checker *c, struct cel_node *n)
{
    const struct cel_type *t;

    if (!check_resolve(c, n))
        return NULL;
    if (n->kind == CEL_NODE_IDENT)
        return check_ident(c, n);
    t = check_node(c, n->as.select.operand);
    if (t == NULL)
        return NULL;
    t = check_field(c, n->as.select.operand, t, n->as.select.field, n->at);
    if (t == NULL || !n->as.select.optional)
        return t;
    /* a.?b of an optional is as optional as a.b of it */
    return unify_shallow(&c->unifier, n->as.select.operand->type)->kind == CEL_T_OPTIONAL
               ? t
               : cel_type_optional(&c->scratch, t);
}

/* ---- has() ---- */

static bool is_index_of(struct checker *c, const struct cel_type *t, const struct cel_type *index)
{
    static const enum cel_type_kind numbers[] = { CEL_T_INT, CEL_T_UINT, CEL_T_DOUBLE };

    t = unify_shallow(&c->unifier, t);
    if (t->kind == CEL_T_OPTIONAL)
        return is_index_of(c, t->params[0], index);
    if (t->kind == CEL_T_MAP)
        return unify_join(&c->unifier, t->params[0], index) != NULL;
    if (t->kind != CEL_T_LIST)
        return t->kind == CEL_T_DYN || t->kind == CEL_T_ERROR || t->kind == CEL_T_VARIABLE;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (unify_join(&c->unifier, cel_type_basic(numbers[i]), index) != NULL)
            return true;
    }
    return false;
}

/* has(m['k']), has(l[0]) (spec traffic-policy 5.16). */
static const struct cel_type *check_has_index(struct checker *c, struct cel_node *n)
{
    const struct cel_type *t;
    const struct cel_type *index;

    if ((c->params->flags & CEL_CHECK_HAS_INDEX) == 0)
        return check_fail(c, n->at, "has() asks for a field: has(a.b)");
    t = check_node(c, n->as.has.operand);
    index = t == NULL ? NULL : check_node(c, n->as.has.index);
    if (index == NULL)
        return NULL;
    if (!is_index_of(c, t, index))
        return check_fail(c, n->as.has.index->at, "cannot index %.*s with %.*s",
                          STR_ARG(check_text(c, t)), STR_ARG(check_text(c, index)));
    return cel_type_basic(CEL_T_BOOL);
}

static const struct cel_type *check_has(struct checker *c, struct cel_node *n)
{
    struct cel_node *operand = n->as.has.operand;
    const struct cel_type *t;

    if (n->as.has.index != NULL)
        return check_has_index(c, n);
    if (check_resolve_field(c, operand, n->as.has.field)) {
        n->as.has.field = STR_NONE; /* has(req.url.port): is the variable itself there? */
        return check_node(c, operand) == NULL ? NULL : cel_type_basic(CEL_T_BOOL);
    }
    t = check_node(c, operand);
    if (t == NULL || check_field(c, operand, t, n->as.has.field, n->at) == NULL)
        return NULL;
    return cel_type_basic(CEL_T_BOOL);
}

/* ---- lists, maps, logic ---- */

bool check_bool(struct checker *c, struct cel_node *n, const char *what)
{
    const struct cel_type *t = check_node(c, n);

    if (t == NULL)
        return false;
    if (unify_join(&c->unifier, cel_type_basic(CEL_T_BOOL), t) != NULL)
        return true;
    (void)check_fail(c, n->at, "%s must be a bool, not %.*s", what, STR_ARG(check_text(c, t)));
    return false;
}

static const struct cel_type *check_logic(struct checker *c, struct cel_node *n)
{
    const char *what = n->kind == CEL_NODE_AND ? "what '&&' joins" : "what '||' joins";

    for (size_t i = 0; i < n->as.operands.count; i++) {
        if (!check_bool(c, n->as.operands.items[i], what))
            return NULL;
    }
    return cel_type_basic(CEL_T_BOOL);
}

static const struct cel_type *check_cond(struct checker *c, struct cel_node *n)
{
    struct cel_node **items = n->as.operands.items;
    const struct cel_type *yes;
    const struct cel_type *no;
    const struct cel_type *t;

    assert(n->as.operands.count == 3);
    if (!check_bool(c, items[0], "the condition of '?:'"))
        return NULL;
    yes = check_node(c, items[1]);
    no = yes == NULL ? NULL : check_node(c, items[2]);
    if (no == NULL)
        return NULL;
    t = unify_join(&c->unifier, yes, no);
    if (t == NULL)
        return check_fail(c, items[2]->at, "the branches of '?:' have types %.*s and %.*s",
                          STR_ARG(check_text(c, yes)), STR_ARG(check_text(c, no)));
    return t;
}

/* The type of all elements so far and of one more. NULL for so far: it is the first. */
static const struct cel_type *join_element(struct checker *c, const struct cel_type *so_far,
                                           const struct cel_type *t)
{
    if (so_far == NULL)
        return t;
    t = unify_join(&c->unifier, so_far, t);
    return t != NULL ? t : dyn();
}

const struct cel_type *check_item(struct checker *c, const struct cel_item *item)
{
    const struct cel_type *t = check_node(c, item->value);
    const struct cel_type *held;

    if (t == NULL || !item->optional)
        return t;
    held = check_held(c, t);
    if (held == NULL)
        return check_fail(c, item->value->at, "what follows '?' must be an optional, not %.*s",
                          STR_ARG(check_text(c, t)));
    return held;
}

static const struct cel_type *check_list(struct checker *c, struct cel_node *n)
{
    const struct cel_type *element = NULL;

    for (size_t i = 0; i < n->as.entries.count; i++) {
        const struct cel_type *t = check_item(c, &n->as.entries.items[i]);

        if (t == NULL)
            return NULL;
        element = join_element(c, element, t);
    }
    if (element == NULL)
        element = unify_fresh(&c->unifier);
    return cel_type_list(&c->scratch, element);
}

static bool is_key_type(const struct cel_type *t)
{
    switch (t->kind) {
    case CEL_T_BOOL:
    case CEL_T_INT:
    case CEL_T_UINT:
    case CEL_T_STRING:
    case CEL_T_DYN:
    case CEL_T_ERROR:
    case CEL_T_VARIABLE:
        return true;
    case CEL_T_NULL:
    case CEL_T_DOUBLE:
    case CEL_T_BYTES:
    case CEL_T_TIMESTAMP:
    case CEL_T_DURATION:
    case CEL_T_LIST:
    case CEL_T_MAP:
    case CEL_T_TYPE:
    case CEL_T_OPTIONAL:
    case CEL_T_IP:
    case CEL_T_CIDR:
    case CEL_T_OBJECT:
    case CEL_T_ABSTRACT:
    case CEL_T_PARAM:
        break;
    }
    return false;
}

static const struct cel_type *check_key(struct checker *c, struct cel_node *n)
{
    const struct cel_type *t = check_node(c, n);

    if (t != NULL && !is_key_type(unify_shallow(&c->unifier, t)))
        return check_fail(c, n->at, "a map's key must be a string, int, uint or bool, not %.*s",
                          STR_ARG(check_text(c, t)));
    return t;
}

static const struct cel_type *check_map(struct checker *c, struct cel_node *n)
{
    const struct cel_type *key = NULL;
    const struct cel_type *value = NULL;

    for (size_t i = 0; i < n->as.entries.count; i++) {
        const struct cel_item *item = &n->as.entries.items[i];
        const struct cel_type *k = check_key(c, item->key);
        const struct cel_type *v = k == NULL ? NULL : check_item(c, item);

        if (v == NULL)
            return NULL;
        key = join_element(c, key, k);
        value = join_element(c, value, v);
    }
    if (key == NULL)
        key = unify_fresh(&c->unifier);
    if (value == NULL)
        value = unify_fresh(&c->unifier);
    return cel_type_map(&c->scratch, key, value);
}

static const struct cel_type *literal_type(struct cel_value v)
{
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
        return cel_type_basic(CEL_T_NULL);
    case CEL_BOOL:
        return cel_type_basic(CEL_T_BOOL);
    case CEL_INT:
        return cel_type_basic(CEL_T_INT);
    case CEL_UINT:
        return cel_type_basic(CEL_T_UINT);
    case CEL_DOUBLE:
        return cel_type_basic(CEL_T_DOUBLE);
    case CEL_STRING:
        return cel_type_basic(CEL_T_STRING);
    case CEL_BYTES:
        return cel_type_basic(CEL_T_BYTES);
    case CEL_LIST:
    case CEL_MAP:
    case CEL_TIMESTAMP:
    case CEL_DURATION:
    case CEL_TYPE:
    case CEL_OPTIONAL:
    case CEL_IP:
    case CEL_CIDR:
    case CEL_OBJECT:
    case CEL_ERROR:
        break; /* have no literals */
    }
    return dyn();
}

/* ---- the walk ---- */

static const struct cel_type *check_kind(struct checker *c, struct cel_node *n)
{
    switch (n->kind) {
    case CEL_NODE_LITERAL:
        return literal_type(n->as.literal);
    case CEL_NODE_IDENT:
        return check_ident(c, n);
    case CEL_NODE_SELECT:
        return check_select(c, n);
    case CEL_NODE_HAS:
        return check_has(c, n);
    case CEL_NODE_CALL:
        return check_call(c, n);
    case CEL_NODE_AND:
    case CEL_NODE_OR:
        return check_logic(c, n);
    case CEL_NODE_COND:
        return check_cond(c, n);
    case CEL_NODE_LIST:
        return check_list(c, n);
    case CEL_NODE_MAP:
        return check_map(c, n);
    case CEL_NODE_MACRO:
        return check_macro(c, n);
    case CEL_NODE_ERROR:
        break; /* in a tree that was resolved before */
    }
    return dyn();
}

static void add_node(struct checker *c, struct cel_node *n)
{
    if (c->node_count == c->node_capacity) {
        c->node_capacity = c->node_capacity > 0 ? c->node_capacity * 2 : 64;
        c->nodes = mem_realloc(c->nodes, c->node_capacity * sizeof(struct cel_node *));
    }
    c->nodes[c->node_count++] = n;
}

const struct cel_type *check_node(struct checker *c, struct cel_node *n)
{
    const struct cel_type *t = check_kind(c, n);

    if (t == NULL)
        return NULL;
    n->type = check_is_off(c) ? dyn() : t;
    add_node(c, n);
    return n->type;
}

/* Types were made in the scratch arena and may have variables; what stays is settled. */
static void settle(struct checker *c)
{
    for (size_t i = 0; i < c->node_count; i++) {
        struct cel_node *n = c->nodes[i];

        n->type = check_is_off(c) ? NULL : unify_deep(&c->unifier, c->params->arena, n->type, 0);
    }
}

static bool is_wanted(struct checker *c, const struct cel_node *root)
{
    const struct cel_type *want = c->params->want;

    if (want == NULL || unify_join(&c->unifier, want, root->type) != NULL)
        return true;
    (void)check_fail(c, root->at, "the result must be %.*s, not %.*s", STR_ARG(check_text(c, want)),
                     STR_ARG(check_text(c, root->type)));
    return false;
}

static int check_tree(struct checker *c, struct cel_node *root)
{
    bool is_good = check_node(c, root) != NULL && is_wanted(c, root);

    if (is_good)
        settle(c);
    if (!unify_is_spent(&c->unifier))
        return is_good ? 0 : -1;
    (void)check_fail(c, root->at, "the types in this expression are too large");
    return -1;
}

int cel_check(struct cel_node *root, const struct cel_check_params *params, unsigned *locals_out,
              struct cel_issue *issue)
{
    struct checker c = { .params = params, .issue = issue };
    int result;

    arena_init(&c.scratch);
    unifier_init(&c.unifier, &c.scratch);
    result = check_tree(&c, root);
    *locals_out = c.locals_max;
    unifier_fini(&c.unifier);
    mem_free(c.nodes);
    arena_fini(&c.scratch);
    return result;
}
