/*
 * JSON in both directions. jansson reads, because it refuses what is no JSON exactly; writing goes
 * straight into the arena of the run: a tree of jansson's between would cost an allocation for
 * every value.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "policy/cel/cel.h"
#include "policy/cel/text.h"
#include "policy/cel/time.h"

/* Integers beyond it are not exact in readers that keep numbers as doubles. */
#define JSON_INT_MAX INT64_C(9007199254740991)

struct writer {
    struct cel_text text;
    struct cel_run *run; /* borrowed */
    bool sorted;
    struct cel_value error; /* the first CEL_ERROR inside of the value; CEL_NULL: none */
};

struct member {
    struct str name;
    struct cel_value value;
};

static void write_value(struct writer *w, struct cel_value v, unsigned depth);

/* ---- writing: scalars ---- */

static void write_escape(struct cel_text *t, char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *at = c != '\0' ? strchr(plain, c) : NULL;

    cel_text_add_char(t, '\\');
    if (at != NULL) {
        cel_text_add_char(t, letters[at - plain]);
        return;
    }
    cel_text_add(t, STR("u00"));
    cel_text_add_char(t, hex[(uint8_t)c >> 4]);
    cel_text_add_char(t, hex[(uint8_t)c & 15]);
}

static void write_string(struct cel_text *t, struct str s)
{
    size_t from = 0;

    cel_text_add_char(t, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if ((uint8_t)c >= 0x20 && c != '"' && c != '\\')
            continue;
        cel_text_add(t, str_slice(s, from, i));
        write_escape(t, c);
        from = i + 1;
    }
    cel_text_add(t, str_skip(s, from));
    cel_text_add_char(t, '"');
}

static void write_quoted(struct cel_text *t, struct str s)
{
    cel_text_add_char(t, '"');
    cel_text_add(t, s);
    cel_text_add_char(t, '"');
}

static void write_number(struct cel_text *t, struct str digits, bool exact)
{
    if (exact)
        cel_text_add(t, digits);
    else
        write_quoted(t, digits);
}

static void write_double(struct cel_text *t, double d)
{
    char text[CEL_DOUBLE_BYTES];

    if (isinf(d))
        write_quoted(t, d < 0 ? STR("-Infinity") : STR("Infinity"));
    else
        write_number(t, cel_double_text(d, CEL_DOUBLE_PLAIN, text), !isnan(d));
}

static void write_bytes(struct writer *w, struct str s)
{
    size_t n = base64_text_bytes(s.n);
    char *p = cel_text_alloc(w->run, n);

    if (p == NULL) {
        w->text.failed = true;
        return;
    }
    base64_encode(s, p);
    write_quoted(&w->text, str_of(p, n));
}

/* A value that JSON has no form for, as a string. */
static void write_text_of(struct writer *w, struct cel_value v)
{
    struct cel_value text =
        v.kind == CEL_DURATION ? cel_duration_format(w->run, v) : cel_to_text(w->run, v);

    if (cel_is_error(text))
        w->error = text;
    else
        write_string(&w->text, cel_str(text));
}

/* ---- writing: lists, maps, objects ---- */

static void write_list(struct writer *w, const struct cel_list *list, unsigned depth)
{
    cel_text_add_char(&w->text, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            cel_text_add_char(&w->text, ',');
        write_value(w, list->items[i], depth);
        if (w->text.failed || cel_is_error(w->error))
            return;
    }
    cel_text_add_char(&w->text, ']');
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int c = n > 0 ? memcmp(x->name.p, y->name.p, n) : 0;

    return c != 0 ? c : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

static void write_members(struct writer *w, struct member *members, size_t count, unsigned depth)
{
    if (w->sorted && count > 1)
        qsort(members, count, sizeof(*members), compare_members);
    cel_text_add_char(&w->text, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            cel_text_add_char(&w->text, ',');
        write_string(&w->text, members[i].name);
        cel_text_add_char(&w->text, ':');
        write_value(w, members[i].value, depth);
        if (w->text.failed || cel_is_error(w->error))
            return;
    }
    cel_text_add_char(&w->text, '}');
}

static void write_map(struct writer *w, struct cel_value map, unsigned depth)
{
    size_t count = cel_map_size(map);
    struct member *members = cel_alloc(w->run, count * sizeof(*members));

    if (members == NULL || !cel_charge(w->run, count)) {
        w->text.failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct cel_value key;

        cel_map_entry(w->run, map, i, &key, &members[i].value);
        key = cel_to_text(w->run, key);
        if (cel_is_error(key)) {
            w->error = key;
            return;
        }
        members[i].name = cel_str(key);
    }
    write_members(w, members, count, depth);
}

/* An object of the host: its fields, without those that are absent. */
static void write_object(struct writer *w, const struct cel_object *object, unsigned depth)
{
    const struct cel_object_type *type = object->type;
    struct member *members = cel_alloc(w->run, type->field_count * sizeof(*members));
    size_t count = 0;

    if (members == NULL || !cel_charge(w->run, type->field_count)) {
        w->text.failed = true;
        return;
    }
    for (size_t i = 0; i < type->field_count; i++) {
        if (!type->has(object, i))
            continue;
        members[count].name = str_from(type->fields[i].name);
        members[count].value = type->get(w->run, object, i);
        count++;
    }
    write_members(w, members, count, depth);
}

static void write_nested(struct writer *w, struct cel_value v, unsigned depth)
{
    if (depth >= w->run->limits->value_depth) {
        (void)cel_spent(w->run);
        w->text.failed = true;
    } else if (v.kind == CEL_LIST) {
        write_list(w, v.as.list, depth + 1);
    } else if (v.kind == CEL_MAP) {
        write_map(w, v, depth + 1);
    } else {
        write_object(w, v.as.object, depth + 1);
    }
}

static void write_int(struct cel_text *t, int64_t i)
{
    char text[CEL_INT_BYTES];

    write_number(t, cel_int_text(i, text), i >= -JSON_INT_MAX && i <= JSON_INT_MAX);
}

static void write_uint(struct cel_text *t, uint64_t u)
{
    char text[CEL_INT_BYTES];

    write_number(t, cel_uint_text(u, text), u <= (uint64_t)JSON_INT_MAX);
}

static void write_value(struct writer *w, struct cel_value v, unsigned depth)
{
    if (!cel_charge(w->run, 1))
        w->text.failed = true;
    if (w->text.failed || cel_is_error(w->error))
        return;
    while (v.kind == CEL_OPTIONAL)
        v = v.as.held == NULL ? cel_null() : *v.as.held;
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
        cel_text_add(&w->text, STR("null"));
        return;
    case CEL_BOOL:
        cel_text_add(&w->text, v.as.b ? STR("true") : STR("false"));
        return;
    case CEL_INT:
        write_int(&w->text, v.as.i);
        return;
    case CEL_UINT:
        write_uint(&w->text, v.as.u);
        return;
    case CEL_DOUBLE:
        write_double(&w->text, v.as.d);
        return;
    case CEL_STRING:
        write_string(&w->text, cel_str(v));
        return;
    case CEL_BYTES:
        write_bytes(w, cel_str(v));
        return;
    case CEL_LIST:
    case CEL_MAP:
    case CEL_OBJECT:
        write_nested(w, v, depth);
        return;
    case CEL_TIMESTAMP:
    case CEL_DURATION:
    case CEL_TYPE:
    case CEL_IP:
    case CEL_CIDR:
        write_text_of(w, v);
        return;
    case CEL_ERROR:
        w->error = v;
        return;
    case CEL_OPTIONAL: /* taken out above */
        return;
    }
}

