/*
 * Runs the conformance cases of CEL: JSON lines, one case each, as the README beside them says.
 *     cel_conformance [-v] DIR|FILE...
 * Prints a line for each case that fails, with the stage at which an error came up that was not
 * expected, and at the end "N passed, N failed". With -v also the stage of each error that was
 * expected: a checker that refuses too much would else pass for the wrong reason.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/cel/cel.h"
#include "policy/cel/env_int.h"
#include "policy/cel/time.h"
#include "policy/cel/zone.h"

/* All that one case needs; it is made anew for each. */
struct conformance {
    json_t *record; /* borrowed */
    struct arena arena;
    struct cel_env *env;         /* owned */
    struct cel_program *program; /* owned */
    struct cel_run run;
    struct cel_value *values; /* of the slots; in the arena */
    size_t slots;
    char got[512];     /* why it fails, or the error */
    const char *stage; /* where the error came up; NULL: there was none */
};

static unsigned passed;
static unsigned failed;
static bool is_verbose;
static struct cel_zones *zones; /* owned by main() */

/* ---- JSON ---- */

static struct str json_text(json_t *v)
{
    return v == NULL ? STR_NONE : str_of(json_string_value(v), json_string_length(v));
}

static struct str decoded(struct arena *a, json_t *v)
{
    struct str text = json_text(v);
    char *bytes = arena_alloc(a, base64_max_bytes(text.n) + 1);
    size_t n = 0;

    if (base64_decode(text, bytes, base64_max_bytes(text.n), &n) == -1)
        return STR_NONE;
    return str_of(bytes, n);
}

/* The one key of an object that has one, and what it is for. */
static json_t *only_member(json_t *object, struct str *key)
{
    void *it = json_object_iter(object);

    if (it == NULL)
        return NULL;
    *key = str_from(json_object_iter_key(it));
    return json_object_iter_value(it);
}

static const char *dump(json_t *v, char *out, size_t cap)
{
    size_t n = json_dumpb(v, out, cap - 1, JSON_COMPACT | JSON_ENCODE_ANY);

    out[n < cap ? n : cap - 1] = '\0';
    return out;
}

/* ---- types ---- */

static const struct cel_type *type_of_json(struct arena *a, json_t *v);

static const struct cel_type *abstract_type(struct arena *a, json_t *v)
{
    json_t *params = json_object_get(v, "params");
    struct cel_type *t = arena_zalloc(a, sizeof(*t));

    t->kind = CEL_T_ABSTRACT;
    t->name = arena_str(a, json_text(json_object_get(v, "abstract")));
    t->count = json_array_size(params);
    if (t->count > CEL_TYPE_PARAMS_MAX)
        return NULL;
    for (size_t i = 0; i < t->count; i++)
        t->params[i] = type_of_json(a, json_array_get(params, i));
    if (!str_eq(t->name, STR("optional_type")))
        return t;
    return cel_type_optional(a, t->params[0]);
}

static const struct cel_type *type_of_json(struct arena *a, json_t *v)
{
    json_t *param;

    if (json_is_string(v)) {
        struct str text = json_text(v);

        return cel_type_parse(a, &text, NULL);
    }
    if ((param = json_object_get(v, "list")) != NULL)
        return cel_type_list(a, type_of_json(a, param));
    if ((param = json_object_get(v, "map")) != NULL)
        return cel_type_map(a, type_of_json(a, json_array_get(param, 0)),
                            type_of_json(a, json_array_get(param, 1)));
    if ((param = json_object_get(v, "type")) != NULL)
        return cel_type_type(a, type_of_json(a, param));
    if ((param = json_object_get(v, "type_param")) != NULL) {
        struct str text = json_text(param);

        return cel_type_parse(a, &text, NULL);
    }
    return abstract_type(a, v);
}

/* ---- values ---- */

static struct cel_value value_of_json(struct conformance *c, json_t *v);

static int64_t int_of_text(struct str s)
{
    bool is_negative = s.n > 0 && s.p[0] == '-';
    uint64_t u = 0;

    (void)str_to_u64(str_skip(s, is_negative), (uint64_t)INT64_MAX + is_negative, &u);
    return is_negative ? (int64_t)(0 - u) : (int64_t)u;
}

static double double_of_text(struct str s)
{
    char *text = str_dup(s);
    double d = strtod(text, NULL);

    mem_free(text);
    return d;
}

