/*
 * Unit tests of policy/actions/deny.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/policy/action_scene.h"

#define T POLICY_ON_TCP_CONNECT
#define Q POLICY_ON_HTTP_REQUEST

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal of_request[] = {
        { "{status_code: 199}", E_POLICY_RANGE, "199 is outside of 200 to 599" },
        { "{status_code: 600}", E_POLICY_RANGE, "600 is outside of 200 to 599" },
        { "{status_code: '${403}'}", E_POLICY_CONFIG, "config.status_code: it must be a whole" },
        { "{status_code: 403.5}", E_POLICY_CONFIG, "it must be a whole number" },
        { "{status_code: [403]}", E_POLICY_CONFIG, "it must be a whole number" },
        { "{status: 403}", E_POLICY_CONFIG, "unknown field 'status'" },
    };
    static const struct scene_refusal of_connection[] = {
        { "{status_code: 403}", E_POLICY_CONFIG, "unknown field 'status_code'" },
        { "{body: x}", E_POLICY_CONFIG, "unknown field 'body'" },
    };

    (void)state;
    scene_expect_refusals(Q, "deny", of_request, sizeof(of_request) / sizeof(of_request[0]));
    scene_expect_refusals(T, "deny", of_connection,
                          sizeof(of_connection) / sizeof(of_connection[0]));
}

static void compile_odd_configs_warns(void **state)
{
    (void)state;
    fake_host_expect_config_warning(Q, "deny", "{status_code: 399}",
                                    "does not look like a refusal");
    fake_host_expect_config_warning(Q, "deny", "{status_code: 200}",
                                    "does not look like a refusal");
    fake_host_expect_config_warning(Q, "deny", "{body: no}", "deny sends no body");
}

static void run_answers_the_status_alone(void **state)
{
    static const struct {
        const char *config;
        unsigned status;
    } cases[] = {
        { "{}", 403 },
        { "null", 403 },
        { "{status_code: null}", 403 },
        { "{status_code: 200}", 200 },
        { "{status_code: 405, body: gone}", 405 },
        { "{status_code: 599}", 599 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_verdict(Q, "deny", cases[i].config, POLICY_RESPOND);
        assert_int_equal(scene.response->status, cases[i].status);
        assert_int_equal(scene.response->error, E_OK);
        assert_int_equal(scene.response->header_count, 0);
        assert_int_equal(scene.response->body.n, 0);
        assert_false(scene.response->runs_response_phase);
    }
}

static void run_of_a_connection_closes_it(void **state)
{
    (void)state;
    scene_expect_verdict(T, "deny", "{}", POLICY_CLOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_odd_configs_warns),
        SCENE_TEST(run_answers_the_status_alone),
        SCENE_TEST(run_of_a_connection_closes_it),
    };

    return cmocka_run_group_tests_name("policy/deny", tests, NULL, NULL);
}
