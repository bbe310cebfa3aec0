/*
 * fn_json: JSON text and values (spec traffic-policy 5.7).
 */
#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"

/* Keys in ascending order, so that the same value always has the same text. */
static struct cel_value encode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_to_json(run, args[0], true);
}

static struct cel_value decode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_from_json(run, cel_str(args[0]));
}

static struct cel_value is_json(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value v = cel_from_json(run, cel_str(args[0]));

    (void)count;
    return run->spent ? cel_spent(run) : cel_bool(!cel_is_error(v));
}

static const struct cel_fn_row rows[] = {
    { "json.encode(dyn) -> string", encode, CEL_FN_PURE },
    { "json.decode(string) -> dyn", decode, CEL_FN_PURE },
    { "list(T).encodeJson() -> string", encode, CEL_FN_PURE },
    { "map(K, V).encodeJson() -> string", encode, CEL_FN_PURE },
    { "string.decodeJson() -> dyn", decode, CEL_FN_PURE },
    { "string.isJson() -> bool", is_json, CEL_FN_PURE },
};

const struct cel_library cel_json_library = { rows, sizeof(rows) / sizeof(rows[0]) };
