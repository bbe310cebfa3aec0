/*
 * Unit tests of policy/actions/restrict_ips: blocks of every form, IP policies, what is told.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "tests/unit/policy/action_scene.h"

#define T POLICY_ON_TCP_CONNECT
#define Q POLICY_ON_HTTP_REQUEST
#define S POLICY_ON_HTTP_RESPONSE

static const char action[] = "restrict-ips";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "give at least one CIDR block in allow or deny" },
        { "{enforce: true}", E_POLICY_MISSING, "give at least one CIDR block" },
        { "{allow: [], deny: [], ip_policies: []}", E_POLICY_MISSING, "give at least one" },
        { "{allow: '10.0.0.0/8'}", E_POLICY_CONFIG, "config.allow: it must be a list" },
        { "{allow: [[a]]}", E_POLICY_CONFIG, "config.allow[0]: it must be a string" },
        { "{allow: [null]}", E_POLICY_CONFIG, "config.allow[0]: it must be a string" },
        { "{allow: ['::/0', '10.0.0.0/33']}", E_POLICY_CIDR, "config.allow[1]: '10.0.0.0/33'" },
        { "{allow: ['::/129']}", E_POLICY_CIDR, "config.allow[0]" },
        { "{allow: [10.0]}", E_POLICY_CIDR, "config.allow[0]" },
        { "{deny: ['example.com']}", E_POLICY_CIDR, "config.deny[0]: 'example.com'" },
        { "{deny: ['']}", E_POLICY_CIDR, "config.deny[0]" },
        { "{deny: ['10.0.0.0/-1']}", E_POLICY_CIDR, "config.deny[0]" },
        { "{allow: ['${nosuch}']}", E_POLICY_TEMPLATE, "config.allow[0]" },
        { "{deny: ['10.0.0.0/${']}", E_POLICY_TEMPLATE, "config.deny[0]" },
        { "{enforce: 'no', allow: ['::/0']}", E_POLICY_CONFIG, "config.enforce: it must be true" },
        { "{enforce: '${true}', allow: ['::/0']}", E_POLICY_CONFIG, "config.enforce" },
        { "{ip_policies: [staff]}", E_POLICY_IP_POLICY, "config.ip_policies[0]: there is no" },
        { "{ip_policies: [ipp_1, '${1}']}", E_POLICY_IP_POLICY, "config.ip_policies[1]" },
        { "{ip_policies: [[ipp_1]]}", E_POLICY_CONFIG,
          "config.ip_policies[0]: it must be a string" },
        { "{ip_policies: ipp_1}", E_POLICY_CONFIG, "config.ip_policies: it must be a list" },
        { "{allowed: ['::/0']}", E_POLICY_CONFIG, "unknown field 'allowed'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
    scene_expect_accepted(T, action, "{ip_policies: [ipp_1]}");
}

static void compile_with_only_denials_warns(void **state)
{
    (void)state;
    fake_host_expect_config_warning(Q, action, "{deny: ['10.0.0.0/8']}",
                                    "without 'allow' nobody is admitted");
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(
        T, action,
        scene_fmt("{allow: [%s], deny: [%s], ip_policies: [%s]}", scene_repeat(1000, "'::1'", ","),
                  scene_repeat(1000, "10.0.0.1", ","), scene_repeat(32, "ipp_1", ",")));
    fake_host_expect_config_refused(T, action,
                                    scene_fmt("{allow: [%s]}", scene_repeat(1001, "'::1'", ",")),
                                    E_POLICY_LIST_LENGTH, "1001 entries, at most 1000");
    fake_host_expect_config_refused(T, action,
                                    scene_fmt("{deny: [%s]}", scene_repeat(1001, "'::1'", ",")),
                                    E_POLICY_LIST_LENGTH, "1001 entries, at most 1000");
    fake_host_expect_config_refused(
        T, action, scene_fmt("{ip_policies: [%s]}", scene_repeat(33, "ipp_1", ",")),
        E_POLICY_LIST_LENGTH, "33 entries, at most 32");
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void use_client(const char *ip)
{
    scene_restart();
    assert_int_equal(addr_parse_ip(str_from(ip), &scene.client), 0);
}

static void run_tells_who_may_pass_and_why(void **state)
{
    static const struct {
        const char *config;
        const char *client;
        bool allowed;
        const char *matched;
    } cases[] = {
        { "{allow: [10.0.0.0/8]}", "10.255.0.1", true, "10.0.0.0/8" },
        { "{allow: [10.0.0.0/8]}", "11.0.0.1", false, "" },
        { "{allow: [10.20.0.0/16], deny: [10.20.9.0/24]}", "10.20.8.1", true, "10.20.0.0/16" },
        { "{allow: [10.20.0.0/16], deny: [10.20.9.0/24]}", "10.20.9.1", false, "10.20.9.0/24" },
        { "{allow: [0.0.0.0/0], deny: [192.0.2.7]}", "192.0.2.7", false, "192.0.2.7/32" },
        { "{allow: [0.0.0.0/0], deny: [192.0.2.7]}", "192.0.2.8", true, "0.0.0.0/0" },
        { "{deny: [192.0.2.7]}", "192.0.2.8", false, "" },
        { "{deny: [192.0.2.7]}", "192.0.2.7", false, "192.0.2.7/32" },
        { "{allow: [192.0.2.7]}", "192.0.2.7", true, "192.0.2.7/32" },
        { "{allow: [192.0.2.7/24]}", "192.0.2.8", true, "192.0.2.0/24" },
        { "{allow: ['2001:db8:5::/48']}", "2001:db8:5:1::1", true, "2001:db8:5::/48" },
        { "{allow: ['2001:db8:5::/48']}", "2001:db8:6::1", false, "" },
        { "{allow: ['::1']}", "::1", true, "::1/128" },
        { "{allow: ['::/0']}", "10.0.0.1", false, "" },
        { "{allow: ['0.0.0.0/0']}", "2001:db8::1", false, "" },
        { "{allow: [10.0.0.0/8]}", "::ffff:10.0.0.1", true, "10.0.0.0/8" },
        { "{allow: ['::ffff:10.0.0.1']}", "10.0.0.1", true, "10.0.0.1/32" },
        { "{allow: [10.0.0.0/8, 10.1.0.0/16]}", "10.1.0.1", true, "10.0.0.0/8" },
        { "{allow: [192.0.2.0/31]}", "192.0.2.1", true, "192.0.2.0/31" },
        { "{allow: [192.0.2.0/31]}", "192.0.2.2", false, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        use_client(cases[i].client);
        scene_expect_verdict(Q, action, cases[i].config,
                             cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        scene_expect_text(scene.outcome->ip_policy_decision, cases[i].allowed ? "allow" : "block");
        scene_expect_eval(Q, "actions.ngrok.restrict_ips",
                          scene_fmt("{\"action\":\"%s\",\"matched_cidr\":\"%s\","
                                    "\"error\":{\"code\":\"\",\"message\":\"\"}}",
                                    cases[i].allowed ? "allow" : "deny", cases[i].matched));
    }
}

static void run_looks_at_the_connection_only(void **state)
{
    (void)state;
    fake_host_add(&scene, "X-Forwarded-For", "10.0.0.1");
    fake_host_add(&scene, "Forwarded", "for=10.0.0.1");
    scene_expect_verdict(Q, action, "{allow: [10.0.0.0/8]}", POLICY_RESPOND);
}

static void run_refuses_as_the_phase_can(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, "{allow: [10.0.0.0/8]}", E_IP_DENIED, "192.0.2.1");
    assert_int_equal(err_number(E_IP_DENIED), 3203);
    assert_int_equal(err_status(E_IP_DENIED), 403);
    scene_expect_failure(S, action, "{allow: [10.0.0.0/8]}", E_IP_DENIED, "192.0.2.1");
    scene_expect_verdict(T, action, "{allow: [10.0.0.0/8]}", POLICY_CLOSE);
    scene_expect_verdict(T, action, "{allow: [192.0.2.0/24]}", POLICY_CONTINUE);
}

static void run_without_enforce_only_tells(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{enforce: false, allow: [10.0.0.0/8]}", POLICY_CONTINUE);
    scene_expect_text(scene.outcome->ip_policy_decision, "block");
    scene_expect_eval(Q, "actions.ngrok.restrict_ips.action", "deny");
    scene_expect_verdict(T, action, "{enforce: false, allow: [10.0.0.0/8]}", POLICY_CONTINUE);
    scene_expect_no_result(Q, action, "{enforce: false, allow: [10.0.0.0/8]}", "restrict_ips");
    scene_expect_text(scene.outcome->ip_policy_decision, "block");
}

/* ---- computed blocks ------------------------------------------------------------------------- */

