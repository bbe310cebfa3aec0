#include "policy/fields.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

enum { KNOWN_KEYS_BYTES = 160 };

void fields_at(struct fields *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(c->place, sizeof(c->place), fmt, ap); /* a cut place still helps */
    va_end(ap);
}

static bool is_known(const char *key, const char *const *known)
{
    for (size_t i = 0; known[i] != NULL; i++) {
        if (strcmp(key, known[i]) == 0)
            return true;
    }
    return false;
}

static int refuse_key(const char *key, const char *const *known, enum err_code code, struct err *e)
{
    struct buf names;

    buf_init(&names, KNOWN_KEYS_BYTES);
    for (size_t i = 0; known[i] != NULL; i++)
        buf_add_fmt(&names, "%s%s", i > 0 ? ", " : "", known[i]);
    (void)err_set(e, code, "unknown key '%.40s'; known: %.*s", key, STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return -1;
}

json_t *fields_iterable(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

int fields_check_keys(const json_t *object, const char *const *known, enum err_code code,
                      struct err *e)
{
    json_t *o = fields_iterable(object);

    for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
        if (!is_known(json_object_iter_key(it), known))
            return refuse_key(json_object_iter_key(it), known, code, e);
    }
    return 0;
}

int fields_open(struct fields *c, const char *const *known)
{
    if (c->json == NULL)
        return 0;
    if (!json_is_object(c->json))
        return fields_wrong_type(c, "a mapping");
    return fields_check_keys(c->json, known, E_POLICY_CONFIG, c->e);
}

int fields_missing(struct fields *c, const char *key)
{
    fields_at(c, "%s", key);
    return err_set(c->e, E_POLICY_MISSING, "it is required and must not be empty");
}

int fields_wrong_type(struct fields *c, const char *wanted)
{
    return err_set(c->e, E_POLICY_CONFIG, "it must be %s", wanted);
}

int fields_bool(struct fields *c, const char *key, bool *out)
{
    const json_t *value = json_object_get(c->json, key);

    if (value == NULL)
        return 0;
    fields_at(c, "%s", key);
    if (!json_is_boolean(value))
        return fields_wrong_type(c, "true or false");
    *out = json_is_true(value);
    return 0;
}

int fields_str(struct fields *c, const char *key, struct str *out)
{
    const json_t *value = json_object_get(c->json, key);

    if (value == NULL)
        return 0;
    fields_at(c, "%s", key);
    if (!json_is_string(value))
        return fields_wrong_type(c, "a string");
    *out = fields_json_str(value);
    return 0;
}

int fields_list(struct fields *c, const char *key, size_t max, const json_t **out)
{
    const json_t *value = json_object_get(c->json, key);

    *out = NULL;
    if (value == NULL)
        return 0;
    fields_at(c, "%s", key);
    if (!json_is_array(value))
        return fields_wrong_type(c, "a list");
    if (json_array_size(value) > max)
        return err_set(c->e, E_POLICY_LIST_LENGTH, "%zu entries, at most %zu are allowed",
                       json_array_size(value), max);
    *out = value;
    return 0;
}

int fields_list_str(struct fields *c, const char *key, const json_t *list, size_t index,
                    struct str *out)
{
    const json_t *value = json_array_get(list, index);

    fields_at(c, "%s[%zu]", key, index);
    if (!json_is_string(value))
        return fields_wrong_type(c, "a string");
    *out = fields_json_str(value);
    return 0;
}

int fields_check_literal(struct fields *c, struct str value)
{
    if (str_find(value, STR("${")) == value.n)
        return 0;
    return err_set(c->e, E_POLICY_TEMPLATE,
                   "\"${\" starts an expression, and expressions are not available on this "
                   "gateway; give a fixed value");
}

struct str fields_json_str(const json_t *string)
{
    return str_of(json_string_value(string), json_string_length(string));
}

size_t fields_chars(struct str s)
{
    size_t chars = 0;

    for (size_t i = 0; i < s.n; i++)
        chars += ((unsigned char)s.p[i] & 0xC0) != 0x80; /* not a UTF-8 continuation byte */
    return chars;
}
