#include "tests/unit/cel/tree_text.h"

#include <stddef.h>

#include "policy/cel/ast.h"

static void print_text(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        buf_add_fmt(out, c >= ' ' && c < 0x7f && c != '"' ? "%c" : "<%02X>", c);
    }
    buf_add_char(out, '"');
}

static void print_literal(struct buf *out, struct cel_value v)
{
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
        buf_add_str(out, STR("null"));
        break;
    case CEL_BOOL:
        buf_add_fmt(out, "%s", v.as.b ? "true" : "false");
        break;
    case CEL_INT:
        buf_add_fmt(out, "%lld", (long long)v.as.i);
        break;
    case CEL_UINT:
        buf_add_fmt(out, "%lluu", (unsigned long long)v.as.u);
        break;
    case CEL_DOUBLE:
        buf_add_fmt(out, "%.17gd", v.as.d);
        break;
    case CEL_BYTES:
        buf_add_char(out, 'b');
        print_text(out, cel_str(v));
        break;
    case CEL_STRING:
        print_text(out, cel_str(v));
        break;
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
        buf_add_fmt(out, "(kind %d)", v.kind); /* no literal has it */
    }
}

/* " a b" */
static void print_nodes(struct buf *out, struct cel_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, ' ');
        tree_text(out, nodes[i]);
    }
}

/* "[a ?b]", "{k:v ?k:v}" */
static void print_items(struct buf *out, const struct cel_item *items, size_t count,
                        const char *brackets)
{
    buf_add_char(out, brackets[0]);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(out, ' ');
        if (items[i].optional)
            buf_add_char(out, '?');
        if (items[i].key != NULL) {
            tree_text(out, items[i].key);
            buf_add_char(out, ':');
        }
        tree_text(out, items[i].value);
    }
    buf_add_char(out, brackets[1]);
}

/* "(f a b)"; a method "(~f receiver a b)" */
static void print_call(struct buf *out, const struct cel_node *n)
{
    buf_add_fmt(out, "(%s%s%.*s", n->as.call.rooted ? "." : "",
                n->as.call.target != NULL ? "~" : "", STR_ARG(n->as.call.name));
    if (n->as.call.target != NULL)
        print_nodes(out, &n->as.call.target, 1);
    print_nodes(out, n->as.call.args, n->as.call.count);
    buf_add_char(out, ')');
}

/* "(@map range x y ?filter body)", "(@block [items] body)" */
static void print_macro(struct buf *out, const struct cel_node *n)
{
    static const char *const names[] = {
        [CEL_MACRO_ALL] = "all",
        [CEL_MACRO_EXISTS] = "exists",
        [CEL_MACRO_EXISTS_ONE] = "one",
        [CEL_MACRO_MAP] = "map",
        [CEL_MACRO_FILTER] = "filter",
        [CEL_MACRO_TRANSFORM_LIST] = "tlist",
        [CEL_MACRO_TRANSFORM_MAP] = "tmap",
        [CEL_MACRO_SORT_BY] = "sortBy",
        [CEL_MACRO_BIND] = "bind",
        [CEL_MACRO_OPT_MAP] = "optMap",
        [CEL_MACRO_OPT_FLAT_MAP] = "optFlatMap",
        [CEL_MACRO_BLOCK] = "block",
        [CEL_MACRO_OR] = "or",
        [CEL_MACRO_OR_VALUE] = "orValue",
    };

    buf_add_fmt(out, "(@%s ", names[n->as.macro.macro]);
    if (n->as.macro.macro == CEL_MACRO_BLOCK)
        print_items(out, n->as.macro.items, n->as.macro.item_count, "[]");
    else
        tree_text(out, n->as.macro.range);
    if (n->as.macro.var1.n > 0)
        buf_add_fmt(out, " %.*s", STR_ARG(n->as.macro.var1));
    if (n->as.macro.var2.n > 0)
        buf_add_fmt(out, " %.*s", STR_ARG(n->as.macro.var2));
    if (n->as.macro.filter != NULL) {
        buf_add_str(out, STR(" ?"));
        tree_text(out, n->as.macro.filter);
    }
    print_nodes(out, &n->as.macro.body, 1);
    buf_add_char(out, ')');
}

static void print_has(struct buf *out, const struct cel_node *n)
{
    buf_add_str(out, STR("(has "));
    tree_text(out, n->as.has.operand);
    buf_add_fmt(out, " %.*s", STR_ARG(n->as.has.field));
    if (n->as.has.index != NULL) {
        buf_add_char(out, '[');
        tree_text(out, n->as.has.index);
        buf_add_char(out, ']');
    }
    buf_add_char(out, ')');
}

static void print_operands(struct buf *out, const struct cel_node *n, const char *name)
{
    buf_add_fmt(out, "(%s", name);
    print_nodes(out, n->as.operands.items, n->as.operands.count);
    buf_add_char(out, ')');
}

void tree_text(struct buf *out, const struct cel_node *n)
{
    switch (n->kind) {
    case CEL_NODE_LITERAL:
        print_literal(out, n->as.literal);
        break;
    case CEL_NODE_IDENT:
        buf_add_fmt(out, "%s%.*s", n->as.ident.rooted ? "." : "", STR_ARG(n->as.ident.name));
        break;
    case CEL_NODE_SELECT:
        buf_add_fmt(out, "(.%s ", n->as.select.optional ? "?" : "");
        tree_text(out, n->as.select.operand);
        buf_add_fmt(out, " %.*s)", STR_ARG(n->as.select.field));
        break;
    case CEL_NODE_HAS:
        print_has(out, n);
        break;
    case CEL_NODE_CALL:
        print_call(out, n);
        break;
    case CEL_NODE_AND:
        print_operands(out, n, "&&");
        break;
    case CEL_NODE_OR:
        print_operands(out, n, "||");
        break;
    case CEL_NODE_COND:
        print_operands(out, n, "?");
        break;
    case CEL_NODE_LIST:
        print_items(out, n->as.entries.items, n->as.entries.count, "[]");
        break;
    case CEL_NODE_MAP:
        print_items(out, n->as.entries.items, n->as.entries.count, "{}");
        break;
    case CEL_NODE_MACRO:
        print_macro(out, n);
        break;
    case CEL_NODE_ERROR:
        buf_add_fmt(out, "(error %.*s)", STR_ARG(n->as.text));
    }
}