static void run_evaluates_blocks(void **state)
{
    static const struct {
        const char *block;
        bool allowed;
    } cases[] = {
        { "${conn.client_ip}", true },  { "${conn.client_ip}/32", true },
        { "192.0.2.0/${8 * 3}", true }, { "${' 192.0.2.0/24 '}", true },
        { "${'10.0.0.0/8'}", false },   { "${req.headers['x-allow'][0]}", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "X-Allow", "192.0.2.0/31");
        scene_expect_verdict(Q, action, scene_fmt("{allow: [10.0.0.0/8, \"%s\"]}", cases[i].block),
                             cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        scene_restart();
        fake_host_add(&scene, "X-Allow", "192.0.2.0/31");
        scene_expect_verdict(Q, action,
                             scene_fmt("{allow: [0.0.0.0/0], deny: [\"%s\"]}", cases[i].block),
                             cases[i].allowed ? POLICY_RESPOND : POLICY_CONTINUE);
    }
}

/* Wherever the entry stands. */
static void run_with_a_computed_block_that_is_none_ends(void **state)
{
    static const char *const configs[] = {
        "{allow: [\"${'x'}\"]}",
        "{allow: [0.0.0.0/0, \"${'x'}\"]}",
        "{allow: [0.0.0.0/0], deny: [\"${'10.0.0.0/33'}\"]}",
        "{allow: [10.0.0.0/8], deny: [0.0.0.0/0, \"${''}\"]}",
        "{enforce: false, allow: [\"${'10.0.0.0/8,11.0.0.0/8'}\"]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
        scene_expect_failure(Q, action, configs[i], E_POLICY_FIELD_EVALUATION, "no CIDR block");
    scene_expect_failure(Q, action, "{allow: [0.0.0.0/0, '${[][0]}']}", E_POLICY_FIELD_EVALUATION,
                         "allow[1]");
    assert_int_equal(scene.outcome->ip_policy_decision.n, 0);
    scene_expect_verdict(T, action, "{allow: [\"${'x'}\"]}", POLICY_CLOSE);
}

/* ---- IP policies ----------------------------------------------------------------------------- */

static struct cidr block(const char *text)
{
    struct cidr c;

    assert_int_equal(cidr_parse(str_from(text), &c, NULL), 0);
    return c;
}

static void run_adds_the_rules_of_all_policies(void **state)
{
    static const struct {
        const char *config;
        const char *client;
        bool allowed;
        const char *matched;
    } cases[] = {
        { "{ip_policies: [ipp_a]}", "10.0.0.1", true, "10.0.0.0/8" },
        { "{ip_policies: [ipp_a]}", "11.0.0.1", true, "11.0.0.0/8" },
        { "{ip_policies: [ipp_a]}", "12.0.0.1", false, "" },
        { "{ip_policies: [ipp_b]}", "10.1.0.1", false, "10.1.0.0/16" },
        { "{ip_policies: [ipp_a, ipp_b]}", "10.1.0.1", false, "10.1.0.0/16" },
        { "{ip_policies: [ipp_b, ipp_a]}", "10.2.0.1", true, "10.0.0.0/8" },
        { "{allow: [0.0.0.0/0], ip_policies: [ipp_b]}", "10.1.0.1", false, "10.1.0.0/16" },
        { "{allow: [12.0.0.0/8], ip_policies: [ipp_a]}", "12.0.0.1", true, "12.0.0.0/8" },
        { "{deny: [10.0.0.0/9], ip_policies: [ipp_a]}", "10.0.0.1", false, "10.0.0.0/9" },
        { "{ip_policies: [ipp_deleted]}", "10.0.0.1", false, "" },
        { "{ip_policies: [ipp_deleted, ipp_a]}", "10.0.0.1", true, "10.0.0.0/8" },
    };
    const struct cidr allowed[] = { block("10.0.0.0/8"), block("11.0.0.0/8") };
    const struct cidr denied[] = { block("10.1.0.0/16") };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        use_client(cases[i].client);
        scene.ip_policies[0] =
            (struct fake_ip_policy){ "ipp_a", { .allow = allowed, .allow_count = 2 } };
        scene.ip_policies[1] =
            (struct fake_ip_policy){ "ipp_b", { .deny = denied, .deny_count = 1 } };
        scene_expect_verdict(Q, action, cases[i].config,
                             cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        scene_expect_eval(Q, "actions.ngrok.restrict_ips.matched_cidr", cases[i].matched);
    }
}

/* ---- flags ------------------------------------------------------------------------------------ */

/* The endpoint's own restriction has a number of its own. */
static void run_of_a_flag_refuses_with_its_own_code(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d = policy_document_new(STR("flags"));
    const struct policy_document *documents[] = { d };
    const struct policy_params params = { .engine = fake_host_engine(),
                                          .limits = &policy_default_limits,
                                          .documents = documents,
                                          .document_count = 1 };
    struct counted *policy;

    (void)state;
    policy_document_add(d, Q, action, json_pack("{s:[s]}", "allow", "10.0.0.0/8"));
    policy = policy_compile(&params, problems);
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_RESPOND);
    assert_int_equal(scene.response->error, E_IP_RESTRICTED);
    assert_int_equal(err_number(E_IP_RESTRICTED), 3205);
    counted_unref(policy);
    policy_document_free(d);
    policy_problems_free(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_with_only_denials_warns),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_tells_who_may_pass_and_why),
        SCENE_TEST(run_looks_at_the_connection_only),
        SCENE_TEST(run_refuses_as_the_phase_can),
        SCENE_TEST(run_without_enforce_only_tells),
        SCENE_TEST(run_evaluates_blocks),
        SCENE_TEST(run_with_a_computed_block_that_is_none_ends),
        SCENE_TEST(run_adds_the_rules_of_all_policies),
        SCENE_TEST(run_of_a_flag_refuses_with_its_own_code),
    };

    return cmocka_run_group_tests_name("policy/restrict_ips", tests, NULL, NULL);
}
