/*
 * Unit tests of policy/fields. The action "deny" is replaced by one whose config the tests read.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_actions
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/policy/fake_host.h"

typedef void read_fn(const struct fields *c);

static read_fn *read_config;
static size_t times_read;

void *deny_compile(const struct fields *c)
{
    times_read++;
    read_config(c);
    return mem_zalloc(1);
}

enum policy_verdict deny_run(const void *compiled, struct action_run *run)
{
    (void)compiled;
    (void)run;
    return POLICY_CONTINUE;
}

void deny_free(void *compiled)
{
    mem_free(compiled);
}

static void accept(read_fn *fn, const char *config)
{
    read_config = fn;
    counted_unref(fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "deny", config));
}

/* `needle`: behind "config", as in ".a: it must ...". */
static void refuse(read_fn *fn, const char *config, enum err_code code, const char *needle)
{
    read_config = fn;
    fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "deny", config, code, needle);
}

/* ---- finding --------------------------------------------------------------------------------- */

static void read_known(const struct fields *c)
{
    static const char *const known[] = { "status_code", "body", NULL };

    (void)fields_known(c, known);
}

static void fields_known_names_the_nearest(void **state)
{
    (void)state;
    accept(read_known, "{status_code: 1, body: x}");
    accept(read_known, "{}");
    accept(read_known, "~");
    refuse(read_known, "{status-code: 1}", E_POLICY_CONFIG, "config: unknown field 'status-code'");
    refuse(read_known, "{zzz: 1, yyy: 2}", E_POLICY_CONFIG, "unknown field 'zzz'");
    refuse(read_known, "{zzz: 1, yyy: 2}", E_POLICY_CONFIG, "unknown field 'yyy'"); /* both */
}

static void read_needed(const struct fields *c)
{
    struct field a = fields_need(c, "a");
    struct field b = fields_find(c, "b");

    assert_false(field_is_given(&b));
    assert_true(field_is_given(&a));
    assert_false(field_is_shorthand(&a));
}

static void read_missing(const struct fields *c)
{
    struct field a = fields_need(c, "a");
    struct str text = STR("untouched");
    size_t count = 7;

    assert_false(field_is_given(&a));
    assert_int_equal(field_text(&a, &text), 0); /* harmless */
    assert_true(str_eq(text, STR("untouched")));
    assert_int_equal(field_list(&a, 1, 2, &count), 0);
    assert_int_equal(count, 0);
    assert_null(field_template(&a));
    assert_null(field_pattern(&a));
    assert_null(field_expression(&a, NULL));
}

static void fields_need_takes_null_for_absent(void **state)
{
    (void)state;
    accept(read_needed, "{a: x}");
    accept(read_needed, "{a: '', b: ~}");
    refuse(read_missing, "{}", E_POLICY_MISSING, "config.a: it is required");
    refuse(read_missing, "{a: ~}", E_POLICY_MISSING, "config.a: it is required");
    refuse(read_missing, "{a: }", E_POLICY_MISSING, "config.a: it is required");
    refuse(read_missing, "~", E_POLICY_MISSING, "config.a: it is required");
}

