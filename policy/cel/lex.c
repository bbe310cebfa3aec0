/*
 * Tokens are cut by hand, not by a generated automaton: each kind is told by its first byte, and the
 * few that share one (a letter may begin a string, a dot a number) are told by the next two.
 * Strings are only measured here, and decoded by the parser: who merely looks for the end of an
 * expression needs no memory.
 */
#include "policy/cel/lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "policy/cel/ast.h"

void cel_lexer_init(struct cel_lexer *lexer, struct str source, struct cel_issue *issue)
{
    *lexer = (struct cel_lexer){ .source = source, .issue = issue };
}

static void issue_vset(struct cel_issue *issue, size_t at, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void issue_vset(struct cel_issue *issue, size_t at, const char *fmt, va_list ap)
{
    if (issue == NULL)
        return;
    issue->stage = CEL_STAGE_PARSE;
    issue->at = (uint32_t)at;
    (void)vsnprintf(issue->text, sizeof(issue->text), fmt, ap); /* a cut text is still a text */
}

void cel_syntax_issue(struct cel_issue *issue, size_t at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    issue_vset(issue, at, fmt, ap);
    va_end(ap);
}

static void fail(struct cel_lexer *lexer, struct cel_token *t, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void fail(struct cel_lexer *lexer, struct cel_token *t, size_t at, const char *fmt, ...)
{
    va_list ap;

    t->kind = CEL_TOKEN_ERROR;
    t->at = (uint32_t)at;
    va_start(ap, fmt);
    issue_vset(lexer->issue, at, fmt, ap);
    va_end(ap);
}

/* The byte at an offset; behind the end a NUL, which is part of no token but a string. */
static char peek(const struct cel_lexer *lexer, size_t at)
{
    return at < lexer->source.n ? lexer->source.p[at] : '\0';
}

static void finish(struct cel_lexer *lexer, struct cel_token *t, enum cel_token_kind kind,
                   size_t end)
{
    t->kind = kind;
    t->text = str_of(lexer->source.p + t->at, end - t->at);
    lexer->at = end;
}

/* ---- what stands between tokens ---- */

static void skip_space(struct cel_lexer *lexer)
{
    struct str s = lexer->source;
    size_t i = lexer->at;

    for (;;) {
        char c = peek(lexer, i);

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')
            i++;
        else if (c == '/' && peek(lexer, i + 1) == '/')
            i += str_find_char(str_skip(s, i), '\n');
        else
            break;
    }
    lexer->at = i;
}

/* ---- names ---- */

static bool starts_name(char c)
{
    return char_is_alpha(c) || c == '_';
}

static const struct {
    struct str text;
    enum cel_token_kind kind;
} words[] = {
    { STR_INIT("true"), CEL_TOKEN_TRUE },          { STR_INIT("false"), CEL_TOKEN_FALSE },
    { STR_INIT("null"), CEL_TOKEN_NULL },          { STR_INIT("in"), CEL_TOKEN_IN },
    { STR_INIT("as"), CEL_TOKEN_RESERVED },        { STR_INIT("break"), CEL_TOKEN_RESERVED },
    { STR_INIT("const"), CEL_TOKEN_RESERVED },     { STR_INIT("continue"), CEL_TOKEN_RESERVED },
    { STR_INIT("else"), CEL_TOKEN_RESERVED },      { STR_INIT("for"), CEL_TOKEN_RESERVED },
    { STR_INIT("function"), CEL_TOKEN_RESERVED },  { STR_INIT("if"), CEL_TOKEN_RESERVED },
    { STR_INIT("import"), CEL_TOKEN_RESERVED },    { STR_INIT("let"), CEL_TOKEN_RESERVED },
    { STR_INIT("loop"), CEL_TOKEN_RESERVED },      { STR_INIT("package"), CEL_TOKEN_RESERVED },
    { STR_INIT("namespace"), CEL_TOKEN_RESERVED }, { STR_INIT("return"), CEL_TOKEN_RESERVED },
    { STR_INIT("var"), CEL_TOKEN_RESERVED },       { STR_INIT("void"), CEL_TOKEN_RESERVED },
    { STR_INIT("while"), CEL_TOKEN_RESERVED },
};

static void lex_name(struct cel_lexer *lexer, struct cel_token *t)
{
    size_t i = t->at + 1;

    while (starts_name(peek(lexer, i)) || char_is_digit(peek(lexer, i)))
        i++;
    finish(lexer, t, CEL_TOKEN_IDENT, i);
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        if (str_eq(t->text, words[w].text))
            t->kind = words[w].kind;
    }
}

static bool is_quoted_char(char c)
{
    return starts_name(c) || char_is_digit(c) || c == '.' || c == '/' || c == '-' || c == ' ';
}

static void lex_quoted(struct cel_lexer *lexer, struct cel_token *t)
{
    size_t i = t->at + 1;

    while (is_quoted_char(peek(lexer, i)))
        i++;
    if (peek(lexer, i) != '`') {
        fail(lexer, t, t->at,
             "a back-quoted name ends with ` and has letters, digits, spaces and "
             "_ . / - only");
        return;
    }
    if (i == (size_t)t->at + 1) {
        fail(lexer, t, t->at, "a back-quoted name is not empty");
        return;
    }
    finish(lexer, t, CEL_TOKEN_QUOTED, i + 1);
    t->body = str_slice(t->text, 1, t->text.n - 1);
}

/* ---- numbers ---- */

static size_t skip_digits(const struct cel_lexer *lexer, size_t i)
{
    while (char_is_digit(peek(lexer, i)))
        i++;
    return i;
}

/* Behind an exponent at i, or i when there is none. */
static size_t skip_exponent(const struct cel_lexer *lexer, size_t i)
{
    size_t digits = i + 1;

    if (char_lower(peek(lexer, i)) != 'e')
        return i;
    if (peek(lexer, digits) == '+' || peek(lexer, digits) == '-')
        digits++;
    return char_is_digit(peek(lexer, digits)) ? skip_digits(lexer, digits) : i;
}

static void finish_integer(struct cel_lexer *lexer, struct cel_token *t, size_t end)
{
    bool is_unsigned = char_lower(peek(lexer, end)) == 'u';

    finish(lexer, t, is_unsigned ? CEL_TOKEN_UINT : CEL_TOKEN_INT, end + is_unsigned);
}

static void lex_number(struct cel_lexer *lexer, struct cel_token *t)
{
    size_t i = skip_digits(lexer, t->at);
    size_t end = i;

    if (peek(lexer, t->at) == '0' && peek(lexer, t->at + 1) == 'x' &&
        char_hex_value(peek(lexer, t->at + 2)) != -1) {
        for (end = t->at + 3; char_hex_value(peek(lexer, end)) != -1;)
            end++;
        finish_integer(lexer, t, end);
        return;
    }
    /* "1." is no number: 42.f() calls a method. */
    if (peek(lexer, i) == '.' && char_is_digit(peek(lexer, i + 1)))
        end = skip_digits(lexer, i + 1);
    end = skip_exponent(lexer, end);
    if (end == i)
        finish_integer(lexer, t, i);
    else
        finish(lexer, t, CEL_TOKEN_DOUBLE, end);
}

/* ---- strings ---- */

static bool is_quote(char c)
{
    return c == '\'' || c == '"';
}

/* True if a string with its prefix (b, r, br) begins at the token; then where its quotes are. */
static bool find_quotes(const struct cel_lexer *lexer, const struct cel_token *t, size_t *quotes)
{
    size_t i = t->at;

    i += char_lower(peek(lexer, i)) == 'b';
    i += char_lower(peek(lexer, i)) == 'r';
    *quotes = i;
    return is_quote(peek(lexer, i));
}

static bool has_triple(const struct cel_lexer *lexer, size_t i, char quote)
{
    return peek(lexer, i) == quote && peek(lexer, i + 1) == quote && peek(lexer, i + 2) == quote;
}

/* Where the quotes that end a string are, or the end of the source or line that came before. */
static size_t find_closing(const struct cel_lexer *lexer, const struct cel_token *t, size_t i,
                           char quote, bool triple)
{
    for (; i < lexer->source.n; i++) {
        char c = lexer->source.p[i];

        if (c == quote && (!triple || has_triple(lexer, i, quote)))
            break;
        if (!triple && (c == '\n' || c == '\r'))
            break;
        if (c == '\\' && !t->raw)
            i++;
    }
    return i;
}

static void lex_string(struct cel_lexer *lexer, struct cel_token *t, size_t quotes)
{
    char quote = peek(lexer, quotes);
    bool triple = has_triple(lexer, quotes, quote);
    size_t width = triple ? 3 : 1;
    bool bytes = char_lower(peek(lexer, t->at)) == 'b';
    size_t end;

    t->raw = quotes > t->at && char_lower(peek(lexer, quotes - 1)) == 'r';
    end = find_closing(lexer, t, quotes + width, quote, triple);
    if (end >= lexer->source.n) {
        fail(lexer, t, t->at,
             triple ? "the triple-quoted string is not closed" : "the string is not closed");
        return;
    }
    if (lexer->source.p[end] != quote) {
        fail(lexer, t, t->at,
             "the string is not closed on its line; one of several lines has "
             "triple quotes");
        return;
    }
    finish(lexer, t, bytes ? CEL_TOKEN_BYTES : CEL_TOKEN_STRING, end + width);
    t->body = str_slice(t->text, quotes - t->at + width, t->text.n - width);
}

/* ---- the rest ---- */

/* A byte that begins an operator: the kind of it alone, and of it with its second byte. */
static const struct {
    enum cel_token_kind single;
    char second;
    enum cel_token_kind pair;
} operators[128] = {
    ['='] = { CEL_TOKEN_ERROR, '=', CEL_TOKEN_EQ },
    ['!'] = { CEL_TOKEN_NOT, '=', CEL_TOKEN_NE },
    ['<'] = { CEL_TOKEN_LT, '=', CEL_TOKEN_LE },
    ['>'] = { CEL_TOKEN_GT, '=', CEL_TOKEN_GE },
    ['&'] = { CEL_TOKEN_ERROR, '&', CEL_TOKEN_AND },
    ['|'] = { CEL_TOKEN_ERROR, '|', CEL_TOKEN_OR },
    ['+'] = { .single = CEL_TOKEN_PLUS },
    ['-'] = { .single = CEL_TOKEN_MINUS },
    ['*'] = { .single = CEL_TOKEN_STAR },
    ['/'] = { .single = CEL_TOKEN_SLASH },
    ['%'] = { .single = CEL_TOKEN_PERCENT },
    ['?'] = { .single = CEL_TOKEN_QUESTION },
    [':'] = { .single = CEL_TOKEN_COLON },
    ['.'] = { .single = CEL_TOKEN_DOT },
    [','] = { .single = CEL_TOKEN_COMMA },
    ['('] = { .single = CEL_TOKEN_LPAREN },
    [')'] = { .single = CEL_TOKEN_RPAREN },
    ['['] = { .single = CEL_TOKEN_LBRACKET },
    [']'] = { .single = CEL_TOKEN_RBRACKET },
    ['{'] = { .single = CEL_TOKEN_LBRACE },
    ['}'] = { .single = CEL_TOKEN_RBRACE },
};

/* What those may have meant who wrote a character that begins no token. */
static const struct {
    uint32_t c;
    const char *hint;
} hints[] = {
    { '=', "use == to compare" },
    { '&', "use && for 'and'" },
    { '|', "use || for 'or'" },
    { ';', "an expression is one value without statements" },
    { '#', "a comment begins with //" },
    { '$', "inside an expression write x instead of ${x}" },
    { 0x2018, "strings have straight quotes, ' or \"" },
    { 0x2019, "strings have straight quotes, ' or \"" },
    { 0x201c, "strings have straight quotes, ' or \"" },
    { 0x201d, "strings have straight quotes, ' or \"" },
};

static void fail_char(struct cel_lexer *lexer, struct cel_token *t)
{
    size_t n;
    uint32_t c = utf8_decode(str_skip(lexer->source, t->at), &n);
    const char *hint = NULL;
    char shown[16];

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].c == c)
            hint = hints[i].hint;
    }
    if (c > ' ' && c < 0x7f)
        (void)snprintf(shown, sizeof(shown), "'%c'", (char)c);
    else
        (void)snprintf(shown, sizeof(shown), "U+%04X", (unsigned)c);
    fail(lexer, t, t->at, "unexpected character %s%s%s", shown, hint != NULL ? "; " : "",
         hint != NULL ? hint : "");
}

