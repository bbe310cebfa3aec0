#include "tests/unit/cel/fn_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"
#include "policy/regex.h"

enum {
    SLOT_BIG,
    SLOT_KILO,
    SLOT_MANY,
    BIG_BYTES = 64 * 1024,
    KILO_BYTES = 1024,
    MANY_COUNT = 10000,
    LIBRARIES_MAX = 32,
    PATIENCE_S = 20,
};

struct fn_scene {
    struct cel_env *env;
    struct regex_cache *regexes;
    struct arena arena;
    struct cel_run run;
};

static char big[BIG_BYTES];
static struct cel_value many[MANY_COUNT];

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    static const struct cel_list list = { .items = many, .count = MANY_COUNT };

    (void)run;
    for (size_t i = 0; i < MANY_COUNT; i++)
        many[i] = cel_int((int64_t)i);
    memset(big, 'a', sizeof(big));
    if (slot == SLOT_MANY)
        return cel_list_of(&list);
    return cel_string(str_of(big, slot == SLOT_BIG ? BIG_BYTES : KILO_BYTES));
}

static void open(struct fn_scene *s)
{
    const struct cel_library *libraries[LIBRARIES_MAX];
    struct cel_env_params params = { .libraries = libraries };
    size_t count = 0;

    for (size_t i = 0; cel_standard_libraries[i] != NULL; i++)
        libraries[count++] = cel_standard_libraries[i];
    for (size_t i = 0; cel_policy_libraries[i] != NULL; i++)
        libraries[count++] = cel_policy_libraries[i];
    assert_true(count < LIBRARIES_MAX);
    libraries[count] = NULL;
    *s = (struct fn_scene){ .env = cel_env_new(&params), .regexes = regex_cache_new(4) };
    arena_init(&s->arena);
    assert_int_equal(cel_env_add_var(s->env, STR("big"), "string", SLOT_BIG), 0);
    assert_int_equal(cel_env_add_var(s->env, STR("kilo"), "string", SLOT_KILO), 0);
    assert_int_equal(cel_env_add_var(s->env, STR("many"), "list(int)", SLOT_MANY), 0);
}

static void close(struct fn_scene *s)
{
    cel_env_free(s->env);
    regex_cache_free(s->regexes);
    arena_fini(&s->arena);
}

static struct cel_program *compile(struct fn_scene *s, const char *source, unsigned flags)
{
    struct cel_compile_params params = { .env = s->env, .check_flags = flags };
    struct cel_issue issue = { 0 };
    struct cel_program *p = cel_compile(&params, str_from(source), &issue);

    if (p == NULL)
        fail_msg("%s: at %u: %s", source, issue.at, issue.text);
    return p;
}

static struct cel_value eval(struct fn_scene *s, const struct cel_program *p)
{
    s->run = (struct cel_run){
        .arena = &s->arena, .limits = &cel_default_limits, .var = var, .regexes = s->regexes
    };
    return cel_eval(p, &s->run);
}

/* Type and JSON, or "error". */
static struct str text_of(struct fn_scene *s, const char *source, unsigned flags)
{
    struct cel_program *p = compile(s, source, flags);
    struct cel_value v = eval(s, p);
    struct cel_run run = { .arena = &s->arena, .limits = &cel_default_limits };
    struct cel_value json = cel_is_error(v) ? v : cel_to_json(&run, v, true);
    struct str text = STR("error");

    if (!cel_is_error(v))
        text = arena_fmt(&s->arena, "%.*s %.*s", STR_ARG(cel_type_name(v)), STR_ARG(cel_str(json)));
    cel_program_free(p);
    return text;
}

static void check_row(struct fn_scene *s, const struct fn_row *row, unsigned flags)
{
    struct str got = text_of(s, row->source, flags);
    struct str want = row->want == NULL ? STR("error") : text_of(s, row->want, flags);

    if (row->want != NULL && str_eq(want, STR("error")))
        fail_msg("%s is an error itself", row->want);
    if (!str_eq(got, want))
        fail_msg("%s: %.*s instead of %.*s", row->source, STR_ARG(got), STR_ARG(want));
}

void fn_check_rows(const struct fn_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fn_scene s;

        open(&s);
        check_row(&s, &rows[i], 0);
        check_row(&s, &rows[i], CEL_CHECK_OFF);
        close(&s);
    }
}

void fn_check_refused(const char *const *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fn_scene s;
        struct cel_compile_params params = { 0 };
        struct cel_issue issue = { 0 };

        open(&s);
        params.env = s.env;
        if (cel_compile(&params, str_from(sources[i]), &issue) != NULL)
            fail_msg("%s loads", sources[i]);
        close(&s);
    }
}

void fn_check_spent(const char *const *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fn_scene s;
        struct cel_program *p;
        struct cel_value v;
        clock_t start;

        open(&s);
        p = compile(&s, sources[i], 0);
        start = clock();
        v = eval(&s, p);
        if (!cel_is_error(v) || !s.run.spent)
            fail_msg("%s ends with %u steps and %zu bytes spent", sources[i], s.run.steps,
                     s.run.bytes);
        if (clock() - start > PATIENCE_S * CLOCKS_PER_SEC)
            fail_msg("%s takes too long", sources[i]);
        cel_program_free(p);
        close(&s);
    }
}
