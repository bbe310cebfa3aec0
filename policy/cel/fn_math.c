/*
 * fn_math: numbers beyond the operators (spec cel 10.6).
 */
#include <math.h>

#include "policy/cel/fn.h"

static struct cel_value not_numbers(struct cel_run *run)
{
    return cel_error(run, "greatest and least compare numbers only");
}

/* ---- greatest, least: of the arguments, or of a list that is the only one ---- */

/* The first of those that are `wanted` against all others; NaN wins and loses against nothing. */
static struct cel_value extreme(struct cel_run *run, const struct cel_value *args, size_t count,
                                enum cel_order wanted)
{
    const struct cel_value *items = args;
    struct cel_value best;

    if (args[0].kind == CEL_LIST) {
        items = args[0].as.list->items;
        count = args[0].as.list->count;
    }
    if (count == 0)
        return cel_error(run, "the list is empty");
    if (!cel_charge(run, count))
        return cel_spent(run);
    best = items[0];
    for (size_t i = 0; i < count; i++) {
        if (!cel_is_number(items[i]))
            return not_numbers(run);
        if (cel_compare(run, items[i], best) == wanted)
            best = items[i];
    }
    return best;
}

static struct cel_value greatest(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return extreme(run, args, count, CEL_GREATER);
}

static struct cel_value least(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return extreme(run, args, count, CEL_LESS);
}

/* ---- doubles ---- */

static struct cel_value ceil_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(ceil(args[0].as.d));
}

static struct cel_value floor_double(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    (void)run;
    (void)count;
    return cel_double(floor(args[0].as.d));
}

/* Half away from zero. */
static struct cel_value round_double(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    (void)run;
    (void)count;
    return cel_double(round(args[0].as.d));
}

static struct cel_value trunc_double(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    (void)run;
    (void)count;
    return cel_double(trunc(args[0].as.d));
}

static struct cel_value is_nan(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(isnan(args[0].as.d));
}

static struct cel_value is_inf(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(isinf(args[0].as.d));
}

static struct cel_value is_finite(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(isfinite(args[0].as.d));
}

/* ---- abs, sign ---- */

static struct cel_value abs_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (args[0].as.i == INT64_MIN)
        return cel_error(run, "the number is out of range");
    return cel_int(args[0].as.i < 0 ? -args[0].as.i : args[0].as.i);
}

static struct cel_value abs_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return args[0];
}

static struct cel_value abs_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(fabs(args[0].as.d));
}

static struct cel_value sign_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int((args[0].as.i > 0) - (args[0].as.i < 0));
}

static struct cel_value sign_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_uint(args[0].as.u > 0 ? 1 : 0);
}

static struct cel_value sign_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    double d = args[0].as.d;

    (void)run;
    (void)count;
    return cel_double(isnan(d) ? d : (d > 0) - (d < 0));
}

/* ---- bits; those of an int are its two's complement ---- */

static struct cel_value bits_of(struct cel_value like, uint64_t bits)
{
    like.as.u = bits;
    return like;
}

static struct cel_value bit_and(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return bits_of(args[0], args[0].as.u & args[1].as.u);
}

static struct cel_value bit_or(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return bits_of(args[0], args[0].as.u | args[1].as.u);
}

static struct cel_value bit_xor(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return bits_of(args[0], args[0].as.u ^ args[1].as.u);
}

static struct cel_value bit_not(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return bits_of(args[0], ~args[0].as.u);
}

static struct cel_value negative_shift(struct cel_run *run)
{
    return cel_error(run, "the number of bits to shift by is negative");
}

static struct cel_value shift_left(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t n = args[1].as.i;

    (void)count;
    if (n < 0)
        return negative_shift(run);
    return bits_of(args[0], n < 64 ? args[0].as.u << n : 0);
}

/* Zeros come in at the left, also into an int. */
static struct cel_value shift_right(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t n = args[1].as.i;

    (void)count;
    if (n < 0)
        return negative_shift(run);
    return bits_of(args[0], n < 64 ? args[0].as.u >> n : 0);
}

