/* The parser: recursive descent over the text, types checked as the tree is built. */
#include "tunnel/api/filter.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tunnel/api/filter_int.h"

enum { NAMES_MAX_BYTES = 160, SHOWN_MAX_BYTES = 40, NUMBER_DIGITS_MAX = 15 };

struct parser {
    struct str text;
    size_t at;
    const struct api_filter_params *params;
    struct arena *arena; /* borrowed */
    unsigned comparisons;
    unsigned depth;
    struct err *e;
};

static struct filter_node *parse_or(struct parser *p);
static struct filter_node *parse_term(struct parser *p);

/* ---- characters ----------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '_';
}

static void skip_space(struct parser *p)
{
    while (p->at < p->text.n && is_space(p->text.p[p->at]))
        p->at++;
}

static bool take(struct parser *p, struct str token)
{
    skip_space(p);
    if (!str_starts(str_skip(p->text, p->at), token))
        return false;
    p->at += token.n;
    return true;
}

static struct str take_word(struct parser *p)
{
    size_t from;

    skip_space(p);
    from = p->at;
    while (p->at < p->text.n && is_word(p->text.p[p->at]))
        p->at++;
    return str_slice(p->text, from, p->at);
}

static struct filter_node *fail(struct parser *p, const char *what)
{
    struct str rest = str_slice(str_skip(p->text, p->at), 0, SHOWN_MAX_BYTES);

    rest.n = utf8_good(rest);
    if (rest.n == 0)
        (void)err_set(p->e, E_SYNTAX, "%s at the end", what);
    else
        (void)err_set(p->e, E_SYNTAX, "%s at \"%.*s\"", what, STR_ARG(rest));
    return NULL;
}

static bool expect(struct parser *p, struct str token)
{
    if (take(p, token))
        return true;
    (void)err_set(p->e, E_SYNTAX, "expected \"%.*s\" at position %zu", STR_ARG(token), p->at + 1);
    return false;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static struct filter_node *new_node(struct parser *p, enum filter_op op, enum api_filter_type type,
                                    const struct filter_node *left, const struct filter_node *right)
{
    struct filter_node *n = arena_zalloc(p->arena, sizeof(*n));

    n->op = op;
    n->type = type;
    n->left = left;
    n->right = right;
    return n;
}

static struct filter_node *new_literal(struct parser *p, enum api_filter_type type)
{
    struct filter_node *n = new_node(p, FILTER_LITERAL, type, NULL, NULL);

    n->value.type = type;
    return n;
}

/* ---- literals ------------------------------------------------------------------------------- */

/* Digits of an escape behind "\x", "\u" or "\U"; appends the character. */
static bool take_escape_digits(struct parser *p, unsigned count, struct buf *out)
{
    uint32_t value = 0;
    char utf8[UTF8_MAX_BYTES];

    for (unsigned i = 0; i < count; i++, p->at++) {
        int digit = p->at < p->text.n ? char_hex_value(p->text.p[p->at]) : -1;

        if (digit < 0)
            return false;
        value = value * 16 + (uint32_t)digit;
    }
    if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return false;
    buf_add(out, utf8, utf8_encode(value, utf8));
    return true;
}

static bool take_escape(struct parser *p, struct buf *out)
{
    static const char letters[] = "\\\"'nrt";
    static const char meant[] = "\\\"'\n\r\t";
    char c = p->at < p->text.n ? p->text.p[p->at++] : '\0';
    const char *found = c != '\0' ? strchr(letters, c) : NULL;

    if (found != NULL) {
        buf_add_char(out, meant[found - letters]);
        return true;
    }
    switch (c) {
    case 'x':
        return take_escape_digits(p, 2, out);
    case 'u':
        return take_escape_digits(p, 4, out);
    case 'U':
        return take_escape_digits(p, 8, out);
    default:
        return false;
    }
}

/* A string at the opening quote. Returns 1, 0 when there is none, -1 with the error set. */
static int take_string(struct parser *p, struct str *out)
{
    struct buf text;
    char quote;
    bool ok = true;

    skip_space(p);
    quote = p->at < p->text.n ? p->text.p[p->at] : '\0';
    if (quote != '"' && quote != '\'')
        return 0;
    p->at++;
    buf_init(&text, API_FILTER_MAX_BYTES);
    while (ok && p->at < p->text.n && p->text.p[p->at] != quote) {
        char c = p->text.p[p->at++];

        if (c == '\\')
            ok = take_escape(p, &text);
        else
            buf_add_char(&text, c);
    }
    ok = ok && p->at < p->text.n && !buf_failed(&text);
    *out = arena_str(p->arena, buf_str(&text));
    buf_fini(&text);
    if (!ok)
        return err_set(p->e, E_SYNTAX, "a string is not closed or has a bad escape");
    p->at++;
    return 1;
}

