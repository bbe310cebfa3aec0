#include "policy/body_field.h"

#include <stdbool.h>

static int missing(struct err *e)
{
    return err_set(e, E_TOKEN_FIELD, "the field with the token is missing");
}

static int too_long(struct err *e, size_t max_bytes)
{
    return err_set(e, E_TOKEN_MALFORMED, "the token is malformed: more than %zu bytes", max_bytes);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* How many values the text can hold at most: its commas and brackets outside of strings. */
static size_t count_values(struct str text)
{
    size_t count = 1;
    bool quoted = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else
            count += c == ',' || c == '[' || c == '{';
    }
    return count;
}

static int open_json(struct body_fields *b, struct err *e)
{
    struct str text = b->text;

    if (count_values(text) > BODY_FIELD_VALUES_MAX)
        return err_set(e, E_TOKEN_JSON, "the body has more than %d values", BODY_FIELD_VALUES_MAX);
    /* A NUL is never JSON, but behind the end of it jansson overlooks one. */
    if (text.n > 0 && str_find_char(text, '\0') == text.n)
        b->json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(b->json))
        return err_set(e, E_TOKEN_JSON, "the body is no JSON object");
    return 0;
}

static int find_member(const struct body_fields *b, struct str name, const json_t **out,
                       struct err *e)
{
    *out = NULL;
    for (void *i = json_object_iter(b->json); i != NULL; i = json_object_iter_next(b->json, i)) {
        struct str key = str_of(json_object_iter_key(i), json_object_iter_key_len(i));

        if (!str_eq_nocase(key, name))
            continue;
        if (*out != NULL)
            return err_set(e, E_TOKEN_JSON, "the field with the token is there twice");
        *out = json_object_iter_value(i);
    }
    return *out == NULL ? missing(e) : 0;
}

static int find_json(const struct body_fields *b, struct arena *a, struct str name,
                     size_t max_bytes, struct str *out, struct err *e)
{
    const json_t *member;

    if (find_member(b, name, &member, e) == -1)
        return -1;
    if (!json_is_string(member))
        return err_set(e, E_TOKEN_MALFORMED, "the field with the token is no string");
    if (json_string_length(member) > max_bytes)
        return too_long(e, max_bytes);
    *out = arena_str(a, str_of(json_string_value(member), json_string_length(member)));
    return 0;
}

/* ---- forms ----------------------------------------------------------------------------------- */

enum { FORM_END = -1, FORM_BAD = -2 };

/* The next byte of an encoded name or value, or one of the above. */
static int form_next(struct str *rest)
{
    int high;
    int low;
    char c;

    if (rest->n == 0)
        return FORM_END;
    c = rest->p[0];
    if (c != '%') {
        *rest = str_skip(*rest, 1);
        return c == '+' ? ' ' : (unsigned char)c;
    }
    high = rest->n > 2 ? char_hex_value(rest->p[1]) : -1;
    low = rest->n > 2 ? char_hex_value(rest->p[2]) : -1;
    *rest = str_skip(*rest, 3);
    return high == -1 || low == -1 ? FORM_BAD : high << 4 | low;
}

static bool form_is_bad(struct str encoded)
{
    int c;

    do
        c = form_next(&encoded);
    while (c >= 0);
    return c == FORM_BAD;
}

static bool form_is_name(struct str encoded, struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        int c = form_next(&encoded);

        if (c < 0 || char_lower((char)c) != char_lower(name.p[i]))
            return false;
    }
    return encoded.n == 0;
}

static int open_form(const struct body_fields *b, struct err *e)
{
    struct str rest = b->text;
    struct str pair;

    while (str_next(&rest, '&', &pair)) {
        if (form_is_bad(pair))
            return err_set(e, E_TOKEN_FORM, "the body has a bad %%-escape");
    }
    return 0;
}

static int decode_form(struct arena *a, struct str encoded, size_t max_bytes, struct str *out,
                       struct err *e)
{
    char *text = arena_alloc(a, encoded.n < max_bytes ? encoded.n : max_bytes);
    size_t n = 0;

    for (int c = form_next(&encoded); c >= 0; c = form_next(&encoded)) {
        if (n == max_bytes)
            return too_long(e, max_bytes);
        text[n++] = (char)c;
    }
    *out = str_of(text, n);
    return 0;
}

static int find_form(const struct body_fields *b, struct arena *a, struct str name,
                     size_t max_bytes, struct str *out, struct err *e)
{
    struct str value = STR_NONE;
    struct str rest = b->text;
    struct str pair;
    bool found = false;

    while (str_next(&rest, '&', &pair)) {
        size_t sign = str_find_char(pair, '=');

        if (!form_is_name(str_slice(pair, 0, sign), name))
            continue;
        if (found)
            return err_set(e, E_TOKEN_FORM, "the field with the token is there twice");
        found = true;
        value = str_skip(pair, sign + 1);
    }
    return found ? decode_form(a, value, max_bytes, out, e) : missing(e);
}

/* ---- either ---------------------------------------------------------------------------------- */

int body_fields_open(struct body_fields *b, enum body_format format, struct str text, struct err *e)
{
    *b = (struct body_fields){ .format = format, .text = text };
    return format == BODY_JSON ? open_json(b, e) : open_form(b, e);
}

void body_fields_close(struct body_fields *b)
{
    json_decref(b->json);
    b->json = NULL;
}

int body_fields_find(const struct body_fields *b, struct arena *a, struct str name,
                     size_t max_bytes, struct str *out, struct err *e)
{
    return b->format == BODY_JSON ? find_json(b, a, name, max_bytes, out, e)
                                  : find_form(b, a, name, max_bytes, out, e);
}
