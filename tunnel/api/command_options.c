/*
 * Options of a command line: each becomes a member of the body, or a parameter of the query. One that
 * stands alone in a table of its resource needs nothing here but its type.
 */
#include <stdint.h>
#include <string.h>

#include "tunnel/api/command_int.h"
#include "tunnel/api/query.h"

enum { SHOWN_BYTES = 40, NAME_MAX_BYTES = 128, INTEGER_MAX_DIGITS = 18, DEPTH_MAX = 8 };

/* Those of every command. */
enum common { COMMON_OUTPUT, COMMON_QUIET, COMMON_HELP, COMMON_IGNORED };

static const struct {
    const char *name;
    enum common which;
    const char *text; /* NULL: not told */
} common[] = {
    { "output", COMMON_OUTPUT, "json, table, jsonl or id (one a line)" },
    { "quiet", COMMON_QUIET, "no status line on standard error" },
    { "help", COMMON_HELP, NULL },
    /* So that lines for the hosted service's own program can be pasted. */
    { "api-key", COMMON_IGNORED, NULL },
    { "config", COMMON_IGNORED, NULL },
    { "log", COMMON_IGNORED, NULL },
    { "log-format", COMMON_IGNORED, NULL },
    { "log-level", COMMON_IGNORED, NULL },
};

enum { COMMON = sizeof(common) / sizeof(common[0]) };

static const struct {
    const char *name;
    enum api_output output;
} outputs[] = {
    { "json", API_OUTPUT_JSON },
    { "table", API_OUTPUT_TABLE },
    { "jsonl", API_OUTPUT_JSONL },
    { "id", API_OUTPUT_ID },
};

/* What reading one option needs at hand. */
struct reading {
    struct api_command *c;
    const struct api_option *option;
    struct buf *problem;
};

#define refuse(r, ...) api_command_refuse((r)->c, (r)->problem, __VA_ARGS__)
#define OPTION_ARG(r)  STR_ARG(str_slice((r)->option->name, 0, SHOWN_BYTES))

static int need_value(const struct reading *r)
{
    if (r->option->has_value)
        return 0;
    return refuse(r, "--%.*s needs a value", OPTION_ARG(r));
}

/* ---- which option is it? -------------------------------------------------------------------- */

/* "traffic-policy" of "traffic_policy". */
static void option_name(const char *field, char out[NAME_MAX_BYTES])
{
    size_t n = 0;

    for (; field[n] != '\0' && n + 1 < NAME_MAX_BYTES; n++)
        out[n] = (char)(field[n] == '_' ? '-' : field[n]);
    out[n] = '\0';
}

static bool is_named(struct str option, const char *field)
{
    char name[NAME_MAX_BYTES];

    option_name(field, name);
    return str_eq(option, str_from(name));
}

/* Takes the value of an option that is a part of the path (struct api_nesting). False: it is none. */
static bool take_path_part(struct api_command *c, const struct api_option *option)
{
    const struct api_nesting *n = c->resource != NULL ? c->resource->nesting : NULL;

    if (n == NULL || api_command_is(c, API_CAN_LIST))
        return false;
    if (is_named(option->name, n->parent_field))
        c->parent_id = option->value;
    else if (api_command_has_id(c) && is_named(option->name, n->item_field))
        c->id = option->value;
    else
        return false;
    return true;
}

/* Is this field of a nested resource a part of its path here? */
static bool is_of_path(const struct api_command *c, const char *field)
{
    const struct api_nesting *n = c->resource->nesting;

    return n != NULL && (strcmp(field, n->parent_field) == 0 ||
                         (api_command_has_id(c) && strcmp(field, n->item_field) == 0));
}

int api_command_refuse_missing(const struct api_command *c, const char *field, struct buf *problem)
{
    char name[NAME_MAX_BYTES];

    option_name(field, name);
    return api_command_refuse(c, problem, "--%s is missing", name);
}