static struct filter_node *parse_number(struct parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_NUMBER);
    bool negative = take(p, STR("-"));
    double scale = 1;
    unsigned digits = 0;
    bool behind_point = false;

    for (; p->at < p->text.n; p->at++) {
        char c = p->text.p[p->at];

        if (c == '.' && !behind_point && digits > 0) {
            behind_point = true;
            continue;
        }
        if (!char_is_digit(c))
            break;
        if (++digits > NUMBER_DIGITS_MAX)
            return fail(p, "a number is too long");
        n->value.number = n->value.number * 10 + (c - '0');
        if (behind_point)
            scale *= 10;
    }
    if (digits == 0)
        return fail(p, "unexpected text");
    n->value.number /= negative ? -scale : scale;
    return n;
}

static struct filter_node *parse_string(struct parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_STRING);

    return take_string(p, &n->value.text) == 1 ? n : NULL;
}

/* The words true, false and null; NULL (no error) when `word` is none of them. */
static struct filter_node *named_literal(struct parser *p, struct str word)
{
    struct filter_node *n = NULL;

    if (str_eq(word, STR("true")) || str_eq(word, STR("false"))) {
        n = new_literal(p, API_FILTER_BOOL);
        n->value.boolean = str_eq(word, STR("true"));
    } else if (str_eq(word, STR("null"))) {
        n = new_literal(p, API_FILTER_NULL);
    }
    return n;
}

static struct filter_node *parse_literal(struct parser *p)
{
    struct filter_node *n;
    char c;

    skip_space(p);
    c = p->at < p->text.n ? p->text.p[p->at] : '\0';
    if (c == '"' || c == '\'')
        return parse_string(p);
    if (char_is_digit(c) || c == '-')
        return parse_number(p);
    n = named_literal(p, take_word(p));
    return n != NULL ? n : fail(p, "expected a literal");
}

static struct filter_node *parse_list(struct parser *p)
{
    struct filter_node *list = new_literal(p, API_FILTER_LIST);
    struct filter_value items[API_FILTER_MAX_BYTES / 8];
    size_t count = 0;
    struct filter_value *copy;

    while (!take(p, STR("]"))) {
        const struct filter_node *item;

        if (count > 0 && !expect(p, STR(",")))
            return NULL;
        if (count == sizeof(items) / sizeof(items[0]))
            return fail(p, "a list is too long");
        item = parse_literal(p);
        if (item == NULL)
            return NULL;
        items[count++] = item->value;
    }
    copy = arena_alloc(p->arena, (count + 1) * sizeof(*copy));
    if (count > 0)
        memcpy(copy, items, count * sizeof(*copy));
    list->value.items = copy;
    list->value.count = count;
    return list;
}

/* ---- timestamps ----------------------------------------------------------------------------- */

/* "7d", "24h", "15m", "30s" to milliseconds. */
static int parse_duration(struct str s, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };
    uint64_t n;

    for (size_t i = 0; s.n > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (s.p[s.n - 1] != units[i].unit)
            continue;
        if (str_to_u64(str_slice(s, 0, s.n - 1), 1000000000, &n) == -1)
            return -1;
        *ms = (int64_t)n * units[i].ms;
        return 0;
    }
    return -1;
}

/* .add("7d") and .subtract("7d") behind a timestamp. */
static bool take_shifts(struct parser *p, struct filter_node *n)
{
    for (;;) {
        bool is_add = take(p, STR(".add"));
        struct str text;
        int64_t ms;

        if (!is_add && !take(p, STR(".subtract")))
            return true;
        if (!expect(p, STR("(")))
            return false;
        if (take_string(p, &text) != 1 || parse_duration(text, &ms) == -1) {
            (void)err_set(p->e, E_SYNTAX, "a duration is a number and d, h, m or s, as \"7d\"");
            return false;
        }
        if (!expect(p, STR(")")))
            return false;
        n->value.time_ms += is_add ? ms : -ms;
    }
}

