/*
 * The grammar of spec cel 2 by recursive descent: a function a rule, but for the binary operators,
 * which share one that climbs a table of levels. Only what the source nests in brackets or chains
 * in ?: recurses, and is counted, so that the C stack has a bound; chains of operators and
 * selections are loops, whose trees are measured as they grow, because all later passes recurse
 * over them. The first mistake ends it: an expression is short, and what follows a mistake is
 * guesswork.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "policy/cel/parse_int.h"

const struct cel_parse_limits cel_default_parse_limits = {
    .source_bytes = 16384,
    .depth = 128,
    .nodes = 4096,
    .macro_depth = 4,
    .entries = 1024,
};

static struct cel_node *parse_expr(struct cel_parser *p);

/* ---- tokens ---- */

static void advance(struct cel_parser *p)
{
    p->last = p->token;
    cel_lexer_next(&p->lexer, &p->token);
}

static bool accept(struct cel_parser *p, enum cel_token_kind kind)
{
    if (p->token.kind != kind)
        return false;
    advance(p);
    return true;
}

static int expect(struct cel_parser *p, enum cel_token_kind kind, const char *wanted)
{
    if (accept(p, kind))
        return 0;
    (void)cel_parse_unexpected(p, wanted);
    return -1;
}

/* ---- nodes ---- */

struct cel_node *cel_parse_fail(struct cel_parser *p, size_t at, const char *fmt, ...)
{
    char text[sizeof(p->issue->text)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut text is still a text */
    va_end(ap);
    cel_syntax_issue(p->issue, at, "%s", text);
    return NULL;
}

struct cel_node *cel_parse_node(struct cel_parser *p, enum cel_node_kind kind, size_t at)
{
    struct cel_node *n;

    if (p->nodes >= p->limits->nodes)
        return cel_parse_fail(p, at, "the expression has more than %zu parts", p->limits->nodes);
    p->nodes++;
    n = arena_zalloc(p->arena, sizeof(*n));
    n->kind = kind;
    n->at = (uint32_t)at;
    return n;
}

void cel_parse_adopt(struct cel_parser *p, struct cel_node *parent, const struct cel_node *child)
{
    if (child == NULL || child->depth < parent->depth)
        return;
    parent->depth = child->depth + 1;
    if (parent->depth > p->limits->depth && p->deep == NULL)
        p->deep = parent;
}

static struct cel_node *new_literal(struct cel_parser *p, size_t at, bool negative)
{
    struct cel_node *n = cel_parse_node(p, CEL_NODE_LITERAL, at);

    if (n == NULL || cel_parse_literal(p, &p->token, negative, &n->as.literal) == -1)
        return NULL;
    advance(p);
    return n;
}

static struct cel_node *new_call(struct cel_parser *p, const struct cel_parsed_call *call)
{
    struct cel_node *n = cel_parse_node(p, CEL_NODE_CALL, call->at);

    if (n == NULL)
        return NULL;
    n->as.call.name = call->name;
    n->as.call.target = call->target;
    n->as.call.args = call->args;
    n->as.call.count = call->count;
    cel_parse_adopt(p, n, call->target);
    for (size_t i = 0; i < call->count; i++)
        cel_parse_adopt(p, n, call->args[i]);
    return n;
}

/* An operator of one operand (`right` NULL) or two. */
static struct cel_node *new_operator(struct cel_parser *p, size_t at, struct str name,
                                     struct cel_node *left, struct cel_node *right)
{
    size_t count = right != NULL ? 2 : 1;
    struct cel_parsed_call call = { .at = (uint32_t)at, .name = name, .count = count };

    call.args = arena_alloc(p->arena, count * sizeof(*call.args));
    call.args[0] = left;
    if (right != NULL)
        call.args[1] = right;
    return new_call(p, &call);
}

/* ---- operands whose number is not known yet ---- */

static void push_item(struct cel_parser *p, const struct cel_item *item)
{
    if (p->item_count == p->item_cap) {
        p->item_cap = p->item_cap == 0 ? 16 : p->item_cap * 2; /* bounded by the number of nodes */
        p->items = mem_realloc(p->items, p->item_cap * sizeof(*p->items));
    }
    p->items[p->item_count++] = *item;
}

static void push_node(struct cel_parser *p, struct cel_node *node)
{
    push_item(p, &(struct cel_item){ .value = node });
}

/* Moves what was pushed since `base` to the arena. */
static struct cel_node **take_nodes(struct cel_parser *p, size_t base, size_t *count)
{
    struct cel_node **nodes;

