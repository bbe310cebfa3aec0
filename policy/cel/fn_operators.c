/*
 * fn_operators: what the operators compute (spec cel 3 and 4), and size(). One row for each pair of
 * types, so that a call whose types are known at load goes straight to its function. == != < in and
 * [] also work across types when they are only known at run time: cel_operator_any().
 */
#include <string.h>

#include "base/utf8.h"
#include "policy/cel/access.h"
#include "policy/cel/fn.h"
#include "policy/cel/list.h"
#include "policy/cel/operators.h"
#include "policy/cel/time.h"

static struct cel_value overflow(struct cel_run *run)
{
    return cel_error(run, "the number is out of range");
}

static struct cel_value zero_divisor(struct cel_run *run)
{
    return cel_error(run, "division by zero");
}

/* ---- int, uint, duration ---- */

static struct cel_value add_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t r;

    (void)count;
    return __builtin_add_overflow(args[0].as.i, args[1].as.i, &r) ? overflow(run) : cel_int(r);
}

static struct cel_value sub_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t r;

    (void)count;
    return __builtin_sub_overflow(args[0].as.i, args[1].as.i, &r) ? overflow(run) : cel_int(r);
}

static struct cel_value mul_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t r;

    (void)count;
    return __builtin_mul_overflow(args[0].as.i, args[1].as.i, &r) ? overflow(run) : cel_int(r);
}

static struct cel_value neg_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[0].as.i == INT64_MIN ? overflow(run) : cel_int(-args[0].as.i);
}

/* INT64_MIN / -1 and INT64_MIN % -1 trap on the CPU. */
static bool is_min_by_minus_one(const struct cel_value *args)
{
    return args[0].as.i == INT64_MIN && args[1].as.i == -1;
}

static struct cel_value div_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (args[1].as.i == 0)
        return zero_divisor(run);
    return is_min_by_minus_one(args) ? overflow(run) : cel_int(args[0].as.i / args[1].as.i);
}

static struct cel_value mod_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (args[1].as.i == 0)
        return zero_divisor(run);
    return is_min_by_minus_one(args) ? overflow(run) : cel_int(args[0].as.i % args[1].as.i);
}

static struct cel_value add_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    uint64_t r;

    (void)count;
    return __builtin_add_overflow(args[0].as.u, args[1].as.u, &r) ? overflow(run) : cel_uint(r);
}

static struct cel_value sub_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    uint64_t r;

    (void)count;
    return __builtin_sub_overflow(args[0].as.u, args[1].as.u, &r) ? overflow(run) : cel_uint(r);
}

static struct cel_value mul_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    uint64_t r;

    (void)count;
    return __builtin_mul_overflow(args[0].as.u, args[1].as.u, &r) ? overflow(run) : cel_uint(r);
}

static struct cel_value div_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[1].as.u == 0 ? zero_divisor(run) : cel_uint(args[0].as.u / args[1].as.u);
}

static struct cel_value mod_uint(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[1].as.u == 0 ? zero_divisor(run) : cel_uint(args[0].as.u % args[1].as.u);
}

static struct cel_value add_duration(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    int64_t r;

    (void)count;
    return __builtin_add_overflow(args[0].as.i, args[1].as.i, &r) ? overflow(run) : cel_duration(r);
}

static struct cel_value sub_duration(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    int64_t r;

    (void)count;
    return __builtin_sub_overflow(args[0].as.i, args[1].as.i, &r) ? overflow(run) : cel_duration(r);
}

/* ---- double ---- */

static struct cel_value add_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(args[0].as.d + args[1].as.d);
}

static struct cel_value sub_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(args[0].as.d - args[1].as.d);
}

static struct cel_value mul_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(args[0].as.d * args[1].as.d);
}

/* By IEEE 754 also for zero: an infinity, or NaN. */
__attribute__((no_sanitize("float-divide-by-zero"))) static struct cel_value
div_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(args[0].as.d / args[1].as.d);
}

static struct cel_value neg_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_double(-args[0].as.d);
}

/* ---- joining, time, bool ---- */

static struct cel_value join_text(struct cel_run *run, enum cel_kind kind,
                                  const struct cel_value *args)
{
    size_t n = (size_t)args[0].n + args[1].n;
    char *p;

    if (args[0].n == 0)
        return args[1];
    if (args[1].n == 0)
        return args[0];
    p = cel_text_alloc(run, n);
    if (p == NULL)
        return cel_spent(run);
    memcpy(p, args[0].as.p, args[0].n);
    memcpy(p + args[0].n, args[1].as.p, args[1].n);
    return (struct cel_value){ .kind = (uint8_t)kind, .n = (uint32_t)n, .as.p = p };
}

