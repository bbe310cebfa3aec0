/*
 * What a plain scalar means (YAML 1.2.2 section 10.3.2, the core schema). Spellings of YAML 1.1 such as
 * "yes" are strings.
 */
#include "policy/doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX_BYTES = 64 };

static bool is_plain(const struct doc_node *n)
{
    return n != NULL && n->kind == DOC_SCALAR && n->plain;
}

static bool is_one_of(struct str s, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (str_eq(s, str_from(words[i])))
            return true;
    }
    return false;
}

bool doc_is_null(const struct doc_node *n)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

    return is_plain(n) && is_one_of(n->text, words);
}

bool doc_to_bool(const struct doc_node *n, bool *out)
{
    static const char *const yes[] = { "true", "True", "TRUE", NULL };
    static const char *const no[] = { "false", "False", "FALSE", NULL };

    if (!is_plain(n) || (!is_one_of(n->text, yes) && !is_one_of(n->text, no)))
        return false;
    *out = is_one_of(n->text, yes);
    return true;
}

/* All of `digits` in that base, at most max. */
static bool read_digits(struct str digits, unsigned base, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (digits.n == 0)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        int digit = char_hex_value(digits.p[i]);

        if (digit < 0 || (unsigned)digit >= base || value > (max - (unsigned)digit) / base)
            return false;
        value = value * base + (unsigned)digit;
    }
    *out = value;
    return true;
}

bool doc_to_int(const struct doc_node *n, int64_t *out)
{
    struct str s = n == NULL ? STR_NONE : n->text;
    uint64_t value = 0;
    bool negative;

    if (!is_plain(n))
        return false;
    if (str_starts(s, STR("0x")) || str_starts(s, STR("0o"))) {
        if (!read_digits(str_skip(s, 2), s.p[1] == 'x' ? 16 : 8, INT64_MAX, &value))
            return false;
        *out = (int64_t)value;
        return true;
    }
    negative = str_starts(s, STR("-"));
    if (negative || str_starts(s, STR("+")))
        s = str_skip(s, 1);
    if (!read_digits(s, 10, (uint64_t)INT64_MAX + negative, &value))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static struct str skip_digits(struct str s)
{
    while (s.n > 0 && char_is_digit(s.p[0]))
        s = str_skip(s, 1);
    return s;
}

static struct str skip_sign(struct str s)
{
    return s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? str_skip(s, 1) : s;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(struct str s)
{
    struct str number = skip_sign(s);
    struct str rest = skip_digits(number);
    size_t digits = number.n - rest.n;

    if (str_starts(rest, STR("."))) {
        number = str_skip(rest, 1);
        rest = skip_digits(number);
        digits += number.n - rest.n;
    }
    if (digits == 0)
        return false;
    if (rest.n > 0 && (rest.p[0] == 'e' || rest.p[0] == 'E')) {
        number = skip_sign(str_skip(rest, 1));
        rest = skip_digits(number);
        return number.n > 0 && rest.n == 0;
    }
    return rest.n == 0;
}

/* .inf and .nan with the signs and cases that the schema knows. */
static bool read_special(struct str s, double *out)
{
    static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
    static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };

    if (is_one_of(s, nans)) {
        *out = (double)NAN;
        return true;
    }
    if (!is_one_of(skip_sign(s), infinities))
        return false;
    *out = s.p[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    return true;
}

bool doc_to_double(const struct doc_node *n, double *out)
{
    char text[NUMBER_MAX_BYTES];

    if (!is_plain(n) || n->text.n >= sizeof(text))
        return false;
    if (read_special(n->text, out))
        return true;
    if (!is_decimal(n->text))
        return false;
    memcpy(text, n->text.p, n->text.n);
    text[n->text.n] = '\0';
    *out = strtod(text, NULL); /* the program never leaves the locale "C" */
    return true;
}

const char *doc_kind_text(const struct doc_node *n)
{
    int64_t i;
    double d;
    bool b;

    if (n == NULL || doc_is_null(n))
        return "nothing";
    switch (n->kind) {
    case DOC_LIST:
        return "a list";
    case DOC_MAP:
        return "a mapping";
    case DOC_SCALAR:
        break;
    }
    if (doc_to_bool(n, &b))
        return "true or false";
    return doc_to_int(n, &i) || doc_to_double(n, &d) ? "a number" : "a string";
}
