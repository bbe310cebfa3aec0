/*
 * The values of literals (spec cel 1), and what to say about a token that is out of place.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/cel/parse_int.h"

/* How much of a name or number is quoted in a message. */
enum { QUOTED_MAX_BYTES = 40 };

/* ---- numbers ---- */

static int fail_range(struct cel_parser *p, const struct cel_token *t, bool negative,
                      const char *type, const char *range)
{
    struct str shown = str_slice(t->text, 0, QUOTED_MAX_BYTES);

    (void)cel_parse_fail(p, t->at, "the number %s%.*s%s does not fit %s (%s)", negative ? "-" : "",
                         STR_ARG(shown), shown.n < t->text.n ? "..." : "", type, range);
    return -1;
}

static int hex_to_u64(struct str digits, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (value > UINT64_MAX >> 4)
            return -1;
        value = value << 4 | (uint64_t)char_hex_value(digits.p[i]);
    }
    *out = value;
    return 0;
}

static int integer_to_u64(struct str text, uint64_t *out)
{
    if (text.n > 2 && text.p[1] == 'x')
        return hex_to_u64(str_skip(text, 2), out);
    return str_to_u64(text, UINT64_MAX, out);
}

static int read_int(struct cel_parser *p, const struct cel_token *t, bool negative,
                    struct cel_value *out)
{
    uint64_t most = (uint64_t)INT64_MAX + negative;
    uint64_t value;

    if (integer_to_u64(t->text, &value) == -1 || value > most)
        return fail_range(p, t, negative, "an int", "-9223372036854775808 to 9223372036854775807");
    if (negative)
        *out = cel_int(value == most ? INT64_MIN : -(int64_t)value);
    else
        *out = cel_int((int64_t)value);
    return 0;
}

static int read_uint(struct cel_parser *p, const struct cel_token *t, bool negative,
                     struct cel_value *out)
{
    uint64_t value;

    assert(!negative);
    if (integer_to_u64(str_slice(t->text, 0, t->text.n - 1), &value) == -1)
        return fail_range(p, t, false, "a uint", "0 to 18446744073709551615");
    *out = cel_uint(value);
    return 0;
}

/* strtod() reads a dot as the program leaves the locale at "C". What is too small becomes 0. */
static int read_double(struct cel_parser *p, const struct cel_token *t, bool negative,
                       struct cel_value *out)
{
    char *text = arena_alloc(p->arena, t->text.n + 1);
    double value;

    memcpy(text, t->text.p, t->text.n);
    text[t->text.n] = '\0';
    value = strtod(text, NULL);
    if (isinf(value))
        return fail_range(p, t, negative, "a double", "up to 1.8e308");
    *out = cel_double(negative ? -value : value);
    return 0;
}

/* ---- strings ---- */

/* A string whose escapes are being replaced. */
struct decoder {
    struct cel_parser *p;      /* borrowed */
    const struct cel_token *t; /* borrowed */
    size_t at;                 /* of the next byte in t->body */
    char *out;                 /* borrowed: the arena's; as long as the body, which never grows */
    size_t n;
};

static int fail_escape(const struct decoder *d, const char *text)
{
    size_t at = d->t->at + (size_t)(d->t->body.p - d->t->text.p) + d->at;

    (void)cel_parse_fail(d->p, at, "%s", text);
    return -1;
}

static int fail_unknown_escape(const struct decoder *d, char c)
{
    char text[120];

    if (c > ' ' && c < 0x7f)
        (void)snprintf(text, sizeof(text),
                       "unknown escape '\\%c'; write '\\\\%c', or a raw string: r'...'", c, c);
    else
        (void)snprintf(text, sizeof(text),
                       "a backslash in a string begins an escape; write '\\\\'");
    return fail_escape(d, text);
}

/* Reads `width` digits to a base behind the first `skip` bytes of the escape. */
static int read_digits(const struct decoder *d, size_t skip, size_t width, int base, uint32_t *out)
{
    struct str digits = str_slice(d->t->body, d->at + skip, d->at + skip + width);
    uint32_t value = 0;

    if (digits.n < width)
        return -1;
    for (size_t i = 0; i < width; i++) {
        int digit = char_hex_value(digits.p[i]);

        if (digit == -1 || digit >= base)
            return -1;
        value = value * (uint32_t)base + (uint32_t)digit;
    }
    *out = value;
    return 0;
}

