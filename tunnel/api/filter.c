/* The parser: recursive descent over the text, types checked as the tree is built. Words and literals are in
 * filter_literals.c. */
#include "tunnel/api/filter.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tunnel/api/filter_int.h"

enum { NAMES_MAX_BYTES = 160 };

static struct filter_node *parse_or(struct filter_parser *p);
static struct filter_node *parse_term(struct filter_parser *p);

/* ---- fields --------------------------------------------------------------------------------- */

static const struct api_filter_field *find_field(const struct filter_parser *p, struct str name)
{
    for (size_t i = 0; i < p->params->field_count; i++) {
        if (str_eq(name, str_from(p->params->fields[i].name)))
            return &p->params->fields[i];
    }
    return NULL;
}

static struct filter_node *fail_field(struct filter_parser *p, struct str name)
{
    struct buf names;

    buf_init(&names, NAMES_MAX_BYTES);
    for (size_t i = 0; i < p->params->field_count; i++) {
        if (buf_room(&names) > strlen(p->params->fields[i].name) + 2)
            buf_add_fmt(&names, "%s%s", i > 0 ? ", " : "", p->params->fields[i].name);
    }
    (void)err_set(p->e, E_SYNTAX, "obj.%.*s cannot be filtered by; there are %.*s",
                  STR_ARG(str_slice(name, 0, FILTER_SHOWN_MAX_BYTES)), STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return NULL;
}

/* ".startsWith("x")" and its like behind a field. */
static struct filter_node *parse_substring(struct filter_parser *p, const struct filter_node *field,
                                           enum filter_op op)
{
    struct filter_node *text;

    if (field->type != API_FILTER_STRING || field->is_id) {
        (void)err_set(p->e, E_SYNTAX, "obj.%s takes no startsWith(), endsWith() or contains()",
                      field->path);
        return NULL;
    }
    text = filter_parse_literal(p);
    if (text == NULL || !filter_expect(p, STR(")")))
        return NULL;
    if (text->type != API_FILTER_STRING)
        return filter_fail(p, "expected a string before the text");
    return filter_new_node(p, op, API_FILTER_BOOL, field, text);
}

static struct filter_node *field_node(struct filter_parser *p, struct str name)
{
    const struct api_filter_field *f = find_field(p, name);
    struct filter_node *n;

    if (f == NULL)
        return fail_field(p, name);
    n = filter_new_node(p, FILTER_FIELD, f->type, NULL, NULL);
    n->path = f->name;
    n->is_id = f->is_id;
    return n;
}

/* Behind "obj". */
static struct filter_node *parse_field(struct filter_parser *p)
{
    static const struct {
        struct str name;
        enum filter_op op;
    } functions[] = {
        { STR_INIT("startsWith"), FILTER_STARTS },
        { STR_INIT("endsWith"), FILTER_ENDS },
        { STR_INIT("contains"), FILTER_CONTAINS },
    };
    size_t from;
    size_t end;

    if (!filter_expect(p, STR(".")))
        return NULL;
    filter_skip_space(p);
    from = p->at;
    (void)filter_take_word(p);
    end = p->at;
    while (filter_take(p, STR("."))) {
        struct str word = filter_take_word(p);

        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
            if (str_eq(word, functions[i].name) && filter_take(p, STR("("))) {
                const struct filter_node *f = field_node(p, str_slice(p->text, from, end));

                return f != NULL ? parse_substring(p, f, functions[i].op) : NULL;
            }
        }
        end = p->at;
    }
    return field_node(p, str_slice(p->text, from, end));
}

/* ---- operators ------------------------------------------------------------------------------ */

static struct filter_node *parse_size(struct filter_parser *p)
{
    struct filter_node *of;

    if (!filter_expect(p, STR("(")))
        return NULL;
    of = parse_term(p);
    if (of == NULL || !filter_expect(p, STR(")")))
        return NULL;
    if (of->type != API_FILTER_STRING && of->type != API_FILTER_LIST)
        return filter_fail(p, "size() takes a string or a list; unexpected value before the text");
    return filter_new_node(p, FILTER_SIZE, API_FILTER_NUMBER, of, NULL);
}

