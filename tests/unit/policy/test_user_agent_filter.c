/*
 * Unit tests of policy/actions/user_agent_filter: who passes, and what patterns may be.
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

static const char action[] = "user-agent-filter";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "give at least one pattern in allow or deny" },
        { "{allow: [], deny: []}", E_POLICY_MISSING, "give at least one pattern" },
        { "{allow: curl}", E_POLICY_CONFIG, "config.allow: it must be a list" },
        { "{allow: [[a]]}", E_POLICY_CONFIG, "config.allow[0]: it must be a string" },
        { "{allow: [a, '(']}", E_POLICY_REGEX, "config.allow[1]: " },
        { "{deny: ['a(?=b)']}", E_POLICY_REGEX, "config.deny[0]: " },
        { "{denied: [a]}", E_POLICY_CONFIG, "unknown field 'denied'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(Q, action,
                          scene_fmt("{allow: [%s], deny: [%s]}", scene_repeat(32, "a", ","),
                                    scene_repeat(32, "a", ",")));
    fake_host_expect_config_refused(Q, action,
                                    scene_fmt("{deny: [%s]}", scene_repeat(33, "a", ",")),
                                    E_POLICY_LIST_LENGTH, "33 entries, at most 32");
    fake_host_expect_config_refused(Q, action,
                                    scene_fmt("{deny: [%s]}", scene_repeat(8, "'a{900}'", ",")),
                                    E_POLICY_REGEX, "too large together");
    /* Some of them take long to compile however small they come out. */
    fake_host_expect_config_refused(Q, action,
                                    scene_fmt("{deny: [%s]}", scene_repeat(8, "'a{0,900}'", ",")),
                                    E_POLICY_REGEX, "too large together");
}

static void run_looks_at_the_agent(void **state)
{
    static const struct {
        const char *config;
        const char *agent; /* NULL: none */
        bool passes;
    } cases[] = {
        { "{deny: [curl]}", "curl/8.1", false },
        { "{deny: [curl]}", "Mozilla/5.0", true },
        { "{deny: ['^curl']}", "not curl", true },
        { "{deny: ['(?i)CURL']}", "curl/8.1", false },
        { "{deny: [curl, wget]}", "Wget wget", false },
        { "{allow: [curl]}", "curl/8.1", true },
        { "{allow: [curl]}", "Mozilla/5.0", false },
        { "{allow: ['foo/(\\d)+.(\\d)+', 'bar/\\d']}", "foo/1.2", true },
        { "{allow: [curl/8], deny: [curl]}", "curl/8.1", true },
        { "{allow: [curl/8], deny: [curl]}", "curl/7.1", false },
        { "{allow: [curl/8], deny: [curl]}", "Mozilla/5.0", true },
        { "{deny: [curl]}", NULL, false },
        { "{deny: [curl]}", "", false },
        { "{allow: [curl]}", NULL, false },
        { "{allow: ['^$']}", NULL, true },
        { "{allow: ['^$']}", "", true },
        { "{allow: ['^$']}", "x", false },
        { "{allow: ['^$'], deny: [curl]}", NULL, true },
        /* A pattern is no text with expressions: this is an end, once. */
        { "{allow: ['^a${1}']}", "a", true },
        { "{allow: ['^a${1}']}", "a1", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s %s\n", cases[i].config, cases[i].agent != NULL ? cases[i].agent : "-");
        scene_restart();
        if (cases[i].agent != NULL)
            fake_host_add(&scene, "User-Agent", cases[i].agent);
        if (cases[i].passes)
            scene_expect_verdict(Q, action, cases[i].config, POLICY_CONTINUE);
        else
            scene_expect_failure(Q, action, cases[i].config, E_USER_AGENT, "user agent");
    }
    assert_int_equal(err_number(E_USER_AGENT), 3211);
}

static void run_counts_the_first_field(void **state)
{
    (void)state;
    fake_host_add(&scene, "User-Agent", "Mozilla/5.0");
    fake_host_add(&scene, "User-Agent", "curl/8.1");
    scene_expect_verdict(Q, action, "{deny: [curl]}", POLICY_CONTINUE);
}

static void run_of_a_long_agent_counts_as_none(void **state)
{
    (void)state;
    fake_host_add(&scene, "User-Agent", scene_repeat(1024, "x", ""));
    scene_expect_verdict(Q, action, "{deny: [curl]}", POLICY_CONTINUE);
    scene_restart();
    fake_host_add(&scene, "User-Agent", scene_repeat(1025, "x", ""));
    scene_expect_failure(Q, action, "{deny: [curl]}", E_USER_AGENT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_looks_at_the_agent),
        SCENE_TEST(run_counts_the_first_field),
        SCENE_TEST(run_of_a_long_agent_counts_as_none),
    };

    return cmocka_run_group_tests_name("policy/user_agent_filter", tests, NULL, NULL);
}
