/*
 * Unit tests of policy/actions/add_headers and policy/header_rule: which fields may be named, what their
 * values may hold, what is added.
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

#define Q POLICY_ON_HTTP_REQUEST
#define S POLICY_ON_HTTP_RESPONSE

static const char action[] = "add-headers";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{headers: null}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{headers: {}}", E_POLICY_MISSING, "config.headers: give at least one header" },
        { "{headers: [a]}", E_POLICY_CONFIG, "config.headers: it must be a mapping" },
        { "{headers: a}", E_POLICY_CONFIG, "config.headers: it must be a mapping" },
        { "{headers: {a: null}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{headers: {a: [b]}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{headers: {a: {b: c}}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{headers: {a: b}, header: {}}", E_POLICY_CONFIG, "unknown field 'header'" },
        { "{headers: {'': b}}", E_POLICY_HEADER_NAME, "the header name is empty" },
        { "{headers: {'a b': c}}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{headers: {'a:': b}}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{headers: {\"a\\n\": b}}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{headers: {'caf\xC3\xA9': b}}", E_POLICY_HEADER_NAME, "character 4 is not allowed" },
        { "{headers: {'${a}': b}}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{headers: {a: b, A: c}}", E_HEADER_TWICE, "case does not matter" },
        { "{headers: {a: \"b\\r\\nc: d\"}}", E_POLICY_HEADER_VALUE, "position 2" },
        { "{headers: {a: \"b\\u007f\"}}", E_POLICY_HEADER_VALUE, "position 2" },
        { "{headers: {host: 'a/b'}}", E_POLICY_HEADER_VALUE, "must be a host name" },
        { "{headers: {host: 'a b'}}", E_POLICY_HEADER_VALUE, "must be a host name" },
        { "{headers: {host: ''}}", E_POLICY_HEADER_VALUE, "must be a host name" },
        { "{headers: {a: '${'}}", E_POLICY_HEADER_TEMPLATE, "config.headers.a" },
        { "{headers: {a: '${nosuch}'}}", E_POLICY_HEADER_TEMPLATE, "config.headers.a" },
        { "{headers: {a: '${res.status_code}'}}", E_POLICY_HEADER_TEMPLATE, "config.headers.a" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

/* D32. */
static void compile_names_that_are_not_the_policys_refuses_them(void **state)
{
    static const char *const names[] = { "user-agent",
                                         "content-length",
                                         "transfer-encoding",
                                         "connection",
                                         "keep-alive",
                                         "upgrade",
                                         "te",
                                         "trailer",
                                         "proxy-connection",
                                         "ngrok-error-code",
                                         "sallyport-error-code",
                                         ":path" };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fake_host_expect_config_refused(Q, action, scene_fmt("{headers: {'%s': a}}", names[i]),
                                        E_POLICY_NOT_SETTABLE, names[i]);
        fake_host_expect_config_refused(S, action, scene_fmt("{headers: {'%s': a}}", names[i]),
                                        E_POLICY_NOT_SETTABLE, names[i]);
    }
    fake_host_expect_config_refused(Q, action, "{headers: {User-Agent: a}}", E_POLICY_NOT_SETTABLE,
                                    "'User-Agent'");
}

static void compile_limits_hold(void **state)
{
    static const char ten[] = "a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10";

    (void)state;
    scene_expect_accepted(Q, action, scene_fmt("{headers: {%s}}", ten));
    fake_host_expect_config_refused(Q, action, scene_fmt("{headers: {%s, k: 11}}", ten),
                                    E_POLICY_HEADER_TOO_MANY, "11 headers, at most 10");
    scene_expect_accepted(Q, action, scene_fmt("{headers: {%0256d: a}}", 0));
    fake_host_expect_config_refused(Q, action, scene_fmt("{headers: {%0257d: a}}", 0),
                                    E_POLICY_HEADER_NAME_LENGTH, "257 bytes, at most 256");
    scene_expect_accepted(Q, action, scene_fmt("{headers: {a: %08192d}}", 0));
    fake_host_expect_config_refused(Q, action, scene_fmt("{headers: {a: %08193d}}", 0),
                                    E_POLICY_HEADER_VALUE_LENGTH, "8193 bytes, at most 8192");
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_appends_and_folds_names(void **state)
{
    (void)state;
    fake_host_add(&scene, "X-Tier", "old");
    scene_expect_verdict(Q, action, "{headers: {X-Tier: ' gold '}}", POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "x-tier"), "old,gold");
    scene_expect_text(scene.messages[POLICY_REQUEST].fields[2].name, "x-tier");
    assert_null(fake_host_response_values(&scene, "x-tier"));
}

