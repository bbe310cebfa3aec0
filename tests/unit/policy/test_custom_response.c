/*
 * Unit tests of policy/actions/custom_response.
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

static const char action[] = "custom-response";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{status_code: 199}", E_POLICY_RANGE, "199 is outside of 200 to 599" },
        { "{status_code: 600}", E_POLICY_RANGE, "600 is outside of 200 to 599" },
        { "{status_code: '200'}", E_POLICY_CONFIG, "config.status_code: it must be a whole" },
        { "{status_code: '${200}'}", E_POLICY_CONFIG, "config.status_code: it must be a whole" },
        { "{body: [a]}", E_POLICY_CONFIG, "config.body: it must be a string" },
        { "{body: {a: b}}", E_POLICY_CONFIG, "config.body: it must be a string" },
        { "{body: 'a ${'}", E_POLICY_TEMPLATE, "config.body: invalid ${}" },
        { "{body: '${nosuch}'}", E_POLICY_TEMPLATE, "config.body" },
        { "{headers: [a]}", E_POLICY_CONFIG, "config.headers: it must be a mapping" },
        { "{headers: {a: '${'}}", E_POLICY_TEMPLATE, "config.headers.a" },
        { "{headers: {content-length: 5}}", E_POLICY_NOT_SETTABLE, "'content-length'" },
        { "{headers: {a: b, A: c}}", E_HEADER_TWICE, "case does not matter" },
        { "{contents: x}", E_POLICY_CONFIG, "unknown field 'contents'" },
        { "{content: x, body: x}", E_POLICY_DUPLICATE, "config.content: 'body' and 'content'" },
        { "{content: [a]}", E_POLICY_CONFIG, "config.content: it must be a string" },
        { "{status_code: 204, content: x}", E_STATUS_WITHOUT_BODY, "config.content" },
        { "{status_code: 204, body: x}", E_STATUS_WITHOUT_BODY, "status 204 cannot have a body" },
        { "{status_code: 304, body: x}", E_STATUS_WITHOUT_BODY, "status 304 cannot have a body" },
        { "{status_code: 205, body: x}", E_STATUS_WITHOUT_BODY, "status 205 cannot have a body" },
        { "{headers: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 11}}",
          E_POLICY_HEADER_TOO_MANY, "11 headers, at most 10" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
    scene_expect_accepted(Q, action, "{status_code: 204, body: ''}");
    scene_expect_accepted(Q, action, "{status_code: 200}");
    scene_expect_accepted(S, action, "{status_code: 599}");
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_without_config_answers_an_empty_200(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{}", POLICY_RESPOND);
    assert_int_equal(scene.response->status, 200);
    assert_int_equal(scene.response->error, E_OK);
    assert_int_equal(scene.response->body.n, 0);
    assert_int_equal(scene.response->header_count, 0);
}

static void run_answers_what_the_config_says(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action,
                         "{status_code: 503, body: 'no ${req.method}',"
                         " headers: {Retry-After: '${60 * 2}', user-agent: x, Content-Type: a/b}}",
                         POLICY_RESPOND);
    assert_int_equal(scene.response->status, 503);
    scene_expect_text(scene.response->body, "no GET");
    assert_string_equal(fake_host_answer(&scene, "retry-after"), "120");
    assert_string_equal(fake_host_answer(&scene, "user-agent"), "x");
    assert_string_equal(fake_host_answer(&scene, "content-type"), "a/b");
    assert_true(scene.response->runs_response_phase);
}

static void run_takes_the_body_by_either_name(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{content: 'was ${req.method}'}", POLICY_RESPOND);
    scene_expect_text(scene.response->body, "was GET");
}

static void run_with_all_headers_still_infers_the_type(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action,
                         "{body: x, headers: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9,"
                         " j: 10}}",
                         POLICY_RESPOND);
    assert_int_equal(scene.response->header_count, 11);
    assert_string_equal(fake_host_answer(&scene, "content-type"), "text/plain; charset=utf-8");
}

static void run_in_the_response_does_not_run_the_phase_again(void **state)
{
    (void)state;
    scene_expect_verdict(S, action, "{body: 'was ${res.status_code}'}", POLICY_RESPOND);
    scene_expect_text(scene.response->body, "was 200");
    assert_false(scene.response->runs_response_phase);
}

/* D37. */
static void run_infers_the_content_type_of_the_body(void **state)
{
    static const char plain[] = "text/plain; charset=utf-8";
    static const char html[] = "text/html; charset=utf-8";
    static const char json[] = "application/json";
    static const struct {
        const char *body; /* as YAML in double quotes */
        const char *type;
    } cases[] = {
        { "hello", plain },
        { "  ", plain },
        { "{}", json },
        { "[]", json },
        { " \\n[1, {\\\"a\\\": null}]\\n", json },
        { "{\\\"a\\\": 1, \\\"a\\\": 2}", json },
        { "{\\\"a\\\": 12345678901234567890123}", json },
        { "[\\\"\\\\u0000\\\"]", json },
        { "{a: 1}", plain },
        { "[1] x", plain },
        { "{", plain },
        { "\\\"text\\\"", plain },
        { "<!DOCTYPE html><p>", html },
        { " <!doctype HTML>", html },
        { "<HTML lang=de>", html },
        { "<p>", plain },
        { "<?xml version='1.0'?><a/>", "text/xml; charset=utf-8" },
        { "<?XML", plain },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int computed = 0; computed < 2; computed++) {
            const char *extra = computed ? "${''}" : "";
            const char *type;

            scene_restart();
            scene_expect_verdict(Q, action, scene_fmt("{body: \"%s%s\"}", cases[i].body, extra),
                                 POLICY_RESPOND);
            type = fake_host_answer(&scene, "content-type");
            if (type == NULL || strcmp(type, cases[i].type) != 0)
                fail_msg("%s: %s", cases[i].body, type);
        }
    }
}

