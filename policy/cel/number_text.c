/*
 * Numbers as text. The digits of a double come from printf and are tried with strtod: 15 digits
 * always read back when so few are enough (C17 5.2.4.2.2, DBL_DIG), and 17 always do. Whole
 * numbers, the usual ones, end with the first try.
 */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cel/text.h"

enum { DIGITS_MAX = 17 };

/* d.ddd times 10^exponent; 0 is the digit 0 with exponent 0. */
struct decimal {
    char digits[DIGITS_MAX];
    int count;
    int exponent;
};

static const int plain_exponents[][2] = {
    [CEL_DOUBLE_STRING] = { -4, 5 },
    [CEL_DOUBLE_PLAIN] = { -6, 20 },
    [CEL_DOUBLE_FIXED] = { DBL_MIN_10_EXP - DIGITS_MAX, DBL_MAX_10_EXP },
};

struct str cel_uint_text(uint64_t u, char out[CEL_INT_BYTES])
{
    char *p = out + CEL_INT_BYTES;

    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    return str_of(p, (size_t)(out + CEL_INT_BYTES - p));
}

struct str cel_int_text(int64_t i, char out[CEL_INT_BYTES])
{
    struct str digits = cel_uint_text(i < 0 ? 0 - (uint64_t)i : (uint64_t)i, out);
    char *p = out + CEL_INT_BYTES - digits.n;

    if (i >= 0)
        return digits;
    p[-1] = '-';
    return str_of(p - 1, digits.n + 1);
}

/* ---- the digits of a double ---- */

static void cut_zeros(struct decimal *x)
{
    while (x->count > 1 && x->digits[x->count - 1] == '0')
        x->count--;
}

/* Reads what "%.*e" wrote: "d.ddde-XX". */
static void read_scientific(const char *text, struct decimal *x)
{
    const char *p = text;
    int sign;
    int exponent = 0;

    x->count = 0;
    for (; *p != 'e'; p++) {
        if (*p != '.')
            x->digits[x->count++] = *p;
    }
    sign = p[1] == '-' ? -1 : 1;
    for (p += 2; *p != '\0'; p++)
        exponent = exponent * 10 + (*p - '0');
    x->exponent = sign * exponent;
    cut_zeros(x);
}

/* d > 0 rounded to so many digits; true if they read back. */
static bool try_digits(double d, int count, struct decimal *x)
{
    char text[DIGITS_MAX + 16];

    (void)snprintf(text, sizeof(text), "%.*e", count - 1, d);
    read_scientific(text, x);
    return strtod(text, NULL) == d;
}

/*
 * Below a power of two doubles lie twice as close as above it, so of two numbers with 16 digits the
 * nearer one may miss d and the one above it, which is farther, may hit.
 */
static bool try_next_up(double d, struct decimal *x)
{
    char text[DIGITS_MAX + 16];
    int fraction;
    int i = DIGITS_MAX - 2;

    if (frexp(d, &fraction) != 0.5)
        return false;
    (void)try_digits(d, DIGITS_MAX - 1, x);
    for (int k = x->count; k <= i; k++)
        x->digits[k] = '0';
    for (; i >= 0 && x->digits[i] == '9'; i--)
        x->digits[i] = '0';
    if (i < 0)
        return false; /* all nines: one more would have fewer digits, and those were tried */
    x->digits[i]++;
    x->count = DIGITS_MAX - 1;
    (void)snprintf(text, sizeof(text), "%c.%.*se%d", x->digits[0], x->count - 1, x->digits + 1,
                   x->exponent);
    cut_zeros(x);
    return strtod(text, NULL) == d;
}

/* The fewest digits of a finite d > 0. */
static void shortest(double d, struct decimal *x)
{
    int count = d < DBL_MIN ? 1 : DBL_DIG;

    while (!try_digits(d, count, x)) {
        if (count == DIGITS_MAX - 1 && try_next_up(d, x))
            return;
        assert(count < DIGITS_MAX);
        count++;
    }
}

/* ---- layout ---- */

static char *put_zeros(char *p, int count)
{
    while (count-- > 0)
        *p++ = '0';
    return p;
}

static char *put_digits(char *p, const struct decimal *x, int from, int to)
{
    for (int i = from; i < to; i++)
        *p++ = i < x->count ? x->digits[i] : '0';
    return p;
}

static char *put_fixed(char *p, const struct decimal *x)
{
    int whole = x->exponent + 1; /* digits in front of the point */

    if (whole <= 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -whole);
        return put_digits(p, x, 0, x->count);
    }
    p = put_digits(p, x, 0, whole);
    if (x->count > whole) {
        *p++ = '.';
        p = put_digits(p, x, whole, x->count);
    }
    return p;
}

static char *put_scientific(char *p, const struct decimal *x)
{
    char number[CEL_INT_BYTES];
    struct str exponent = cel_uint_text((uint64_t)abs(x->exponent), number);

    p = put_digits(p, x, 0, 1);
    if (x->count > 1) {
        *p++ = '.';
        p = put_digits(p, x, 1, x->count);
    }
    *p++ = 'e';
    *p++ = x->exponent < 0 ? '-' : '+';
    if (exponent.n < 2)
        *p++ = '0';
    memcpy(p, exponent.p, exponent.n);
    return p + exponent.n;
}

struct str cel_double_text(double d, enum cel_double_layout layout, char out[CEL_DOUBLE_BYTES])
{
    struct decimal x = { .digits = "0", .count = 1 };
    char *p = out;

    if (isnan(d))
        return STR("NaN");
    if (isinf(d))
        return d < 0 ? STR("-Inf") : STR("+Inf");
    if (signbit(d)) {
        *p++ = '-';
        d = -d;
    }
    if (d > 0)
        shortest(d, &x);
    if (x.exponent >= plain_exponents[layout][0] && x.exponent <= plain_exponents[layout][1])
        p = put_fixed(p, &x);
    else
        p = put_scientific(p, &x);
    return str_of(out, (size_t)(p - out));
}
