#include "policy/cel/access.h"

/* Doubles up to here are exact, and no list is as long. */
#define WHOLE_MAX 9007199254740992.0

/* What looking something up comes to; with LOOKUP_ERROR the value is the error. */
enum lookup { LOOKUP_FOUND, LOOKUP_MISSING, LOOKUP_ERROR };

struct cel_value cel_optional_of(struct cel_run *run, struct cel_value v)
{
    struct cel_value *held = cel_alloc(run, sizeof(*held));

    if (held == NULL)
        return cel_spent(run);
    *held = v;
    return cel_optional(held);
}

static enum lookup fail(struct cel_value *out, struct cel_value error)
{
    *out = error;
    return LOOKUP_ERROR;
}

static enum lookup look_up_map(struct cel_run *run, struct cel_value map, struct cel_value key,
                               struct cel_value *out)
{
    if (!cel_map_find(run, map, key, out))
        return run->spent ? fail(out, cel_spent(run)) : LOOKUP_MISSING;
    return cel_is_error(*out) ? LOOKUP_ERROR : LOOKUP_FOUND;
}

/* The index that a whole number is; a negative one is past any end. */
static bool to_index(struct cel_value key, uint64_t *index)
{
    double d = key.as.d;

    switch (key.kind) {
    case CEL_INT:
        *index = key.as.i < 0 ? UINT64_MAX : (uint64_t)key.as.i;
        return true;
    case CEL_UINT:
        *index = key.as.u;
        return true;
    case CEL_DOUBLE:
        if (!(d > -WHOLE_MAX && d < WHOLE_MAX) || (double)(int64_t)d != d)
            return false;
        *index = d < 0 ? UINT64_MAX : (uint64_t)d;
        return true;
    }
    return false;
}

static enum lookup look_up_list(struct cel_run *run, const struct cel_list *list,
                                struct cel_value key, struct cel_value *out)
{
    uint64_t index;

    if (!to_index(key, &index))
        return fail(out, cel_error(run, "the index of a list must be a whole number"));
    if (index >= list->count)
        return LOOKUP_MISSING;
    *out = list->items[index];
    return cel_is_error(*out) ? LOOKUP_ERROR : LOOKUP_FOUND;
}

static enum lookup look_up_index(struct cel_run *run, struct cel_value operand,
                                 struct cel_value key, struct cel_value *out)
{
    if (operand.kind == CEL_MAP)
        return look_up_map(run, operand, key, out);
    if (operand.kind == CEL_LIST)
        return look_up_list(run, operand.as.list, key, out);
    return fail(out, cel_error(run, "only lists and maps have an index"));
}

/* ---- fields ---- */

static size_t find_field(const struct cel_object_type *type, struct str name)
{
    size_t i = 0;

    while (i < type->field_count && !str_eq(str_from(type->fields[i].name), name))
        i++;
    return i;
}

struct cel_field cel_field_of(struct str name, const struct cel_object_type *type)
{
    return (struct cel_field){
        .name = cel_string(name),
        .type = type,
        .index = type != NULL ? find_field(type, name) : 0,
    };
}

static size_t field_index(const struct cel_object *object, const struct cel_field *field)
{
    return object->type == field->type ? field->index
                                       : find_field(object->type, cel_str(field->name));
}

/* `must_have`: a field that is there but not set counts as missing. */
static enum lookup look_up_object(struct cel_run *run, const struct cel_object *object,
                                  const struct cel_field *field, bool must_have,
                                  struct cel_value *out)
{
    size_t index = field_index(object, field);

    if (index >= object->type->field_count)
        return fail(out, cel_error(run, "no such field '%.*s'", STR_ARG(cel_str(field->name))));
    if (must_have && !object->type->has(object, index))
        return LOOKUP_MISSING;
    *out = object->type->get(run, object, index);
    return cel_is_error(*out) ? LOOKUP_ERROR : LOOKUP_FOUND;
}

static enum lookup look_up_field(struct cel_run *run, struct cel_value operand,
                                 const struct cel_field *field, bool must_have,
                                 struct cel_value *out)
{
    struct str type;