static void lex_operator(struct cel_lexer *lexer, struct cel_token *t)
{
    unsigned char c = (unsigned char)peek(lexer, t->at);
    enum cel_token_kind kind = CEL_TOKEN_ERROR;
    size_t n = 1;

    if (c < sizeof(operators) / sizeof(operators[0]) && operators[c].single != CEL_TOKEN_END) {
        bool pair = operators[c].second != '\0' && peek(lexer, t->at + 1) == operators[c].second;

        kind = pair ? operators[c].pair : operators[c].single;
        n += pair;
    }
    if (kind == CEL_TOKEN_ERROR)
        fail_char(lexer, t);
    else
        finish(lexer, t, kind, t->at + n);
}

void cel_lexer_next(struct cel_lexer *lexer, struct cel_token *token)
{
    size_t quotes;
    char c;

    skip_space(lexer);
    *token = (struct cel_token){ .kind = CEL_TOKEN_END, .at = (uint32_t)lexer->at };
    if (lexer->at >= lexer->source.n)
        return;
    c = peek(lexer, lexer->at);
    if (find_quotes(lexer, token, &quotes))
        lex_string(lexer, token, quotes);
    else if (starts_name(c))
        lex_name(lexer, token);
    else if (char_is_digit(c) || (c == '.' && char_is_digit(peek(lexer, lexer->at + 1))))
        lex_number(lexer, token);
    else if (c == '`')
        lex_quoted(lexer, token);
    else
        lex_operator(lexer, token);
}
