/*
 * Bodies (spec 1.5): what clients send for "not set" differs, so "", null and empty lists are told
 * apart from values with care, and what is unknown is only refused when it carries something.
 */
#include <string.h>

#include "tunnel/api/api_int.h"

enum { NAMES_MAX_BYTES = 512, SHOWN_MAX_BYTES = 64 };

/* "", null, [], {} and false. */
static bool is_empty(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING:
        return json_string_length(v) == 0;
    case JSON_ARRAY:
        return json_array_size(v) == 0;
    case JSON_OBJECT:
        return json_object_size(v) == 0;
    case JSON_NULL:
    case JSON_FALSE:
        return true;
    case JSON_TRUE:
    case JSON_INTEGER:
    case JSON_REAL:
        return false;
    }
    return false;
}

/* ---- from text ------------------------------------------------------------------------------ */

static int check_content_type(struct api_call *c)
{
    struct str type = c->request->content_type;

    if (type.p == NULL)
        return api_fail(c, API_NO_CONTENT_TYPE,
                        "The Content-Type header is missing; it must be application/json.");
    type = str_trim_ows(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_eq_nocase(type, STR("application/json")))
        return api_fail(c, API_CONTENT_TYPE, "The content type must be application/json.");
    return 0;
}

/* The body as a JSON object; an empty one is {}. */
static int parse_body(struct api_call *c, json_t **body)
{
    struct str text = c->request->body;
    json_error_t problem;

    if (text.n == 0) {
        *body = json_object();
        return 0;
    }
    if (check_content_type(c) == -1)
        return -1;
    *body = json_loadb(text.p, text.n, 0, &problem);
    if (*body == NULL)
        return api_fail(c, API_BODY_SYNTAX, "The body is not valid JSON: line %d, column %d: %s.",
                        problem.line, problem.column, problem.text);
    if (!json_is_object(*body)) {
        json_decref(*body);
        return api_fail(c, API_BODY_SYNTAX, "The body must be a JSON object.");
    }
    return 0;
}

/* ---- single values -------------------------------------------------------------------------- */

static enum api_code code_or(enum api_code code)
{
    return code != API_OK ? code : API_FIELD_VALUE;
}

static int check_text(struct api_call *c, const struct api_field *f, const json_t *v)
{
    size_t max = f->max_bytes != 0 ? f->max_bytes : API_TEXT_MAX_BYTES;
    const char *const *choice = f->choices;

    if (!json_is_string(v))
        return api_fail(c, API_FIELD_VALUE, "The field %s must be %s.", f->name,
                        f->type == API_STRINGS ? "a list of strings" : "a string");
    if (json_string_length(v) > max)
        return api_fail(c, code_or(f->too_long), "The field %s has %zu bytes; it may have %zu.",
                        f->name, json_string_length(v), max);
    if (choice == NULL || json_string_length(v) == 0)
        return 0;
    while (*choice != NULL && strcmp(*choice, json_string_value(v)) != 0)
        choice++;
    if (*choice == NULL)
        return api_fail(c, code_or(f->bad_choice), "The field %s cannot be \"%.*s\".", f->name,
                        STR_ARG(str_slice(str_from(json_string_value(v)), 0, SHOWN_MAX_BYTES)));
    return 0;
}

static int check_list(struct api_call *c, const struct api_field *f, const json_t *v)
{
    size_t max = f->max_items != 0 ? f->max_items : API_ITEMS_MAX;
    size_t i;
    json_t *item;

    if (!json_is_array(v))
        return api_fail(c, API_FIELD_VALUE, "The field %s must be a list.", f->name);
    if (json_array_size(v) > max)
        return api_fail(c, code_or(f->too_long), "The field %s has %zu entries; it may have %zu.",
                        f->name, json_array_size(v), max);
    json_array_foreach(v, i, item)
    {
        if (f->type == API_STRINGS && check_text(c, f, item) == -1)
            return -1;
        if (f->type == API_OBJECTS && !json_is_object(item))
            return api_fail(c, API_FIELD_VALUE, "The field %s must be a list of objects.", f->name);
    }
    return 0;
}

