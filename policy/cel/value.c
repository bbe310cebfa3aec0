#include "policy/cel/value.h"

#include <math.h>
#include <string.h>

#include "policy/cel/run.h"

/* Both are exact as doubles; the largest integers themselves are not. */
#define INT_END  9223372036854775808.0  /* 2^63 */
#define UINT_END 18446744073709551616.0 /* 2^64 */

struct str cel_type_name(struct cel_value v)
{
    static const struct str names[] = {
        [CEL_NULL] = STR_INIT("null_type"),
        [CEL_BOOL] = STR_INIT("bool"),
        [CEL_INT] = STR_INIT("int"),
        [CEL_UINT] = STR_INIT("uint"),
        [CEL_DOUBLE] = STR_INIT("double"),
        [CEL_STRING] = STR_INIT("string"),
        [CEL_BYTES] = STR_INIT("bytes"),
        [CEL_LIST] = STR_INIT("list"),
        [CEL_MAP] = STR_INIT("map"),
        [CEL_TIMESTAMP] = STR_INIT("google.protobuf.Timestamp"),
        [CEL_DURATION] = STR_INIT("google.protobuf.Duration"),
        [CEL_TYPE] = STR_INIT("type"),
        [CEL_OPTIONAL] = STR_INIT("optional_type"),
        [CEL_IP] = STR_INIT("net.IP"),
        [CEL_CIDR] = STR_INIT("net.CIDR"),
        [CEL_OBJECT] = STR_INIT("object"),
        [CEL_ERROR] = STR_INIT("error"),
    };

    return v.kind == CEL_OBJECT ? str_from(v.as.object->type->name) : names[v.kind];
}

/* ---- order ---- */

static enum cel_order order_of(bool less, bool greater)
{
    return less ? CEL_LESS : greater ? CEL_GREATER : CEL_SAME;
}

static enum cel_order order_ints(int64_t a, int64_t b)
{
    return order_of(a<b, a> b);
}

static enum cel_order order_uints(uint64_t a, uint64_t b)
{
    return order_of(a<b, a> b);
}

static enum cel_order order_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return CEL_UNORDERED;
    return order_of(a<b, a> b);
}

/* Inside the range of the integers they are compared as doubles, which loses digits above 2^53: the
 * language asks for that (spec cel 3). */
static enum cel_order order_int_double(int64_t a, double b)
{
    if (isnan(b))
        return CEL_UNORDERED;
    if (b < -INT_END)
        return CEL_GREATER;
    return b > INT_END ? CEL_LESS : order_doubles((double)a, b);
}

static enum cel_order order_uint_double(uint64_t a, double b)
{
    if (isnan(b))
        return CEL_UNORDERED;
    if (b < 0)
        return CEL_GREATER;
    return b > UINT_END ? CEL_LESS : order_doubles((double)a, b);
}

static enum cel_order order_int_uint(int64_t a, uint64_t b)
{
    return a < 0 ? CEL_LESS : order_uints((uint64_t)a, b);
}

static enum cel_order reversed(enum cel_order order)
{
    switch (order) {
    case CEL_LESS:
        return CEL_GREATER;
    case CEL_GREATER:
        return CEL_LESS;
    case CEL_SAME:
    case CEL_UNORDERED:
    case CEL_NO_ORDER:
        break;
    }
    return order;
}

static enum cel_order order_numbers(struct cel_value a, struct cel_value b)
{
    if (a.kind == CEL_INT) {
        if (b.kind == CEL_INT)
            return order_ints(a.as.i, b.as.i);
        return b.kind == CEL_UINT ? order_int_uint(a.as.i, b.as.u)
                                  : order_int_double(a.as.i, b.as.d);
    }
    if (a.kind == CEL_UINT && b.kind == CEL_UINT)
        return order_uints(a.as.u, b.as.u);
    if (a.kind == CEL_UINT && b.kind == CEL_DOUBLE)
        return order_uint_double(a.as.u, b.as.d);
    if (a.kind == CEL_DOUBLE && b.kind == CEL_DOUBLE)
        return order_doubles(a.as.d, b.as.d);
    return reversed(order_numbers(b, a));
}

/* Bytes of UTF-8 sort as its code points do. */
static enum cel_order order_text(struct cel_run *run, struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c;

    if (!cel_charge_bytes(run, n))
        return CEL_UNORDERED;
    c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return c == 0 ? order_of(a.n<b.n, a.n> b.n) : order_of(c<0, c> 0);
}

enum cel_order cel_compare(struct cel_run *run, struct cel_value a, struct cel_value b)
{
    enum cel_order order;

    if (cel_is_number(a) && cel_is_number(b))
        return order_numbers(a, b);
    if (a.kind != b.kind)
        return CEL_NO_ORDER;
    switch (a.kind) {
    case CEL_BOOL:
        return order_of(a.as.b<b.as.b, a.as.b> b.as.b);
    case CEL_STRING:
    case CEL_BYTES:
        return order_text(run, cel_str(a), cel_str(b));
    case CEL_DURATION:
        return order_ints(a.as.i, b.as.i);
    case CEL_TIMESTAMP:
        order = order_ints(a.as.i, b.as.i);
        return order == CEL_SAME ? order_uints(a.n, b.n) : order;
    }
    return CEL_NO_ORDER;
}

/* ---- equality ---- */

enum same { SAME_NO, SAME_YES, SAME_SPENT };

