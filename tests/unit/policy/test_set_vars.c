/*
 * Unit tests of policy/actions/set_vars and policy/any_value: names, values of every type, and what later
 * expressions see.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/policy/action_scene.h"

#define T POLICY_ON_TCP_CONNECT
#define Q POLICY_ON_HTTP_REQUEST
#define S POLICY_ON_HTTP_RESPONSE
#define E POLICY_ON_EVENT_STREAM_MESSAGE

static const char action[] = "set-vars";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.vars: it is required" },
        { "{vars: null}", E_POLICY_MISSING, "config.vars: it is required" },
        { "{vars: []}", E_POLICY_MISSING, "config.vars: it needs at least 1 entry" },
        { "{vars: {a: 1}}", E_POLICY_VARS_SHAPE, "config.vars: it must be a list" },
        { "{vars: a}", E_POLICY_VARS_SHAPE, "config.vars: it must be a list" },
        { "{a: 1}", E_POLICY_CONFIG, "unknown field 'a'" },
        { "{vars: [a]}", E_POLICY_VARS_SHAPE, "config.vars[0]: each entry of vars must be" },
        { "{vars: [{}]}", E_POLICY_VARS_SHAPE, "config.vars[0]" },
        { "{vars: [{a: 1}, {a: 1, b: 2}]}", E_POLICY_VARS_SHAPE, "config.vars[1]" },
        { "{vars: [[a, 1]]}", E_POLICY_VARS_SHAPE, "config.vars[0]" },
        { "{vars: [{'': 1}]}", E_POLICY_FIELD, "'' is no variable name" },
        { "{vars: [{1a: 1}]}", E_POLICY_FIELD, "'1a' is no variable name" },
        { "{vars: [{a-b: 1}]}", E_POLICY_FIELD, "'a-b' is no variable name" },
        { "{vars: [{a.b: 1}]}", E_POLICY_FIELD, "'a.b' is no variable name" },
        { "{vars: [{caf\xC3\xA9: 1}]}", E_POLICY_FIELD, "is no variable name" },
        { "{vars: [{'${a}': 1}]}", E_POLICY_FIELD, "is no variable name" },
        { "{vars: [{a: '${'}]}", E_POLICY_TEMPLATE, "config.vars[0].a" },
        { "{vars: [{a: {b: [x, '${nosuch}']}}]}", E_POLICY_TEMPLATE, "config.vars[0].a.b[1]" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

/* A value in n lists. */
static const char *nested(size_t n)
{
    return scene_fmt("{vars: [{a: %s1%s}]}", scene_repeat(n, "[", ""), scene_repeat(n, "]", ""));
}

/* {vars: [{a0: 0}, {a1: 0}, ...]} */
static const char *many(size_t first, size_t count)
{
    struct buf text;
    const char *kept;

    buf_init(&text, 64 * 1024);
    for (size_t i = first; i < first + count; i++)
        buf_add_fmt(&text, "%s{a%zu: 0}", i > first ? ", " : "", i);
    kept = scene_fmt("{vars: [%.*s]}", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return kept;
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(Q, action, nested(16));
    fake_host_expect_config_refused(Q, action, nested(17), E_POLICY_VARS_DEPTH,
                                    "nested more than 16 levels");
    scene_expect_accepted(Q, action, many(0, 128));
    fake_host_expect_config_refused(Q, action, many(0, 129), E_POLICY_LIST_LENGTH,
                                    "129 entries, at most 128");
    scene_expect_accepted(Q, action, scene_fmt("{vars: [{a%0127d: 1}]}", 0));
    fake_host_expect_config_refused(Q, action, scene_fmt("{vars: [{a%0128d: 1}]}", 0),
                                    E_POLICY_FIELD, "is no variable name");
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The type and JSON of vars.x after {vars: [{x: VALUE}]}. */
static void expect_var(const char *value, const char *type, const char *json)
{
    scene_restart();
    scene_expect_verdict(Q, action, scene_fmt("{vars: [{y: 2}, {x: %s}]}", value), POLICY_CONTINUE);
    scene_expect_eval(Q, "type(vars.x)", type);
    scene_expect_eval(Q, "json.encode(vars.x)", json);
}

static void run_keeps_the_types_of_values(void **state)
{
    static const struct {
        const char *value;
        const char *type;
        const char *json;
    } cases[] = {
        { "text", "string", "\"text\"" },
        { "'5'", "string", "\"5\"" },
        { "\"true\"", "string", "\"true\"" },
        { "''", "string", "\"\"" },
        { "5", "int", "5" },
        { "-5", "int", "-5" },
        { "0x1F", "int", "31" },
        { "1.5", "double", "1.5" },
        { "1e3", "double", "1000" },
        { "true", "bool", "true" },
        { "null", "null_type", "null" },
        { "~", "null_type", "null" },
        { "yes", "string", "\"yes\"" },
        { "[]", "list", "[]" },
        { "{}", "map", "{}" },
        { "[1, two, [3.5, null]]", "list", "[1,\"two\",[3.5,null]]" },
        { "{b: {a: [true]}, a: 1}", "map", "{\"a\":1,\"b\":{\"a\":[true]}}" },
        { "{1: 2}", "map", "{\"1\":2}" },
        { "'${1 + 1}'", "int", "2" },
        { "'${1 + 1} '", "string", "\"2 \"" },
        { "'${1}${2}'", "string", "\"12\"" },
        { "'${null}'", "null_type", "null" },
        { "'${[1, 2]}'", "list", "[1,2]" },
        { "'${true ? [vars.y] : []}'", "list", "[2]" },
        { "'a ${[1, 2]} b'", "string", "\"a [1,2] b\"" },
        { "'$${1}'", "string", "\"${1}\"" },
        { "'$1'", "string", "\"$1\"" },
        { "[\"${vars.y}\", {k: \"${'v'}\"}]", "list", "[2,{\"k\":\"v\"}]" },
        { "{'${1}': '${2}'}", "map", "{\"${1}\":2}" },
        { "json.decode(req.body)", "string", "\"json.decode(req.body)\"" },
        { "\"${timestamp('2024-07-13T00:10:16Z')}\"", "google.protobuf.Timestamp",
          "\"2024-07-13T00:10:16Z\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_var(cases[i].value, cases[i].type, cases[i].json);
}

static void run_sets_in_order_and_again(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action,
                         "{vars: [{a: 1}, {b: '${vars.a + 1}'}, {a: '${vars.b + 1}'}, {_c9: 4}]}",
                         POLICY_CONTINUE);
    scene_expect_eval(Q, "vars", "{\"a\":3,\"b\":2,\"_c9\":4}");
}

static void run_is_seen_by_later_rules_of_the_phase_only(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&scene,
                              "on_http_request:\n"
                              "- actions: [{type: set-vars, config: {vars: [{a: 1}]}}]\n"
                              "- expressions: ['vars.a == 1']\n"
                              "  actions: [{type: set-vars, config: {vars: [{b: 2}]}}]\n"
                              "- expressions: ['vars.b != 2']\n"
                              "  actions: [{type: deny}]\n"
                              "on_http_response:\n"
                              "- expressions: ['has(vars.a)']\n"
                              "  actions: [{type: custom-response}]\n",
                              Q),
                     POLICY_CONTINUE);
    scene_expect_eval(Q, "vars", "{\"a\":1,\"b\":2}");
    assert_int_equal(fake_host_next(&scene, S), POLICY_CONTINUE);
    scene_expect_eval(S, "vars", "{}");
}

static void run_in_every_phase_sets(void **state)
{
    static const enum policy_phase phases[] = { T, Q, S };

    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        scene_restart();
        scene_expect_verdict(phases[i], action, "{vars: [{a: '${conn.client_ip}'}]}",
                             POLICY_CONTINUE);
        scene_expect_eval(phases[i], "vars.a", "192.0.2.1");
    }
    scene_expect_accepted(E, action, "{vars: [{a: '${res.status_code}'}]}");
}

