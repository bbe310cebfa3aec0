/* The words of a filter, and the values that stand in it. */
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "tunnel/api/filter_int.h"

enum { NUMBER_DIGITS_MAX = 15 };

/* ---- characters ----------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '_';
}

void filter_skip_space(struct filter_parser *p)
{
    while (p->at < p->text.n && is_space(p->text.p[p->at]))
        p->at++;
}

bool filter_take(struct filter_parser *p, struct str token)
{
    filter_skip_space(p);
    if (!str_starts(str_skip(p->text, p->at), token))
        return false;
    p->at += token.n;
    return true;
}

struct str filter_take_word(struct filter_parser *p)
{
    size_t from;

    filter_skip_space(p);
    from = p->at;
    while (p->at < p->text.n && is_word(p->text.p[p->at]))
        p->at++;
    return str_slice(p->text, from, p->at);
}

struct filter_node *filter_fail(struct filter_parser *p, const char *what)
{
    struct str rest = str_slice(str_skip(p->text, p->at), 0, FILTER_SHOWN_MAX_BYTES);

    rest.n = utf8_good(rest);
    if (rest.n == 0)
        (void)err_set(p->e, E_SYNTAX, "%s at the end", what);
    else
        (void)err_set(p->e, E_SYNTAX, "%s at \"%.*s\"", what, STR_ARG(rest));
    return NULL;
}

bool filter_expect(struct filter_parser *p, struct str token)
{
    if (filter_take(p, token))
        return true;
    (void)err_set(p->e, E_SYNTAX, "expected \"%.*s\" at position %zu", STR_ARG(token), p->at + 1);
    return false;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

struct filter_node *filter_new_node(struct filter_parser *p, enum filter_op op,
                                    enum api_filter_type type, const struct filter_node *left,
                                    const struct filter_node *right)
{
    struct filter_node *n = arena_zalloc(p->arena, sizeof(*n));

    n->op = op;
    n->type = type;
    n->left = left;
    n->right = right;
    return n;
}

static struct filter_node *new_literal(struct filter_parser *p, enum api_filter_type type)
{
    struct filter_node *n = filter_new_node(p, FILTER_LITERAL, type, NULL, NULL);

    n->value.type = type;
    return n;
}

/* ---- literals ------------------------------------------------------------------------------- */

/* Digits of an escape behind "\x", "\u" or "\U"; appends the character. */
static bool take_escape_digits(struct filter_parser *p, unsigned count, struct buf *out)
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

static bool take_escape(struct filter_parser *p, struct buf *out)
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
static int take_string(struct filter_parser *p, struct str *out)
{
    struct buf text;
    char quote;
    bool ok = true;

    filter_skip_space(p);
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

static struct filter_node *parse_number(struct filter_parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_NUMBER);
    bool negative = filter_take(p, STR("-"));
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
            return filter_fail(p, "a number is too long");
        n->value.number = n->value.number * 10 + (c - '0');
        if (behind_point)
            scale *= 10;
    }
    if (digits == 0)
        return filter_fail(p, "unexpected text");
    n->value.number /= negative ? -scale : scale;
    return n;
}

static struct filter_node *parse_string(struct filter_parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_STRING);

    return take_string(p, &n->value.text) == 1 ? n : NULL;
}

struct filter_node *filter_named_literal(struct filter_parser *p, struct str word)
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

struct filter_node *filter_parse_literal(struct filter_parser *p)
{
    struct filter_node *n;
    char c;

    filter_skip_space(p);
    c = p->at < p->text.n ? p->text.p[p->at] : '\0';
    if (c == '"' || c == '\'')
        return parse_string(p);
    if (char_is_digit(c) || c == '-')
        return parse_number(p);
    n = filter_named_literal(p, filter_take_word(p));
    return n != NULL ? n : filter_fail(p, "expected a literal");
}

struct filter_node *filter_parse_list(struct filter_parser *p)
{
    struct filter_node *list = new_literal(p, API_FILTER_LIST);
    struct filter_value items[API_FILTER_MAX_BYTES / 8];
    size_t count = 0;
    struct filter_value *copy;

    while (!filter_take(p, STR("]"))) {
        const struct filter_node *item;

        if (count > 0 && !filter_expect(p, STR(",")))
            return NULL;
        if (count == sizeof(items) / sizeof(items[0]))
            return filter_fail(p, "a list is too long");
        item = filter_parse_literal(p);
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
static bool take_shifts(struct filter_parser *p, struct filter_node *n)
{
    for (;;) {
        bool is_add = filter_take(p, STR(".add"));
        struct str text;
        int64_t ms;

        if (!is_add && !filter_take(p, STR(".subtract")))
            return true;
        if (!filter_expect(p, STR("(")))
            return false;
        if (take_string(p, &text) != 1 || parse_duration(text, &ms) == -1) {
            (void)err_set(p->e, E_SYNTAX, "a duration is a number and d, h, m or s, as \"7d\"");
            return false;
        }
        if (!filter_expect(p, STR(")")))
            return false;
        n->value.time_ms += is_add ? ms : -ms;
    }
}

struct filter_node *filter_parse_timestamp(struct filter_parser *p)
{
    struct filter_node *n = new_literal(p, API_FILTER_TIME);
    struct str text;

    if (!filter_expect(p, STR("(")))
        return NULL;
    if (filter_take(p, STR("time.now"))) {
        n->value.time_ms = (int64_t)p->params->now_ms;
    } else if (take_string(p, &text) != 1 || api_time_parse(text, &n->value.time_ms) == -1) {
        (void)err_set(p->e, E_SYNTAX,
                      "timestamp() takes time.now or a string as \"2026-01-31T12:00:00Z\"");
        return NULL;
    }
    return filter_expect(p, STR(")")) && take_shifts(p, n) ? n : NULL;
}
