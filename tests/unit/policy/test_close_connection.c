/*
 * Unit tests of policy/actions/close_connection.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/policy/action_scene.h"

static void compile_with_any_field_refuses_it(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{reset: true}", E_POLICY_CONFIG, "unknown field 'reset'" },
        { "x", E_POLICY_CONFIG, "config: it must be a mapping" },
        { "[]", E_POLICY_CONFIG, "config: it must be a mapping" },
    };

    (void)state;
    scene_expect_refusals(POLICY_ON_TCP_CONNECT, "close-connection", cases,
                          sizeof(cases) / sizeof(cases[0]));
    scene_expect_accepted(POLICY_ON_HTTP_REQUEST, "close-connection", "{}");
    scene_expect_accepted(POLICY_ON_HTTP_REQUEST, "close-connection", "null");
}

static void run_closes_in_both_phases(void **state)
{
    (void)state;
    scene_expect_verdict(POLICY_ON_TCP_CONNECT, "close-connection", "{}", POLICY_CLOSE);
    scene_expect_verdict(POLICY_ON_HTTP_REQUEST, "close-connection", "{}", POLICY_CLOSE);
    assert_int_equal(fake_run(&scene, "on_http_request: [{actions: [{type: close-connection}]}]",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CLOSE);
}

static void what_stands_behind_it_never_runs(void **state)
{
    (void)state;
    fake_host_expect_warning(
        "on_http_request: [{actions: [{type: close-connection}, {type: deny}]}]",
        "it can never run, because close-connection");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_with_any_field_refuses_it),
        SCENE_TEST(run_closes_in_both_phases),
        SCENE_TEST(what_stands_behind_it_never_runs),
    };

    return cmocka_run_group_tests_name("policy/close_connection", tests, NULL, NULL);
}
