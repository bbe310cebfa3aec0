/*
 * Unit tests of policy/actions/remove_headers.
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

static const char action[] = "remove-headers";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{headers: []}", E_POLICY_MISSING, "config.headers: it needs at least 1 entry" },
        { "{headers: a}", E_POLICY_CONFIG, "config.headers: it must be a list" },
        { "{headers: {a: b}}", E_POLICY_CONFIG, "config.headers: it must be a list" },
        { "{headers: [[a]]}", E_POLICY_CONFIG, "config.headers[0]: it must be a string" },
        { "{headers: [a], header: b}", E_POLICY_CONFIG, "unknown field 'header'" },
        { "{headers: ['']}", E_POLICY_HEADER_NAME, "the header name is empty" },
        { "{headers: [a, 'b c']}", E_POLICY_HEADER_NAME, "config.headers[1]" },
        { "{headers: ['${req.method}']}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{headers: [Host]}", E_HEADER_NEEDS_REPLACEMENT, "replace it with add-headers" },
        { "{headers: [User-Agent]}", E_POLICY_NOT_SETTABLE, "'User-Agent'" },
        { "{headers: [content-length]}", E_POLICY_NOT_SETTABLE, "'content-length'" },
        { "{headers: [Transfer-Encoding]}", E_POLICY_NOT_SETTABLE, "'Transfer-Encoding'" },
        { "{headers: [connection]}", E_POLICY_NOT_SETTABLE, "'connection'" },
        { "{headers: [':method']}", E_POLICY_NOT_SETTABLE, "':method'" },
        { "{headers: [sallyport-error-code]}", E_POLICY_NOT_SETTABLE, "'sallyport-error-code'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(S, action, scene_fmt("{headers: [%s]}", scene_repeat(10, "a", ", ")));
    fake_host_expect_config_refused(S, action,
                                    scene_fmt("{headers: [%s]}", scene_repeat(11, "a", ", ")),
                                    E_POLICY_LIST_LENGTH, "11 entries, at most 10");
    scene_expect_accepted(S, action, scene_fmt("{headers: [%0256d]}", 0));
    fake_host_expect_config_refused(S, action, scene_fmt("{headers: [%0257d]}", 0),
                                    E_POLICY_HEADER_NAME_LENGTH, "257 bytes, at most 256");
}

static void run_removes_all_of_a_name_in_any_case(void **state)
{
    (void)state;
    fake_host_add(&scene, "X-A", "1");
    fake_host_add(&scene, "x-b", "2");
    fake_host_add(&scene, "x-a", "3");
    fake_host_add_response(&scene, "x-a", "4");
    scene_expect_verdict(Q, action, "{headers: [x-A, X-Forwarded-For]}", POLICY_CONTINUE);
    assert_null(fake_host_values(&scene, "x-a"));
    assert_string_equal(fake_host_values(&scene, "x-b"), "2");
    assert_string_equal(fake_host_response_values(&scene, "x-a"), "4");
}

static void run_in_the_response_changes_the_response(void **state)
{
    (void)state;
    fake_host_add(&scene, "server", "1");
    fake_host_add_response(&scene, "Server", "2");
    scene_expect_verdict(S, action, "{headers: [server]}", POLICY_CONTINUE);
    assert_null(fake_host_response_values(&scene, "server"));
    assert_string_equal(fake_host_values(&scene, "server"), "1");
}

static void run_result_names_what_was_there(void **state)
{
    (void)state;
    fake_host_add(&scene, "X-A", "1");
    fake_host_add(&scene, "X-A", "2");
    fake_host_add(&scene, "x-c", "3");
    scene_expect_verdict(Q, action, "{headers: [X-A, x-b, X-C, x-a]}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.remove_headers.headers_removed", "[\"x-a\",\"x-c\"]");
    scene_expect_verdict(Q, action, "{headers: [x-a]}", POLICY_CONTINUE);
    scene_expect_eval(Q, "size(actions.ngrok.remove_headers.headers_removed)", "0");
    scene_expect_no_result(Q, action, "{headers: [x-a]}", "remove_headers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_removes_all_of_a_name_in_any_case),
        SCENE_TEST(run_in_the_response_changes_the_response),
        SCENE_TEST(run_result_names_what_was_there),
    };

    return cmocka_run_group_tests_name("policy/remove_headers", tests, NULL, NULL);
}
