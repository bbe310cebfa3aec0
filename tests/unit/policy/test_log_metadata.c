/*
 * Unit tests of policy/actions/log_metadata: what gets into the event, within which limits, and what must
 * not.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy/action_scene.h"

#define T POLICY_ON_TCP_CONNECT
#define Q POLICY_ON_HTTP_REQUEST
#define S POLICY_ON_HTTP_RESPONSE

static const char action[] = "log";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.metadata: it is required" },
        { "{metadata: null}", E_POLICY_MISSING, "config.metadata: it is required" },
        { "{metadata: text}", E_POLICY_CONFIG, "config.metadata: it must be a mapping" },
        { "{metadata: [a]}", E_POLICY_CONFIG, "config.metadata: it must be a mapping" },
        { "{metadata: {a: '${'}}", E_POLICY_TEMPLATE, "config.metadata.a" },
        { "{metadata: {a: [{b: '${nosuch}'}]}}", E_POLICY_TEMPLATE, "config.metadata.a[0].b" },
        { "{metadata: {a: b}, level: info}", E_POLICY_CONFIG, "unknown field 'level'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

/* The mapping itself is the first level. */
static void compile_with_values_at_the_nesting_limit(void **state)
{
    (void)state;
    scene_expect_accepted(
        Q, action,
        scene_fmt("{metadata: {a: %s1%s}}", scene_repeat(15, "[", ""), scene_repeat(15, "]", "")));
    fake_host_expect_config_refused(
        Q, action,
        scene_fmt("{metadata: {a: %s1%s}}", scene_repeat(16, "[", ""), scene_repeat(16, "]", "")),
        E_POLICY_VARS_DEPTH, "nested more than 16 levels");
}

static void run_collects_values_of_every_type(void **state)
{
    (void)state;
    scene_expect_verdict(
        Q, action,
        "{metadata: {a: text, b: 5, c: 1.5, d: true, e: null, f: '5',"
        " g: [1, {h: '${[1, \"x\"]}'}], i: \"${timestamp('2024-07-13T00:10:16Z')}\","
        " j: \"${duration('90s')}\", k: \"${b'\\\\xff'}\", l: '${1.0 / 0.0}',"
        " m: '${req.headers}', n: 'x ${1}', o: \"a\\n\\\"\", p: '${uint(7)}',"
        " q: '${9223372036854775807}'}}",
        POLICY_CONTINUE);
    scene_expect_text(
        scene.outcome->logs,
        "[{\"metadata\":{\"a\":\"text\",\"b\":5,\"c\":1.5,\"d\":true,\"e\":null,\"f\":\"5\","
        "\"g\":[1,{\"h\":[1,\"x\"]}],\"i\":\"2024-07-13T00:10:16Z\",\"j\":\"90s\",\"k\":\"/w==\","
        "\"l\":\"Infinity\",\"m\":{\"host\":[\"app.example.com\"]},\"n\":\"x 1\","
        "\"o\":\"a\\n\\\"\",\"p\":7,\"q\":\"9223372036854775807\"}}]");
}

static void run_of_several_gives_several_in_order(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&scene,
                 "on_http_request:\n"
                 "- actions:\n"
                 "  - {type: log, config: {metadata: {a: 1}}}\n"
                 "  - {type: log, config: {metadata: {}}}\n"
                 "on_http_response:\n"
                 "- actions: [{type: log, config: {metadata: {c: '${res.status_code}'}}}]\n",
                 Q),
        POLICY_CONTINUE);
    assert_int_equal(fake_host_next(&scene, S), POLICY_CONTINUE);
    scene_expect_text(scene.outcome->logs,
                      "[{\"metadata\":{\"a\":1}},{\"metadata\":{}},{\"metadata\":{\"c\":200}}]");
}

static void run_of_a_connection_collects(void **state)
{
    (void)state;
    scene_expect_verdict(T, action, "{metadata: {ip: '${conn.client_ip}'}}", POLICY_CONTINUE);
    scene_expect_text(scene.outcome->logs, "[{\"metadata\":{\"ip\":\"192.0.2.1\"}}]");
}

static void run_result_is_what_was_logged(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{metadata: {a: '${1 + 1}', b: {c: d}}}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.log.metadata", "{\"a\":2,\"b\":{\"c\":\"d\"}}");
    scene_restart();
    scene_expect_no_result(Q, action, "{metadata: {a: 1}}", "log");
    scene_expect_text(scene.outcome->logs, "[{\"metadata\":{\"a\":1}}]");
}