static struct cel_value add_string(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return join_text(run, CEL_STRING, args);
}

static struct cel_value add_bytes(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return join_text(run, CEL_BYTES, args);
}

static struct cel_value add_list(struct cel_run *run, const struct cel_value *args, size_t count)
{
    const struct cel_list *a = args[0].as.list;
    const struct cel_list *b = args[1].as.list;
    struct cel_value *items;
    struct cel_value list;

    (void)count;
    if (a->count == 0 || b->count == 0)
        return args[a->count == 0];
    list = cel_list_room(run, a->count + b->count, &items);
    if (cel_is_error(list))
        return list;
    memcpy(items, a->items, a->count * sizeof(*items));
    memcpy(items + a->count, b->items, b->count * sizeof(*items));
    return list;
}

static struct cel_value add_timestamp_duration(struct cel_run *run, const struct cel_value *args,
                                               size_t count)
{
    (void)count;
    return cel_timestamp_add(run, args[0], args[1]);
}

static struct cel_value add_duration_timestamp(struct cel_run *run, const struct cel_value *args,
                                               size_t count)
{
    (void)count;
    return cel_timestamp_add(run, args[1], args[0]);
}

static struct cel_value sub_timestamp_duration(struct cel_run *run, const struct cel_value *args,
                                               size_t count)
{
    (void)count;
    return cel_timestamp_sub_duration(run, args[0], args[1]);
}

static struct cel_value sub_timestamp(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    (void)count;
    return cel_timestamp_diff(run, args[0], args[1]);
}

static struct cel_value not_bool(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(!args[0].as.b);
}

/* ---- equality and order ---- */

static struct cel_value equal(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_equal(run, args[0], args[1]);
}

static struct cel_value not_equal(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value v = cel_equal(run, args[0], args[1]);

    (void)count;
    return cel_is_error(v) ? v : cel_bool(!v.as.b);
}

enum {
    IF_LESS = 1 << CEL_LESS,
    IF_SAME = 1 << CEL_SAME,
    IF_GREATER = 1 << CEL_GREATER,
};

/* True for the orders in `wanted`; NaN is in no order with anything, as IEEE 754 has it. */
static struct cel_value ordered(struct cel_run *run, const struct cel_value *args, unsigned wanted)
{
    enum cel_order order = cel_compare(run, args[0], args[1]);

    if (run->spent)
        return cel_spent(run);
    if (order == CEL_NO_ORDER)
        return cel_error(run, "values of these types have no order");
    return cel_bool((wanted >> order & 1) != 0);
}

static struct cel_value less(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return ordered(run, args, IF_LESS);
}

static struct cel_value less_equal(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return ordered(run, args, IF_LESS | IF_SAME);
}

static struct cel_value greater(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return ordered(run, args, IF_GREATER);
}

static struct cel_value greater_equal(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    (void)count;
    return ordered(run, args, IF_GREATER | IF_SAME);
}

/* The same for two numbers of one type. */
#define ORDER_FN(name, field, operator)                                                            \
    static struct cel_value name(struct cel_run *run, const struct cel_value *args, size_t count)  \
    {                                                                                              \
        (void)run;                                                                                 \
        (void)count;                                                                               \
        return cel_bool(args[0].as.field operator args[1].as.field);                               \
    }

ORDER_FN(less_int, i, <)
ORDER_FN(less_equal_int, i, <=)
ORDER_FN(greater_int, i, >)
ORDER_FN(greater_equal_int, i, >=)
ORDER_FN(less_uint, u, <)
ORDER_FN(less_equal_uint, u, <=)
ORDER_FN(greater_uint, u, >)
ORDER_FN(greater_equal_uint, u, >=)
ORDER_FN(less_double, d, <)
ORDER_FN(less_equal_double, d, <=)
ORDER_FN(greater_double, d, >)
ORDER_FN(greater_equal_double, d, >=)

/* ---- in, [] and size ---- */

static struct cel_value in_list(struct cel_run *run, const struct cel_value *args, size_t count)
{
    const struct cel_list *list = args[1].as.list;

    (void)count;
    for (size_t i = 0; i < list->count; i++) {
        struct cel_value same = cel_equal(run, args[0], list->items[i]);

        if (cel_is_error(same) || same.as.b)
            return same;
    }
    return cel_bool(false);
}