struct cel_value cel_to_json(struct cel_run *run, struct cel_value v, bool sorted)
{
    struct writer w = { .run = run, .sorted = sorted };

    cel_text_init(&w.text, run);
    write_value(&w, v, 0);
    return cel_is_error(w.error) ? w.error : cel_text_done(&w.text);
}

/* ---- reading ---- */

static struct cel_value read_value(struct cel_run *run, json_t *json, unsigned depth);

static struct cel_value read_array(struct cel_run *run, json_t *json, unsigned depth)
{
    size_t count = json_array_size(json);
    struct cel_value *items;
    struct cel_list *list;

    if (count > run->limits->entries)
        return cel_spent(run);
    list = cel_alloc(run, sizeof(*list) + count * sizeof(*items));
    if (list == NULL)
        return cel_spent(run);
    items = (struct cel_value *)(list + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] = read_value(run, json_array_get(json, i), depth);
        if (cel_is_error(items[i]))
            return items[i];
    }
    *list = (struct cel_list){ .items = items, .count = count };
    return cel_list_of(list);
}

static struct cel_value read_object(struct cel_run *run, json_t *json, unsigned depth)
{
    struct cel_map_builder *map = cel_map_new(run, json_object_size(json));

    if (map == NULL)
        return cel_spent(run);
    for (void *i = json_object_iter(json); i != NULL; i = json_object_iter_next(json, i)) {
        struct str name = str_of(json_object_iter_key(i), json_object_iter_key_len(i));
        struct cel_value key = cel_copy(run, CEL_STRING, name);
        struct cel_value value = read_value(run, json_object_iter_value(i), depth);

        if (cel_is_error(value))
            return value;
        if (cel_is_error(key) || !cel_map_put(map, key, value))
            return cel_spent(run);
    }
    return cel_map_value(map);
}

static struct cel_value read_value(struct cel_run *run, json_t *json, unsigned depth)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        return cel_null();
    case JSON_TRUE:
    case JSON_FALSE:
        return cel_bool(json_is_true(json));
    case JSON_INTEGER:
    case JSON_REAL:
        return cel_double(json_number_value(json));
    case JSON_STRING:
        return cel_copy(run, CEL_STRING, str_of(json_string_value(json), json_string_length(json)));
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (depth >= run->limits->value_depth)
        return cel_spent(run);
    return json_is_array(json) ? read_array(run, json, depth + 1)
                               : read_object(run, json, depth + 1);
}

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

/*
 * A value costs jansson up to 300 bytes outside of the arena, so the steps for all of them are paid
 * before it starts. What it says of bad text is kept back: it quotes the text, which may be a
 * visitor's.
 */
struct cel_value cel_from_json(struct cel_run *run, struct str text)
{
    size_t flags =
        JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    struct cel_value v;
    json_t *json = NULL;

    if (text.n > run->limits->arena_bytes || !cel_charge_bytes(run, text.n) ||
        !cel_charge(run, count_values(text)))
        return cel_spent(run);
    /* A NUL is never JSON, but behind a number jansson overlooks it. */
    if (text.n > 0 && str_find_char(text, '\0') == text.n)
        json = json_loadb(text.p, text.n, flags, NULL);
    if (json == NULL)
        return cel_error(run, "the text is no JSON");
    v = read_value(run, json, 0);
    json_decref(json);
    return v;
}