/* "(" was taken. */
static struct filter_node *parse_group(struct filter_parser *p)
{
    struct filter_node *n = NULL;

    if (++p->depth > API_FILTER_DEPTH_MAX)
        (void)err_set(p->e, E_LIMIT, "parentheses are nested more than %d deep",
                      API_FILTER_DEPTH_MAX);
    else
        n = parse_or(p);
    p->depth--;
    return n != NULL && filter_expect(p, STR(")")) ? n : NULL;
}

static struct filter_node *parse_word_term(struct filter_parser *p)
{
    size_t from = p->at;
    struct str word = filter_take_word(p);
    struct filter_node *n = filter_named_literal(p, word);

    if (n != NULL)
        return n;
    if (str_eq(word, STR("obj")))
        return parse_field(p);
    if (str_eq(word, STR("timestamp")))
        return filter_parse_timestamp(p);
    if (str_eq(word, STR("size")))
        return parse_size(p);
    p->at = from;
    return filter_fail(p, "unknown word");
}

static struct filter_node *parse_term(struct filter_parser *p)
{
    if (filter_take(p, STR("(")))
        return parse_group(p);
    if (filter_take(p, STR("[")))
        return filter_parse_list(p);
    if (p->at < p->text.n && (char_is_alpha(p->text.p[p->at]) || p->text.p[p->at] == '_'))
        return parse_word_term(p);
    return filter_parse_literal(p);
}

static bool can_be_empty(enum api_filter_type t)
{
    return t == API_FILTER_STRING || t == API_FILTER_LIST || t == API_FILTER_TIME;
}

static bool are_equatable(enum api_filter_type a, enum api_filter_type b)
{
    if (a == b)
        return true;
    if (a == API_FILTER_NULL || b == API_FILTER_NULL)
        return can_be_empty(a) || can_be_empty(b);
    return can_be_empty(a) && can_be_empty(b) && (a == API_FILTER_STRING || b == API_FILTER_STRING);
}

static bool are_ordered(enum api_filter_type a, enum api_filter_type b)
{
    bool a_is_text = a == API_FILTER_STRING || a == API_FILTER_TIME;
    bool b_is_text = b == API_FILTER_STRING || b == API_FILTER_TIME;

    return (a == API_FILTER_NUMBER && b == API_FILTER_NUMBER) || (a_is_text && b_is_text);
}

/* A scalar in a list literal, or a literal in a list field. */
static bool is_in_fine(const struct filter_node *left, const struct filter_node *right)
{
    if (left->type == API_FILTER_LIST || right->type != API_FILTER_LIST)
        return false;
    return right->op == FILTER_LITERAL || left->op == FILTER_LITERAL;
}

/* Puts the word that objects have in the place of its alias. */
static void replace_alias(const struct filter_parser *p, const struct filter_node *field,
                          struct filter_value *value)
{
    const struct api_filter_alias *a = p->params->aliases;

    if (field->op != FILTER_FIELD || value->type != API_FILTER_STRING)
        return;
    for (; a != NULL && a->field != NULL; a++) {
        if (strcmp(a->field, field->path) == 0 && str_eq(value->text, str_from(a->word)))
            value->text = str_from(a->instead);
    }
}

static void replace_aliases(const struct filter_parser *p, struct filter_node *left,
                            struct filter_node *right)
{
    struct filter_value *items;

    replace_alias(p, left, &right->value);
    replace_alias(p, right, &left->value);
    if (right->op != FILTER_LITERAL || right->value.count == 0)
        return;
    items = arena_alloc(p->arena, right->value.count * sizeof(*items));
    memcpy(items, right->value.items, right->value.count * sizeof(*items));
    for (size_t i = 0; i < right->value.count; i++)
        replace_alias(p, left, &items[i]);
    right->value.items = items;
}

static struct filter_node *compare_node(struct filter_parser *p, enum filter_op op,
                                        struct filter_node *left, struct filter_node *right)
{
    bool fine = op == FILTER_IN                      ? is_in_fine(left, right)
                : op == FILTER_EQ || op == FILTER_NE ? are_equatable(left->type, right->type)
                                                     : are_ordered(left->type, right->type);