/* ---- failures -------------------------------------------------------------------------------- */

static void run_with_a_failing_value_ends(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, "{vars: [{a: 1}, {b: '${[][0]}'}]}", E_POLICY_FIELD_EVALUATION,
                         "vars[1].b");
    scene_expect_failure(Q, action, "{vars: [{b: [x, {c: 'y ${vars.none}'}]}]}",
                         E_POLICY_FIELD_EVALUATION, "vars[0].b[1].c");
}

/* Three actions that set `count` variables together; one of them is set twice. */
static enum policy_verdict run_many(size_t count)
{
    return fake_run(&scene,
                    scene_fmt("on_http_request:\n"
                              "- actions:\n"
                              "  - {type: set-vars, config: %s}\n"
                              "  - {type: set-vars, config: %s}\n"
                              "  - {type: set-vars, config: {vars: [{a5: again}]}}\n",
                              many(0, 100), many(100, count - 100)),
                    Q);
}

static void run_with_variables_at_their_limit(void **state)
{
    (void)state;
    assert_int_equal(run_many(128), POLICY_CONTINUE);
    scene_expect_eval(Q, "size(vars)", "128");
    assert_int_equal(run_many(129), POLICY_RESPOND);
    assert_int_equal(scene.response->error, E_POLICY_TOO_MANY);
    assert_int_equal(err_status(E_POLICY_TOO_MANY), 500);
}

/* Each value is a megabyte, and the phase has one. */
static void run_with_values_too_large_ends(void **state)
{
    static const char *const values[] = {
        "'${req.headers.x[0]}'",
        "'a ${req.headers.x[0]}'",
        "['${req.headers.x[0]}', '${req.headers.x[0]}']",
        "{b: '${req.headers.x[0]}', c: ['${req.headers.x[0]}']}",
        "'${[req.headers.x[0], req.headers.x[0]]}'",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "x", scene_fmt("%01048576d", 0));
        scene_expect_failure(Q, action, scene_fmt("{vars: [{a: %s}]}", values[i]), E_POLICY_MEMORY,
                             "");
    }
}

/* Lists end at 10,000 items, and mappings need the most memory. */
static void run_with_literals_too_large_ends(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, scene_fmt("{vars: [{a: [%s]}]}", scene_repeat(10000, "1", ",")),
                         POLICY_CONTINUE);
    scene_expect_failure(Q, action, scene_fmt("{vars: [{a: [%s]}]}", scene_repeat(10001, "1", ",")),
                         E_POLICY_MEMORY, "too much memory");
    scene_expect_failure(Q, action,
                         scene_fmt("{vars: [{a: {b: [%s]}}]}", scene_repeat(10001, "1", ",")),
                         E_POLICY_MEMORY, "too much memory");
    scene_expect_failure(Q, action,
                         scene_fmt("{vars: [{a: [%s]}]}", scene_repeat(10000, "{b: 1}", ",")),
                         E_POLICY_MEMORY, "too much memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_keeps_the_types_of_values),
        SCENE_TEST(run_sets_in_order_and_again),
        SCENE_TEST(run_is_seen_by_later_rules_of_the_phase_only),
        SCENE_TEST(run_in_every_phase_sets),
        SCENE_TEST(run_with_a_failing_value_ends),
        SCENE_TEST(run_with_variables_at_their_limit),
        SCENE_TEST(run_with_values_too_large_ends),
        SCENE_TEST(run_with_literals_too_large_ends),
    };

    return cmocka_run_group_tests_name("policy/set_vars", tests, NULL, NULL);
}
