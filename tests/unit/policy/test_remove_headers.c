/*
 * Unit tests of policy/actions/remove_headers.
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

#include "tests/unit/policy/fake_host.h"

static void remove_headers_takes_every_field_of_a_name(void **state)
{
    struct counted *policy = fake_host_compile_action(POLICY_ON_HTTP_RESPONSE, "remove-headers",
                                                      "{'headers': ['Server', 'x-absent']}");
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "server", "a");
    fake_host_add(&h, "date", "now");
    fake_host_add(&h, "SERVER", "b");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_null(fake_host_values(&h, "server"));
    assert_string_equal(fake_host_values(&h, "date"), "now");
    fake_host_fini(&h);
    counted_unref(policy);
}

static void remove_headers_bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{'headers': []}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{'headers': 'a'}", E_POLICY_CONFIG, "config.headers: it must be a list" },
        { "{'headers': ['a', 1]}", E_POLICY_CONFIG, "config.headers[1]: it must be a string" },
        { "{'headers': ['a', 'b c']}", E_POLICY_HEADER_NAME, "config.headers[1]: header name" },
        { "{'headers': ['']}", E_POLICY_HEADER_NAME, "the header name is empty" },
        { "{'headers': ['${vars.x}']}", E_POLICY_TEMPLATE, "not available" },
        { "{'headers': ['Host']}", E_HEADER_NEEDS_REPLACEMENT, "replace it with add-headers" },
        { "{'headers': ['user-agent']}", E_POLICY_NOT_SETTABLE, "'user-agent' cannot" },
        { "{'headers': ['Content-Length']}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': ['1','2','3','4','5','6','7','8','9','10','11']}", E_POLICY_LIST_LENGTH,
          "11 entries, at most 10" },
        { "{'names': ['a']}", E_POLICY_CONFIG, "unknown key 'names'; known: headers" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "remove-headers", cases[i].config,
                                        cases[i].code, cases[i].needle);
}

static void remove_headers_at_limit(void **state)
{
    (void)state;
    counted_unref(
        fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "remove-headers",
                                 "{'headers': ['1','2','3','4','5','6','7','8','9','10']}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remove_headers_takes_every_field_of_a_name),
        cmocka_unit_test(remove_headers_bad_configs_are_refused),
        cmocka_unit_test(remove_headers_at_limit),
    };

    return cmocka_run_group_tests_name("policy/remove_headers", tests, NULL, NULL);
}