    if (!fine)
        return filter_fail(p, "these two cannot be compared so, before the text");
    if (++p->comparisons > API_FILTER_COMPARISONS_MAX) {
        (void)err_set(p->e, E_LIMIT, "there are more than %d comparisons",
                      API_FILTER_COMPARISONS_MAX);
        return NULL;
    }
    replace_aliases(p, left, right);
    return filter_new_node(p, op, API_FILTER_BOOL, left, right);
}

static bool take_in(struct filter_parser *p)
{
    size_t from = p->at;

    if (str_eq(filter_take_word(p), STR("in")))
        return true;
    p->at = from;
    return false;
}

static struct filter_node *parse_compare(struct filter_parser *p)
{
    static const struct {
        struct str sign;
        enum filter_op op;
    } signs[] = {
        { STR_INIT("=="), FILTER_EQ }, { STR_INIT("!="), FILTER_NE }, { STR_INIT("<="), FILTER_LE },
        { STR_INIT(">="), FILTER_GE }, { STR_INIT("<"), FILTER_LT },  { STR_INIT(">"), FILTER_GT },
    };
    struct filter_node *left = parse_term(p);
    struct filter_node *right;

    if (left == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (!filter_take(p, signs[i].sign))
            continue;
        right = parse_term(p);
        return right != NULL ? compare_node(p, signs[i].op, left, right) : NULL;
    }
    if (!take_in(p))
        return left;
    right = parse_term(p);
    return right != NULL ? compare_node(p, FILTER_IN, left, right) : NULL;
}

static bool is_bool(struct filter_parser *p, const struct filter_node *n)
{
    if (n != NULL && n->type != API_FILTER_BOOL)
        (void)filter_fail(p, "a comparison is missing");
    return n != NULL && n->type == API_FILTER_BOOL;
}

static struct filter_node *parse_not(struct filter_parser *p)
{
    bool negated = false;
    bool is_operand = false;
    struct filter_node *n;

    while (filter_take(p, STR("!"))) {
        negated = !negated;
        is_operand = true;
    }
    n = parse_compare(p);
    if (n == NULL || (is_operand && !is_bool(p, n)))
        return NULL;
    return negated ? filter_new_node(p, FILTER_NOT, API_FILTER_BOOL, n, NULL) : n;
}

/* Operands of "&&" or "||", which lean to the left. */
static struct filter_node *parse_chain(struct filter_parser *p, struct str sign, enum filter_op op,
                                       struct filter_node *(*operand)(struct filter_parser *p))
{
    struct filter_node *left = operand(p);

    while (left != NULL && filter_take(p, sign)) {
        struct filter_node *right;

        if (!is_bool(p, left))
            return NULL;
        right = operand(p);
        if (!is_bool(p, right))
            return NULL;
        left = filter_new_node(p, op, API_FILTER_BOOL, left, right);
    }
    return left;
}

static struct filter_node *parse_and(struct filter_parser *p)
{
    return parse_chain(p, STR("&&"), FILTER_AND, parse_not);
}

static struct filter_node *parse_or(struct filter_parser *p)
{
    return parse_chain(p, STR("||"), FILTER_OR, parse_and);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static const struct filter_node *parse_all(struct filter_parser *p)
{
    const struct filter_node *root = parse_or(p);

    if (!is_bool(p, root))
        return NULL;
    filter_skip_space(p);
    return p->at == p->text.n ? root : filter_fail(p, "unexpected text");
}

struct api_filter *api_filter_parse(struct str text, const struct api_filter_params *params,
                                    struct err *e)
{
    struct api_filter *f;
    struct filter_parser p = { .text = text, .params = params, .e = e };

    if (text.n > API_FILTER_MAX_BYTES) {
        (void)err_set(e, E_LIMIT, "it has %zu bytes; it may have %d", text.n, API_FILTER_MAX_BYTES);
        return NULL;
    }
    f = mem_zalloc(sizeof(*f));
    arena_init(&f->arena);
    p.arena = &f->arena;
    f->root = parse_all(&p);
    if (f->root == NULL) {
        api_filter_free(f);
        return NULL;
    }
    return f;
}

void api_filter_free(struct api_filter *f)
{
    if (f == NULL)
        return;
    arena_fini(&f->arena);
    mem_free(f);
}