/* Numbers of one type have a result of that type. Written out up to two arguments, so that at least
 * these are refused at load when they are no numbers. */
/* clang-format off */
#define EXTREME(name, fn)                                                                          \
    { "math." name "(int) -> int", fn, CEL_FN_PURE },                                              \
    { "math." name "(uint) -> uint", fn, CEL_FN_PURE },                                        \
    { "math." name "(double) -> double", fn, CEL_FN_PURE },                                    \
    { "math." name "(list(int)) -> int", fn, CEL_FN_PURE },                                    \
    { "math." name "(list(uint)) -> uint", fn, CEL_FN_PURE },                                  \
    { "math." name "(list(double)) -> double", fn, CEL_FN_PURE },                              \
    { "math." name "(int, int) -> int", fn, CEL_FN_PURE },                                     \
    { "math." name "(uint, uint) -> uint", fn, CEL_FN_PURE },                                  \
    { "math." name "(double, double) -> double", fn, CEL_FN_PURE },                            \
    { "math." name "(int, uint) -> dyn", fn, CEL_FN_PURE },                                    \
    { "math." name "(int, double) -> dyn", fn, CEL_FN_PURE },                                  \
    { "math." name "(uint, int) -> dyn", fn, CEL_FN_PURE },                                    \
    { "math." name "(uint, double) -> dyn", fn, CEL_FN_PURE },                                 \
    { "math." name "(double, int) -> dyn", fn, CEL_FN_PURE },                                  \
    { "math." name "(double, uint) -> dyn", fn, CEL_FN_PURE },                                 \
    {                                                                                              \
        "math." name "(dyn, dyn, dyn...) -> dyn", fn, CEL_FN_PURE                                  \
    }
/* clang-format on */

static const struct cel_fn_row rows[] = {
    EXTREME("greatest", greatest),
    EXTREME("least", least),
    { "math.ceil(double) -> double", ceil_double, CEL_FN_PURE },
    { "math.floor(double) -> double", floor_double, CEL_FN_PURE },
    { "math.round(double) -> double", round_double, CEL_FN_PURE },
    { "math.trunc(double) -> double", trunc_double, CEL_FN_PURE },
    { "math.isNaN(double) -> bool", is_nan, CEL_FN_PURE },
    { "math.isInf(double) -> bool", is_inf, CEL_FN_PURE },
    { "math.isFinite(double) -> bool", is_finite, CEL_FN_PURE },
    { "math.abs(int) -> int", abs_int, CEL_FN_PURE },
    { "math.abs(uint) -> uint", abs_uint, CEL_FN_PURE },
    { "math.abs(double) -> double", abs_double, CEL_FN_PURE },
    { "math.sign(int) -> int", sign_int, CEL_FN_PURE },
    { "math.sign(uint) -> uint", sign_uint, CEL_FN_PURE },
    { "math.sign(double) -> double", sign_double, CEL_FN_PURE },
    { "math.bitAnd(int, int) -> int", bit_and, CEL_FN_PURE },
    { "math.bitAnd(uint, uint) -> uint", bit_and, CEL_FN_PURE },
    { "math.bitOr(int, int) -> int", bit_or, CEL_FN_PURE },
    { "math.bitOr(uint, uint) -> uint", bit_or, CEL_FN_PURE },
    { "math.bitXor(int, int) -> int", bit_xor, CEL_FN_PURE },
    { "math.bitXor(uint, uint) -> uint", bit_xor, CEL_FN_PURE },
    { "math.bitNot(int) -> int", bit_not, CEL_FN_PURE },
    { "math.bitNot(uint) -> uint", bit_not, CEL_FN_PURE },
    { "math.bitShiftLeft(int, int) -> int", shift_left, CEL_FN_PURE },
    { "math.bitShiftLeft(uint, int) -> uint", shift_left, CEL_FN_PURE },
    { "math.bitShiftRight(int, int) -> int", shift_right, CEL_FN_PURE },
    { "math.bitShiftRight(uint, int) -> uint", shift_right, CEL_FN_PURE },
};

const struct cel_library cel_math_library = { rows, sizeof(rows) / sizeof(rows[0]) };
