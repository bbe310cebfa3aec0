/*
 * Unit tests of policy/cel/env.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/cel/env_int.h"

static const struct cel_fn_row rows[] = {
    { "size(string) -> int", NULL, 0 },          { "string.size() -> int", NULL, 0 },
    { "math.greatest(int...) -> int", NULL, 0 }, { "list(T).slice(int, int) -> list(T)", NULL, 0 },
    { "net.IP.family() -> int", NULL, 0 },       { "cookie.age() -> duration", NULL, 0 },
    { "_[_](map(K, V), K) -> V", NULL, 0 },      { "-_(int) -> int", NULL, 0 },
    { "type(T) -> type(T)", NULL, 0 },           { "now() -> timestamp", NULL, 0 },
    { "acme.b.f(int) -> int", NULL, 0 },         { "acme.f(int) -> int", NULL, 0 },
};
static const struct cel_library library = { rows, sizeof(rows) / sizeof(rows[0]) };
static const struct cel_library *const libraries[] = { &library, NULL };

static const struct cel_object_field cookie_fields[] = { { "name", "string" },
                                                         { "age", "duration" } };
static const struct cel_object_type cookie = { .name = "cookie",
                                               .fields = cookie_fields,
                                               .field_count = 2 };
static const struct cel_object_type *const objects[] = { &cookie, NULL };

static struct cel_env *env_new(const char *container)
{
    const struct cel_env_params params = { .libraries = libraries,
                                           .objects = objects,
                                           .container = str_from(container) };

    return cel_env_new(&params);
}

/* A signature as it was understood. */
static struct str overload_text(struct arena *a, const struct cel_overload *o)
{
    struct str text = arena_fmt(a, "%s%.*s", o->method ? "method " : "", STR_ARG(o->name));

    for (size_t i = 0; i < o->count; i++)
        text = arena_fmt(a, "%.*s %.*s", STR_ARG(text), STR_ARG(cel_type_text(a, o->params[i])));
    return arena_fmt(a, "%.*s%s = %.*s", STR_ARG(text), o->variadic ? "..." : "",
                     STR_ARG(cel_type_text(a, o->result)));
}

static void cel_env_new_reads_signatures(void **state)
{
    static const struct {
        const char *name;
        size_t index;
        const char *text;
    } cases[] = {
        { "size", 0, "size string = int" },
        { "size", 1, "method size string = int" },
        { "math.greatest", 0, "math.greatest int... = int" },
        { "slice", 0, "method slice list(T) int int = list(T)" },
        { "family", 0, "method family net.IP = int" },
        { "age", 0, "method age cookie = duration" },
        { "_[_]", 0, "_[_] map(K,V) K = V" },
        { "-_", 0, "-_ int = int" },
        { "type", 0, "type T = type(T)" },
        { "now", 0, "now = timestamp" },
    };
    struct cel_env *env = env_new("");
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cel_env_function *f = cel_env_find_method(env, str_from(cases[i].name));
        struct str text;

        assert_non_null(f);
        assert_true(f->count > cases[i].index);
        assert_non_null(f->overloads[cases[i].index]->row);
        text = overload_text(&a, f->overloads[cases[i].index]);
        if (!str_eq(text, str_from(cases[i].text)))
            fail_msg("got '%.*s', want '%s'", STR_ARG(text), cases[i].text);
    }
    arena_fini(&a);
    cel_env_free(env);
}

static void cel_env_add_var_of_a_bad_type_is_refused(void **state)
{
    static const char *const cases[] = { "", "integer", "list", "int ", "list(int))", "cookies" };
    struct cel_env *env = env_new("");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(cel_env_add_var(env, STR("x"), cases[i], 1), -1);
    assert_null(cel_env_find_name(env, cel_env_arena(env), STR("x"), false));
    assert_int_equal(cel_env_add_var(env, STR("x"), "map(string, list(cookie))", 1), 0);
    assert_non_null(cel_env_find_name(env, cel_env_arena(env), STR("x"), false));
    cel_env_free(env);
}

/* The slot that a name means; 0: none. */
static unsigned slot(const struct cel_env *env, const char *name, bool rooted)
{
    struct arena a;
    const struct cel_env_name *found;

    arena_init(&a);
    found = cel_env_find_name(env, &a, str_from(name), rooted);
    arena_fini(&a);
    return found == NULL ? 0 : found->ref.index;
}

static void cel_env_find_name_looks_through_the_container(void **state)
{
    struct cel_env *env = env_new("acme.b");

    (void)state;
    assert_int_equal(cel_env_add_var(env, STR("x"), "int", 1), 0);
    assert_int_equal(cel_env_add_var(env, STR("acme.x"), "int", 2), 0);
    assert_int_equal(cel_env_add_var(env, STR("acme.b.x"), "int", 3), 0);
    assert_int_equal(cel_env_add_var(env, STR("acme.y"), "int", 4), 0);
    assert_int_equal(cel_env_add_var(env, STR("z.w"), "int", 5), 0);
    assert_int_equal(slot(env, "x", false), 3);
    assert_int_equal(slot(env, "x", true), 1);
    assert_int_equal(slot(env, "y", false), 4);
    assert_int_equal(slot(env, "y", true), 0);
    assert_int_equal(slot(env, "b.x", false), 3);
    assert_int_equal(slot(env, "acme.x", false), 2);
    assert_int_equal(slot(env, "z.w", false), 5);
    assert_int_equal(slot(env, "z", false), 0);
    cel_env_free(env);
}

static void cel_env_find_function_looks_through_the_container(void **state)
{
    struct cel_env *env = env_new("acme.b");
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(str_eq(cel_env_find_function(env, &a, STR("f"), false)->name, STR("acme.b.f")));
    assert_true(str_eq(cel_env_find_function(env, &a, STR("b.f"), false)->name, STR("acme.b.f")));
    assert_null(cel_env_find_function(env, &a, STR("f"), true));
    assert_true(str_eq(cel_env_find_function(env, &a, STR("acme.f"), true)->name, STR("acme.f")));
    arena_fini(&a);
    cel_env_free(env);
}

static void cel_env_add_var_hides_a_type_name(void **state)
{
    struct cel_env *env = env_new("");
    const struct cel_env_name *found = cel_env_find_name(env, cel_env_arena(env), STR("int"), true);

    (void)state;
    assert_int_equal(found->ref.kind, CEL_REF_VALUE);
    assert_true(str_eq(cel_str(found->ref.value), STR("int")));
    assert_int_equal(cel_env_add_var(env, STR("int"), "string", 7), 0);
    found = cel_env_find_name(env, cel_env_arena(env), STR("int"), true);
    assert_int_equal(found->ref.kind, CEL_REF_SLOT);
    assert_int_equal(found->ref.index, 7);
    assert_int_equal(found->type->kind, CEL_T_STRING);
    cel_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cel_env_new_reads_signatures),
        cmocka_unit_test(cel_env_add_var_of_a_bad_type_is_refused),
        cmocka_unit_test(cel_env_find_name_looks_through_the_container),
        cmocka_unit_test(cel_env_find_function_looks_through_the_container),
        cmocka_unit_test(cel_env_add_var_hides_a_type_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
