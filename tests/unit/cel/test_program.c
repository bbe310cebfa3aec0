/*
 * Unit tests of programs: what is settled when they are compiled, and the limits of an evaluation.
 * policy/cel/{program,lower,eval}*, with the real parser and checker.
 * Links: tests/unit/cel/scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/cel/scene.h"

static struct scene scene;

static int set_up(void **state)
{
    (void)state;
    scene_init(&scene);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_fini(&scene);
    return 0;
}

static void cel_compile_folds_constants(void **state)
{
    static const struct {
        const char *source;
        const char *want; /* NULL: it is no constant */
    } cases[] = {
        { "1 + 2 * 3", "int 7" },
        { "'a' + 'b'", "string \"ab\"" },
        { "[1, 2 + 3, size('abc')]", "list [1,5,3]" },
        { "{'a': [1]}.a[0] == 1 ? 'yes' : 'no'", "string \"yes\"" },
        { "has({'a': 1}.a) && 1 in [1]", "bool true" },
        { "timestamp('2024-01-01T00:00:00Z').getFullYear()", "int 2024" },
        { "'abc'.matches('b')", "bool true" },
        { "int", "type \"int\"" },
        { "sum(1, 2, 3)", "int 6" },
        { "none()", "optional_type null" },
        { "1 / 0", NULL },
        { "next()", NULL },
        { "fail()", NULL },
        { "i", NULL },
        { "[i]", NULL },
        { "[1].map(q, q)", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_program *p = scene_compile(&scene, cases[i].source, 0);
        struct cel_value v;
        bool constant = cel_program_constant(p, &v);

        if (constant != (cases[i].want != NULL))
            fail_msg("%s", cases[i].source);
        if (constant)
            assert_string_equal(scene_text(&scene, v), cases[i].want);
        if (constant)
            assert_string_equal(scene_text(&scene, scene_run(&scene, p)), cases[i].want);
        cel_program_free(p);
    }
}

static struct cel_program *compile_buf(struct buf *b)
{
    struct cel_program *p;

    buf_add_char(b, '\0');
    assert_false(buf_failed(b));
    p = scene_compile(&scene, buf_str(b).p, 0);
    buf_clear(b);
    return p;
}

/* What folding would cost more than a program may is left to the evaluation. */
static void cel_compile_folding_is_bounded(void **state)
{
    struct cel_program *p;
    struct cel_value v;
    struct buf b;

    (void)state;
    buf_init(&b, 16384);
    buf_add_str(&b, STR("size(['abc'"));
    for (int i = 0; i < 900; i++)
        buf_add_str(&b, STR(",'abc'"));
    buf_add_str(&b, STR("]) + size('x')"));
    p = compile_buf(&b);
    assert_true(cel_program_constant(p, &v));
    assert_int_equal(v.as.i, 902);
    cel_program_free(p);

    for (int i = 0; i < 8; i++) {
        buf_add_str(&b, i == 0 ? STR("size([0") : STR(" + size([0"));
        for (int k = 0; k < 150; k++)
            buf_add_str(&b, STR(",[0]"));
        for (int k = 0; k < 150; k++)
            buf_add_str(&b, STR(",{}"));
        buf_add_str(&b, STR("])"));
    }
    p = compile_buf(&b);
    assert_false(cel_program_constant(p, &v));
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "int 2408");
    cel_program_free(p);
    buf_fini(&b);
}

static void cel_program_uses_names_its_variables(void **state)
{
    struct cel_program *p = scene_compile(&scene, "i == 1 || l.exists(q, has(req.port))", 0);

    (void)state;
    assert_true(cel_program_uses(p, 0));
    assert_false(cel_program_uses(p, 1));
    assert_true(cel_program_uses(p, 10));
    assert_true(cel_program_uses(p, 19));
    cel_program_free(p);
}

static void cel_program_type_outlives_the_tree(void **state)
{
    struct cel_program *p = scene_compile(&scene, "{'a': [c]}", 0);
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(str_eq(cel_type_text(&a, cel_program_type(p)), STR("map(string,list(cookie))")));
    cel_program_free(p);
    p = scene_compile(&scene, "1", CEL_CHECK_OFF);
    assert_int_equal(cel_program_type(p)->kind, CEL_T_DYN);
    cel_program_free(p);
    arena_fini(&a);
}