static struct cel_value list_of_json(struct conformance *c, json_t *v)
{
    size_t n = json_array_size(v);
    struct cel_value *items = arena_alloc(&c->arena, n * sizeof(*items));

    for (size_t i = 0; i < n; i++)
        items[i] = value_of_json(c, json_array_get(v, i));
    return cel_list_new(&c->run, items, n);
}

static struct cel_value map_of_json(struct conformance *c, json_t *v)
{
    size_t n = json_array_size(v);
    struct cel_map_builder *b = cel_map_new(&c->run, n);

    for (size_t i = 0; i < n; i++) {
        json_t *pair = json_array_get(v, i);

        (void)cel_map_put(b, value_of_json(c, json_array_get(pair, 0)),
                          value_of_json(c, json_array_get(pair, 1)));
    }
    return cel_map_value(b);
}

static struct cel_value value_of_json(struct conformance *c, json_t *v)
{
    struct str kind = STR_NONE;
    json_t *of = only_member(v, &kind);
    struct str text = json_is_string(of) ? json_text(of) : STR_NONE;

    if (str_eq(kind, STR("null")))
        return cel_null();
    if (str_eq(kind, STR("bool")))
        return cel_bool(json_is_true(of));
    if (str_eq(kind, STR("int")))
        return cel_int(int_of_text(text));
    if (str_eq(kind, STR("uint"))) {
        uint64_t u = 0;

        (void)str_to_u64(text, UINT64_MAX, &u);
        return cel_uint(u);
    }
    if (str_eq(kind, STR("double")))
        return cel_double(double_of_text(text));
    if (str_eq(kind, STR("string")))
        return cel_string(text);
    if (str_eq(kind, STR("string_b64")))
        return cel_string(decoded(&c->arena, of));
    if (str_eq(kind, STR("bytes_b64")))
        return cel_bytes(decoded(&c->arena, of));
    if (str_eq(kind, STR("list")))
        return list_of_json(c, of);
    if (str_eq(kind, STR("map")))
        return map_of_json(c, of);
    if (str_eq(kind, STR("type")))
        return cel_type_value(text);
    if (str_eq(kind, STR("timestamp")))
        return cel_timestamp_parse(&c->run, text);
    if (str_eq(kind, STR("duration")))
        return cel_duration_parse(&c->run, text);
    return cel_error(&c->run, "the case has a value of an unknown kind");
}

/* ---- comparing, stricter than == ---- */

static bool is_same(struct conformance *c, struct cel_value a, struct cel_value b);

static bool is_same_double(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof(a)) == 0;
}

static bool is_same_list(struct conformance *c, const struct cel_list *a, const struct cel_list *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (!is_same(c, a->items[i], b->items[i]))
            return false;
    }
    return a->count == b->count;
}

static bool has_entry(struct conformance *c, struct cel_value map, struct cel_value key,
                      struct cel_value value)
{
    for (size_t i = 0; i < cel_map_size(map); i++) {
        struct cel_value k;
        struct cel_value v;

        cel_map_entry(&c->run, map, i, &k, &v);
        if (is_same(c, k, key) && is_same(c, v, value))
            return true;
    }
    return false;
}

static bool is_same_map(struct conformance *c, struct cel_value a, struct cel_value b)
{
    for (size_t i = 0; i < cel_map_size(a); i++) {
        struct cel_value k;
        struct cel_value v;

        cel_map_entry(&c->run, a, i, &k, &v);
        if (!has_entry(c, b, k, v))
            return false;
    }
    return cel_map_size(a) == cel_map_size(b);
}

static bool is_same(struct conformance *c, struct cel_value a, struct cel_value b)
{
    if (a.kind != b.kind)
        return false;
    switch ((enum cel_kind)a.kind) {
    case CEL_NULL:
        return true;
    case CEL_BOOL:
        return a.as.b == b.as.b;
    case CEL_INT:
    case CEL_DURATION:
        return a.as.i == b.as.i;
    case CEL_TIMESTAMP:
        return a.as.i == b.as.i && a.n == b.n;
    case CEL_UINT:
        return a.as.u == b.as.u;
    case CEL_DOUBLE:
        return is_same_double(a.as.d, b.as.d);
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_TYPE:
        return str_eq(cel_str(a), cel_str(b));
    case CEL_LIST:
        return is_same_list(c, a.as.list, b.as.list);
    case CEL_MAP:
        return is_same_map(c, a, b);
    case CEL_OPTIONAL:
    case CEL_IP:
    case CEL_CIDR:
    case CEL_OBJECT:
    case CEL_ERROR:
        break; /* no case can expect one */
    }
    return false;
}

