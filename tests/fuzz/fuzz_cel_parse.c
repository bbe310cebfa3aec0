/*
 * Fuzz target of the CEL parser: the input is an expression. A tree keeps its limits, has no part
 * missing and holds only text that is valid UTF-8; what was refused says why and where.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "policy/cel/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    size_t nodes;
    size_t source_bytes;
};

static unsigned check_node(struct walk *w, const struct cel_node *n);

static unsigned deeper(struct walk *w, const struct cel_node *child, unsigned depth)
{
    unsigned below = check_node(w, child) + 1;

    return below > depth ? below : depth;
}

static unsigned check_list(struct walk *w, struct cel_node *const *nodes, size_t count)
{
    unsigned depth = 0;

    for (size_t i = 0; i < count; i++)
        depth = deeper(w, nodes[i], depth);
    return depth;
}

static unsigned check_items(struct walk *w, const struct cel_item *items, size_t count, bool keys)
{
    unsigned depth = 0;

    assert(count <= cel_default_parse_limits.entries);
    for (size_t i = 0; i < count; i++) {
        assert((items[i].key != NULL) == keys);
        if (keys)
            depth = deeper(w, items[i].key, depth);
        depth = deeper(w, items[i].value, depth);
    }
    return depth;
}

static unsigned check_call(struct walk *w, const struct cel_node *n)
{
    unsigned depth = check_list(w, n->as.call.args, n->as.call.count);

    assert(n->as.call.name.n > 0 && (n->as.call.target == NULL || !n->as.call.rooted));
    return n->as.call.target != NULL ? deeper(w, n->as.call.target, depth) : depth;
}

static unsigned check_has(struct walk *w, const struct cel_node *n)
{
    unsigned depth = deeper(w, n->as.has.operand, 0);

    assert((n->as.has.index == NULL) == (n->as.has.field.n > 0));
    return n->as.has.index != NULL ? deeper(w, n->as.has.index, depth) : depth;
}

static unsigned check_macro(struct walk *w, const struct cel_node *n)
{
    bool block = n->as.macro.macro == CEL_MACRO_BLOCK;
    unsigned depth = check_items(w, n->as.macro.items, n->as.macro.item_count, false);

    assert((n->as.macro.range == NULL) == block && (n->as.macro.item_count == 0 || block));
    assert(n->as.macro.var2.n == 0 || n->as.macro.var1.n > 0);
    if (!block)
        depth = deeper(w, n->as.macro.range, depth);
    if (n->as.macro.filter != NULL)
        depth = deeper(w, n->as.macro.filter, depth);
    return deeper(w, n->as.macro.body, depth);
}

static void check_literal(const struct cel_node *n)
{
    assert(n->as.literal.kind <= CEL_BYTES);
    assert(n->as.literal.kind != CEL_STRING || utf8_is_valid(cel_str(n->as.literal)));
}

static unsigned check_parts(struct walk *w, const struct cel_node *n)
{
    switch (n->kind) {
    case CEL_NODE_LITERAL:
        check_literal(n);
        return 0;
    case CEL_NODE_IDENT:
        assert(n->as.ident.name.n > 0);
        return 0;
    case CEL_NODE_SELECT:
        assert(n->as.select.field.n > 0);
        return deeper(w, n->as.select.operand, 0);
    case CEL_NODE_HAS:
        return check_has(w, n);
    case CEL_NODE_CALL:
        return check_call(w, n);
    case CEL_NODE_AND:
    case CEL_NODE_OR:
    case CEL_NODE_COND:
        assert(n->as.operands.count == 3 || (n->kind != CEL_NODE_COND && n->as.operands.count > 1));
        return check_list(w, n->as.operands.items, n->as.operands.count);
    case CEL_NODE_LIST:
    case CEL_NODE_MAP:
        return check_items(w, n->as.entries.items, n->as.entries.count, n->kind == CEL_NODE_MAP);
    case CEL_NODE_MACRO:
        return check_macro(w, n);
    case CEL_NODE_ERROR:
        break;
    }
    assert(n->kind != CEL_NODE_ERROR); /* the checker makes those */
    return 0;
}

/* The depth that was counted, which must be the one that the node has. */
static unsigned check_node(struct walk *w, const struct cel_node *n)
{
    unsigned depth;

    assert(n != NULL && n->at <= w->source_bytes);
    w->nodes++;
    depth = check_parts(w, n);
    assert(n->depth == depth && depth <= cel_default_parse_limits.depth);
    return depth;
}

static void parse(struct str source, unsigned flags)
{
    struct walk w = { .source_bytes = source.n };
    struct cel_issue issue = { .stage = CEL_STAGE_CHECK, .text = "" };
    struct cel_node *root;
    struct arena a;

    arena_init(&a);
    root = cel_parse(&a, source, &cel_default_parse_limits, flags, &issue);
    if (root != NULL)
        (void)check_node(&w, root);
    else
        assert(issue.stage == CEL_STAGE_PARSE && issue.text[0] != '\0' && issue.at <= source.n);
    assert(w.nodes <= cel_default_parse_limits.nodes);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str source = str_of((const char *)data, size);

    parse(source, 0);
    parse(source, CEL_PARSE_NO_MACROS);
    return 0;
}