static void run_with_an_empty_computed_body_has_no_type(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{status_code: 204, body: \"${''}\"}", POLICY_RESPOND);
    assert_int_equal(scene.response->header_count, 0);
    assert_int_equal(scene.response->status, 204);
}

static void run_that_fails_leaves_nothing_of_its_answer(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, "{status_code: 201, headers: {a: b}, body: \"x${[][0]}\"}",
                         E_POLICY_FIELD_EVALUATION, "body");
    scene_expect_failure(Q, action, "{status_code: 201, headers: {a: b, c: \"${[][0]}\"}, body: x}",
                         E_POLICY_FIELD_EVALUATION, "headers.c");
    scene_expect_failure(Q, action, "{headers: {a: b, c: \"${'x\\\\ny'}\"}, body: x}",
                         E_POLICY_HEADER_VALUE, "'c'");
    scene_expect_failure(S, action, "{status_code: 204, headers: {a: b}, body: \"${'x'}\"}",
                         E_STATUS_WITHOUT_BODY, "status 204");
    scene_expect_failure(Q, action, "{status_code: 304, headers: {a: b}, body: \"${'x'}\"}",
                         E_STATUS_WITHOUT_BODY, "status 304");
}

static void what_stands_behind_it_never_runs(void **state)
{
    (void)state;
    fake_host_expect_warning("on_http_request: [{actions: [{type: custom-response},"
                             " {type: custom-response}]}]",
                             "it can never run, because custom-response");
}

static void run_reads_variables_of_the_policy(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&scene,
                              "on_http_request:\n"
                              "- actions:\n"
                              "  - {type: set-vars, config: {vars: [{a: {b: [1, two]}}]}}\n"
                              "  - {type: custom-response, config: {body: '${vars.a}'}}\n",
                              Q),
                     POLICY_RESPOND);
    scene_expect_text(scene.response->body, "{\"b\":[1,\"two\"]}");
    assert_string_equal(fake_host_answer(&scene, "content-type"), "application/json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(run_without_config_answers_an_empty_200),
        SCENE_TEST(run_answers_what_the_config_says),
        SCENE_TEST(run_takes_the_body_by_either_name),
        SCENE_TEST(run_with_all_headers_still_infers_the_type),
        SCENE_TEST(run_in_the_response_does_not_run_the_phase_again),
        SCENE_TEST(run_infers_the_content_type_of_the_body),
        SCENE_TEST(run_with_an_empty_computed_body_has_no_type),
        SCENE_TEST(run_that_fails_leaves_nothing_of_its_answer),
        SCENE_TEST(what_stands_behind_it_never_runs),
        SCENE_TEST(run_reads_variables_of_the_policy),
    };

    return cmocka_run_group_tests_name("policy/custom_response", tests, NULL, NULL);
}
