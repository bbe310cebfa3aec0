#include "tunnel/api/command_output.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tunnel/api/resource.h"

enum {
    CELL_MAX_CHARS = 60,
    CELL_MIN_CHARS = 8, /* when a table is cut to its width */
    COLUMNS_MAX = 12,
    COLUMNS_DEFAULT = 6, /* with the id */
    GAP = 2,
};

/* ---- text that is safe to show -------------------------------------------------------------- */

/* Does it move a cursor, or turn the direction of what follows? */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The first character of the text as it may be shown; moves *text behind it. */
static void add_char(struct buf *out, struct str *text)
{
    size_t n = utf8_length(*text);
    uint32_t c;

    if (n == 0) {
        buf_add_fmt(out, "\\x%02x", (unsigned)(unsigned char)text->p[0]);
        *text = str_skip(*text, 1);
        return;
    }
    c = utf8_decode(*text, &n);
    if (!is_unsafe(c))
        buf_add_str(out, str_slice(*text, 0, n));
    else if (c <= 0x7f)
        buf_add_fmt(out, "\\x%02x", (unsigned)c);
    else
        buf_add_fmt(out, "\\u%04x", (unsigned)c);
    *text = str_skip(*text, n);
}

void api_output_text(struct buf *out, struct str text)
{
    while (text.n > 0) {
        if (text.p[0] == '\n') {
            buf_add_char(out, '\n');
            text = str_skip(text, 1);
        } else {
            add_char(out, &text);
        }
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* jansson escapes what JSON demands; the others that are unsafe have an escape in JSON, too. */
static void add_json(struct buf *out, const json_t *value, size_t flags)
{
    char *dump = json_dumps(value, flags | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    struct str text = str_from(dump);

    while (text.n > 0 && !buf_failed(out)) {
        size_t n;
        uint32_t c = utf8_decode(text, &n);

        if (is_unsafe(c) && c != '\n')
            buf_add_fmt(out, "\\u%04x", (unsigned)c);
        else
            buf_add_str(out, str_slice(text, 0, n));
        text = str_skip(text, n);
    }
    if (dump != NULL)
        mem_wipe(dump, strlen(dump)); /* it may have a token */
    free(dump);
}

/* ---- lists ---------------------------------------------------------------------------------- */

json_t *api_output_list(const json_t *body)
{
    const char *key;
    json_t *value;

    /* What has neither is a part of an object: a source of a subscription. */
    if (json_object_get(body, "id") != NULL || json_object_get(body, "type") != NULL)
        return NULL;
    /* jansson's iterators take no const object, and change none. */
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        if (json_is_array(value))
            return value;
    }
    return NULL;
}

/* The resource whose list has this key, or NULL. */
static const struct api_resource *resource_of(const json_t *body, const json_t *list)
{
    const struct api_resource *r;

    for (size_t i = 0; (r = api_resource_group_at(i)) != NULL; i++) {
        if (json_object_get(body, r->list_key) == list)
            return r;
    }
    return NULL;
}

static struct str string_of(const json_t *value)
{
    return str_of(json_string_value(value), json_string_length(value));
}

static void write_lines(const json_t *body, enum api_output form, struct buf *out)
{
    json_t *list = api_output_list(body);
    size_t n = list != NULL ? json_array_size(list) : 1;

    for (size_t i = 0; i < n; i++) {
        const json_t *object = list != NULL ? json_array_get(list, i) : body;
        const json_t *id = json_object_get(object, "id");

        if (form == API_OUTPUT_ID && json_is_string(id)) {
            api_output_text(out, string_of(id));
            buf_add_char(out, '\n');
        }
        if (form == API_OUTPUT_JSONL) {
            add_json(out, object, JSON_COMPACT);
            buf_add_char(out, '\n');
        }
    }
}

/* ---- cells ---------------------------------------------------------------------------------- */

static bool is_ref(const json_t *value)
{
    return json_is_string(json_object_get(value, "id")) && json_object_get(value, "uri") != NULL;
}

static void add_value(struct buf *out, const json_t *value);

static void add_items(struct buf *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i > 0)
            buf_add_str(out, STR(", "));
        add_value(out, json_array_get(list, i));
    }
}

/* What a person wants to see of a value; may have line feeds. */
static void add_value(struct buf *out, const json_t *value)
{
    size_t before = out->len;

    if (json_is_string(value))
        api_output_text(out, string_of(value));
    else if (json_is_array(value))
        add_items(out, value);
    else if (is_ref(value))
        api_output_text(out, string_of(json_object_get(value, "id")));
    else if (value != NULL && !json_is_null(value))
        add_json(out, value, JSON_COMPACT);
    if (out->len == before)
        buf_add_char(out, '-');
}

/* One line of at most `max` characters; dots stand for what was cut. */
static void add_cell(struct buf *out, const json_t *value, size_t max, bool pads)
{
    struct buf text;
    struct str line;
    size_t chars;

    buf_init(&text, API_OUTPUT_MAX_BYTES);
    add_value(&text, value);
    line = buf_str(&text);
    if (str_find_char(line, '\n') < line.n)
        line = str_slice(line, 0, str_find_char(line, '\n'));
    chars = utf8_count(line);
    if (chars > max) {
        buf_add_str(out, str_slice(line, 0, utf8_offset(line, max - 3, NULL)));
        buf_add_str(out, STR("..."));
        chars = max;
    } else {
        buf_add_str(out, line);
    }
    for (; pads && chars < max + GAP; chars++)
        buf_add_char(out, ' ');
    buf_fini(&text);
}