static const struct api_field *find_field(const struct api_command *c, struct str option)
{
    for (size_t i = 0; c->resource != NULL && i < c->resource->field_count; i++) {
        const struct api_field *f = &c->resource->fields[i];

        if (!is_of_path(c, f->name) && api_command_takes_field(c, f) && is_named(option, f->name))
            return f;
    }
    return NULL;
}

static const char suffix_file[] = "-file";

static void each_of_list(const struct api_command *c, api_option_fn *each, void *arg)
{
    const char *const *own = c->resource->list_query;
    char name[NAME_MAX_BYTES];

    each("limit", "how many on a page, at most 100", false, arg);
    each("before-id", "only those made before this one", false, arg);
    if (!c->resource->no_filter)
        each("filter", "a condition, such as 'obj.description == \"web\"'", true, arg);
    for (; own != NULL && *own != NULL; own++) {
        option_name(*own, name);
        each(name, "only those that have it; repeatable", false, arg);
    }
    each("all", "all pages", false, arg);
}

/* Is this field an option that is no member of the body, but of the path? */
static bool is_path_option(const struct api_command *c, const char *field)
{
    return !api_command_is(c, API_CAN_LIST) && c->resource->nesting != NULL && is_of_path(c, field);
}

void api_command_each_option(const struct api_command *c, api_option_fn *each, void *arg)
{
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; c->resource != NULL && i < c->resource->field_count; i++) {
        const struct api_field *f = &c->resource->fields[i];

        if (!api_command_takes_field(c, f) && !is_path_option(c, f->name))
            continue;
        option_name(f->name, name);
        each(name, f->text, (f->where & API_STDIN) != 0, arg);
    }
    if (api_command_is(c, API_CAN_CREATE) && api_command_takes_pem(c))
        each("pem", "-: certificates and their private key, on standard input", false, arg);
    if (api_command_has_body(c))
        each("json", "-: the whole body, on standard input; options override it", false, arg);
    if (api_command_is(c, API_CAN_LIST) && c->resource->nesting == NULL)
        each_of_list(c, each, arg);
    for (size_t i = 0; i < COMMON; i++) {
        if (common[i].text != NULL)
            each(common[i].name, common[i].text, false, arg);
    }
}

/* ---- unknown options ------------------------------------------------------------------------ */

struct nearest {
    struct str wanted;
    struct buf *names;
    char name[NAME_MAX_BYTES];
    size_t distance;
};

static void look_at_name(const char *name, const char *text, bool is_input, void *arg)
{
    struct nearest *n = arg;
    size_t distance = str_distance(n->wanted, str_from(name));

    (void)text;
    (void)is_input;
    buf_add_fmt(n->names, "%s--%s", n->names->len > 0 ? ", " : "", name);
    if (n->name[0] == '\0' || distance < n->distance) {
        option_name(name, n->name);
        n->distance = distance;
    }
}