static void config_that_is_no_mapping_is_refused(void **state)
{
    (void)state;
    times_read = 0;
    refuse(read_known, "text", E_POLICY_CONFIG, "config: it must be a mapping, not a string");
    refuse(read_known, "[a]", E_POLICY_CONFIG, "config: it must be a mapping, not a list");
    assert_int_equal(times_read, 0);
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool bool_out;
static int64_t int_out;
static double double_out;
static uint64_t ms_out;
static unsigned choice_out;
static char text_out[64];

static void read_scalars(const struct fields *c)
{
    static const char *const choices[] = { "halt", "continue", NULL };
    struct field b = fields_find(c, "bool");
    struct field i = fields_find(c, "int");
    struct field d = fields_find(c, "double");
    struct field duration = fields_find(c, "duration");
    struct field choice = fields_find(c, "choice");
    struct field text = fields_find(c, "text");
    struct str s = STR_NONE;

    (void)field_bool(&b, &bool_out);
    (void)field_int(&i, -5, 600, &int_out);
    (void)field_double(&d, 0.0, 1.0, &double_out);
    (void)field_duration(&duration, 1000, 7200000, &ms_out);
    (void)field_choice(&choice, choices, &choice_out);
    if (field_text(&text, &s) == 0)
        (void)snprintf(text_out, sizeof(text_out), "%.*s", STR_ARG(s));
}

static void field_scalars_are_read(void **state)
{
    (void)state;
    accept(read_scalars, "{bool: true, int: 600, double: 1, choice: continue, text: 1.30}");
    assert_true(bool_out);
    assert_int_equal(int_out, 600);
    assert_true(double_out >= 1.0);
    assert_int_equal(choice_out, 1);
    assert_string_equal(text_out, "1.30"); /* its source text (D2) */
    accept(read_scalars, "{bool: FALSE, int: -5, double: 0.25}");
    assert_false(bool_out);
    assert_int_equal(int_out, -5);
    assert_int_equal(choice_out, 1); /* left alone */
}

static void field_scalars_of_the_wrong_kind_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{bool: 'true'}", E_POLICY_CONFIG, ".bool: it must be true or false, not a string" },
        { "{bool: yes}", E_POLICY_CONFIG, ".bool: it must be true or false" },
        { "{bool: 1}", E_POLICY_CONFIG, "not a number" },
        { "{int: 1.5}", E_POLICY_CONFIG, ".int: it must be a whole number" },
        { "{int: '1'}", E_POLICY_CONFIG, "not a string" },
        { "{int: 601}", E_POLICY_RANGE, ".int: 601 is outside of -5 to 600" },
        { "{int: -6}", E_POLICY_RANGE, "-6 is outside" },
        { "{double: [1]}", E_POLICY_CONFIG, ".double: it must be a number, not a list" },
        { "{double: 1.01}", E_POLICY_RANGE, ".double: 1.01 is outside of 0 to 1" },
        { "{double: .nan}", E_POLICY_CONFIG, "it must be a number" },
        { "{choice: hat}", E_POLICY_CHOICE, ".choice: 'hat' is not one of the allowed values" },
        { "{choice: {}}", E_POLICY_CONFIG, "not a mapping" },
        { "{text: {a: b}}", E_POLICY_CONFIG, ".text: it must be a string, not a mapping" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuse(read_scalars, cases[i].config, cases[i].code, cases[i].needle);
}

static void field_duration_takes_gos_syntax(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        { "90s", 90000 },
        { "1h30m", 5400000 },
        { "1.5h", 5400000 },
        { "2h", 7200000 },
        { "1000ms", 1000 },
        { "1s500us", 1000 },
        { "1.005s", 1005 },
        { "1m.5s", 60500 },
        { "1000000us", 1000 },
        { "+1s", 1000 },
        { "1.s", 1000 },
        { "1s1s1s", 3000 },
        { "1000000000ns", 1000 },
        { "1s999999ns", 1000 },
        { "1000000\xc2\xb5s", 1000 },
        { "1000000\xce\xbcs", 1000 },
    };
    static const char *const none[] = { "90",   "",     "s",  "1d",  "1 s",  "1s ", "-",
                                        "1e3s", "1..s", ".s", "1sm", "0x1s", "1h30" };
    char config[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(config, sizeof(config), "{duration: '%s'}", cases[i].text);
        accept(read_scalars, config);
        assert_int_equal(ms_out, cases[i].ms);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        (void)snprintf(config, sizeof(config), "{duration: '%s'}", none[i]);
        refuse(read_scalars, config, E_POLICY_CONFIG, "config.duration: it must be ");
    }
    refuse(read_scalars, "{duration: 999ms}", E_POLICY_RANGE, "it must be at least 1s");
    refuse(read_scalars, "{duration: -1h}", E_POLICY_RANGE, "it must be at least 1s");
    refuse(read_scalars, "{duration: 7200001ms}", E_POLICY_DURATION, "it must be at most 2h");
    refuse(read_scalars, "{duration: 9999999999999999999h}", E_POLICY_DURATION, "at most 2h");
}

/* ---- lists and mappings ---------------------------------------------------------------------- */