static size_t cell_chars(const json_t *value)
{
    struct buf text;
    size_t chars;

    buf_init(&text, API_OUTPUT_MAX_BYTES);
    add_cell(&text, value, CELL_MAX_CHARS, false);
    chars = utf8_count(buf_str(&text));
    buf_fini(&text);
    return chars;
}

/* ---- tables --------------------------------------------------------------------------------- */

struct table {
    const char *names[COLUMNS_MAX];
    size_t chars[COLUMNS_MAX];
    size_t count;
};

/* Short ones that a list can be read by. */
static bool is_telling(const struct api_field *f)
{
    return (f->where & API_R) != 0 && (f->where & (API_ONCE | API_STDIN)) == 0 &&
           f->type != API_OBJECT && f->type != API_OBJECTS;
}

static void add_column(struct table *t, const char *name)
{
    if (t->count < COLUMNS_MAX)
        t->names[t->count++] = name;
}

static void choose_columns(struct table *t, const struct api_resource *r)
{
    add_column(t, "id");
    for (size_t i = 0; r != NULL && r->columns != NULL && r->columns[i] != NULL; i++)
        add_column(t, r->columns[i]);
    for (size_t i = 0; r != NULL && r->columns == NULL && i < r->field_count; i++) {
        if (is_telling(&r->fields[i]) && t->count < COLUMNS_DEFAULT)
            add_column(t, r->fields[i].name);
    }
}

static void measure(struct table *t, size_t column, const json_t *value)
{
    size_t chars = cell_chars(value);

    if (chars > t->chars[column])
        t->chars[column] = chars;
}

/* Takes from the widest until all fit; the first column, which is an id or a URL, stays whole. */
static void fit(struct table *t, size_t width)
{
    for (;;) {
        size_t total = 0;
        size_t widest = 0;

        for (size_t i = 0; i < t->count; i++) {
            total += t->chars[i] + (i > 0 ? GAP : 0);
            if (i > 0 && (widest == 0 || t->chars[i] > t->chars[widest]))
                widest = i;
        }
        if (width == 0 || total <= width || widest == 0 || t->chars[widest] <= CELL_MIN_CHARS)
            return;
        t->chars[widest]--;
    }
}

static void add_head(const struct table *t, struct buf *out)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t n = 0;

        for (; t->names[i][n] != '\0' && n < t->chars[i]; n++) {
            char c = t->names[i][n];

            buf_add_char(out, (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c == '_' ? ' ' : c));
        }
        for (; i + 1 < t->count && n < t->chars[i] + GAP; n++)
            buf_add_char(out, ' ');
    }
    buf_add_char(out, '\n');
}

/* The cells of `rows`: the member of an object that the column names, or the n-th of an array. */
static const json_t *cell_of(const struct table *t, const json_t *row, size_t column)
{
    return json_is_array(row) ? json_array_get(row, column)
                              : json_object_get(row, t->names[column]);
}

static void write_table(struct table *t, const json_t *rows, size_t width, struct buf *out)
{
    for (size_t i = 0; i < t->count; i++)
        t->chars[i] = strlen(t->names[i]);
    for (size_t row = 0; row < json_array_size(rows); row++) {
        for (size_t i = 0; i < t->count; i++)
            measure(t, i, cell_of(t, json_array_get(rows, row), i));
    }
    fit(t, width);
    add_head(t, out);
    for (size_t row = 0; row < json_array_size(rows) && !buf_failed(out); row++) {
        for (size_t i = 0; i < t->count; i++)
            add_cell(out, cell_of(t, json_array_get(rows, row), i), t->chars[i], i + 1 < t->count);
        buf_add_char(out, '\n');
    }
}

/* Each member on a line of its own, or on several below each other. */
static void write_object(const json_t *object, struct buf *out)
{
    size_t chars = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (strlen(key) > chars)
            chars = strlen(key);
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        struct buf text;
        struct str rest;
        struct str line;

        if (strcmp(key, "uri") == 0)
            continue;
        buf_init(&text, API_OUTPUT_MAX_BYTES);
        add_value(&text, value);
        rest = buf_str(&text);
        if (str_ends(rest, STR("\n")))
            rest.n--;
        for (const char *name = key; str_next(&rest, '\n', &line); name = "") {
            api_output_text(out, str_from(name));
            buf_add_fmt(out, "%*s%.*s\n", (int)(chars - strlen(name)) + GAP, "", STR_ARG(line));
        }
        buf_fini(&text);
    }
}

void api_output_rows(const json_t *rows, size_t width, struct buf *out)
{
    struct table t = { .count = 0 };
    json_t *names = json_array_get(rows, 0);
    json_t *body = json_copy((json_t *)(uintptr_t)rows);

    for (size_t i = 0; i < json_array_size(names); i++)
        add_column(&t, json_string_value(json_array_get(names, i)));
    (void)json_array_remove(body, 0);
    write_table(&t, body, width, out);
    json_decref(body);
}

void api_output_write(const json_t *body, enum api_output form, size_t width, struct buf *out)
{
    json_t *list = api_output_list(body);
    struct table t = { .count = 0 };

    switch (form) {
    case API_OUTPUT_DEFAULT:
    case API_OUTPUT_JSON:
        add_json(out, body, JSON_INDENT(2));
        buf_add_char(out, '\n');
        return;
    case API_OUTPUT_JSONL:
    case API_OUTPUT_ID:
        write_lines(body, form, out);
        return;
    case API_OUTPUT_TABLE:
        break;
    }
    if (list == NULL) {
        write_object(body, out);
        return;
    }
    choose_columns(&t, resource_of(body, list));
    write_table(&t, list, width, out);
}