static int put_code_point(struct decoder *d, uint32_t c)
{
    if (c > 0x10ffff)
        return fail_escape(d, "the escape is above U+10FFFF, the last character");
    if (c >= 0xd800 && c <= 0xdfff)
        return fail_escape(d, "the escape is half of a surrogate pair; write \\U and eight digits");
    d->n += utf8_encode(c, d->out + d->n);
    return 0;
}

/* In bytes \x and octal are octets, in strings code points. */
static int put_number(struct decoder *d, uint32_t value)
{
    if (d->t->kind == CEL_TOKEN_STRING)
        return put_code_point(d, value);
    d->out[d->n++] = (char)value;
    return 0;
}

static int decode_hex(struct decoder *d, char c, size_t width)
{
    bool unicode = width > 2;
    char text[80];
    uint32_t value;

    if (unicode && d->t->kind == CEL_TOKEN_BYTES)
        return fail_escape(d, "\\u and \\U are for strings; bytes have \\x");
    if (read_digits(d, 2, width, 16, &value) == -1) {
        (void)snprintf(text, sizeof(text), "\\%c needs %zu hexadecimal digits", c, width);
        return fail_escape(d, text);
    }
    if (put_number(d, value) == -1)
        return -1;
    d->at += 2 + width;
    return 0;
}

static int decode_octal(struct decoder *d)
{
    uint32_t value;

    if (d->t->body.p[d->at + 1] > '3' || read_digits(d, 1, 3, 8, &value) == -1)
        return fail_escape(d, "an octal escape has three digits, \\000 to \\377");
    if (put_number(d, value) == -1)
        return -1;
    d->at += 4;
    return 0;
}

/* The escapes of one letter, and what they stand for. */
static const char letters[] = "abfnrtv\\?\"'`";
static const char meanings[] = "\a\b\f\n\r\t\v\\?\"'`";
static_assert(sizeof(letters) == sizeof(meanings), "each letter has a meaning");

static int decode_escape(struct decoder *d)
{
    const char *letter;
    char c;

    assert(d->at + 1 < d->t->body.n); /* a string that ends with a backslash is not closed */
    c = d->t->body.p[d->at + 1];
    letter = memchr(letters, c, sizeof(letters) - 1);
    if (letter != NULL) {
        d->out[d->n++] = meanings[letter - letters];
        d->at += 2;
        return 0;
    }
    if (char_lower(c) == 'x')
        return decode_hex(d, c, 2);
    if (char_lower(c) == 'u')
        return decode_hex(d, c, c == 'u' ? 4 : 8);
    if (char_is_digit(c))
        return decode_octal(d);
    return fail_unknown_escape(d, c);
}

static int decode(struct decoder *d)
{
    struct str body = d->t->body;

    while (d->at < body.n) {
        if (body.p[d->at] != '\\')
            d->out[d->n++] = body.p[d->at++];
        else if (decode_escape(d) == -1)
            return -1;
    }
    return 0;
}

static int read_text(struct cel_parser *p, const struct cel_token *t, bool negative,
                     struct cel_value *out)
{
    struct decoder d = { .p = p, .t = t };
    struct str text = t->body;

    assert(!negative);
    if (!t->raw && str_find_char(text, '\\') < text.n) {
        d.out = arena_alloc(p->arena, text.n);
        if (decode(&d) == -1)
            return -1;
        text = str_of(d.out, d.n);
    }
    *out = t->kind == CEL_TOKEN_BYTES ? cel_bytes(text) : cel_string(text);
    return 0;
}

/* ---- literals ---- */

static int read_word(struct cel_parser *p, const struct cel_token *t, bool negative,
                     struct cel_value *out)
{
    (void)p;
    assert(!negative);
    *out = t->kind == CEL_TOKEN_NULL ? cel_null() : cel_bool(t->kind == CEL_TOKEN_TRUE);
    return 0;
}

typedef int literal_fn(struct cel_parser *p, const struct cel_token *t, bool negative,
                       struct cel_value *out);

