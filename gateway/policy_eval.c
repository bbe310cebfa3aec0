/*
 * Variables come from the file alone, each of its keys one variable of any type; a key may have dots. What
 * a policy knows of a request does not exist here, so its names are unknown and not silently empty.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/file_read.h"
#include "gateway/policy_command.h"
#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"
#include "policy/cel/zone.h"

enum { VARS_MAX_BYTES = 16 * 1024 * 1024, LIBRARIES_MAX = 32 };

static const struct cel_limits limits = {
    .steps = 1000 * 1000,
    .arena_bytes = 64 * 1024 * 1024,
    .string_bytes = 16 * 1024 * 1024,
    .entries = 1000 * 1000,
    .value_depth = 64,
};

struct eval {
    struct cel_env *env;         /* owned */
    struct cel_program *program; /* owned */
    struct cel_zones *zones;     /* owned */
    struct arena arena;
    struct cel_run run;
    struct cel_value *vars; /* in the arena; by slot */
};

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    const struct eval *x = run->ctx;

    return x->vars[slot];
}

static struct cel_env *new_env(void)
{
    const struct cel_library *libraries[LIBRARIES_MAX];
    const struct cel_env_params params = { .libraries = libraries };
    size_t count = 0;

    for (size_t i = 0; cel_standard_libraries[i] != NULL; i++)
        libraries[count++] = cel_standard_libraries[i];
    for (size_t i = 0; cel_policy_libraries[i] != NULL; i++)
        libraries[count++] = cel_policy_libraries[i];
    libraries[count] = NULL;
    return cel_env_new(&params);
}

/* ---- variables ------------------------------------------------------------------------------- */

static struct cel_value from_json(struct cel_run *run, const json_t *json, unsigned depth);

static struct cel_value list_from_json(struct cel_run *run, const json_t *json, unsigned depth)
{
    size_t count = json_array_size(json);
    struct cel_value *items = mem_zalloc_array(count + 1, sizeof(*items));
    struct cel_value list;

    for (size_t i = 0; i < count; i++)
        items[i] = from_json(run, json_array_get(json, i), depth);
    list = cel_list_new(run, items, count);
    mem_free(items);
    return list;
}

static struct cel_value map_from_json(struct cel_run *run, const json_t *json, unsigned depth)
{
    json_t *object = (json_t *)(uintptr_t)json; /* jansson iterates over no const object */
    struct cel_map_builder *map = cel_map_new(run, json_object_size(json));

    for (void *it = json_object_iter(object); it != NULL && map != NULL;
         it = json_object_iter_next(object, it)) {
        struct str key = str_of(json_object_iter_key(it), json_object_iter_key_len(it));

        if (!cel_map_put(map, cel_copy(run, CEL_STRING, key),
                         from_json(run, json_object_iter_value(it), depth)))
            return cel_spent(run);
    }
    return map == NULL ? cel_spent(run) : cel_map_value(map);
}

/* As cel_from_json(), but whole numbers become int: the variables of policies are. */
static struct cel_value from_json(struct cel_run *run, const json_t *json, unsigned depth)
{
    if (depth == 0)
        return cel_spent(run);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return map_from_json(run, json, depth - 1);
    case JSON_ARRAY:
        return list_from_json(run, json, depth - 1);
    case JSON_STRING:
        return cel_copy(run, CEL_STRING, str_of(json_string_value(json), json_string_length(json)));
    case JSON_INTEGER:
        return cel_int(json_integer_value(json));
    case JSON_REAL:
        return cel_double(json_real_value(json));
    case JSON_TRUE:
        return cel_bool(true);
    case JSON_FALSE:
        return cel_bool(false);
    case JSON_NULL:
        break;
    }
    return cel_null();
}