static int refuse_unknown(struct reading *r)
{
    struct buf names;
    struct nearest n = { .wanted = r->option->name, .names = &names };

    if (str_ends(r->option->name, STR("-url")) &&
        find_field(r->c, str_slice(r->option->name, 0, r->option->name.n - 4)) != NULL)
        return refuse(r, "--%.*s is not offered: the gateway fetches nothing; send it as - instead",
                      OPTION_ARG(r));
    buf_init(&names, API_COMMAND_TEXT_MAX_BYTES);
    api_command_each_option(r->c, look_at_name, &n);
    (void)refuse(r, "there is no --%.*s; the nearest is --%s; there are: %.*s", OPTION_ARG(r),
                 n.name, STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return -1;
}

/* ---- standard input ------------------------------------------------------------------------- */

static int take_input(struct reading *r, enum api_command_input input,
                      const struct api_field *field)
{
    if (r->c->input != API_INPUT_NONE)
        return refuse(r, "standard input can be only one thing; '-' stands twice");
    r->c->input = input;
    r->c->input_field = field;
    return 0;
}

static bool is_dash(const struct api_option *o)
{
    return str_eq(o->value, STR("-"));
}

/* An option that only takes "-". */
static int take_only_input(struct reading *r, enum api_command_input input,
                           const struct api_field *field)
{
    if (!is_dash(r->option))
        return refuse(r, "--%.*s only takes '-', for standard input: there are no files here",
                      OPTION_ARG(r));
    return take_input(r, input, field);
}

/* ---- values --------------------------------------------------------------------------------- */

static int read_bool(struct reading *r, json_t **out)
{
    struct str v = r->option->value;
    bool on = !r->option->has_value || str_eq(v, STR("true"));

    if (!on && !str_eq(v, STR("false")))
        return refuse(r, "--%.*s is true or false, not '%.*s'", OPTION_ARG(r),
                      STR_ARG(str_slice(v, 0, SHOWN_BYTES)));
    *out = json_boolean(on);
    return 0;
}

static int read_integer(struct reading *r, json_t **out)
{
    struct str v = r->option->value;
    bool is_negative = v.n > 1 && v.p[0] == '-';
    uint64_t n;

    if (v.n > INTEGER_MAX_DIGITS ||
        str_to_u64(str_skip(v, is_negative ? 1 : 0), INT64_MAX, &n) == -1)
        return refuse(r, "--%.*s is a number, not '%.*s'", OPTION_ARG(r),
                      STR_ARG(str_slice(v, 0, SHOWN_BYTES)));
    *out = json_integer(is_negative ? -(json_int_t)n : (json_int_t)n);
    return 0;
}

static json_t *text_of(struct str text)
{
    return json_stringn(text.n > 0 ? text.p : "", text.n);
}

/* The list that the body has by this name, so that an option may be given again. */
static json_t *list_so_far(struct reading *r, const struct api_field *f)
{
    json_t *list = json_object_get(r->c->body, f->name);

    return list != NULL ? json_incref(list) : json_array();
}

/* Words separated by commas; each as a text, or as the member `key` of an object. */
static json_t *read_list(struct reading *r, const struct api_field *f, const char *key)
{
    json_t *list = list_so_far(r, f);
    struct str rest = r->option->value.n > 0 ? r->option->value : STR_NONE;
    struct str word;

    while (str_next(&rest, ',', &word)) {
        json_t *item = text_of(str_trim(word));

        if (key != NULL) {
            json_t *object = json_object();

            (void)json_object_set_new(object, key, item);
            item = object;
        }
        (void)json_array_append_new(list, item);
    }
    return list;
}

static int read_json(struct reading *r, json_t **out)
{
    json_error_t e;

    *out = json_loadb(r->option->value.p, r->option->value.n, 0, &e);
    return *out != NULL ? 0 : refuse(r, "--%.*s is no JSON: %s", OPTION_ARG(r), e.text);
}

static int read_objects(struct reading *r, const struct api_field *f, json_t **out)
{
    if (str_starts(r->option->value, STR("[")))
        return read_json(r, out);
    *out = read_list(r, f, f->item_key != NULL ? f->item_key : "value");
    return 0;
}

/* "key=value" adds to the map; "{...}" is all of it. */
static int read_object(struct reading *r, const struct api_field *f, json_t **out)
{
    struct str v = r->option->value;
    size_t equals = str_find_char(v, '=');
    json_t *map;

    if (str_starts(v, STR("{")))
        return read_json(r, out);
    if (equals == 0 || equals == v.n)
        return refuse(r, "--%.*s takes key=value, or an object of JSON", OPTION_ARG(r));
    map = json_object_get(r->c->body, f->name);
    *out = json_is_object(map) ? json_incref(map) : json_object();
    (void)json_object_setn_new(*out, v.p, equals, text_of(str_skip(v, equals + 1)));
    return 0;
}

static int read_value(struct reading *r, const struct api_field *f, json_t **out)
{
    switch (f->type) {
    case API_BOOL:
        return read_bool(r, out);
    case API_INTEGER:
        return need_value(r) == -1 ? -1 : read_integer(r, out);
    case API_STRINGS:
        *out = need_value(r) == -1 ? NULL : read_list(r, f, NULL);
        return *out != NULL ? 0 : -1;
    case API_OBJECTS:
        return need_value(r) == -1 ? -1 : read_objects(r, f, out);
    case API_OBJECT:
        return need_value(r) == -1 ? -1 : read_object(r, f, out);
    case API_STRING:
    case API_TIME:
    case API_REF:
        break;
    }
    *out = need_value(r) == -1 ? NULL : text_of(r->option->value);
    return *out != NULL ? 0 : -1;
}

/* ---- members of the body -------------------------------------------------------------------- */

static int take_field(struct reading *r, const struct api_field *f)
{
    json_t *value = NULL;

    if (is_dash(r->option)) {
        if ((f->where & API_STDIN) == 0)
            return refuse(r, "--%.*s cannot be read from standard input", OPTION_ARG(r));
        return take_input(r, API_INPUT_FIELD, f);
    }
    if (read_value(r, f, &value) == -1)
        return -1;
    (void)json_object_set_new(r->c->body, f->name, value);
    return 0;
}

/* The object that stands by this name in another, made when there is none. */
static json_t *step_into(json_t *parent, struct str name)
{
    json_t *child = json_object_getn(parent, name.p, name.n);

    if (json_is_object(child))
        return child;
    child = json_object();
    (void)json_object_setn_new(parent, name.p, name.n, child);
    return child;
}

/* "before_id" of "before-id"; NUL-terminated. */
static const char *member_name(struct str option, struct arena *a)
{
    char *name = arena_alloc(a, option.n + 1);

    for (size_t i = 0; i < option.n; i++)
        name[i] = (char)(option.p[i] == '-' ? '_' : option.p[i]);
    name[option.n] = '\0';
    return name;
}

/* "target.datadog.api-key": a member inside of an object, true or false or a text. */
static int take_nested(struct reading *r)
{
    struct str v = r->option->value;
    struct str rest = str_from(member_name(r->option->name, &r->c->arena));
    json_t *at = r->c->body;
    struct str name;
    size_t depth = 0;
    json_t *value;

    if (is_dash(r->option))
        return refuse(r, "--%.*s cannot be read from standard input", OPTION_ARG(r));
    if (!r->option->has_value || str_eq(v, STR("true")) || str_eq(v, STR("false")))
        value = json_boolean(!str_eq(v, STR("false")));
    else
        value = text_of(v);
    while (str_next(&rest, '.', &name)) {
        if (name.n == 0 || depth++ == DEPTH_MAX) {
            json_decref(value);
            return refuse_unknown(r);
        }
        if (rest.p != NULL)
            at = step_into(at, name);
        else
            (void)json_object_setn(at, name.p, name.n, value);
    }
    json_decref(value);
    return 0;
}

static int take_of_body(struct reading *r)
{
    struct str name = r->option->name;
    const struct api_field *f = find_field(r->c, name);

    if (f != NULL)
        return take_field(r, f);
    if (str_eq(name, STR("json")))
        return take_only_input(r, API_INPUT_BODY, NULL);
    if (str_eq(name, STR("pem")) && api_command_is(r->c, API_CAN_CREATE) &&
        api_command_takes_pem(r->c))
        return take_only_input(r, API_INPUT_PEM, NULL);
    f = find_field(r->c, str_slice(name, 0, str_find_char(name, '.')));
    if (f != NULL && f->type == API_OBJECT)
        return take_nested(r);
    if (str_ends(name, str_from(suffix_file)))
        f = find_field(r->c, str_slice(name, 0, name.n - (sizeof(suffix_file) - 1)));
    if (f != NULL && (f->where & API_STDIN) != 0)
        return take_only_input(r, API_INPUT_FIELD, f);
    return refuse_unknown(r);
}

/* ---- parameters of a list ------------------------------------------------------------------- */

static bool is_own_param(const struct api_command *c, struct str option)
{
    const char *const *own = c->resource->list_query;

    for (; own != NULL && *own != NULL; own++) {
        if (is_named(option, *own))
            return true;
    }
    return false;
}

/* Where the value of a parameter that all lists have is kept; false for another. */
static bool list_param(struct api_command *c, struct str option, struct str **out)
{
    if (str_eq(option, STR("limit")))
        *out = &c->limit;
    else if (str_eq(option, STR("before-id")))
        *out = &c->before_id;
    else if (str_eq(option, STR("filter")) && !c->resource->no_filter)
        *out = &c->filter;
    else
        return false;
    return true;
}

static int take_all(struct reading *r)
{
    json_t *all = NULL;

    if (read_bool(r, &all) == -1)
        return -1;
    r->c->all = json_is_true(all);
    json_decref(all);
    return 0;
}

static int take_of_list(struct reading *r)
{
    struct api_command *c = r->c;
    struct str name = r->option->name;
    struct str *param = NULL;
    bool is_common = list_param(c, name, &param);

    if (str_eq(name, STR("all")))
        return take_all(r);
    if (!is_common && !is_own_param(c, name))
        return refuse_unknown(r);
    if (need_value(r) == -1)
        return -1;
    if (is_common && param == &c->filter && is_dash(r->option))
        return take_input(r, API_INPUT_FILTER, NULL);
    if (is_common)
        *param = r->option->value;
    else
        api_query_add(&c->own_query, '&', member_name(name, &c->arena), r->option->value);
    return buf_failed(&c->own_query) ? refuse(r, "the conditions of the list are too long") : 0;
}

/* ---- options of every command --------------------------------------------------------------- */

static int take_output(struct reading *r)
{
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
        if (str_eq(r->option->value, str_from(outputs[i].name))) {
            r->c->output = outputs[i].output;
            return 0;
        }
    }
    return refuse(r, "--output is json, table, jsonl or id");
}

