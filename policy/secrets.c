/*
 * The checker does not say which literals a call has, so the expression is parsed once more and its
 * tree walked. Expressions that do not name secrets are not.
 */
#include "policy/secrets.h"

#include "base/arena.h"
#include "policy/cel/ast.h"
#include "policy/compiler.h"

enum { NAME_SHOWN_BYTES = 64 };

struct walk {
    const struct policy_compiler *compiler;
    const struct compiler_expression *expression;
    int rc;
};

static void walk(struct walk *w, const struct cel_node *n);

static bool is_secrets_get(const struct cel_node *n)
{
    const struct cel_node *target = n->as.call.target;

    return str_eq(n->as.call.name, STR("get")) && n->as.call.count == 2 && target != NULL &&
           target->kind == CEL_NODE_IDENT && str_eq(target->as.ident.name, STR("secrets"));
}

static bool is_text(const struct cel_node *n)
{
    return n->kind == CEL_NODE_LITERAL && n->as.literal.kind == CEL_STRING;
}

static void check_call(struct walk *w, const struct cel_node *n)
{
    const struct policy_params *params = w->compiler->params;
    const struct compiler_expression *x = w->expression;
    struct str vault;
    struct str name;

    if (!is_secrets_get(n) || !is_text(n->as.call.args[0]) || !is_text(n->as.call.args[1]))
        return;
    vault = cel_str(n->as.call.args[0]->as.literal);
    name = cel_str(n->as.call.args[1]->as.literal);
    if (params->has_secret(params->arg, vault, name))
        return;
    w->rc = compiler_problem(w->compiler, compiler_place(x->node, x->at + n->at), x->field, x->code,
                             NULL, "there is no secret '%.*s' in a vault '%.*s'",
                             STR_ARG(str_slice(name, 0, NAME_SHOWN_BYTES)),
                             STR_ARG(str_slice(vault, 0, NAME_SHOWN_BYTES)));
}

static void walk_list(struct walk *w, struct cel_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        walk(w, nodes[i]);
}

static void walk_items(struct walk *w, const struct cel_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        walk(w, items[i].key);
        walk(w, items[i].value);
    }
}

/* As deep as the parser let the expression be. */
static void walk(struct walk *w, const struct cel_node *n)
{
    if (n == NULL)
        return;
    switch (n->kind) {
    case CEL_NODE_LITERAL:
    case CEL_NODE_IDENT:
    case CEL_NODE_ERROR:
        break;
    case CEL_NODE_SELECT:
        walk(w, n->as.select.operand);
        break;
    case CEL_NODE_HAS:
        walk(w, n->as.has.operand);
        walk(w, n->as.has.index);
        break;
    case CEL_NODE_CALL:
        check_call(w, n);
        walk(w, n->as.call.target);
        walk_list(w, n->as.call.args, n->as.call.count);
        break;
    case CEL_NODE_AND:
    case CEL_NODE_OR:
    case CEL_NODE_COND:
        walk_list(w, n->as.operands.items, n->as.operands.count);
        break;
    case CEL_NODE_LIST:
    case CEL_NODE_MAP:
        walk_items(w, n->as.entries.items, n->as.entries.count);
        break;
    case CEL_NODE_MACRO:
        walk(w, n->as.macro.range);
        walk(w, n->as.macro.filter);
        walk(w, n->as.macro.body);
        walk_items(w, n->as.macro.items, n->as.macro.item_count);
        break;
    }
}

int secrets_check(const struct policy_compiler *c, const struct compiler_expression *x)
{
    struct walk w = { .compiler = c, .expression = x };
    struct cel_parse_limits limits = cel_default_parse_limits;
    struct cel_issue issue;
    struct arena arena;

    if (c->params->has_secret == NULL || str_find(x->text, STR("secrets")) == x->text.n)
        return 0;
    limits.source_bytes = x->text.n;
    arena_init(&arena);
    walk(&w, cel_parse(&arena, x->text, &limits, 0, &issue)); /* it compiled, so it parses */
    arena_fini(&arena);
    return w.rc;
}
