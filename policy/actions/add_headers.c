/* add-headers: appends fixed fields to the message of its phase (spec traffic-policy 6.1). */
#include <stdio.h>

#include "base/mem.h"
#include "policy/action.h"
#include "policy/header_rule.h"

struct field {
    char *name;  /* owned; lower case */
    char *value; /* owned */
};

struct add_headers {
    size_t count;
    struct field fields[HEADER_RULE_FIELDS_MAX];
};

enum { NUMBER_TEXT_BYTES = 24 };

/* The text of a value: strings as they are, and the scalars that people write without quotes. A
 * real number has no one text, so its writer has to choose. */
static int value_text(struct fields *c, const json_t *json, char number[NUMBER_TEXT_BYTES],
                      struct str *out)
{
    if (json_is_string(json)) {
        *out = str_trim_ows(fields_json_str(json));
        return 0;
    }
    if (json_is_boolean(json)) {
        *out = json_is_true(json) ? STR("true") : STR("false");
        return 0;
    }
    if (!json_is_integer(json))
        return fields_wrong_type(c, "a string");
    (void)snprintf(number, NUMBER_TEXT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    *out = str_from(number);
    return 0;
}

static bool has_field(const struct add_headers *a, struct str name)
{
    for (size_t i = 0; i < a->count; i++) {
        if (str_eq_nocase(str_from(a->fields[i].name), name))
            return true;
    }
    return false;
}

static int add_field(struct fields *c, struct add_headers *a, struct str name, const json_t *json)
{
    char number[NUMBER_TEXT_BYTES];
    struct str value = STR_NONE;
    struct field *f;

    fields_at(c, "headers.%.*s", STR_ARG(name));
    if (header_rule_check_name(c, name) == -1 || value_text(c, json, number, &value) == -1 ||
        fields_check_literal(c, value) == -1 || header_rule_check_value(c, name, value) == -1)
        return -1;
    if (has_field(a, name))
        return err_set(c->e, E_HEADER_TWICE, "header '%.*s' is given twice; case does not matter",
                       STR_ARG(str_slice(name, 0, 64)));
    f = &a->fields[a->count++];
    f->name = str_dup(name);
    f->value = str_dup(value);
    for (char *p = f->name; *p != '\0'; p++)
        *p = char_lower(*p);
    return 0;
}

static int read_headers(struct fields *c, struct add_headers *a)
{
    json_t *headers = json_object_get(c->json, "headers");

    fields_at(c, "headers");
    if (headers != NULL && !json_is_object(headers))
        return fields_wrong_type(c, "a mapping of header names to values");
    if (json_object_size(headers) == 0)
        return fields_missing(c, "headers");
    if (json_object_size(headers) > HEADER_RULE_FIELDS_MAX)
        return err_set(c->e, E_POLICY_HEADER_TOO_MANY, "%zu headers, at most %d are allowed",
                       json_object_size(headers), HEADER_RULE_FIELDS_MAX);
    for (void *it = json_object_iter(headers); it != NULL;
         it = json_object_iter_next(headers, it)) {
        struct str name = str_of(json_object_iter_key(it), json_object_iter_key_len(it));

        if (add_field(c, a, name, json_object_iter_value(it)) == -1)
            return -1;
    }
    return 0;
}

void *add_headers_compile(struct fields *c)
{
    static const char *const known[] = { "headers", NULL };
    struct add_headers *a = mem_zalloc(sizeof(*a));

    if (fields_open(c, known) == -1 || read_headers(c, a) == -1) {
        add_headers_free(a);
        return NULL;
    }
    return a;
}

enum policy_verdict add_headers_run(const void *compiled, const struct action_run *run)
{
    const struct add_headers *a = compiled;

    for (size_t i = 0; i < a->count; i++) {
        struct str name = str_from(a->fields[i].name);

        /* A message has one Host, so it is replaced where others are appended. */
        if (str_eq(name, STR("host")))
            (void)run->host->header_remove(run->ctx, name);
        run->host->header_add(run->ctx, name, str_from(a->fields[i].value));
    }
    return POLICY_CONTINUE;
}

void add_headers_free(void *compiled)
{
    struct add_headers *a = compiled;

    if (a == NULL)
        return;
    for (size_t i = 0; i < a->count; i++) {
        mem_free(a->fields[i].name);
        mem_free(a->fields[i].value);
    }
    mem_free(a);
}