static int take_quiet(struct reading *r)
{
    json_t *quiet = NULL;

    if (read_bool(r, &quiet) == -1)
        return -1;
    r->c->quiet = json_is_true(quiet);
    json_decref(quiet);
    return 0;
}

static int take_common(struct reading *r, enum common which)
{
    switch (which) {
    case COMMON_OUTPUT:
        return take_output(r);
    case COMMON_QUIET:
        return take_quiet(r);
    case COMMON_HELP:
        r->c->kind = API_COMMAND_HELP;
        return 0;
    case COMMON_IGNORED:
        return 0;
    }
    return -1;
}

static int take_option(struct reading *r)
{
    for (size_t i = 0; i < COMMON; i++) {
        if (str_eq(r->option->name, str_from(common[i].name)))
            return take_common(r, common[i].which);
    }
    if (take_path_part(r->c, r->option))
        return need_value(r);
    if (api_command_is(r->c, API_CAN_LIST) && r->c->resource->nesting == NULL)
        return take_of_list(r);
    if (r->c->body != NULL)
        return take_of_body(r);
    return refuse_unknown(r);
}

int api_command_read_options(struct api_command *c, struct api_words *w, struct buf *problem)
{
    struct api_option option;
    struct reading r = { .c = c, .option = &option, .problem = problem };

    for (size_t n = 0; api_words_take_option(w, &c->arena, &option); n++) {
        if (n == API_COMMAND_OPTIONS_MAX)
            return refuse(&r, "there are more than %d options", API_COMMAND_OPTIONS_MAX);
        if (take_option(&r) == -1)
            return -1;
        if (c->kind == API_COMMAND_HELP)
            return 0;
    }
    return w->at == w->count ? 0
                             : refuse(&r, "'%.*s' was not expected here",
                                      STR_ARG(str_slice(api_words_peek(w), 0, SHOWN_BYTES)));
}