static void cel_compile_problem_is_reported(void **state)
{
    struct cel_compile_params params = { .env = scene.env, .want = cel_type_basic(CEL_T_BOOL) };
    struct cel_issue issue = { 0 };

    (void)state;
    assert_null(cel_compile(&params, STR("1 +"), &issue));
    assert_int_equal(issue.stage, CEL_STAGE_PARSE);
    assert_null(cel_compile(&params, STR("i + 1"), &issue));
    assert_int_equal(issue.stage, CEL_STAGE_CHECK);
    cel_program_free(NULL);
}

static void cel_eval_asks_for_a_variable_only_when_it_is_needed(void **state)
{
    struct cel_program *p = scene_compile(&scene, "yes || bad == 1", 0);

    (void)state;
    scene.var_calls = 0;
    (void)scene_run(&scene, p);
    assert_int_equal(scene.var_calls, 1);
    cel_program_free(p);
    p = scene_compile(&scene, "[next(), next()]", 0);
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "list [1,2]");
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "list [3,4]");
    cel_program_free(p);
}

static void cel_eval_plain_comparisons_allocate_nothing(void **state)
{
    static const char *const sources[] = {
        "s == 'abc' && i >= 7 && s in ['abc', 'd'] && !(e == 'x')",
        "has(c.name) && c.name == 'n' && s.matches('b') && size(s) == 3",
        "'a' in headers && headers['a'].exists(v, v == '2') && headers['b'] == []",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct cel_program *p = scene_compile(&scene, sources[i], 0);

        assert_true(cel_is_true(scene_run(&scene, p)));
        assert_int_equal(scene.run.bytes, 0);
        cel_program_free(p);
    }
}

/* ---- limits ---- */

static void cel_eval_steps_at_limit(void **state)
{
    struct cel_program *p = scene_compile(&scene, "l.all(q, q < i)", 0);
    uint32_t steps;

    (void)state;
    assert_true(cel_is_true(scene_run(&scene, p)));
    steps = scene.run.steps;
    scene.limits.steps = steps;
    assert_true(cel_is_true(scene_run(&scene, p)));
    scene.limits.steps = steps - 1;
    assert_true(cel_is_error(scene_run(&scene, p)));
    assert_true(scene.run.spent);
    cel_program_free(p);
}

static void cel_eval_bytes_at_limit(void **state)
{
    struct cel_program *p = scene_compile(&scene, "(s + s).size() + size(l.map(q, q))", 0);
    size_t bytes;

    (void)state;
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "int 9");
    bytes = scene.run.bytes;
    scene.limits.arena_bytes = bytes;
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "int 9");
    scene.limits.arena_bytes = bytes - 1;
    assert_true(cel_is_error(scene_run(&scene, p)));
    cel_program_free(p);
}

static void cel_eval_string_at_limit(void **state)
{
    struct cel_program *p = scene_compile(&scene, "size(s + s)", 0);

    (void)state;
    scene.limits.string_bytes = 6;
    assert_string_equal(scene_text(&scene, scene_run(&scene, p)), "int 6");
    scene.limits.string_bytes = 5;
    assert_true(cel_is_error(scene_run(&scene, p)));
    cel_program_free(p);
}

static void cel_eval_entries_at_limit(void **state)
{
    static const char *const sources[] = {
        "l + [4, i]",
        "[1, 2, 3, 4, i]",
        "[1, 2, 3, 4, 5].map(q, q + i)",
        "[1, 2, 3, 4, 5].filter(q, yes)",
        "[1, 2, 3, 4, 5].transformMap(a, b, i)",
        "{1: i, 2: i, 3: i, 4: i, 5: i}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct cel_program *p = scene_compile(&scene, sources[i], 0);

        scene.limits.entries = 5;
        assert_false(cel_is_error(scene_run(&scene, p)));
        scene.limits.entries = 4;
        assert_true(cel_is_error(scene_run(&scene, p)));
        cel_program_free(p);
    }
}

/* A limit that was hit is not absorbed, and nothing is evaluated any more. */
static void cel_eval_spent_run_ends(void **state)
{
    static const char *const sources[] = {
        "big.all(a, big.all(b, a + b >= 0)) || yes",
        "big.exists(a, big.exists(b, a + b < 0)) ? i : i",
        "yes && !big.all(a, big.all(b, 1 / 0 > 0))",
        "cel.bind(q, big.map(a, big.map(b, b)), i)",
        "[1].exists(q, big.all(a, big.all(b, true)) || yes)",
        "some(1).optMap(q, big.all(a, big.all(b, true))).orValue(yes)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct cel_program *p = scene_compile(&scene, sources[i], 0);

        assert_true(cel_is_error(scene_run(&scene, p)));
        assert_true(scene.run.spent);
        assert_true(scene.run.steps <= scene.limits.steps);
        assert_true(scene.run.bytes <= scene.limits.arena_bytes);
        assert_true(scene.next == 0 && scene.var_calls < 10000);
        cel_program_free(p);
    }
}

