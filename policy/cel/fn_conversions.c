/*
 * fn_conversions: from one type to another (spec cel 7): bool() int() uint() double() string()
 * bytes(), and type() and dyn(). timestamp() and duration() are with their types in fn_time.c,
 * string() of addresses in fn_network.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/cel/fn.h"
#include "policy/cel/text.h"
#include "policy/cel/time.h"

#define INT_END  9223372036854775808.0  /* 2^63 */
#define UINT_END 18446744073709551616.0 /* 2^64 */

/* Longer text has so many digits that no number needs them; also bounds the copy for strtod. */
enum { DOUBLE_TEXT_BYTES = 1024 };

static struct cel_value out_of_range(struct cel_run *run)
{
    return cel_error(run, "the number is out of range");
}

static struct cel_value same(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return args[0];
}

/* ---- bool ---- */

static struct cel_value bool_of_string(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    static const struct {
        struct str text;
        bool value;
    } texts[] = {
        { STR_INIT("true"), true },   { STR_INIT("false"), false }, { STR_INIT("1"), true },
        { STR_INIT("0"), false },     { STR_INIT("t"), true },      { STR_INIT("f"), false },
        { STR_INIT("T"), true },      { STR_INIT("F"), false },     { STR_INIT("TRUE"), true },
        { STR_INIT("FALSE"), false }, { STR_INIT("True"), true },   { STR_INIT("False"), false },
    };

    (void)count;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (str_eq(texts[i].text, cel_str(args[0])))
            return cel_bool(texts[i].value);
    }
    return cel_error(run, "the text is no bool");
}

/* ---- int and uint ---- */

static struct cel_value int_of_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[0].as.u > INT64_MAX ? out_of_range(run) : cel_int((int64_t)args[0].as.u);
}

/* -2^63 is refused too: the tests ask for a double strictly inside of the range. */
static struct cel_value int_of_double(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    double d = args[0].as.d;

    (void)count;
    return d > -INT_END && d < INT_END ? cel_int((int64_t)d) : out_of_range(run);
}

static struct cel_value int_of_string(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    struct str s = cel_str(args[0]);
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t u;

    (void)count;
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    if (str_to_u64(s, (uint64_t)INT64_MAX + negative, &u) == -1)
        return cel_error(run, "the text is no int");
    return cel_int(negative ? (int64_t)(0 - u) : (int64_t)u);
}

static struct cel_value int_of_timestamp(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i);
}

static struct cel_value uint_of_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[0].as.i < 0 ? out_of_range(run) : cel_uint((uint64_t)args[0].as.i);
}

static struct cel_value uint_of_double(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    double d = args[0].as.d;

    (void)count;
    return d >= 0 && d < UINT_END ? cel_uint((uint64_t)d) : out_of_range(run);
}

static struct cel_value uint_of_string(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    uint64_t u;

    (void)count;
    if (str_to_u64(cel_str(args[0]), UINT64_MAX, &u) == -1)
        return cel_error(run, "the text is no uint");
    return cel_uint(u);
}

/* ---- double ---- */

static struct cel_value double_of_int(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    (void)run;
    (void)count;
    return cel_double((double)args[0].as.i);
}

static struct cel_value double_of_uint(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    (void)run;
    (void)count;
    return cel_double((double)args[0].as.u);
}

/* How many digits s begins with. */
static size_t digits(struct str s)
{
    size_t n = 0;

    while (n < s.n && char_is_digit(s.p[n]))
        n++;
    return n;
}

/* Digits with at most one point among or beside them, and maybe an exponent. strtod also takes hex,
 * spaces and "nan(...)", so it is only asked about text of this form. */
static bool is_decimal(struct str s)
{
    size_t whole = digits(s);
    size_t fraction = 0;

    s = str_skip(s, whole);
    if (s.n > 0 && s.p[0] == '.') {
        fraction = digits(str_skip(s, 1));
        s = str_skip(s, 1 + fraction);
    }
    if (whole + fraction == 0)
        return false;
    if (s.n == 0)
        return true;
    if (s.p[0] != 'e' && s.p[0] != 'E')
        return false;
    s = str_skip(s, 1);
    if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-'))
        s = str_skip(s, 1);
    return s.n > 0 && digits(s) == s.n;
}