    assert(base <= p->item_count);
    *count = p->item_count - base;
    nodes = arena_alloc(p->arena, *count * sizeof(*nodes));
    for (size_t i = 0; i < *count; i++)
        nodes[i] = p->items[base + i].value;
    p->item_count = base;
    return nodes;
}

static struct cel_item *take_items(struct cel_parser *p, size_t base, size_t *count)
{
    struct cel_item *items;

    assert(base <= p->item_count);
    *count = p->item_count - base;
    items = arena_alloc(p->arena, *count * sizeof(*items));
    if (*count > 0)
        memcpy(items, &p->items[base], *count * sizeof(*items));
    p->item_count = base;
    return items;
}

/* AND, OR, COND of the nodes pushed since `base`. */
static struct cel_node *new_operands(struct cel_parser *p, enum cel_node_kind kind, size_t at,
                                     size_t base)
{
    struct cel_node *n = cel_parse_node(p, kind, at);

    if (n == NULL)
        return NULL;
    n->as.operands.items = take_nodes(p, base, &n->as.operands.count);
    for (size_t i = 0; i < n->as.operands.count; i++)
        cel_parse_adopt(p, n, n->as.operands.items[i]);
    return n;
}

/* ---- lists of things between brackets ---- */

/* What may stand between two brackets. */
struct entries_form {
    enum cel_token_kind close;
    const char *wanted; /* behind an entry, for messages */
    bool keys;          /* key: value */
    bool literal;       /* of a value: optional entries, a comma at the end, a limit */
};

static const struct entries_form args_form = { CEL_TOKEN_RPAREN, "',' or ')'", false, false };
static const struct entries_form list_form = { CEL_TOKEN_RBRACKET, "',' or ']'", false, true };
static const struct entries_form map_form = { CEL_TOKEN_RBRACE, "',' or '}'", true, true };

static int parse_entry(struct cel_parser *p, const struct entries_form *form)
{
    struct cel_item item = { 0 };

    item.optional = form->literal && accept(p, CEL_TOKEN_QUESTION);
    if (form->keys) {
        item.key = parse_expr(p);
        if (item.key == NULL || expect(p, CEL_TOKEN_COLON, "':'") == -1)
            return -1;
    }
    item.value = parse_expr(p);
    if (item.value == NULL)
        return -1;
    push_item(p, &item);
    return 0;
}

/* Pushes the entries that stand before the closing bracket, and passes it. */
static int parse_entries(struct cel_parser *p, const struct entries_form *form)
{
    size_t base = p->item_count;

    if (accept(p, form->close))
        return 0;
    if (form->literal && accept(p, CEL_TOKEN_COMMA)) /* "[,]" is an empty list */
        return expect(p, form->close, form->wanted);
    for (;;) {
        if (form->literal && p->item_count - base >= p->limits->entries) {
            (void)cel_parse_fail(p, p->token.at,
                                 "a list or map is written with at most %zu entries",
                                 p->limits->entries);
            return -1;
        }
        if (parse_entry(p, form) == -1)
            return -1;
        if (!accept(p, CEL_TOKEN_COMMA) || (form->literal && p->token.kind == form->close))
            break;
    }
    return expect(p, form->close, form->wanted);
}

static struct cel_node *parse_literal_of(struct cel_parser *p, enum cel_node_kind kind,
                                         const struct entries_form *form)
{
    struct cel_node *n = cel_parse_node(p, kind, p->token.at);
    size_t base = p->item_count;

    if (n == NULL)
        return NULL;
    advance(p);
    if (parse_entries(p, form) == -1)
        return NULL;
    n->as.entries.items = take_items(p, base, &n->as.entries.count);
    for (size_t i = 0; i < n->as.entries.count; i++) {
        cel_parse_adopt(p, n, n->as.entries.items[i].key);
        cel_parse_adopt(p, n, n->as.entries.items[i].value);
    }
    return n;
}

/* ---- calls ---- */

/* The arguments of a call, whose bracket is the next token, and the call itself. */
static struct cel_node *parse_call(struct cel_parser *p, struct cel_parsed_call *call,
                                   bool may_be_macro)
{
    size_t base = p->item_count;
    unsigned loops = p->loops;
    struct cel_node *n = NULL;

    advance(p);
    p->loops = 0; /* a macro counts what is nested in it, not what stands beside it */
    if (parse_entries(p, &args_form) == -1)
        return NULL;
    call->args = take_nodes(p, base, &call->count);
    if (may_be_macro && cel_parse_macro(p, call, &n) == -1)
        return NULL;
    if (p->loops < loops)
        p->loops = loops;
    return n != NULL ? n : new_call(p, call);
}

/* [.]name, [.]name(...) */
static struct cel_node *parse_name(struct cel_parser *p)
{
    struct cel_parsed_call call = { .at = p->token.at };
    bool rooted = accept(p, CEL_TOKEN_DOT);
    struct cel_node *n;