static struct cel_value in_map(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value ignored;
    bool found = cel_map_find(run, args[1], args[0], &ignored);

    (void)count;
    return run->spent ? cel_spent(run) : cel_bool(found);
}

static struct cel_value in_any(struct cel_run *run, const struct cel_value *args, size_t count)
{
    if (args[1].kind == CEL_LIST)
        return in_list(run, args, count);
    if (args[1].kind == CEL_MAP)
        return in_map(run, args, count);
    return cel_error(run, "the right side of 'in' must be a list or a map");
}

static struct cel_value index_any(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_index(run, args[0], args[1]);
}

static struct cel_value index_optional(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return cel_index_optional(run, args[0], args[1]);
}

static struct cel_value size_string(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (!cel_charge_bytes(run, args[0].n))
        return cel_spent(run);
    return cel_int((int64_t)utf8_count(cel_str(args[0])));
}

static struct cel_value size_bytes(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].n);
}

static struct cel_value size_list(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int((int64_t)args[0].as.list->count);
}

static struct cel_value size_map(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int((int64_t)cel_map_size(args[0]));
}

/* ---- the tables ---- */

static const struct cel_fn_row rows[] = {
    { "_+_(int, int) -> int", add_int, CEL_FN_PURE },
    { "_+_(uint, uint) -> uint", add_uint, CEL_FN_PURE },
    { "_+_(double, double) -> double", add_double, CEL_FN_PURE },
    { "_+_(string, string) -> string", add_string, CEL_FN_PURE },
    { "_+_(bytes, bytes) -> bytes", add_bytes, CEL_FN_PURE },
    { "_+_(list(T), list(T)) -> list(T)", add_list, CEL_FN_PURE },
    { "_+_(timestamp, duration) -> timestamp", add_timestamp_duration, CEL_FN_PURE },
    { "_+_(duration, timestamp) -> timestamp", add_duration_timestamp, CEL_FN_PURE },
    { "_+_(duration, duration) -> duration", add_duration, CEL_FN_PURE },
    { "_-_(int, int) -> int", sub_int, CEL_FN_PURE },
    { "_-_(uint, uint) -> uint", sub_uint, CEL_FN_PURE },
    { "_-_(double, double) -> double", sub_double, CEL_FN_PURE },
    { "_-_(timestamp, timestamp) -> duration", sub_timestamp, CEL_FN_PURE },
    { "_-_(timestamp, duration) -> timestamp", sub_timestamp_duration, CEL_FN_PURE },
    { "_-_(duration, duration) -> duration", sub_duration, CEL_FN_PURE },
    { "_*_(int, int) -> int", mul_int, CEL_FN_PURE },
    { "_*_(uint, uint) -> uint", mul_uint, CEL_FN_PURE },
    { "_*_(double, double) -> double", mul_double, CEL_FN_PURE },
    { "_/_(int, int) -> int", div_int, CEL_FN_PURE },
    { "_/_(uint, uint) -> uint", div_uint, CEL_FN_PURE },
    { "_/_(double, double) -> double", div_double, CEL_FN_PURE },
    { "_%_(int, int) -> int", mod_int, CEL_FN_PURE },
    { "_%_(uint, uint) -> uint", mod_uint, CEL_FN_PURE },
    { "-_(int) -> int", neg_int, CEL_FN_PURE },
    { "-_(double) -> double", neg_double, CEL_FN_PURE },
    { "!_(bool) -> bool", not_bool, CEL_FN_PURE },
    { "_==_(T, T) -> bool", equal, CEL_FN_PURE },
    { "_!=_(T, T) -> bool", not_equal, CEL_FN_PURE },
    { "_<_(int, int) -> bool", less_int, CEL_FN_PURE },
    { "_<_(uint, uint) -> bool", less_uint, CEL_FN_PURE },
    { "_<_(double, double) -> bool", less_double, CEL_FN_PURE },
    { "_<_(string, string) -> bool", less, CEL_FN_PURE },
    { "_<_(bytes, bytes) -> bool", less, CEL_FN_PURE },
    { "_<_(bool, bool) -> bool", less, CEL_FN_PURE },
    { "_<_(timestamp, timestamp) -> bool", less, CEL_FN_PURE },
    { "_<_(duration, duration) -> bool", less, CEL_FN_PURE },
    { "_<=_(int, int) -> bool", less_equal_int, CEL_FN_PURE },
    { "_<=_(uint, uint) -> bool", less_equal_uint, CEL_FN_PURE },
    { "_<=_(double, double) -> bool", less_equal_double, CEL_FN_PURE },
    { "_<=_(string, string) -> bool", less_equal, CEL_FN_PURE },
    { "_<=_(bytes, bytes) -> bool", less_equal, CEL_FN_PURE },
    { "_<=_(bool, bool) -> bool", less_equal, CEL_FN_PURE },
    { "_<=_(timestamp, timestamp) -> bool", less_equal, CEL_FN_PURE },
    { "_<=_(duration, duration) -> bool", less_equal, CEL_FN_PURE },
    { "_>_(int, int) -> bool", greater_int, CEL_FN_PURE },
    { "_>_(uint, uint) -> bool", greater_uint, CEL_FN_PURE },
    { "_>_(double, double) -> bool", greater_double, CEL_FN_PURE },
    { "_>_(string, string) -> bool", greater, CEL_FN_PURE },
    { "_>_(bytes, bytes) -> bool", greater, CEL_FN_PURE },
    { "_>_(bool, bool) -> bool", greater, CEL_FN_PURE },
    { "_>_(timestamp, timestamp) -> bool", greater, CEL_FN_PURE },
    { "_>_(duration, duration) -> bool", greater, CEL_FN_PURE },
    { "_>=_(int, int) -> bool", greater_equal_int, CEL_FN_PURE },
    { "_>=_(uint, uint) -> bool", greater_equal_uint, CEL_FN_PURE },
    { "_>=_(double, double) -> bool", greater_equal_double, CEL_FN_PURE },
    { "_>=_(string, string) -> bool", greater_equal, CEL_FN_PURE },
    { "_>=_(bytes, bytes) -> bool", greater_equal, CEL_FN_PURE },
    { "_>=_(bool, bool) -> bool", greater_equal, CEL_FN_PURE },
    { "_>=_(timestamp, timestamp) -> bool", greater_equal, CEL_FN_PURE },
    { "_>=_(duration, duration) -> bool", greater_equal, CEL_FN_PURE },
    { "_in_(T, list(T)) -> bool", in_list, CEL_FN_PURE },
    { "_in_(K, map(K, V)) -> bool", in_map, CEL_FN_PURE },
    { "_[_](list(T), int) -> T", index_any, CEL_FN_PURE },
    { "_[_](map(K, V), K) -> V", index_any, CEL_FN_PURE },
    { "_[_](optional_type(list(T)), int) -> optional_type(T)", index_any, CEL_FN_PURE },
    { "_[_](optional_type(map(K, V)), K) -> optional_type(V)", index_any, CEL_FN_PURE },
    { "_[?_](list(T), int) -> optional_type(T)", index_optional, CEL_FN_PURE },
    { "_[?_](map(K, V), K) -> optional_type(V)", index_optional, CEL_FN_PURE },
    { "_[?_](optional_type(list(T)), int) -> optional_type(T)", index_optional, CEL_FN_PURE },
    { "_[?_](optional_type(map(K, V)), K) -> optional_type(V)", index_optional, CEL_FN_PURE },
    { "size(string) -> int", size_string, CEL_FN_PURE },
    { "size(bytes) -> int", size_bytes, CEL_FN_PURE },
    { "size(list(T)) -> int", size_list, CEL_FN_PURE },
    { "size(map(K, V)) -> int", size_map, CEL_FN_PURE },
    { "string.size() -> int", size_string, CEL_FN_PURE },
    { "bytes.size() -> int", size_bytes, CEL_FN_PURE },
    { "list(T).size() -> int", size_list, CEL_FN_PURE },
    { "map(K, V).size() -> int", size_map, CEL_FN_PURE },
};

const struct cel_library cel_operators_library = {
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
};

cel_fn *cel_operator_any(struct str name)
{
    static const struct {
        struct str name;
        cel_fn *fn;
    } any[] = {
        { STR_INIT("_==_"), equal },
        { STR_INIT("_!=_"), not_equal },
        { STR_INIT("_<_"), less },
        { STR_INIT("_<=_"), less_equal },
        { STR_INIT("_>_"), greater },
        { STR_INIT("_>=_"), greater_equal },
        { STR_INIT("_in_"), in_any },
        { STR_INIT("_[_]"), index_any },
        { STR_INIT("_[?_]"), index_optional },
    };

    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        if (str_eq(any[i].name, name))
            return any[i].fn;
    }
    return NULL;
}
