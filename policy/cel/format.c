#include "policy/cel/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "policy/cel/cel.h"
#include "policy/cel/map_order.h"
#include "policy/cel/text.h"
#include "policy/cel/time.h"

enum {
    DEFAULT_PRECISION = 6,
    PRECISION_DIGITS_MAX = 9,
    /* The longest %f: 309 digits, a point, the precision; a sign and a NUL. */
    DOUBLE_BYTES = 320 + CEL_FORMAT_PRECISION_MAX,
    PRINTF_STEPS = 20,
    DIGITS_BYTES = 66, /* a sign, 64 binary digits, a NUL */
};

struct formatter {
    struct cel_run *run;    /* borrowed */
    struct cel_text out;    /* what is made */
    struct cel_value error; /* NULL kind: none */
};

struct verb;
struct piece;

typedef void verb_fn(struct formatter *f, struct cel_value v, const struct piece *p);

struct verb {
    char name;
    bool any;       /* takes every kind, else those below */
    unsigned kinds; /* bits of enum cel_kind */
    const char *takes;
    verb_fn *write;
};

/* A part of the format: text as it is, and then maybe a value. */
struct piece {
    struct str text;
    const struct verb *verb; /* NULL: only text */
    int precision;
    const char *mistake; /* NULL: none */
};

#define KIND(kind) (1U << (kind))
#define INTEGERS   (KIND(CEL_INT) | KIND(CEL_UINT))
#define NUMBERS    (INTEGERS | KIND(CEL_DOUBLE))
#define TEXTS      (KIND(CEL_STRING) | KIND(CEL_BYTES))

static verb_fn write_value;
static verb_fn write_printf;
static verb_fn write_hex;
static verb_fn write_octal;
static verb_fn write_binary;

static const struct verb verbs[] = {
    { 's', true, 0, "any value", write_value },
    { 'd', false, NUMBERS, "int, uint or double", write_value },
    { 'f', false, NUMBERS, "double, int or uint", write_printf },
    { 'e', false, NUMBERS, "double, int or uint", write_printf },
    { 'x', false, INTEGERS | TEXTS, "int, uint, string or bytes", write_hex },
    { 'X', false, INTEGERS | TEXTS, "int, uint, string or bytes", write_hex },
    { 'o', false, INTEGERS, "int or uint", write_octal },
    { 'b', false, INTEGERS | KIND(CEL_BOOL), "int, uint or bool", write_binary },
};

/* ---- reading the format ---- */

static const struct verb *find_verb(char name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (verbs[i].name == name)
            return &verbs[i];
    }
    return NULL;
}

/* ".N" in front of a verb. */
static const char *read_precision(struct str *rest, int *precision)
{
    size_t digits = 0;
    uint64_t value;

    *precision = DEFAULT_PRECISION;
    if (!str_starts(*rest, STR(".")))
        return NULL;
    *rest = str_skip(*rest, 1);
    while (digits < rest->n && char_is_digit(rest->p[digits]))
        digits++;
    if (digits == 0)
        return "the format has a '.' without a number behind it";
    if (digits > PRECISION_DIGITS_MAX ||
        str_to_u64(str_slice(*rest, 0, digits), CEL_FORMAT_PRECISION_MAX, &value) == -1)
        return "the format has a precision above 100";
    *precision = (int)value;
    *rest = str_skip(*rest, digits);
    return NULL;
}

/* The next part of *rest; false at the end. */
static bool next_piece(struct str *rest, struct piece *p)
{
    size_t percent = str_find_char(*rest, '%');

    *p = (struct piece){ .text = str_slice(*rest, 0, percent) };
    if (rest->n == 0)
        return false;
    *rest = str_skip(*rest, percent);
    if (rest->n == 0)
        return true;
    *rest = str_skip(*rest, 1);
    if (str_starts(*rest, STR("%"))) {
        p->text.n++; /* the first of the two */
        *rest = str_skip(*rest, 1);
        return true;
    }
    p->mistake = read_precision(rest, &p->precision);
    if (p->mistake != NULL)
        return true;
    p->verb = rest->n > 0 ? find_verb(rest->p[0]) : NULL;
    if (p->verb == NULL)
        p->mistake = "the format has a '%' without one of s d f e x X o b % behind it";
    *rest = str_skip(*rest, 1);
    return true;
}

static bool takes(const struct verb *verb, enum cel_kind kind)
{
    return verb->any || (verb->kinds & KIND(kind)) != 0;
}

/* ---- the check at load ---- */