static bool parse_double(struct str s, double *out)
{
    char text[DOUBLE_TEXT_BYTES];
    struct str number = s;

    if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-'))
        number = str_skip(s, 1);
    if (str_eq_nocase(number, STR("inf")) || str_eq_nocase(number, STR("infinity"))) {
        *out = s.p[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (str_eq_nocase(s, STR("nan"))) {
        *out = NAN;
        return true;
    }
    if (!is_decimal(number) || s.n >= sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, NULL);
    return !isinf(*out);
}

static struct cel_value double_of_string(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    double d;

    (void)count;
    if (!parse_double(cel_str(args[0]), &d))
        return cel_error(run, "the text is no double");
    return cel_double(d);
}

/* ---- string and bytes ---- */

static struct cel_value string_of_bool(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    (void)run;
    (void)count;
    return cel_string(args[0].as.b ? STR("true") : STR("false"));
}

static struct cel_value string_of_int(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    char text[CEL_INT_BYTES];

    (void)count;
    return cel_copy(run, CEL_STRING, cel_int_text(args[0].as.i, text));
}

static struct cel_value string_of_uint(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    char text[CEL_INT_BYTES];

    (void)count;
    return cel_copy(run, CEL_STRING, cel_uint_text(args[0].as.u, text));
}

static struct cel_value string_of_double(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    char text[CEL_DOUBLE_BYTES];

    (void)count;
    return cel_copy(run, CEL_STRING, cel_double_text(args[0].as.d, CEL_DOUBLE_STRING, text));
}

static struct cel_value string_of_bytes(struct cel_run *run, const struct cel_value *args,
                                        size_t count)
{
    struct str s = cel_str(args[0]);

    (void)count;
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    return utf8_is_valid(s) ? cel_string(s) : cel_error(run, "the bytes are not UTF-8");
}

static struct cel_value string_of_timestamp(struct cel_run *run, const struct cel_value *args,
                                            size_t count)
{
    (void)count;
    return cel_timestamp_format(run, args[0]);
}

static struct cel_value string_of_duration(struct cel_run *run, const struct cel_value *args,
                                           size_t count)
{
    (void)count;
    return cel_duration_format(run, args[0]);
}

static struct cel_value bytes_of_string(struct cel_run *run, const struct cel_value *args,
                                        size_t count)
{
    (void)run;
    (void)count;
    return cel_bytes(cel_str(args[0]));
}

/* ---- type ---- */

static struct cel_value type_of(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_type_value(cel_type_name(args[0]));
}

static const struct cel_fn_row rows[] = {
    { "bool(bool) -> bool", same, CEL_FN_PURE },
    { "bool(string) -> bool", bool_of_string, CEL_FN_PURE },
    { "int(int) -> int", same, CEL_FN_PURE },
    { "int(uint) -> int", int_of_uint, CEL_FN_PURE },
    { "int(double) -> int", int_of_double, CEL_FN_PURE },
    { "int(string) -> int", int_of_string, CEL_FN_PURE },
    { "int(timestamp) -> int", int_of_timestamp, CEL_FN_PURE },
    { "uint(uint) -> uint", same, CEL_FN_PURE },
    { "uint(int) -> uint", uint_of_int, CEL_FN_PURE },
    { "uint(double) -> uint", uint_of_double, CEL_FN_PURE },
    { "uint(string) -> uint", uint_of_string, CEL_FN_PURE },
    { "double(double) -> double", same, CEL_FN_PURE },
    { "double(int) -> double", double_of_int, CEL_FN_PURE },
    { "double(uint) -> double", double_of_uint, CEL_FN_PURE },
    { "double(string) -> double", double_of_string, CEL_FN_PURE },
    { "string(string) -> string", same, CEL_FN_PURE },
    { "string(bool) -> string", string_of_bool, CEL_FN_PURE },
    { "string(int) -> string", string_of_int, CEL_FN_PURE },
    { "string(uint) -> string", string_of_uint, CEL_FN_PURE },
    { "string(double) -> string", string_of_double, CEL_FN_PURE },
    { "string(bytes) -> string", string_of_bytes, CEL_FN_PURE },
    { "string(timestamp) -> string", string_of_timestamp, CEL_FN_PURE },
    { "string(duration) -> string", string_of_duration, CEL_FN_PURE },
    { "bytes(bytes) -> bytes", same, CEL_FN_PURE },
    { "bytes(string) -> bytes", bytes_of_string, CEL_FN_PURE },
    { "type(T) -> type(T)", type_of, CEL_FN_PURE },
    { "dyn(T) -> dyn", same, CEL_FN_PURE },
};

const struct cel_library cel_conversions_library = {
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
};