/* Expressions that want exponential time or memory get what the limits allow. */
static void cel_eval_hostile_expressions_are_bounded(void **state)
{
    static const char *const sources[] = {
        "[s].map(a, [a + a, a + a]).map(a, a.map(b, [b + b, b + b])).map(a, a.map(b, b.map(c, "
        "[c + c, c + c])))",
        "big.all(a, big.all(b, big.all(c, big.all(f, 1 / 0 > 0))))",
        "big.map(a, big.map(b, big.map(c, big.map(f, f))))",
        "cel.bind(a, s + s, cel.bind(b, a + a + a + a + a + a + a + a, cel.bind(c, b + b + b + b + "
        "b + b + b + b, cel.bind(f, c + c + c + c + c + c + c + c, cel.bind(g, f + f + f + f + f + "
        "f + f + f, cel.bind(h, g + g + g + g + g + g + g + g, h + h + h + h + h + h + h + h))))))",
        "cel.bind(a, big + big, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(f, c + c, f + f))))",
        "big.exists(a, big.map(b, string(b)) == ['a'])",
        "big.sortBy(a, big.sortBy(b, -b)[0] - a)",
        "big.transformMap(a, b, big.transformMap(c, f, c)) == {}",
        "cel.block([[1], [cel.index(0), cel.index(0)], [cel.index(1), cel.index(1)], "
        "[cel.index(2), cel.index(2)], [cel.index(3), cel.index(3)], [cel.index(4), cel.index(4)], "
        "[cel.index(5), cel.index(5)], [cel.index(6), cel.index(6)], [cel.index(7), cel.index(7)], "
        "[cel.index(8), cel.index(8)], [cel.index(9), cel.index(9)], [cel.index(10), "
        "cel.index(10)], [cel.index(11), cel.index(11)], [cel.index(12), cel.index(12)], "
        "[cel.index(13), cel.index(13)], [cel.index(14), cel.index(14)], [cel.index(15), "
        "cel.index(15)], [cel.index(16), cel.index(16)]], cel.index(17) == cel.index(17))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct cel_program *p = scene_compile(&scene, sources[i], 0);
        size_t before = arena_used(&scene.arena);

        (void)scene_run(&scene, p);
        assert_true(scene.run.steps <= scene.limits.steps);
        assert_true(scene.run.bytes <= scene.limits.arena_bytes);
        assert_true(arena_used(&scene.arena) - before <= scene.limits.arena_bytes);
        cel_program_free(p);
    }
}

/* A value that nests deeper than value_depth is made, but neither compared nor encoded. */
static void cel_eval_deep_values_are_bounded(void **state)
{
    static const char source[] = "cel.block([[i], [cel.index(0)], [cel.index(1)], [cel.index(2)]], "
                                 "cel.index(3) == [[[[7]]]])";
    struct cel_program *p = scene_compile(&scene, source, 0);

    (void)state;
    scene.limits.value_depth = 4;
    assert_true(cel_is_true(scene_run(&scene, p)));
    scene.limits.value_depth = 3;
    assert_true(cel_is_error(scene_run(&scene, p)));
    assert_true(scene.run.spent);
    cel_program_free(p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(cel_compile_folds_constants),
        CASE(cel_compile_folding_is_bounded),
        CASE(cel_program_uses_names_its_variables),
        CASE(cel_program_type_outlives_the_tree),
        CASE(cel_compile_problem_is_reported),
        CASE(cel_eval_asks_for_a_variable_only_when_it_is_needed),
        CASE(cel_eval_plain_comparisons_allocate_nothing),
        CASE(cel_eval_steps_at_limit),
        CASE(cel_eval_bytes_at_limit),
        CASE(cel_eval_string_at_limit),
        CASE(cel_eval_entries_at_limit),
        CASE(cel_eval_spent_run_ends),
        CASE(cel_eval_hostile_expressions_are_bounded),
        CASE(cel_eval_deep_values_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