/* False when values of the type have no one kind that is known. */
static bool kind_of_type(const struct cel_type *type, enum cel_kind *kind)
{
    static const struct {
        enum cel_type_kind type;
        enum cel_kind kind;
    } kinds[] = {
        { CEL_T_NULL, CEL_NULL },         { CEL_T_BOOL, CEL_BOOL },
        { CEL_T_INT, CEL_INT },           { CEL_T_UINT, CEL_UINT },
        { CEL_T_DOUBLE, CEL_DOUBLE },     { CEL_T_STRING, CEL_STRING },
        { CEL_T_BYTES, CEL_BYTES },       { CEL_T_TIMESTAMP, CEL_TIMESTAMP },
        { CEL_T_DURATION, CEL_DURATION }, { CEL_T_LIST, CEL_LIST },
        { CEL_T_MAP, CEL_MAP },           { CEL_T_TYPE, CEL_TYPE },
        { CEL_T_OPTIONAL, CEL_OPTIONAL }, { CEL_T_IP, CEL_IP },
        { CEL_T_CIDR, CEL_CIDR },         { CEL_T_OBJECT, CEL_OBJECT },
    };

    for (size_t i = 0; type != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type->kind) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

bool cel_format_check(struct str format, size_t count, const struct cel_type *const *types,
                      char *message, size_t n)
{
    struct piece p;
    size_t used = 0;

    while (next_piece(&format, &p)) {
        enum cel_kind kind;

        if (p.mistake != NULL) {
            (void)snprintf(message, n, "%s", p.mistake);
            return false;
        }
        if (p.verb == NULL)
            continue;
        if (types != NULL && used < count && kind_of_type(types[used], &kind) &&
            !takes(p.verb, kind)) {
            (void)snprintf(message, n, "value %zu of the format is for %%%c, which takes %s",
                           used + 1, p.verb->name, p.verb->takes);
            return false;
        }
        used++;
    }
    if (count == SIZE_MAX || used == count)
        return true;
    (void)snprintf(message, n, "the format uses %zu value%s, but the list has %zu", used,
                   used == 1 ? "" : "s", count);
    return false;
}

/* ---- numbers ---- */

static struct str not_finite(double d)
{
    return isnan(d) ? STR("NaN") : d > 0 ? STR("Infinity") : STR("-Infinity");
}

static double to_double(struct cel_value v)
{
    return v.kind == CEL_INT ? (double)v.as.i : v.kind == CEL_UINT ? (double)v.as.u : v.as.d;
}

static void write_double(struct formatter *f, double d)
{
    char text[CEL_DOUBLE_BYTES];

    cel_text_add(&f->out, isfinite(d) ? cel_double_text(d, CEL_DOUBLE_FIXED, text) : not_finite(d));
}

/* printf rounds the exact value half to even, which is what is wanted; it takes microseconds for
 * numbers with hundreds of digits, hence the charge. */
static void write_printf(struct formatter *f, struct cel_value v, const struct piece *p)
{
    char text[DOUBLE_BYTES];
    double d = to_double(v);

    if (!isfinite(d)) {
        cel_text_add(&f->out, not_finite(d));
        return;
    }
    if (!cel_charge(f->run, PRINTF_STEPS)) {
        f->error = cel_spent(f->run);
        return;
    }
    if (p->verb->name == 'f')
        (void)snprintf(text, sizeof(text), "%.*f", p->precision, d);
    else
        (void)snprintf(text, sizeof(text), "%.*e", p->precision, d);
    cel_text_add(&f->out, str_from(text));
}

/* The digits of an int or uint in a base of 2^shift, with a sign. */
static void write_digits(struct formatter *f, struct cel_value v, unsigned shift,
                         const char *alphabet)
{
    char text[DIGITS_BYTES];
    size_t at = sizeof(text);
    bool negative = v.kind == CEL_INT && v.as.i < 0;
    uint64_t rest = negative ? 0 - (uint64_t)v.as.i : v.as.u;

    do {
        text[--at] = alphabet[rest & ((1U << shift) - 1)];
        rest >>= shift;
    } while (rest > 0);
    if (negative)
        text[--at] = '-';
    cel_text_add(&f->out, str_of(text + at, sizeof(text) - at));
}

static void write_hex(struct formatter *f, struct cel_value v, const struct piece *p)
{
    const char *alphabet = p->verb->name == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
    struct str bytes;

    if (v.kind == CEL_INT || v.kind == CEL_UINT) {
        write_digits(f, v, 4, alphabet);
        return;
    }
    bytes = cel_str(v);
    for (size_t i = 0; i < bytes.n && !f->out.failed; i++) {
        cel_text_add_char(&f->out, alphabet[(unsigned char)bytes.p[i] >> 4]);
        cel_text_add_char(&f->out, alphabet[(unsigned char)bytes.p[i] & 15]);
    }
}

static void write_octal(struct formatter *f, struct cel_value v, const struct piece *p)
{
    (void)p;
    write_digits(f, v, 3, "01234567");
}

static void write_binary(struct formatter *f, struct cel_value v, const struct piece *p)
{
    (void)p;
    write_digits(f, v.kind == CEL_BOOL ? cel_uint(v.as.b ? 1 : 0) : v, 1, "01");
}

/* ---- %s ---- */

static void write_nested(struct formatter *f, struct cel_value v, unsigned depth);

static void write_text(struct formatter *f, struct cel_value text)
{
    if (cel_is_error(text))
        f->error = text;
    else
        cel_text_add(&f->out, cel_str(text));
}

static void write_list(struct formatter *f, const struct cel_list *list, unsigned depth)
{
    cel_text_add_char(&f->out, '[');
    for (size_t i = 0; i < list->count && !f->out.failed && !cel_is_error(f->error); i++) {
        if (i > 0)
            cel_text_add(&f->out, STR(", "));
        write_nested(f, list->items[i], depth);
    }
    cel_text_add_char(&f->out, ']');
}

static void write_map(struct formatter *f, struct cel_value map, unsigned depth)
{
    struct cel_value *names;
    struct cel_value order = cel_map_order(f->run, map, &names);

    if (cel_is_error(order)) {
        f->error = order;
        return;
    }
    cel_text_add_char(&f->out, '{');
    for (size_t i = 0; i < order.as.list->count; i++) {
        size_t entry = (size_t)order.as.list->items[i].as.i;
        struct cel_value key;
        struct cel_value value;

        if (f->out.failed || cel_is_error(f->error))
            return;
        cel_map_entry(f->run, map, entry, &key, &value);
        if (i > 0)
            cel_text_add(&f->out, STR(", "));
        cel_text_add(&f->out, cel_str(names[entry]));
        cel_text_add(&f->out, STR(": "));
        write_nested(f, value, depth);
    }
    cel_text_add_char(&f->out, '}');
}

static void write_nested(struct formatter *f, struct cel_value v, unsigned depth)
{
    if (depth == f->run->limits->value_depth || !cel_charge(f->run, 1)) {
        f->error = cel_spent(f->run);
        return;
    }
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
        cel_text_add(&f->out, STR("null"));
        return;
    case CEL_DOUBLE:
        write_double(f, v.as.d);
        return;
    case CEL_DURATION:
        write_text(f, cel_duration_format(f->run, v));
        return;
    case CEL_LIST:
        write_list(f, v.as.list, depth + 1);
        return;
    case CEL_MAP:
        write_map(f, v, depth + 1);
        return;
    case CEL_BOOL: /* these are as everywhere */
    case CEL_INT:
    case CEL_UINT:
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_TIMESTAMP:
    case CEL_TYPE:
    case CEL_OPTIONAL:
    case CEL_IP:
    case CEL_CIDR:
    case CEL_OBJECT:
    case CEL_ERROR:
        break;
    }
    write_text(f, cel_to_text(f->run, v));
}