static size_t count_out;

static void read_containers(const struct fields *c)
{
    struct field list = fields_find(c, "list");
    struct field map = fields_find(c, "map");
    struct field inner = fields_find(c, "inner");
    struct fields in = field_fields(&inner);
    struct field need = field_is_given(&inner) ? fields_need(&in, "x") : inner;
    size_t count = 0;

    (void)need;
    (void)field_list(&list, 1, 3, &count_out);
    for (size_t i = 0; i < count_out; i++) {
        struct field item = field_item(&list, i);
        struct str s = STR_NONE;

        (void)field_text(&item, &s);
    }
    (void)field_map(&map, 2, &count);
    for (size_t i = 0; i < count; i++) {
        struct str key;
        struct field entry = field_entry(&map, i, &key);
        struct str s = STR_NONE;

        assert_true(key.n > 0);
        (void)field_text(&entry, &s);
    }
}

static void field_containers_have_bounds_and_places(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{list: x}", E_POLICY_CONFIG, ".list: it must be a list, not a string" },
        { "{list: []}", E_POLICY_MISSING, ".list: it needs at least 1 entry" },
        { "{list: [1,2,3,4]}", E_POLICY_LIST_LENGTH, ".list: 4 entries, at most 3 are allowed" },
        { "{list: [a, {}]}", E_POLICY_CONFIG, ".list[1]: it must be a string, not a mapping" },
        { "{map: []}", E_POLICY_CONFIG, ".map: it must be a mapping, not a list" },
        { "{map: {a: 1, b: 2, c: 3}}", E_POLICY_LIST_LENGTH, ".map: 3 entries, at most 2" },
        { "{map: {a: 1, b: []}}", E_POLICY_CONFIG, ".map.b: it must be a string, not a list" },
        { "{inner: {y: 1}}", E_POLICY_MISSING, ".inner.x: it is required" },
        { "{inner: 1}", E_POLICY_CONFIG, ".inner: it must be a mapping, not a number" },
    };

    (void)state;
    accept(read_containers, "{list: [a, b, c], map: {a: 1, b: ~}, inner: {x: 1}}");
    assert_int_equal(count_out, 3);
    accept(read_containers, "{list: [a], map: {}}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuse(read_containers, cases[i].config, cases[i].code, cases[i].needle);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void read_expressions(const struct fields *c)
{
    struct field bare = fields_find(c, "bare");
    struct field condition = fields_find(c, "condition");
    struct field retry = fields_find(c, "retry");
    struct field pattern = fields_find(c, "pattern");
    struct field text = fields_find(c, "template");
    struct field header = fields_find(c, "header");

    cel_program_free(field_expression(&bare, NULL));
    cel_program_free(field_expression(&condition, cel_type_basic(CEL_T_BOOL)));
    cel_program_free(field_retry_condition(&retry));
    pattern_free(field_pattern(&pattern));
    template_free(field_template(&text));
    template_free(field_template_as(&header, E_POLICY_HEADER_TEMPLATE));
}

static void field_expressions_are_compiled_in_their_phase(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{bare: req.path}", E_POLICY_EXPRESSION, ".bare: " },
        { "{bare: res.status_code}", E_POLICY_EXPRESSION, ".bare: " },
        { "{bare: '${req.host}'}", E_POLICY_EXPRESSION, ".bare: " },
        { "{bare: [x]}", E_POLICY_CONFIG, ".bare: it must be a string, not a list" },
        { "{condition: req.host}", E_POLICY_EXPRESSION, ".condition: " },
        { "{bare: attempts}", E_POLICY_EXPRESSION, ".bare: " },
        { "{retry: attempts}", E_POLICY_EXPRESSION, ".retry: " },
        { "{pattern: '(a'}", E_POLICY_REGEX, ".pattern: invalid regular expression: " },
        { "{pattern: '${(}'}", E_POLICY_TEMPLATE, ".pattern: invalid ${}" },
        { "{template: 'a ${x}'}", E_POLICY_TEMPLATE, ".template: " },
        { "{template: {a: b}}", E_POLICY_CONFIG, ".template: it must be a string" },
        { "{header: '${x}'}", E_POLICY_HEADER_TEMPLATE, ".header: " },
        { "{header: '${'}", E_POLICY_HEADER_TEMPLATE, "it has no closing '}'" },
    };

    (void)state;
    accept(read_expressions,
           "{bare: req.host, condition: 'req.host == ''x''', retry: attempts < 3 && "
           "last_attempt.res.status_code == 500, pattern: '^a(b)$', template: "
           "'${req.host}', header: 1}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuse(read_expressions, cases[i].config, cases[i].code, cases[i].needle);
}

/* ---- places ---------------------------------------------------------------------------------- */

static char place_out[64];

static void read_place(const struct fields *c)
{
    (void)snprintf(place_out, sizeof(place_out), "%s", fields_place(c));
    assert_int_equal(fields_phase(c), POLICY_ON_HTTP_REQUEST);
    assert_non_null(fields_params(c)->engine);
    assert_int_equal(fields_limits(c)->policy_vars_max, 128);
}

static void fields_place_names_the_action(void **state)
{
    (void)state;
    read_config = read_place;
    counted_unref(fake_host_compile("on_http_request:\n"
                                    "- actions: [{type: add-headers}]\n"
                                    "- actions: [{type: add-headers}, {type: deny}]\n"));
    assert_string_equal(place_out, "on_http_request[1].actions[1]");
}

static void field_problems_show_line_and_column(void **state)
{
    (void)state;
    read_config = read_scalars;
    fake_host_expect_refused("on_http_request:\n- actions:\n  - type: deny\n    config:\n"
                             "      int: x\n      bool: 7\n",
                             E_POLICY_CONFIG, "test.yml:6:13: ");
    read_config = read_expressions;
    /* Inside of a text that stands as it is, the place is exact. */
    fake_host_expect_refused("on_http_request:\n- actions:\n  - type: deny\n    config:\n"
                             "      template: \"ab ${req.host} ${nope}\"\n",
                             E_POLICY_TEMPLATE, "test.yml:5:35: ");
}

static void read_shorthand(const struct fields *c)
{
    struct field a = fields_find(c, "a");

    assert_true(field_is_shorthand(&a));
    (void)field_problem(&a, E_POLICY_FIELD, "wrong");
}

static void policy_check_action_leaves_places_to_the_caller(void **state)
{
    json_t *config = json_pack("{s:s}", "a", "x");
    struct err e;

    (void)state;
    read_config = read_shorthand;
    assert_int_equal(
        policy_check_action(fake_host_engine(), POLICY_ON_HTTP_REQUEST, "deny", config, &e), -1);
    assert_string_equal(e.msg, "wrong");
    assert_int_equal(e.code, E_POLICY_FIELD);
    read_config = read_known;
    assert_int_equal(
        policy_check_action(fake_host_engine(), POLICY_ON_HTTP_REQUEST, "deny", NULL, &e), 0);
    assert_int_equal(
        policy_check_action(fake_host_engine(), POLICY_ON_HTTP_RESPONSE, "deny", NULL, &e), -1);
    assert_int_equal(e.code, E_POLICY_PHASE);
    assert_int_equal(
        policy_check_action(fake_host_engine(), POLICY_ON_HTTP_REQUEST, "no", NULL, &e), -1);
    assert_int_equal(e.code, E_POLICY_ACTION);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_known_names_the_nearest),
        cmocka_unit_test(fields_need_takes_null_for_absent),
        cmocka_unit_test(config_that_is_no_mapping_is_refused),
        cmocka_unit_test(field_scalars_are_read),
        cmocka_unit_test(field_scalars_of_the_wrong_kind_are_refused),
        cmocka_unit_test(field_duration_takes_gos_syntax),
        cmocka_unit_test(field_containers_have_bounds_and_places),
        cmocka_unit_test(field_expressions_are_compiled_in_their_phase),
        cmocka_unit_test(fields_place_names_the_action),
        cmocka_unit_test(field_problems_show_line_and_column),
        cmocka_unit_test(policy_check_action_leaves_places_to_the_caller),
    };

    return cmocka_run_group_tests_name("policy/fields", tests, NULL, NULL);
}
