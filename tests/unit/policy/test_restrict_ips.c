/*
 * Unit tests of policy/actions/restrict_ips.
 * Links: policy/policy policy/fields policy/header_rule policy/actions/add_headers
 * Links: policy/actions/remove_headers policy/actions/basic_auth policy/actions/restrict_ips
 * Links: base/str base/mem base/err base/buf base/arena base/addr base/base64
 * Links: tests/unit/policy/fake_host
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/policy/fake_host.h"

static enum policy_verdict run(enum policy_phase phase, const char *config, const char *client,
                               struct policy_result *result)
{
    struct counted *policy = fake_host_compile_action(phase, "restrict-ips", config);
    enum policy_verdict verdict;
    struct fake_host h;

    fake_host_init(&h, client);
    verdict = fake_host_run(&h, policy, phase);
    *result = h.result;
    fake_host_fini(&h);
    counted_unref(policy);
    return verdict;
}

static void restrict_ips_allows_and_denies(void **state)
{
    static const struct {
        const char *config;
        const char *client;
        bool allowed;
    } cases[] = {
        { "{'allow': ['10.0.0.0/8']}", "10.255.0.1", true },
        { "{'allow': ['10.0.0.0/8']}", "11.0.0.1", false },
        { "{'allow': ['10.20.0.0/16'], 'deny': ['10.20.9.0/24']}", "10.20.8.1", true },
        { "{'allow': ['10.20.0.0/16'], 'deny': ['10.20.9.0/24']}", "10.20.9.1", false },
        { "{'allow': ['0.0.0.0/0'], 'deny': ['192.0.2.7']}", "192.0.2.7", false },
        { "{'allow': ['0.0.0.0/0'], 'deny': ['192.0.2.7']}", "192.0.2.8", true },
        { "{'deny': ['192.0.2.7']}", "192.0.2.8", false },
        { "{'allow': ['192.0.2.7']}", "192.0.2.7", true },
        { "{'allow': ['192.0.2.7/24']}", "192.0.2.8", true },
        { "{'allow': ['2001:db8:5::/48']}", "2001:db8:5:1::1", true },
        { "{'allow': ['2001:db8:5::/48']}", "2001:db8:6::1", false },
        { "{'allow': ['::/0']}", "10.0.0.1", false },
        { "{'allow': ['10.0.0.0/8']}", "::ffff:10.0.0.1", true },
        { "{'allow': ['::ffff:10.0.0.1']}", "10.0.0.1", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_result r;

        assert_int_equal(run(POLICY_ON_HTTP_REQUEST, cases[i].config, cases[i].client, &r),
                         cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        assert_true(str_eq(r.ip_policy_decision, cases[i].allowed ? STR("allow") : STR("block")));
    }
}

static void restrict_ips_answers_by_phase(void **state)
{
    static const char config[] = "{'allow': ['10.0.0.0/8']}";
    struct policy_result r;

    (void)state;
    assert_int_equal(run(POLICY_ON_HTTP_RESPONSE, config, "192.0.2.1", &r), POLICY_RESPOND);
    assert_int_equal(r.response.error, E_IP_RESTRICTED);
    assert_int_equal(r.response.status, 403);
    assert_non_null(strstr(r.response.message, "192.0.2.1"));
    assert_int_equal(run(POLICY_ON_TCP_CONNECT, config, "192.0.2.1", &r), POLICY_CLOSE);
    assert_int_equal(run(POLICY_ON_TCP_CONNECT, config, "10.0.0.1", &r), POLICY_CONTINUE);
}

static void restrict_ips_without_enforce_only_tells(void **state)
{
    struct policy_result r;

    (void)state;
    assert_int_equal(
        run(POLICY_ON_HTTP_REQUEST, "{'enforce': false, 'allow': ['10.0.0.0/8']}", "192.0.2.1", &r),
        POLICY_CONTINUE);
    assert_true(str_eq(r.ip_policy_decision, STR("block")));
}

static void restrict_ips_bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.allow: give at least one" },
        { "{'allow': [], 'deny': [], 'ip_policies': []}", E_POLICY_MISSING, "at least one" },
        { "{'allow': '10.0.0.0/8'}", E_POLICY_CONFIG, "config.allow: it must be a list" },
        { "{'allow': [1]}", E_POLICY_CONFIG, "config.allow[0]: it must be a string" },
        { "{'allow': ['::/0', '10.0.0.0/33']}", E_POLICY_CIDR, "config.allow[1]: '10.0.0.0/33'" },
        { "{'deny': ['example.com']}", E_POLICY_CIDR, "config.deny[0]: 'example.com'" },
        { "{'deny': ['']}", E_POLICY_CIDR, "config.deny[0]" },
        { "{'allow': ['${conn.client_ip}']}", E_POLICY_TEMPLATE, "config.allow[0]" },
        { "{'enforce': 'no', 'allow': ['::/0']}", E_POLICY_CONFIG,
          "config.enforce: it must be true or false" },
        { "{'ip_policies': ['ipp_1']}", E_POLICY_IP_POLICY, "config.ip_policies[0]: there is no" },
        { "{'allowed': ['::/0']}", E_POLICY_CONFIG,
          "unknown key 'allowed'; known: enforce, allow, deny, ip_policies" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "restrict-ips", cases[i].config,
                                        cases[i].code, cases[i].needle);
}

static void restrict_ips_blocks_at_limit(void **state)
{
    struct buf config;

    (void)state;
    buf_init(&config, 64 * 1024);
    buf_add_str(&config, STR("{'allow': ['::/0'"));
    for (int i = 1; i < 1000; i++)
        buf_add_str(&config, STR(",'10.0.0.1'"));
    buf_add_fmt(&config, "]}%c", '\0');
    counted_unref(
        fake_host_compile_action(POLICY_ON_TCP_CONNECT, "restrict-ips", buf_str(&config).p));
    config.len -= 3;
    buf_add_fmt(&config, ",'::1']}%c", '\0');
    fake_host_expect_config_refused(POLICY_ON_TCP_CONNECT, "restrict-ips", buf_str(&config).p,
                                    E_POLICY_LIST_LENGTH, "1001 entries, at most 1000");
    buf_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restrict_ips_allows_and_denies),
        cmocka_unit_test(restrict_ips_answers_by_phase),
        cmocka_unit_test(restrict_ips_without_enforce_only_tells),
        cmocka_unit_test(restrict_ips_bad_configs_are_refused),
        cmocka_unit_test(restrict_ips_blocks_at_limit),
    };

    return cmocka_run_group_tests_name("policy/restrict_ips", tests, NULL, NULL);
}