/* ---- the environment of a case ---- */

static struct cel_value get_var(struct cel_run *run, unsigned slot)
{
    const struct conformance *c = run->ctx;

    return c->values[slot];
}

static void add_overload(struct conformance *c, struct str name, json_t *v)
{
    struct arena *a = cel_env_arena(c->env);
    json_t *params = json_object_get(v, "params");
    size_t count = json_array_size(params);
    const struct cel_type **types = arena_alloc(a, count * sizeof(struct cel_type *));
    struct cel_overload o = { .name = name, .params = types, .count = count };

    for (size_t i = 0; i < count; i++)
        types[i] = type_of_json(a, json_array_get(params, i));
    o.method = json_is_true(json_object_get(v, "member"));
    o.result = type_of_json(a, json_object_get(v, "result"));
    cel_env_add_overload(c->env, &o);
}

static unsigned add_slot(struct conformance *c, struct cel_value v)
{
    c->values[c->slots] = v;
    return (unsigned)c->slots++;
}

static void declare(struct conformance *c, json_t *declaration)
{
    struct arena *a = cel_env_arena(c->env);
    struct str name = json_text(json_object_get(declaration, "name"));
    json_t *overloads = json_object_get(declaration, "function");
    json_t *type = json_object_get(declaration, "type");

    for (size_t i = 0; i < json_array_size(overloads); i++)
        add_overload(c, name, json_array_get(overloads, i));
    if (type != NULL)
        cel_env_add_var_type(c->env, name, type_of_json(a, type),
                             add_slot(c, cel_error(&c->run, "the variable has no value")));
}

/* A value for a variable, which is dyn when nothing declares it. */
static void bind(struct conformance *c, struct str name, struct cel_value value)
{
    const struct cel_env_name *n = cel_env_find_name(c->env, &c->arena, name, true);

    if (n != NULL && n->ref.kind == CEL_REF_SLOT)
        c->values[n->ref.index] = value;
    else
        cel_env_add_var_type(c->env, name, cel_type_basic(CEL_T_DYN), add_slot(c, value));
}

static void set_up(struct conformance *c)
{
    json_t *type_env = json_object_get(c->record, "type_env");
    json_t *bindings = json_object_get(c->record, "bindings");
    const struct cel_env_params params = {
        .libraries = cel_standard_libraries,
        .container = json_text(json_object_get(c->record, "container")),
    };
    const char *name;
    json_t *v;

    c->env = cel_env_new(&params);
    c->values = arena_alloc(&c->arena, (json_array_size(type_env) + json_object_size(bindings)) *
                                           sizeof(*c->values));
    for (size_t i = 0; i < json_array_size(type_env); i++)
        declare(c, json_array_get(type_env, i));
    json_object_foreach(bindings, name, v) bind(c, str_from(name), value_of_json(c, v));
}

/* ---- running a case ---- */

static void set_error(struct conformance *c, const char *stage, struct str text)
{
    c->stage = stage;
    (void)snprintf(c->got, sizeof(c->got), "%.*s", STR_ARG(text));
}

static void compile(struct conformance *c)
{
    struct cel_compile_params params = { .env = c->env };
    json_t *expr = json_object_get(c->record, "expr");
    struct str source =
        expr != NULL ? json_text(expr) : decoded(&c->arena, json_object_get(c->record, "expr_b64"));
    struct cel_issue issue;

    if (json_is_true(json_object_get(c->record, "disable_check")))
        params.check_flags = CEL_CHECK_OFF;
    if (json_is_true(json_object_get(c->record, "disable_macros")))
        params.parse_flags = CEL_PARSE_NO_MACROS;
    c->program = cel_compile(&params, source, &issue);
    if (c->program == NULL)
        set_error(c, issue.stage == CEL_STAGE_PARSE ? "parser" : "checker", str_from(issue.text));
}