    call.name = p->token.text;
    if (expect(p, CEL_TOKEN_IDENT, rooted ? "a name" : NULL) == -1)
        return NULL;
    if (p->token.kind == CEL_TOKEN_LPAREN) {
        n = parse_call(p, &call, !rooted);
        if (n != NULL && rooted)
            n->as.call.rooted = true;
        return n;
    }
    n = cel_parse_node(p, CEL_NODE_IDENT, call.at);
    if (n == NULL)
        return NULL;
    n->as.ident.name = call.name;
    n->as.ident.rooted = rooted;
    return n;
}

/* ---- members: what is hung on a value ---- */

static struct cel_node *new_select(struct cel_parser *p, const struct cel_token *field,
                                   struct cel_node *operand, bool optional)
{
    struct cel_node *n = cel_parse_node(p, CEL_NODE_SELECT, field->at);

    if (n == NULL)
        return NULL;
    n->as.select.operand = operand;
    n->as.select.field = field->kind == CEL_TOKEN_QUOTED ? field->body : field->text;
    n->as.select.optional = optional;
    cel_parse_adopt(p, n, operand);
    return n;
}

static bool is_keyword(const struct cel_token *t)
{
    return t->kind == CEL_TOKEN_IN || t->kind == CEL_TOKEN_TRUE || t->kind == CEL_TOKEN_FALSE ||
           t->kind == CEL_TOKEN_NULL;
}

/* .field, .?field, .method(...) */
static struct cel_node *parse_selection(struct cel_parser *p, struct cel_node *operand)
{
    struct cel_token field;
    bool optional;

    advance(p);
    optional = accept(p, CEL_TOKEN_QUESTION);
    field = p->token;
    if (is_keyword(&field))
        return cel_parse_fail(p, field.at, "'%.*s' is a keyword; as a field write .`%.*s`",
                              STR_ARG(field.text), STR_ARG(field.text));
    if (field.kind != CEL_TOKEN_IDENT && field.kind != CEL_TOKEN_RESERVED &&
        field.kind != CEL_TOKEN_QUOTED)
        return cel_parse_unexpected(p, "a name after '.'");
    advance(p);
    if (p->token.kind != CEL_TOKEN_LPAREN)
        return new_select(p, &field, operand, optional);
    if (optional || field.kind == CEL_TOKEN_QUOTED)
        return cel_parse_fail(p, field.at, "a method has a plain name: value.name(...)");
    return parse_call(
        p, &(struct cel_parsed_call){ .at = field.at, .name = field.text, .target = operand },
        true);
}

/* [index], [?index] */
static struct cel_node *parse_index(struct cel_parser *p, struct cel_node *operand)
{
    size_t at = p->token.at;
    bool optional;
    struct cel_node *index;

    advance(p);
    optional = accept(p, CEL_TOKEN_QUESTION);
    index = parse_expr(p);
    if (index == NULL || expect(p, CEL_TOKEN_RBRACKET, "']'") == -1)
        return NULL;
    return new_operator(p, at, optional ? STR("_[?_]") : STR("_[_]"), operand, index);
}

static struct cel_node *parse_members(struct cel_parser *p, struct cel_node *n)
{
    while (n != NULL) {
        if (p->token.kind == CEL_TOKEN_DOT)
            n = parse_selection(p, n);
        else if (p->token.kind == CEL_TOKEN_LBRACKET)
            n = parse_index(p, n);
        else
            break;
    }
    if (n != NULL && p->token.kind == CEL_TOKEN_LBRACE &&
        (n->kind == CEL_NODE_IDENT || n->kind == CEL_NODE_SELECT))
        return cel_parse_fail(p, p->token.at,
                              "there are no message literals, Name{...}; a map is "
                              "written {'key': value}");
    return n;
}

/* ---- expressions ---- */

static struct cel_node *parse_parentheses(struct cel_parser *p)
{
    struct cel_node *n;