static struct filter_node *parse_timestamp(struct parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_TIME);
    struct str text;

    if (!expect(p, STR("(")))
        return NULL;
    if (take(p, STR("time.now"))) {
        n->value.time_ms = (int64_t)p->params->now_ms;
    } else if (take_string(p, &text) != 1 || api_time_parse(text, &n->value.time_ms) == -1) {
        (void)err_set(p->e, E_SYNTAX,
                      "timestamp() takes time.now or a string as \"2026-01-31T12:00:00Z\"");
        return NULL;
    }
    return expect(p, STR(")")) && take_shifts(p, n) ? n : NULL;
}

/* ---- fields --------------------------------------------------------------------------------- */

static const struct api_filter_field *find_field(const struct parser *p, struct str name)
{
    for (size_t i = 0; i < p->params->field_count; i++) {
        if (str_eq(name, str_from(p->params->fields[i].name)))
            return &p->params->fields[i];
    }
    return NULL;
}

static struct filter_node *fail_field(struct parser *p, struct str name)
{
    struct buf names;

    buf_init(&names, NAMES_MAX_BYTES);
    for (size_t i = 0; i < p->params->field_count; i++) {
        if (buf_room(&names) > strlen(p->params->fields[i].name) + 2)
            buf_add_fmt(&names, "%s%s", i > 0 ? ", " : "", p->params->fields[i].name);
    }
    (void)err_set(p->e, E_SYNTAX, "obj.%.*s cannot be filtered by; there are %.*s",
                  STR_ARG(str_slice(name, 0, SHOWN_MAX_BYTES)), STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return NULL;
}

/* ".startsWith("x")" and its like behind a field. */
static struct filter_node *parse_substring(struct parser *p, const struct filter_node *field,
                                           enum filter_op op)
{
    struct filter_node *text;

    if (field->type != API_FILTER_STRING || field->is_id) {
        (void)err_set(p->e, E_SYNTAX, "obj.%s takes no startsWith(), endsWith() or contains()",
                      field->path);
        return NULL;
    }
    text = parse_literal(p);
    if (text == NULL || !expect(p, STR(")")))
        return NULL;
    if (text->type != API_FILTER_STRING)
        return fail(p, "expected a string before the text");
    return new_node(p, op, API_FILTER_BOOL, field, text);
}

static struct filter_node *field_node(struct parser *p, struct str name)
{
    const struct api_filter_field *f = find_field(p, name);
    struct filter_node *n;

    if (f == NULL)
        return fail_field(p, name);
    n = new_node(p, FILTER_FIELD, f->type, NULL, NULL);
    n->path = f->name;
    n->is_id = f->is_id;
    return n;
}

/* Behind "obj". */
static struct filter_node *parse_field(struct parser *p)
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

    if (!expect(p, STR(".")))
        return NULL;
    skip_space(p);
    from = p->at;
    (void)take_word(p);
    end = p->at;
    while (take(p, STR("."))) {
        struct str word = take_word(p);

        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
            if (str_eq(word, functions[i].name) && take(p, STR("("))) {
                const struct filter_node *f = field_node(p, str_slice(p->text, from, end));

                return f != NULL ? parse_substring(p, f, functions[i].op) : NULL;
            }
        }
        end = p->at;
    }
    return field_node(p, str_slice(p->text, from, end));
}

/* ---- operators ------------------------------------------------------------------------------ */

static struct filter_node *parse_size(struct parser *p)
{
    struct filter_node *of;

    if (!expect(p, STR("(")))
        return NULL;
    of = parse_term(p);
    if (of == NULL || !expect(p, STR(")")))
        return NULL;
    if (of->type != API_FILTER_STRING && of->type != API_FILTER_LIST)
        return fail(p, "size() takes a string or a list; unexpected value before the text");
    return new_node(p, FILTER_SIZE, API_FILTER_NUMBER, of, NULL);
}

/* "(" was taken. */
static struct filter_node *parse_group(struct parser *p)
{
    struct filter_node *n = NULL;

    if (++p->depth > API_FILTER_DEPTH_MAX)
        (void)err_set(p->e, E_LIMIT, "parentheses are nested more than %d deep",
                      API_FILTER_DEPTH_MAX);
    else
        n = parse_or(p);
    p->depth--;
    return n != NULL && expect(p, STR(")")) ? n : NULL;
}