static literal_fn *const readers[CEL_TOKEN_COUNT] = {
    [CEL_TOKEN_INT] = read_int,     [CEL_TOKEN_UINT] = read_uint,  [CEL_TOKEN_DOUBLE] = read_double,
    [CEL_TOKEN_STRING] = read_text, [CEL_TOKEN_BYTES] = read_text, [CEL_TOKEN_TRUE] = read_word,
    [CEL_TOKEN_FALSE] = read_word,  [CEL_TOKEN_NULL] = read_word,
};

bool cel_parse_is_literal(enum cel_token_kind kind)
{
    return readers[kind] != NULL;
}

int cel_parse_literal(struct cel_parser *p, const struct cel_token *t, bool negative,
                      struct cel_value *out)
{
    assert(cel_parse_is_literal(t->kind));
    return readers[t->kind](p, t, negative, out);
}

/* ---- tokens out of place ---- */

/* Words of other languages, and how the same is said here. */
static const struct {
    struct str word;
    const char *hint;
} hints[] = {
    { STR_INIT("and"), "write && instead of 'and'" },
    { STR_INIT("or"), "write || instead of 'or'" },
    { STR_INIT("not"), "write ! instead of 'not', as in !(a in b)" },
    { STR_INIT("is"), "write == to compare" },
    { STR_INIT("eq"), "write == to compare" },
    { STR_INIT("ne"), "write != to compare" },
    { STR_INIT("for"), "write list.map(x, ...) or list.filter(x, ...)" },
    { STR_INIT("if"), "write condition ? a : b" },
    { STR_INIT("then"), "write condition ? a : b" },
    { STR_INIT("else"), "write condition ? a : b" },
    { STR_INIT("var"), "write cel.bind(name, value, expression)" },
    { STR_INIT("let"), "write cel.bind(name, value, expression)" },
    { STR_INIT("const"), "write cel.bind(name, value, expression)" },
    { STR_INIT("contains"), "write a.contains(b)" },
    { STR_INIT("matches"), "write a.matches(b)" },
    { STR_INIT("startsWith"), "write a.startsWith(b)" },
    { STR_INIT("endsWith"), "write a.endsWith(b)" },
};

static const char *find_hint(const struct cel_token *t)
{
    if (t->kind != CEL_TOKEN_IDENT && t->kind != CEL_TOKEN_RESERVED)
        return NULL;
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (str_eq(hints[i].word, t->text))
            return hints[i].hint;
    }
    return NULL;
}

/* Strings are not quoted in messages: they may be long, or secret. */
static const char *const descriptions[CEL_TOKEN_COUNT] = {
    [CEL_TOKEN_END] = "end of the expression",
    [CEL_TOKEN_STRING] = "string",
    [CEL_TOKEN_BYTES] = "bytes literal",
    [CEL_TOKEN_QUOTED] = "back-quoted name, which only follows a dot",
};

static void describe(const struct cel_token *t, char *out, size_t size)
{
    struct str shown = str_slice(t->text, 0, QUOTED_MAX_BYTES);

    if (descriptions[t->kind] != NULL)
        (void)snprintf(out, size, "%s", descriptions[t->kind]);
    else
        (void)snprintf(out, size, "%s'%.*s%s'",
                       t->kind == CEL_TOKEN_RESERVED ? "reserved word " : "", STR_ARG(shown),
                       shown.n < t->text.n ? "..." : "");
}

struct cel_node *cel_parse_unexpected(struct cel_parser *p, const char *wanted)
{
    const struct cel_token *t = &p->token;
    const char *hint = find_hint(t);
    char found[QUOTED_MAX_BYTES + 32];

    if (t->kind == CEL_TOKEN_ERROR)
        return NULL;  /* the lexer has said why */
    if (hint == NULL) /* "not x": the word before was taken for a name */
        hint = find_hint(&p->last);
    if (hint == NULL)
        hint = "";
    describe(t, found, sizeof(found));
    if (wanted == NULL)
        return cel_parse_fail(p, t->at, "unexpected %s%s%s", found, *hint != '\0' ? "; " : "",
                              hint);
    return cel_parse_fail(p, t->at, "expected %s but found %s%s%s", wanted, found,
                          *hint != '\0' ? "; " : "", hint);
}