static void write_value(struct formatter *f, struct cel_value v, const struct piece *p)
{
    (void)p;
    write_nested(f, v, 0);
}

/* ---- format() ---- */

static void write_piece(struct formatter *f, const struct piece *p, const struct cel_list *values,
                        size_t used)
{
    if (used == values->count) {
        f->error = cel_error(f->run, "the format uses more values than the list has");
        return;
    }
    if (!takes(p->verb, (enum cel_kind)values->items[used].kind)) {
        f->error = cel_error(f->run, "value %zu of the format is for %%%c, which takes %s",
                             used + 1, p->verb->name, p->verb->takes);
        return;
    }
    p->verb->write(f, values->items[used], p);
}

struct cel_value cel_format(struct cel_run *run, struct str format, const struct cel_list *values)
{
    struct formatter f = { .run = run, .error = cel_null() };
    struct piece p;
    size_t used = 0;

    cel_text_init(&f.out, run);
    while (next_piece(&format, &p)) {
        cel_text_add(&f.out, p.text);
        if (p.mistake != NULL)
            return cel_error(run, "%s", p.mistake);
        if (p.verb != NULL)
            write_piece(&f, &p, values, used++);
        if (cel_is_error(f.error))
            return f.error;
        if (f.out.failed || !cel_charge(run, 1))
            return cel_spent(run);
    }
    return cel_text_done(&f.out);
}
