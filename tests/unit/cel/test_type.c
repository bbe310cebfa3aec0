/*
 * Unit tests of policy/cel/type.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/cel/type.h"
#include "policy/cel/value.h"

static const struct cel_object_type cookie = { .name = "cookie" };
static const struct cel_object_type *const objects[] = { &cookie, NULL };

static void assert_str(struct str got, struct str want)
{
    if (!str_eq(got, want))
        print_error("got '%.*s', want '%.*s'\n", STR_ARG(got), STR_ARG(want));
    assert_true(str_eq(got, want));
}

static void cel_type_parse_of_text_gives_the_text_back(void **state)
{
    static const char *const cases[] = {
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "null",
        "timestamp",
        "duration",
        "dyn",
        "error",
        "type",
        "net.IP",
        "net.CIDR",
        "cookie",
        "T",
        "list(int)",
        "map(string,list(cookie))",
        "type(type)",
        "type(list(dyn))",
        "optional_type(map(K,V))",
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i]);
        const struct cel_type *t = cel_type_parse(&a, &text, objects);

        assert_non_null(t);
        assert_int_equal(text.n, 0);
        assert_str(cel_type_text(&a, t), str_from(cases[i]));
    }
    arena_fini(&a);
}

static void cel_type_parse_leaves_what_follows(void **state)
{
    static const struct {
        const char *text;
        const char *type;
        const char *rest;
    } cases[] = {
        { "list(T).slice(int)", "list(T)", ".slice(int)" },
        { "net.IP.family()", "net.IP", ".family()" },
        { "string, int)", "string", ", int)" },
        { "map(string, int) -> int", "map(string,int)", " -> int" },
        { "type(T) -> type(T)", "type(T)", " -> type(T)" },
        { "int...", "int", "..." },
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i].text);
        const struct cel_type *t = cel_type_parse(&a, &text, NULL);

        assert_non_null(t);
        assert_str(cel_type_text(&a, t), str_from(cases[i].type));
        assert_str(text, str_from(cases[i].rest));
    }
    arena_fini(&a);
}

static void cel_type_parse_of_no_type_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "(",
        "list",
        "list()",
        "list(int",
        "list(int,int)",
        "map(int",
        "map(int)",
        "map(int int)",
        "integer",
        "net",
        "net.",
        "TT",
        "cookies",
        "optional_type",
        "list(cookie)",
        "optional",
        "list(,)",
        "math",
        "net.IPNet",
        "map(int,int,int)",
        "Int",
        "4",
        "type()",
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i]);

        if (cel_type_parse(&a, &text, NULL) != NULL)
            fail_msg("'%s' was read as a type", cases[i]);
        assert_int_equal(text.n, str_from(cases[i]).n);
    }
    arena_fini(&a);
}

/* "list(list(...int...))" with so many lists. */
static struct str nested(struct arena *a, unsigned levels)
{
    struct str text = STR("int");

    for (unsigned i = 0; i < levels; i++)
        text = arena_fmt(a, "list(%.*s)", STR_ARG(text));
    return text;
}

static void cel_type_parse_bounds_nesting(void **state)
{
    struct arena a;
    struct str text;

    (void)state;
    arena_init(&a);
    text = nested(&a, CEL_TYPE_PARSE_DEPTH - 1);
    assert_non_null(cel_type_parse(&a, &text, NULL));
    text = nested(&a, CEL_TYPE_PARSE_DEPTH);
    assert_null(cel_type_parse(&a, &text, NULL));
    arena_fini(&a);
}

static void cel_type_text_of_a_large_type_is_cut(void **state)
{
    const struct cel_type *t = cel_type_basic(CEL_T_INT);
    struct arena a;
    struct str text;

    (void)state;
    arena_init(&a);
    for (int i = 0; i < 40; i++) /* 2^40 words when written out */
        t = cel_type_map(&a, t, t);
    text = cel_type_text(&a, t);
    assert_in_range(text.n, CEL_TYPE_TEXT_BYTES / 2, CEL_TYPE_TEXT_BYTES + 3);
    assert_true(str_ends(text, STR("...")));
    arena_fini(&a);
}

static void cel_type_equal_looks_at_the_structure(void **state)
{
    const struct cel_type *integer = cel_type_basic(CEL_T_INT);
    const struct cel_type *dyn = cel_type_basic(CEL_T_DYN);
    struct cel_type tuple = { .kind = CEL_T_ABSTRACT, .name = STR("tuple"), .count = 1 };
    struct cel_type triple = { .kind = CEL_T_ABSTRACT, .name = STR("triple"), .count = 1 };
    struct arena a;

    (void)state;
    arena_init(&a);
    tuple.params[0] = integer;
    triple.params[0] = integer;
    assert_true(cel_type_equal(cel_type_list(&a, integer), cel_type_list(&a, integer)));
    assert_false(cel_type_equal(cel_type_list(&a, integer), cel_type_list(&a, dyn)));
    assert_false(cel_type_equal(cel_type_list(&a, integer), cel_type_optional(&a, integer)));
    assert_false(cel_type_equal(cel_type_map(&a, integer, dyn), cel_type_map(&a, dyn, integer)));
    assert_false(cel_type_equal(cel_type_type(&a, integer), cel_type_basic(CEL_T_TYPE)));
    assert_false(cel_type_equal(&tuple, &triple));
    assert_true(cel_type_equal(&tuple, cel_type_with_params(&a, &tuple, tuple.params)));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cel_type_parse_of_text_gives_the_text_back),
        cmocka_unit_test(cel_type_parse_leaves_what_follows),
        cmocka_unit_test(cel_type_parse_of_no_type_is_refused),
        cmocka_unit_test(cel_type_parse_bounds_nesting),
        cmocka_unit_test(cel_type_text_of_a_large_type_is_cut),
        cmocka_unit_test(cel_type_equal_looks_at_the_structure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
