/*
 * fn_optionals: making and opening optionals (spec cel 6). or(), orValue(), optMap() and
 * optFlatMap() are macros, because they need their right side only sometimes.
 */
#include "policy/cel/access.h"
#include "policy/cel/fn.h"

static struct cel_value of(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_optional_of(run, args[0]);
}

static struct cel_value none(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)args;
    (void)count;
    return cel_optional(NULL);
}

static bool is_zero(struct cel_value v)
{
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
        return true;
    case CEL_BOOL:
        return !v.as.b;
    case CEL_INT:
    case CEL_DURATION:
        return v.as.i == 0;
    case CEL_UINT:
        return v.as.u == 0;
    case CEL_DOUBLE:
        return v.as.d == 0;
    case CEL_STRING:
    case CEL_BYTES:
        return v.n == 0;
    case CEL_LIST:
        return v.as.list->count == 0;
    case CEL_MAP:
        return cel_map_size(v) == 0;
    case CEL_TIMESTAMP: /* these have no zero */
    case CEL_TYPE:
    case CEL_OPTIONAL:
    case CEL_IP:
    case CEL_CIDR:
    case CEL_OBJECT:
    case CEL_ERROR:
        break;
    }
    return false;
}

static struct cel_value of_non_zero(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return is_zero(args[0]) ? cel_optional(NULL) : cel_optional_of(run, args[0]);
}

static struct cel_value has_value(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(args[0].as.held != NULL);
}

static struct cel_value value(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return args[0].as.held != NULL ? *args[0].as.held : cel_error(run, "the optional has no value");
}

static const struct cel_fn_row rows[] = {
    { "optional.of(T) -> optional_type(T)", of, CEL_FN_PURE },
    { "optional.none() -> optional_type(T)", none, CEL_FN_PURE },
    { "optional.ofNonZeroValue(T) -> optional_type(T)", of_non_zero, CEL_FN_PURE },
    { "optional_type(T).hasValue() -> bool", has_value, CEL_FN_PURE },
    { "optional_type(T).value() -> T", value, CEL_FN_PURE },
};

const struct cel_library cel_optionals_library = { rows, sizeof(rows) / sizeof(rows[0]) };