static enum same same_values(struct cel_run *run, struct cel_value a, struct cel_value b,
                             unsigned depth);

static enum same same_text(struct cel_run *run, struct str a, struct str b)
{
    if (a.n != b.n)
        return SAME_NO;
    if (!cel_charge_bytes(run, a.n))
        return SAME_SPENT;
    return str_eq(a, b) ? SAME_YES : SAME_NO;
}

static enum same same_lists(struct cel_run *run, const struct cel_list *a, const struct cel_list *b,
                            unsigned depth)
{
    if (a->count != b->count)
        return SAME_NO;
    for (size_t i = 0; i < a->count; i++) {
        enum same same = same_values(run, a->items[i], b->items[i], depth);

        if (same != SAME_YES)
            return same;
    }
    return SAME_YES;
}

static enum same same_maps(struct cel_run *run, struct cel_value a, struct cel_value b,
                           unsigned depth)
{
    size_t count = cel_map_size(a);

    if (count != cel_map_size(b))
        return SAME_NO;
    for (size_t i = 0; i < count; i++) {
        struct cel_value key;
        struct cel_value value;
        struct cel_value other;
        enum same same;

        cel_map_entry(run, a, i, &key, &value);
        if (!cel_map_find(run, b, key, &other))
            return run->spent ? SAME_SPENT : SAME_NO;
        same = same_values(run, value, other, depth);
        if (same != SAME_YES)
            return same;
    }
    return SAME_YES;
}

static enum same same_objects(struct cel_run *run, const struct cel_object *a,
                              const struct cel_object *b, unsigned depth)
{
    if (a == b)
        return SAME_YES;
    if (a->type != b->type)
        return SAME_NO;
    for (size_t i = 0; i < a->type->field_count; i++) {
        enum same same = same_values(run, a->type->get(run, a, i), b->type->get(run, b, i), depth);

        if (same != SAME_YES)
            return same;
    }
    return SAME_YES;
}

static enum same same_optionals(struct cel_run *run, const struct cel_value *a,
                                const struct cel_value *b, unsigned depth)
{
    if (a == NULL || b == NULL)
        return a == b ? SAME_YES : SAME_NO;
    return same_values(run, *a, *b, depth);
}

static enum same same_nested(struct cel_run *run, struct cel_value a, struct cel_value b,
                             unsigned depth)
{
    if (depth >= run->limits->value_depth) {
        (void)cel_spent(run);
        return SAME_SPENT;
    }
    switch (a.kind) {
    case CEL_LIST:
        return same_lists(run, a.as.list, b.as.list, depth + 1);
    case CEL_MAP:
        return same_maps(run, a, b, depth + 1);
    case CEL_OBJECT:
        return same_objects(run, a.as.object, b.as.object, depth + 1);
    }
    return same_optionals(run, a.as.held, b.as.held, depth + 1);
}

static enum same same_values(struct cel_run *run, struct cel_value a, struct cel_value b,
                             unsigned depth)
{
    bool same = false;

    if (!cel_charge(run, 1))
        return SAME_SPENT;
    if (cel_is_number(a) && cel_is_number(b))
        return order_numbers(a, b) == CEL_SAME ? SAME_YES : SAME_NO;
    if (a.kind != b.kind)
        return SAME_NO;
    switch ((enum cel_kind)a.kind) {
    case CEL_STRING:
    case CEL_BYTES:
        return same_text(run, cel_str(a), cel_str(b));
    case CEL_LIST:
    case CEL_MAP:
    case CEL_OPTIONAL:
    case CEL_OBJECT:
        return same_nested(run, a, b, depth);
    case CEL_NULL:
        same = true;
        break;
    case CEL_BOOL:
        same = a.as.b == b.as.b;
        break;
    case CEL_TIMESTAMP:
        same = a.as.i == b.as.i && a.n == b.n;
        break;
    case CEL_DURATION:
        same = a.as.i == b.as.i;
        break;
    case CEL_TYPE:
        same = str_eq(cel_str(a), cel_str(b));
        break;
    case CEL_IP:
        same = addr_ip_equal(a.as.ip, b.as.ip);
        break;
    case CEL_CIDR:
        same =
            addr_ip_equal(&a.as.cidr->base, &b.as.cidr->base) && a.as.cidr->bits == b.as.cidr->bits;
        break;
    case CEL_INT: /* numbers are dealt with above */
    case CEL_UINT:
    case CEL_DOUBLE:
    case CEL_ERROR: /* equal to nothing: a host's object may hold one */
        break;
    }
    return same ? SAME_YES : SAME_NO;
}

struct cel_value cel_equal(struct cel_run *run, struct cel_value a, struct cel_value b)
{
    enum same same = same_values(run, a, b, 0);

    return same == SAME_SPENT ? cel_spent(run) : cel_bool(same == SAME_YES);
}

/* ---- lists ---- */

struct cel_value cel_list_new(struct cel_run *run, const struct cel_value *items, size_t count)
{
    struct cel_list *list;
    struct cel_value *copy;

    if (count > run->limits->entries)
        return cel_spent(run);
    list = cel_alloc(run, sizeof(*list) + count * sizeof(*items));
    if (list == NULL)
        return cel_spent(run);
    copy = (struct cel_value *)(list + 1);
    if (count > 0)
        memcpy(copy, items, count * sizeof(*items));
    *list = (struct cel_list){ .items = copy, .count = count };
    return cel_list_of(list);
}