    advance(p);
    n = parse_expr(p);
    return n == NULL || expect(p, CEL_TOKEN_RPAREN, "')'") == -1 ? NULL : n;
}

static struct cel_node *parse_primary(struct cel_parser *p)
{
    const struct cel_token *t = &p->token;

    if (t->kind == CEL_TOKEN_IDENT || t->kind == CEL_TOKEN_DOT)
        return parse_name(p);
    if (cel_parse_is_literal(t->kind))
        return new_literal(p, t->at, false);
    if (t->kind == CEL_TOKEN_LPAREN)
        return parse_parentheses(p);
    if (t->kind == CEL_TOKEN_LBRACKET)
        return parse_literal_of(p, CEL_NODE_LIST, &list_form);
    if (t->kind == CEL_TOKEN_LBRACE)
        return parse_literal_of(p, CEL_NODE_MAP, &map_form);
    return cel_parse_unexpected(p, NULL);
}

/* A minus right before a number is part of it, so that the smallest int can be written. */
static struct cel_node *parse_unary(struct cel_parser *p)
{
    struct cel_token sign = p->token;
    size_t at = sign.at;
    size_t count = 0;
    struct cel_node *n;

    if (sign.kind != CEL_TOKEN_NOT && sign.kind != CEL_TOKEN_MINUS)
        return parse_members(p, parse_primary(p));
    for (; p->token.kind == sign.kind; count++) {
        at = p->token.at;
        advance(p);
    }
    if (p->token.kind == CEL_TOKEN_NOT || p->token.kind == CEL_TOKEN_MINUS)
        return cel_parse_fail(p, p->token.at, "'!' and '-' do not mix; use parentheses");
    if (sign.kind == CEL_TOKEN_MINUS &&
        (p->token.kind == CEL_TOKEN_INT || p->token.kind == CEL_TOKEN_DOUBLE)) {
        n = new_literal(p, at, true);
        count--;
    } else {
        n = parse_primary(p);
    }
    for (n = parse_members(p, n); n != NULL && count > 0; count--)
        n = new_operator(p, sign.at, sign.kind == CEL_TOKEN_NOT ? STR("!_") : STR("-_"), n, NULL);
    return n;
}

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_RELATION, LEVEL_ADD, LEVEL_MULTIPLY };

/* The binary operators; those with a greater level bind tighter, 0 is no operator. */
static const struct {
    unsigned level;
    struct str name;
} binary[CEL_TOKEN_COUNT] = {
    [CEL_TOKEN_OR] = { .level = LEVEL_OR },
    [CEL_TOKEN_AND] = { .level = LEVEL_AND },
    [CEL_TOKEN_EQ] = { LEVEL_RELATION, STR_INIT("_==_") },
    [CEL_TOKEN_NE] = { LEVEL_RELATION, STR_INIT("_!=_") },
    [CEL_TOKEN_LT] = { LEVEL_RELATION, STR_INIT("_<_") },
    [CEL_TOKEN_LE] = { LEVEL_RELATION, STR_INIT("_<=_") },
    [CEL_TOKEN_GT] = { LEVEL_RELATION, STR_INIT("_>_") },
    [CEL_TOKEN_GE] = { LEVEL_RELATION, STR_INIT("_>=_") },
    [CEL_TOKEN_IN] = { LEVEL_RELATION, STR_INIT("_in_") },
    [CEL_TOKEN_PLUS] = { LEVEL_ADD, STR_INIT("_+_") },
    [CEL_TOKEN_MINUS] = { LEVEL_ADD, STR_INIT("_-_") },
    [CEL_TOKEN_STAR] = { LEVEL_MULTIPLY, STR_INIT("_*_") },
    [CEL_TOKEN_SLASH] = { LEVEL_MULTIPLY, STR_INIT("_/_") },
    [CEL_TOKEN_PERCENT] = { LEVEL_MULTIPLY, STR_INIT("_%_") },
};

