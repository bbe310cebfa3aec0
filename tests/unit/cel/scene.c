#include "tests/unit/cel/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BIG_COUNT = 2000 };

enum slot {
    SLOT_I,
    SLOT_U,
    SLOT_D,
    SLOT_S,
    SLOT_E,
    SLOT_BY,
    SLOT_YES,
    SLOT_NO,
    SLOT_T,
    SLOT_DUR,
    SLOT_L,
    SLOT_M,
    SLOT_X,
    SLOT_Y,
    SLOT_Z,
    SLOT_W,
    SLOT_BAD,
    SLOT_HEADERS,
    SLOT_C,
    SLOT_PORT,
    SLOT_GONE,
    SLOT_BIG,
    SLOT_CAKE,
};

static const struct {
    const char *name;
    const char *type;
    enum slot slot;
} vars[] = {
    { "i", "int", SLOT_I },       { "u", "uint", SLOT_U },
    { "d", "double", SLOT_D },    { "s", "string", SLOT_S },
    { "e", "string", SLOT_E },    { "by", "bytes", SLOT_BY },
    { "yes", "bool", SLOT_YES },  { "no", "bool", SLOT_NO },
    { "t", "timestamp", SLOT_T }, { "dur", "duration", SLOT_DUR },
    { "l", "list(int)", SLOT_L }, { "m", "map(string, dyn)", SLOT_M },
    { "x", "dyn", SLOT_X },       { "y", "dyn", SLOT_Y },
    { "z", "dyn", SLOT_Z },       { "w", "dyn", SLOT_W },
    { "bad", "int", SLOT_BAD },   { "headers", "map(string, list(string))", SLOT_HEADERS },
    { "c", "cookie", SLOT_C },    { "req.port", "int", SLOT_PORT },
    { "gone", "dyn", SLOT_GONE }, { "big", "list(int)", SLOT_BIG },
    { "cake", "dyn", SLOT_CAKE },

};

/* ---- what the host lends ---- */

static struct cel_value header_values(void)
{
    static const struct cel_value items[] = {
        { .kind = CEL_STRING, .n = 1, .as.p = "1" },
        { .kind = CEL_STRING, .n = 1, .as.p = "2" },
    };
    static const struct cel_list list = { .items = items, .count = 2 };

    return cel_list_of(&list);
}

static size_t headers_size(const struct cel_map *map)
{
    (void)map;
    return 1;
}

static bool headers_find(struct cel_run *run, const struct cel_map *map,
                         const struct cel_value *key, struct cel_value *out)
{
    (void)run;
    (void)map;
    if (key->kind != CEL_STRING || !str_eq_nocase(cel_str(*key), STR("a")))
        return false;
    *out = header_values();
    return true;
}

static void headers_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                          struct cel_value *key, struct cel_value *value)
{
    (void)run;
    (void)map;
    assert_int_equal(index, 0);
    *key = cel_string(STR("a"));
    *value = header_values();
}

static const struct cel_map_ops headers_ops = {
    .size = headers_size,
    .find = headers_find,
    .entry = headers_entry,
    .missing_is_empty = true,
};
static const struct cel_map headers = { .ops = &headers_ops };

static struct cel_value cookie_get(struct cel_run *run, const void *object, size_t field)
{
    (void)run;
    (void)object;
    if (field == 2)
        return cel_int(0);
    return cel_string(field == 0 ? STR("n") : STR("v"));
}

static bool cookie_has(const void *object, size_t field)
{
    (void)object;
    return field != 2;
}

static const struct cel_object_field cookie_fields[] = {
    { "name", "string" },
    { "value", "string" },
    { "max_age", "int" },
};
static const struct cel_object_type cookie_type = {
    .name = "cookie",
    .fields = cookie_fields,
    .field_count = 3,
    .get = cookie_get,
    .has = cookie_has,
};
static const struct cel_object cookie = { .type = &cookie_type };

/* Looks like a cookie, but functions of cookies must not get it. */
static const struct cel_object_type cake_type = {
    .name = "cake",
    .fields = cookie_fields,
    .field_count = 3,
    .get = cookie_get,
    .has = cookie_has,
};
static const struct cel_object cake = { .type = &cake_type };

static struct cel_value numbers(struct cel_run *run, int64_t from, size_t count)
{
    struct cel_value items[BIG_COUNT];

    assert_true(count <= BIG_COUNT);
    for (size_t i = 0; i < count; i++)
        items[i] = cel_int(from + (int64_t)i);
    return cel_list_new(run, items, count);
}

static struct cel_value map_value(struct cel_run *run)
{
    struct cel_map_builder *b = cel_map_new(run, 0);
    struct cel_map_builder *n = cel_map_new(run, 0);

    if (b == NULL || n == NULL)
        return cel_spent(run);
    (void)cel_map_put(n, cel_string(STR("k")), cel_string(STR("v")));
    (void)cel_map_put(b, cel_string(STR("a")), cel_int(1));
    (void)cel_map_put(b, cel_string(STR("n")), cel_map_value(n));
    return cel_map_value(b);
}

static struct cel_value mixed_list(struct cel_run *run)
{
    struct cel_value items[] = { cel_int(1), cel_string(STR("a")) };