static bool has_type(struct conformance *c, json_t *expected)
{
    const struct cel_type *want = type_of_json(&c->arena, expected);
    const struct cel_type *got = cel_program_type(c->program);

    if (cel_type_equal(want, got))
        return true;
    (void)snprintf(c->got, sizeof(c->got), "has type %.*s", STR_ARG(cel_type_text(&c->arena, got)));
    return false;
}

static bool has_value(struct conformance *c, struct cel_value got, json_t *expected)
{
    struct cel_value text;

    c->run.steps = 0; /* the evaluation may have used them up */
    if (expected != NULL && is_same(c, got, value_of_json(c, expected)))
        return true;
    text = cel_to_json(&c->run, got, false);
    (void)snprintf(c->got, sizeof(c->got), "gives %.*s %.*s", STR_ARG(cel_type_name(got)),
                   STR_ARG(cel_str(text)));
    return false;
}

/* True if what comes out is expected; else c->got says what came out. */
static bool run_compiled(struct conformance *c)
{
    json_t *expect = json_object_get(c->record, "expect");
    json_t *type = json_object_get(expect, "type");
    struct cel_value got;

    if (type != NULL && !has_type(c, type))
        return false;
    (void)snprintf(c->got, sizeof(c->got), "no error");
    if (json_is_true(json_object_get(c->record, "check_only")))
        return true;
    c->run.steps = 0;
    c->run.bytes = 0;
    got = cel_eval(c->program, &c->run);
    if (!cel_is_error(got))
        return has_value(c, got, json_object_get(expect, "value"));
    set_error(c, "evaluation", cel_str(got));
    return false;
}

static bool is_passed(struct conformance *c)
{
    bool is_good = c->program != NULL && run_compiled(c);

    if (json_object_get(json_object_get(c->record, "expect"), "error") != NULL)
        return c->stage != NULL;
    return is_good;
}

static void report(const struct conformance *c, bool is_good)
{
    const char *id = json_string_value(json_object_get(c->record, "id"));
    json_t *expr = json_object_get(c->record, "expr");
    char source[512];
    char expect[512];

    passed += is_good;
    failed += !is_good;
    if (is_good && (!is_verbose || c->stage == NULL))
        return;
    (void)printf("%s: %s\n    %s\n", is_good ? "error as expected" : "FAILED", id,
                 expr != NULL ? dump(expr, source, sizeof(source)) : "(see expr_b64)");
    if (!is_good)
        (void)printf("    want: %s\n",
                     dump(json_object_get(c->record, "expect"), expect, sizeof(expect)));
    (void)printf("    got:  %s%s%s\n", c->stage != NULL ? c->stage : "",
                 c->stage != NULL ? ": " : "", c->got);
}

static void run_case(json_t *record)
{
    struct conformance c = { .record = record };

    arena_init(&c.arena);
    c.run = (struct cel_run){
        .arena = &c.arena,
        .limits = &cel_default_limits,
        .var = get_var,
        .ctx = &c,
        .zones = zones,
    };
    set_up(&c);
    compile(&c);
    report(&c, is_passed(&c));
    cel_program_free(c.program);
    cel_env_free(c.env);
    arena_fini(&c.arena);
}

/* ---- files ---- */

static void bad_input(const char *path, const char *why)
{
    (void)printf("FAILED: %s: %s\n", path, why);
    failed++;
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "r");
    json_error_t error;
    json_t *record;

    if (f == NULL) {
        bad_input(path, "cannot be read");
        return;
    }
    while ((record = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error)) != NULL) {
        run_case(record);
        json_decref(record);
    }
    if (!feof(f))
        bad_input(path, error.text);
    (void)fclose(f);
}

static int is_case_file(const struct dirent *entry)
{
    return str_ends(str_from(entry->d_name), STR(".jsonl"));
}

static void run_directory(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_case_file, alphasort);

    if (n <= 0)
        bad_input(path, "has no .jsonl file");
    for (int i = 0; i < n; i++) {
        char file[4096];

        (void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        run_file(file);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    struct err e;

    zones = cel_zones_load(CEL_ZONES_DIR, &e);
    if (zones == NULL)
        bad_input(CEL_ZONES_DIR, e.msg);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            is_verbose = true;
        else if (str_ends(str_from(argv[i]), STR(".jsonl")))
            run_file(argv[i]);
        else
            run_directory(argv[i]);
    }
    cel_zones_free(zones);
    (void)printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 ? 1 : 0;
}