static struct cel_node *parse_binary(struct cel_parser *p, unsigned level);

/* All operands of one && or || become one node. */
static struct cel_node *parse_logic(struct cel_parser *p, struct cel_node *first)
{
    enum cel_token_kind kind = p->token.kind;
    size_t at = p->token.at;
    size_t base = p->item_count;

    push_node(p, first);
    while (accept(p, kind)) {
        struct cel_node *operand = parse_binary(p, binary[kind].level + 1);

        if (operand == NULL)
            return NULL;
        push_node(p, operand);
    }
    return new_operands(p, kind == CEL_TOKEN_OR ? CEL_NODE_OR : CEL_NODE_AND, at, base);
}

/* Operators of at least this level, from the left. */
static struct cel_node *parse_binary(struct cel_parser *p, unsigned level)
{
    struct cel_node *left = parse_unary(p);

    while (left != NULL && binary[p->token.kind].level >= level) {
        enum cel_token_kind kind = p->token.kind;
        size_t at = p->token.at;
        struct cel_node *right;

        if (binary[kind].level <= LEVEL_AND) {
            left = parse_logic(p, left);
            continue;
        }
        advance(p);
        right = parse_binary(p, binary[kind].level + 1);
        left = right == NULL ? NULL : new_operator(p, at, binary[kind].name, left, right);
    }
    return left;
}

/* What follows a condition. */
static struct cel_node *parse_branches(struct cel_parser *p, struct cel_node *condition)
{
    size_t at = p->token.at;
    size_t base = p->item_count;
    struct cel_node *branch;

    advance(p);
    push_node(p, condition);
    branch = parse_binary(p, LEVEL_OR);
    if (branch == NULL)
        return NULL;
    if (p->token.kind == CEL_TOKEN_QUESTION)
        return cel_parse_fail(p, p->token.at,
                              "expected ':' but found '?'; a ?: between ? and : "
                              "needs parentheses");
    push_node(p, branch);
    if (expect(p, CEL_TOKEN_COLON, "':'") == -1)
        return NULL;
    branch = parse_expr(p);
    if (branch == NULL)
        return NULL;
    push_node(p, branch);
    return new_operands(p, CEL_NODE_COND, at, base);
}

static struct cel_node *parse_expr(struct cel_parser *p)
{
    struct cel_node *n;

    if (p->level > p->limits->depth)
        return cel_parse_fail(p, p->token.at, "the expression is nested more than %u levels deep",
                              p->limits->depth);
    p->level++;
    n = parse_binary(p, LEVEL_OR);
    if (n != NULL && p->token.kind == CEL_TOKEN_QUESTION)
        n = parse_branches(p, n);
    p->level--;
    return n;
}

/* ---- the whole ---- */

static int check_source(struct cel_parser *p, struct str source)
{
    size_t good;

    if (source.n > p->limits->source_bytes || source.n > UINT32_MAX) {
        (void)cel_parse_fail(p, 0, "the expression is longer than %zu bytes",
                             p->limits->source_bytes);
        return -1;
    }
    good = utf8_good(source);
    if (good == source.n)
        return 0;
    (void)cel_parse_fail(p, good, "the expression is not valid UTF-8");
    return -1;
}

static struct cel_node *parse_source(struct cel_parser *p)
{
    struct cel_node *root;

    advance(p);
    if (p->token.kind == CEL_TOKEN_END)
        return cel_parse_fail(p, p->token.at, "the expression is empty");
    root = parse_expr(p);
    if (root == NULL)
        return NULL;
    if (p->token.kind != CEL_TOKEN_END)
        return cel_parse_unexpected(p, NULL);
    if (p->deep != NULL)
        return cel_parse_fail(p, p->deep->at,
                              "the expression has more than %u operators or "
                              "selections around one value",
                              p->limits->depth);
    return root;
}

struct cel_node *cel_parse(struct arena *a, struct str source,
                           const struct cel_parse_limits *limits, unsigned flags,
                           struct cel_issue *issue)
{
    struct cel_parser p = { .arena = a, .limits = limits, .issue = issue, .flags = flags };
    struct cel_node *root = NULL;

    if (check_source(&p, source) == 0) {
        cel_lexer_init(&p.lexer, source, issue);
        root = parse_source(&p);
    }
    mem_free(p.items);
    return root;
}