static void add_vars(struct eval *x, json_t *object)
{
    unsigned slot = 0;

    x->vars = arena_zalloc(&x->arena, json_object_size(object) * sizeof(*x->vars));
    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        struct str name = str_of(json_object_iter_key(it), json_object_iter_key_len(it));

        cel_env_add_var_type(x->env, arena_str(&x->arena, name), cel_type_basic(CEL_T_DYN), slot);
        x->vars[slot++] = from_json(&x->run, json_object_iter_value(it), limits.value_depth);
    }
}

static int read_vars(struct eval *x, const char *path, struct err *e)
{
    struct buf text;
    json_error_t why;
    json_t *json = NULL;
    int rc = -1;

    buf_init(&text, VARS_MAX_BYTES);
    if (file_read_or_stdin(path, &text, e) == -1) {
        (void)err_prefix(e, "%s", path);
        goto done;
    }
    json = json_loadb(buf_str(&text).p, buf_str(&text).n, JSON_ALLOW_NUL, &why);
    if (json == NULL || !json_is_object(json)) {
        (void)err_set(e, E_SYNTAX, "%s:%d:%d: %s", path, json == NULL ? why.line : 1,
                      json == NULL ? why.column : 1,
                      json == NULL ? why.text : "it must be an object of variables");
        goto done;
    }
    add_vars(x, json);
    rc = 0;
done:
    json_decref(json);
    buf_fini(&text);
    return rc;
}

/* ---- problems -------------------------------------------------------------------------------- */

/* The line of the expression with a caret below the place. */
static void print_place(struct str source, size_t at)
{
    struct str before = str_slice(source, 0, at);
    size_t newline = str_rfind_char(before, '\n');
    size_t start = newline == before.n ? 0 : newline + 1;
    struct str line = str_skip(source, start);

    line = str_slice(line, 0, str_find_char(line, '\n'));
    before = str_skip(before, start);
    (void)fprintf(stderr, "  %.*s\n  ", STR_ARG(line));
    for (size_t i = 0; i < before.n; i++) {
        if (!utf8_is_tail(before.p[i]))
            (void)fputc(before.p[i] == '\t' ? '\t' : ' ', stderr);
    }
    (void)fputs("^\n", stderr);
}

static int compile(struct eval *x, struct str source)
{
    const struct cel_compile_params params = { .env = x->env, .check_flags = CEL_CHECK_HAS_INDEX };
    struct cel_issue issue = { .at = 0 };

    x->program = cel_compile(&params, source, &issue);
    if (x->program != NULL)
        return 0;
    (void)fprintf(stderr, "error: %s\n", issue.text);
    print_place(source, issue.at);
    return -1;
}

static int evaluate(struct eval *x)
{
    struct cel_value value;

    x->run.steps = 0;
    x->run.bytes = 0;
    x->run.spent = false;
    value = cel_eval(x->program, &x->run);
    if (!cel_is_error(value))
        value = cel_to_json(&x->run, value, true);
    if (cel_is_error(value)) {
        (void)fprintf(stderr, "error: %.*s\n", STR_ARG(cel_str(value)));
        return -1;
    }
    (void)printf("%.*s\n", STR_ARG(cel_str(value)));
    return 0;
}

int policy_eval(const char *expression, const char *vars_path)
{
    struct eval x = { .env = new_env(), .zones = cel_zones_load(CEL_ZONES_DIR, NULL) };
    struct err e;
    int rc = -1;

    arena_init(&x.arena);
    x.run = (struct cel_run){
        .arena = &x.arena, .limits = &limits, .var = var, .ctx = &x, .zones = x.zones
    };
    if (vars_path != NULL && read_vars(&x, vars_path, &e) == -1)
        (void)fprintf(stderr, "error: %s\n", e.msg);
    else if (compile(&x, str_from(expression)) == 0)
        rc = evaluate(&x);
    cel_program_free(x.program);
    cel_env_free(x.env);
    cel_zones_free(x.zones);
    arena_fini(&x.arena);
    return rc == 0 ? POLICY_COMMAND_OK : POLICY_COMMAND_PROBLEM;
}