static void run_in_the_response_changes_the_response(void **state)
{
    (void)state;
    fake_host_add_response(&scene, "Vary", "Origin");
    scene_expect_verdict(S, action, "{headers: {vary: '${res.status_code}'}}", POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&scene, "vary"), "Origin,200");
    assert_null(fake_host_values(&scene, "vary"));
}

static void run_with_host_replaces_it(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{headers: {HOST: '[::1]:8080'}}", POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "host"), "[::1]:8080");
}

static void run_takes_any_scalar_as_text(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{headers: {a: 1, b: true, c: -5, d: '', e: 1.50}}",
                         POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "a"), "1");
    assert_string_equal(fake_host_values(&scene, "b"), "true");
    assert_string_equal(fake_host_values(&scene, "c"), "-5");
    assert_string_equal(fake_host_values(&scene, "d"), "");
    assert_string_equal(fake_host_values(&scene, "e"), "1.50");
}

static void run_evaluates_all_values_before_it_adds_one(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action,
                         "{headers: {a: '1', b: '${size(req.headers[\"a\"])}', c: \" ${'x'}\\t\"}}",
                         POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "b"), "0");
    assert_string_equal(fake_host_values(&scene, "c"), "x");
}

static void run_with_a_failing_value_adds_nothing(void **state)
{
    static const struct {
        const char *value;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "${req.headers['none'][0]}", E_POLICY_FIELD_EVALUATION, "headers.b" },
        { "${'a\\\\r\\\\nb: c'}", E_POLICY_HEADER_VALUE, "header 'b' has a control character" },
        { "${'a\\\\u0000'}", E_POLICY_HEADER_VALUE, "position 2" },
        { "${[1].map(x, string(time.now)).join('') + '\\\\u007f'}", E_POLICY_HEADER_VALUE, "'b'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_failure(Q, action,
                             scene_fmt("{headers: {a: '1', b: \"%s\", c: '3'}}", cases[i].value),
                             cases[i].code, cases[i].needle);
        assert_null(fake_host_values(&scene, "a"));
        assert_null(fake_host_values(&scene, "c"));
    }
    scene_restart();
    scene_expect_failure(Q, action, "{headers: {a: '1', host: '${req.url.path}'}}",
                         E_POLICY_HEADER_VALUE, "must be a host name");
    assert_string_equal(fake_host_values(&scene, "host"), "app.example.com");
}

static void run_with_a_computed_value_at_its_limit(void **state)
{
    (void)state;
    fake_host_add(&scene, "x", scene_fmt("%08191d", 0));
    scene_expect_verdict(Q, action, "{headers: {a: '${req.headers[\"x\"][0]}1'}}", POLICY_CONTINUE);
    scene_expect_failure(Q, action, "{headers: {b: '${req.headers[\"x\"][0]}12'}}",
                         E_POLICY_HEADER_VALUE_LENGTH, "8193 bytes");
    assert_null(fake_host_values(&scene, "b"));
}

static void run_result_is_what_was_added(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{headers: {X-A: '${1 + 1}', b: c}}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.add_headers.headers_added", "{\"x-a\":\"2\",\"b\":\"c\"}");
    scene_restart();
    scene_expect_no_result(Q, action, "{headers: {a: b}}", "add_headers");
    assert_string_equal(fake_host_values(&scene, "a"), "b");
}

static void run_shows_later_actions_what_it_did(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&scene,
                 "on_http_request:\n"
                 "- expressions: [\"!('a' in req.headers)\"]\n"
                 "  actions:\n"
                 "  - {type: add-headers, config: {headers: {a: b}}}\n"
                 "  - {type: add-headers, config: {headers: {c: \"${req.headers['A'][0]}\"}}}\n"
                 "  - {type: remove-headers, config: {headers: [a]}}\n"
                 "- expressions: [\"'a' in req.headers\"]\n"
                 "  actions: [{type: add-headers, config: {headers: {d: e}}}]\n",
                 Q),
        POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "c"), "b");
    assert_null(fake_host_values(&scene, "d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_names_that_are_not_the_policys_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_appends_and_folds_names),
        SCENE_TEST(run_in_the_response_changes_the_response),
        SCENE_TEST(run_with_host_replaces_it),
        SCENE_TEST(run_takes_any_scalar_as_text),
        SCENE_TEST(run_evaluates_all_values_before_it_adds_one),
        SCENE_TEST(run_with_a_failing_value_adds_nothing),
        SCENE_TEST(run_with_a_computed_value_at_its_limit),
        SCENE_TEST(run_result_is_what_was_added),
        SCENE_TEST(run_shows_later_actions_what_it_did),
    };

    return cmocka_run_group_tests_name("policy/add_headers", tests, NULL, NULL);
}