static struct filter_node *parse_word_term(struct parser *p)
{
    size_t from = p->at;
    struct str word = take_word(p);
    struct filter_node *n = named_literal(p, word);

    if (n != NULL)
        return n;
    if (str_eq(word, STR("obj")))
        return parse_field(p);
    if (str_eq(word, STR("timestamp")))
        return parse_timestamp(p);
    if (str_eq(word, STR("size")))
        return parse_size(p);
    p->at = from;
    return fail(p, "unknown word");
}

static struct filter_node *parse_term(struct parser *p)
{
    if (take(p, STR("(")))
        return parse_group(p);
    if (take(p, STR("[")))
        return parse_list(p);
    if (p->at < p->text.n && (char_is_alpha(p->text.p[p->at]) || p->text.p[p->at] == '_'))
        return parse_word_term(p);
    return parse_literal(p);
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
static void replace_alias(const struct parser *p, const struct filter_node *field,
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

static void replace_aliases(const struct parser *p, struct filter_node *left,
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

static struct filter_node *compare_node(struct parser *p, enum filter_op op,
                                        struct filter_node *left, struct filter_node *right)
{
    bool fine = op == FILTER_IN                      ? is_in_fine(left, right)
                : op == FILTER_EQ || op == FILTER_NE ? are_equatable(left->type, right->type)
                                                     : are_ordered(left->type, right->type);

    if (!fine)
        return fail(p, "these two cannot be compared so, before the text");
    if (++p->comparisons > API_FILTER_COMPARISONS_MAX) {
        (void)err_set(p->e, E_LIMIT, "there are more than %d comparisons",
                      API_FILTER_COMPARISONS_MAX);
        return NULL;
    }
    replace_aliases(p, left, right);
    return new_node(p, op, API_FILTER_BOOL, left, right);
}

static bool take_in(struct parser *p)
{
    size_t from = p->at;

    if (str_eq(take_word(p), STR("in")))
        return true;
    p->at = from;
    return false;
}

static struct filter_node *parse_compare(struct parser *p)
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
        if (!take(p, signs[i].sign))
            continue;
        right = parse_term(p);
        return right != NULL ? compare_node(p, signs[i].op, left, right) : NULL;
    }
    if (!take_in(p))
        return left;
    right = parse_term(p);
    return right != NULL ? compare_node(p, FILTER_IN, left, right) : NULL;
}

static bool is_bool(struct parser *p, const struct filter_node *n)
{
    if (n != NULL && n->type != API_FILTER_BOOL)
        (void)fail(p, "a comparison is missing");
    return n != NULL && n->type == API_FILTER_BOOL;
}

static struct filter_node *parse_not(struct parser *p)
{
    bool negated = false;
    bool is_operand = false;
    struct filter_node *n;

    while (take(p, STR("!"))) {
        negated = !negated;
        is_operand = true;
    }
    n = parse_compare(p);
    if (n == NULL || (is_operand && !is_bool(p, n)))
        return NULL;
    return negated ? new_node(p, FILTER_NOT, API_FILTER_BOOL, n, NULL) : n;
}

/* Operands of "&&" or "||", which lean to the left. */
static struct filter_node *parse_chain(struct parser *p, struct str sign, enum filter_op op,
                                       struct filter_node *(*operand)(struct parser *p))
{
    struct filter_node *left = operand(p);

    while (left != NULL && take(p, sign)) {
        struct filter_node *right;

        if (!is_bool(p, left))
            return NULL;
        right = operand(p);
        if (!is_bool(p, right))
            return NULL;
        left = new_node(p, op, API_FILTER_BOOL, left, right);
    }
    return left;
}

static struct filter_node *parse_and(struct parser *p)
{
    return parse_chain(p, STR("&&"), FILTER_AND, parse_not);
}

static struct filter_node *parse_or(struct parser *p)
{
    return parse_chain(p, STR("||"), FILTER_OR, parse_and);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static const struct filter_node *parse_all(struct parser *p)
{
    const struct filter_node *root = parse_or(p);

    if (!is_bool(p, root))
        return NULL;
    skip_space(p);
    return p->at == p->text.n ? root : fail(p, "unexpected text");
}

struct api_filter *api_filter_parse(struct str text, const struct api_filter_params *params,
                                    struct err *e)
{
    struct api_filter *f;
    struct parser p = { .text = text, .params = params, .e = e };

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