    if (operand.kind == CEL_MAP)
        return look_up_map(run, operand, field->name, out);
    if (operand.kind == CEL_OBJECT)
        return look_up_object(run, operand.as.object, field, must_have, out);
    type = cel_type_name(operand);
    return fail(out, cel_error(run, "a value of type %.*s has no field '%.*s'", STR_ARG(type),
                               STR_ARG(cel_str(field->name))));
}

/* ---- what a lookup means ---- */

static struct cel_value optional_result(struct cel_run *run, enum lookup lookup,
                                        struct cel_value out)
{
    switch (lookup) {
    case LOOKUP_FOUND:
        return cel_optional_of(run, out);
    case LOOKUP_MISSING:
        return cel_optional(NULL);
    case LOOKUP_ERROR:
        break;
    }
    return out;
}

static struct cel_value has_result(enum lookup lookup, struct cel_value out)
{
    return lookup == LOOKUP_ERROR ? out : cel_bool(lookup == LOOKUP_FOUND);
}

/* True for optional.none(); of any other optional it takes what is held. */
static bool is_none(struct cel_value *operand)
{
    if (operand->kind != CEL_OPTIONAL)
        return false;
    if (operand->as.held == NULL)
        return true;
    *operand = *operand->as.held;
    return false;
}

/* The results of an action that has not run have nothing below (spec traffic-policy 4.11, D27). */
static bool is_absent(struct cel_value operand)
{
    return operand.kind == CEL_NULL && operand.absent;
}

/* Headers, cookies and query parameters read as an empty list (spec traffic-policy 3.6, D17). */
static bool is_empty_when_missing(struct cel_value operand)
{
    return operand.kind == CEL_MAP && operand.as.map->ops->missing_is_empty;
}

static struct cel_value empty_list(void)
{
    static const struct cel_list empty = { .count = 0 };

    return cel_list_of(&empty);
}

struct cel_value cel_select(struct cel_run *run, struct cel_value operand,
                            const struct cel_field *field)
{
    struct cel_value out = cel_null();

    if (operand.kind == CEL_OPTIONAL)
        return cel_select_optional(run, operand, field);
    if (look_up_field(run, operand, field, false, &out) != LOOKUP_MISSING)
        return out;
    if (is_empty_when_missing(operand))
        return empty_list();
    return cel_error(run, "no such key '%.*s'", STR_ARG(cel_str(field->name)));
}

struct cel_value cel_select_optional(struct cel_run *run, struct cel_value operand,
                                     const struct cel_field *field)
{
    struct cel_value out = cel_null();

    if (is_none(&operand))
        return operand;
    return optional_result(run, look_up_field(run, operand, field, true, &out), out);
}

struct cel_value cel_has(struct cel_run *run, struct cel_value operand,
                         const struct cel_field *field)
{
    struct cel_value out = cel_null();

    if (is_none(&operand) || is_absent(operand))
        return cel_bool(false);
    return has_result(look_up_field(run, operand, field, true, &out), out);
}

struct cel_value cel_index(struct cel_run *run, struct cel_value operand, struct cel_value key)
{
    struct cel_value out = cel_null();

    if (operand.kind == CEL_OPTIONAL)
        return cel_index_optional(run, operand, key);
    if (look_up_index(run, operand, key, &out) != LOOKUP_MISSING)
        return out;
    if (is_empty_when_missing(operand))
        return empty_list();
    return operand.kind == CEL_LIST ? cel_error(run, "the index is outside of the list")
                                    : cel_error(run, "no such key");
}

struct cel_value cel_index_optional(struct cel_run *run, struct cel_value operand,
                                    struct cel_value key)
{
    struct cel_value out = cel_null();

    if (is_none(&operand))
        return operand;
    return optional_result(run, look_up_index(run, operand, key, &out), out);
}

struct cel_value cel_has_index(struct cel_run *run, struct cel_value operand, struct cel_value key)
{
    struct cel_value out = cel_null();

    if (is_none(&operand) || is_absent(operand))
        return cel_bool(false);
    return has_result(look_up_index(run, operand, key, &out), out);
}