    return cel_list_new(run, items, 2);
}

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    struct scene *scene = run->ctx;

    scene->var_calls++;
    switch ((enum slot)slot) {
    case SLOT_I:
    case SLOT_X:
        return cel_int(7);
    case SLOT_U:
        return cel_uint(7);
    case SLOT_D:
        return cel_double(2.5);
    case SLOT_S:
    case SLOT_Y:
        return cel_string(STR("abc"));
    case SLOT_E:
        return cel_string(STR_NONE);
    case SLOT_BY:
        return cel_bytes(STR("ab"));
    case SLOT_YES:
        return cel_bool(true);
    case SLOT_NO:
        return cel_bool(false);
    case SLOT_T:
        return cel_timestamp(1720829416, 0);
    case SLOT_DUR:
        return cel_duration(1500000000);
    case SLOT_L:
        return numbers(run, 1, 3);
    case SLOT_M:
        return map_value(run);
    case SLOT_Z:
        return cel_null();
    case SLOT_W:
        return mixed_list(run);
    case SLOT_BAD:
        return cel_error(run, "bad variable");
    case SLOT_HEADERS:
        return cel_map_of(&headers);
    case SLOT_C:
        return cel_object_of(&cookie);
    case SLOT_PORT:
        return (struct cel_value){ .kind = CEL_INT, .absent = true };
    case SLOT_GONE:
        return (struct cel_value){ .kind = CEL_NULL, .absent = true };
    case SLOT_CAKE:
        return cel_object_of(&cake);
    case SLOT_BIG:
        return numbers(run, 0, BIG_COUNT);
    }
    return cel_error(run, "no such slot");
}

/* ---- functions ---- */

static struct cel_value none(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)args;
    (void)count;
    return cel_optional(NULL);
}

static struct cel_value some(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value *held = cel_alloc(run, sizeof(*held));

    (void)count;
    if (held == NULL)
        return cel_spent(run);
    *held = args[0];
    return cel_optional(held);
}

static struct cel_value next(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct scene *scene = run->ctx;

    (void)args;
    (void)count;
    return cel_int(++scene->next);
}

static struct cel_value sum(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t result = 0;

    (void)run;
    for (size_t i = 0; i < count; i++)
        result += args[i].as.i;
    return cel_int(result);
}

static struct cel_value twice_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i * 2);
}

static struct cel_value twice_string(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    (void)run;
    (void)count;
    (void)args;
    return cel_string(STR("twice"));
}

static struct cel_value taste(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    assert_ptr_equal(args[0].as.object->type, &cookie_type);
    return cel_string(STR("sweet"));
}

static struct cel_value fails(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)args;
    (void)count;
    return cel_error(run, "failed");
}

static const struct cel_fn_row rows[] = {
    { "none() -> optional_type(T)", none, CEL_FN_PURE },
    { "some(T) -> optional_type(T)", some, CEL_FN_PURE },
    { "next() -> int", next, CEL_FN_IMPURE },
    { "sum(int...) -> int", sum, CEL_FN_PURE },
    { "twice(int) -> int", twice_int, CEL_FN_PURE },
    { "twice(string) -> string", twice_string, CEL_FN_PURE },
    { "cookie.taste() -> string", taste, CEL_FN_PURE },
    { "fail() -> bool", fails, CEL_FN_PURE },
};
static const struct cel_library library = { .rows = rows, .count = sizeof(rows) / sizeof(rows[0]) };

/* ---- the scene ---- */

/* A function that is declared, but that nobody has written. */
static void declare_without_row(struct cel_env *env)
{
    const struct cel_type **params = arena_alloc(cel_env_arena(env), sizeof(struct cel_type *));
    struct cel_overload o = { .name = STR("no_fn"), .params = params, .count = 1 };

    params[0] = cel_type_basic(CEL_T_INT);
    o.result = params[0];
    cel_env_add_overload(env, &o);
}

void scene_init(struct scene *s)
{
    static const struct cel_library *const libraries[] = {
        &cel_operators_library,
        &cel_conversions_library,
        &cel_time_library,
        &cel_regex_library,
        &library,
        NULL,
    };
    static const struct cel_object_type *const objects[] = { &cookie_type, NULL };
    struct cel_env_params params = { .libraries = libraries, .objects = objects };

    *s = (struct scene){ .env = cel_env_new(&params), .limits = cel_default_limits };
    arena_init(&s->arena);
    declare_without_row(s->env);
    for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
        assert_int_equal(
            cel_env_add_var(s->env, str_from(vars[i].name), vars[i].type, vars[i].slot), 0);
}

void scene_fini(struct scene *s)
{
    cel_env_free(s->env);
    arena_fini(&s->arena);
}

struct cel_program *scene_compile(struct scene *s, const char *source, unsigned flags)
{
    struct cel_compile_params params = { .env = s->env, .check_flags = flags };
    struct cel_issue issue = { 0 };
    struct cel_program *p = cel_compile(&params, str_from(source), &issue);

    if (p == NULL)
        fail_msg("%s: at %u: %s", source, issue.at, issue.text);
    return p;
}

struct cel_value scene_run(struct scene *s, const struct cel_program *p)
{
    s->run = (struct cel_run){
        .arena = &s->arena,
        .limits = &s->limits,
        .var = var,
        .ctx = s,
    };
    return cel_eval(p, &s->run);
}

const char *scene_eval(struct scene *s, const char *source, unsigned flags)
{
    struct cel_program *p = scene_compile(s, source, flags);
    const char *text = scene_text(s, scene_run(s, p));

    cel_program_free(p);
    return text;
}

const char *scene_text(struct scene *s, struct cel_value v)
{
    struct cel_run run = { .arena = &s->arena, .limits = &cel_default_limits, .ctx = s };
    struct cel_value json = cel_is_error(v) ? v : cel_to_json(&run, v, true);

    if (cel_is_error(v))
        return arena_fmt(&s->arena, "error").p;
    return arena_fmt(&s->arena, "%.*s %.*s", STR_ARG(cel_type_name(v)), STR_ARG(cel_str(json))).p;
}