/* D42. */
static void run_masks_secrets_that_were_read(void **state)
{
    static const char config[] =
        "{metadata: {a: \"${secrets.get('v', 'n')}\", b: [\"${secrets.get('v', 'n')}\", s3cret],"
        " c: \"${{'k': secrets.get('v', 'n')}}\", d: other, e: '${vars.copy}'}}";

    (void)state;
    scene.secrets[0] = (struct fake_secret){ "v", "n", "s3cret" };
    assert_int_equal(
        fake_run(
            &scene,
            scene_fmt(
                "on_http_request:\n"
                "- actions:\n"
                "  - {type: set-vars, config: {vars: [{copy: \"${secrets.get('v', 'n')}\"}]}}\n"
                "  - {type: log, config: %s}\n",
                config),
            Q),
        POLICY_CONTINUE);
    scene_expect_text(scene.outcome->logs,
                      "[{\"metadata\":{\"a\":\"****\",\"b\":[\"****\",\"****\"],"
                      "\"c\":{\"k\":\"****\"},\"d\":\"other\",\"e\":\"****\"}}]");
    scene_expect_eval(Q, "actions.ngrok.log.metadata.a", "****");
}

static void run_with_a_failing_value_collects_nothing(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, "{metadata: {a: 1, b: ['${[][0]}']}}",
                         E_POLICY_FIELD_EVALUATION, "metadata.b[0]");
    assert_int_equal(scene.outcome->logs.n, 0);
    fake_host_add(&scene, "x", scene_fmt("%0600000d", 0));
    scene_expect_failure(Q, action, "{metadata: {a: '${req.headers.x[0]}'}}", E_POLICY_MEMORY,
                         "too large");
    assert_int_equal(scene.outcome->logs.n, 0);
}

/* ---- limits of an event ----------------------------------------------------------------------- */

static size_t count(struct str text, const char *needle)
{
    size_t n = 0;

    for (size_t at; (at = str_find(text, str_from(needle))) < text.n; n++)
        text = str_skip(text, at + 1);
    return n;
}

static void log_many(size_t n)
{
    scene_restart();
    assert_int_equal(
        fake_run(&scene,
                 scene_fmt("on_http_request:\n"
                           "- actions: [%s]\n- actions: [%s]\n",
                           scene_repeat(40, "{type: log, config: {metadata: {a: 1}}}", ", "),
                           scene_repeat(n - 40, "{type: log, config: {metadata: {a: 1}}}", ", ")),
                 Q),
        POLICY_CONTINUE);
}

static void run_with_entries_at_their_limit(void **state)
{
    static const char mark[] = ",{\"truncated\":true}]";

    (void)state;
    log_many(64);
    assert_int_equal(count(scene.outcome->logs, "metadata"), 64);
    assert_int_equal(count(scene.outcome->logs, "truncated"), 0);
    log_many(66);
    assert_int_equal(count(scene.outcome->logs, "metadata"), 64);
    assert_int_equal(count(scene.outcome->logs, "truncated"), 1);
    assert_true(str_ends(scene.outcome->logs, str_from(mark)));
}

/* `n` bytes of JSON, then a small entry. */
static void log_large(size_t n)
{
    int digits = (int)(n - strlen("{\"metadata\":{\"a\":\"\"}}"));

    scene_restart();
    assert_int_equal(fake_run(&scene,
                              scene_fmt("on_http_request:\n"
                                        "- actions:\n"
                                        "  - {type: log, config: {metadata: {a: '%0*d'}}}\n"
                                        "  - {type: log, config: {metadata: {b: 1}}}\n",
                                        digits, 0),
                              Q),
                     POLICY_CONTINUE);
}

static void run_with_bytes_at_their_limit(void **state)
{
    (void)state;
    log_large(16384 - 100);
    assert_int_equal(count(scene.outcome->logs, "metadata"), 2);
    assert_int_equal(count(scene.outcome->logs, "truncated"), 0);
    /* The large one fits, and nothing else. */
    log_large(16384);
    assert_int_equal(count(scene.outcome->logs, "metadata"), 1);
    assert_int_equal(count(scene.outcome->logs, "truncated"), 1);
    log_large(16384 + 1);
    assert_int_equal(count(scene.outcome->logs, "metadata"), 0);
    scene_expect_text(scene.outcome->logs, "[{\"truncated\":true}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_with_values_at_the_nesting_limit),
        SCENE_TEST(run_collects_values_of_every_type),
        SCENE_TEST(run_of_several_gives_several_in_order),
        SCENE_TEST(run_of_a_connection_collects),
        SCENE_TEST(run_result_is_what_was_logged),
        SCENE_TEST(run_masks_secrets_that_were_read),
        SCENE_TEST(run_with_a_failing_value_collects_nothing),
        SCENE_TEST(run_with_entries_at_their_limit),
        SCENE_TEST(run_with_bytes_at_their_limit),
    };

    return cmocka_run_group_tests_name("policy/log_metadata", tests, NULL, NULL);
}