static int check_value(struct api_call *c, const struct api_field *f, const json_t *v)
{
    switch (f->type) {
    case API_STRING:
    case API_TIME:
    case API_REF:
        return check_text(c, f, v);
    case API_STRINGS:
    case API_OBJECTS:
        return check_list(c, f, v);
    case API_BOOL:
        if (!json_is_boolean(v))
            return api_fail(c, API_FIELD_VALUE, "The field %s must be true or false.", f->name);
        return 0;
    case API_INTEGER:
        if (!json_is_integer(v))
            return api_fail(c, API_FIELD_VALUE, "The field %s must be an integer.", f->name);
        return 0;
    case API_OBJECT:
        if (!json_is_object(v))
            return api_fail(c, API_FIELD_VALUE, "The field %s must be an object.", f->name);
        return 0;
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int fail_unknown(struct api_call *c, const struct api_resource *r, unsigned allowed,
                        const char *name)
{
    struct buf names;
    int rc;

    buf_init(&names, NAMES_MAX_BYTES);
    for (size_t i = 0; i < r->field_count; i++) {
        if ((r->fields[i].where & allowed) != 0)
            buf_add_fmt(&names, "%s%s", names.len > 0 ? ", " : "", r->fields[i].name);
    }
    rc =
        api_fail(c, API_FIELD_UNKNOWN, "The field \"%.*s\" is not supported here; there are: %.*s.",
                 STR_ARG(str_slice(str_from(name), 0, SHOWN_MAX_BYTES)), STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return rc;
}

/* True if the member has this value already, as it is stored or as answers show it. */
static bool is_current(struct api_call *c, const struct api_resource *r, const json_t *before,
                       const char *name, const json_t *value)
{
    const json_t *stored = json_object_get(before, name);
    json_t *shown;
    bool same;

    if (stored != NULL)
        return json_equal(stored, value) != 0;
    shown = api_show(c, r, before);
    same = shown != NULL && json_equal(json_object_get(shown, name), value) != 0;
    json_decref(shown);
    return same;
}

/* Takes one member of the body into the input, unless it counts as absent. */
static int take_member(struct api_call *c, const struct api_resource *r, const json_t *before,
                       const char *name, json_t *value, json_t *input)
{
    const struct api_field *f = api_field_find(r, str_from(name));
    unsigned allowed = before == NULL ? API_C : API_U;

    if (strcmp(name, "id") == 0 || json_is_null(value))
        return 0;
    if (f == NULL || (f->where & allowed) == 0) {
        if (is_empty(value) || (before != NULL && is_current(c, r, before, name, value)))
            return 0;
        return fail_unknown(c, r, allowed, name);
    }
    if (json_is_string(value) && json_string_length(value) == 0) {
        if (before == NULL)
            return 0;
        if ((f->where & API_REQUIRED) != 0)
            return api_fail(c, code_or(f->missing), "The field %s must not be empty.", f->name);
    }
    if (check_value(c, f, value) == -1)
        return -1;
    (void)json_object_set(input, name, value);
    return 0;
}

static int check_complete(struct api_call *c, const struct api_resource *r, const json_t *before,
                          const json_t *input)
{
    if (before != NULL && json_object_size(input) == 0 && !r->allows_empty_update)
        return api_fail(c, code_or(r->empty_update), "The update has no values.");
    for (size_t i = 0; before == NULL && i < r->field_count; i++) {
        const struct api_field *f = &r->fields[i];

        if ((f->where & API_REQUIRED) != 0 && json_object_get(input, f->name) == NULL)
            return api_fail(c, code_or(f->missing), "The field %s is missing.", f->name);
    }
    return 0;
}

int api_body_read(struct api_call *c, const struct api_resource *r, const json_t *before,
                  json_t **input)
{
    json_t *body;
    const char *name;
    json_t *value;
    int rc = 0;

    if (parse_body(c, &body) == -1)
        return -1;
    *input = json_object();
    json_object_foreach(body, name, value)
    {
        rc = take_member(c, r, before, name, value, *input);
        if (rc == -1)
            break;
    }
    json_decref(body);
    if (rc == 0)
        rc = check_complete(c, r, before, *input);
    if (rc == -1)
        json_decref(*input);
    return rc;
}
