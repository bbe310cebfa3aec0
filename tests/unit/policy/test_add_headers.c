/*
 * Unit tests of policy/actions/add_headers.
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

static const char *added(struct fake_host *h, const char *config, const char *name)
{
    struct counted *policy =
        fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "add-headers", config);

    assert_int_equal(fake_host_run(h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    counted_unref(policy);
    return fake_host_values(h, name);
}

static void add_headers_appends_and_folds_names(void **state)
{
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "X-Tier", "old");
    assert_string_equal(added(&h, "{'headers': {'X-Tier': ' gold '}}", "x-tier"), "old,gold");
    assert_true(str_eq(h.fields[1].name, STR("x-tier")));
    fake_host_fini(&h);
}

static void add_headers_replaces_host(void **state)
{
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "Host", "app.example.com");
    assert_string_equal(added(&h, "{'headers': {'HOST': '[::1]:8080'}}", "host"), "[::1]:8080");
    fake_host_fini(&h);
}

static void add_headers_takes_scalars_as_text(void **state)
{
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    assert_string_equal(added(&h, "{'headers': {'a': 1, 'b': true, 'c': -5, 'd': ''}}", "a"), "1");
    assert_string_equal(fake_host_values(&h, "b"), "true");
    assert_string_equal(fake_host_values(&h, "c"), "-5");
    assert_string_equal(fake_host_values(&h, "d"), "");
    fake_host_fini(&h);
}

static void add_headers_bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{'headers': {}}", E_POLICY_MISSING, "config.headers: it is required" },
        { "{'headers': ['a']}", E_POLICY_CONFIG, "config.headers: it must be a mapping" },
        { "{'headers': {'a': null}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{'headers': {'a': 1.5}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{'headers': {'a': ['b']}}", E_POLICY_CONFIG, "config.headers.a: it must be a string" },
        { "{'headers': {'': 'b'}}", E_POLICY_HEADER_NAME, "the header name is empty" },
        { "{'headers': {'a:': 'b'}}", E_POLICY_HEADER_NAME, "character 2 is not allowed" },
        { "{'headers': {'\\u00e9': 'b'}}", E_POLICY_HEADER_NAME, "character 1" },
        { "{'headers': {'a': 'b\\r\\nc: d'}}", E_POLICY_HEADER_VALUE, "position 2" },
        { "{'headers': {'a': 'b\\u0000'}}", E_POLICY_HEADER_VALUE, "position 2" },
        { "{'headers': {'a': 'b\\u007f'}}", E_POLICY_HEADER_VALUE, "position 2" },
        { "{'headers': {'x-a': '1', 'X-A': '2'}}", E_HEADER_TWICE, "'X-A' is given twice" },
        { "{'headers': {'a': '${conn.client_ip}'}}", E_POLICY_TEMPLATE,
          "config.headers.a: \"${\" starts an expression" },
        { "{'headers': {'User-Agent': 'b'}}", E_POLICY_NOT_SETTABLE, "'User-Agent' cannot" },
        { "{'headers': {'content-length': '1'}}", E_POLICY_NOT_SETTABLE, "content-length" },
        { "{'headers': {'transfer-encoding': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'connection': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'keep-alive': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'upgrade': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'te': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'trailer': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'proxy-connection': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'Sallyport-Error-Code': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'ngrok-error-code': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {':path': 'b'}}", E_POLICY_NOT_SETTABLE, "" },
        { "{'headers': {'host': ''}}", E_POLICY_HEADER_VALUE, "must be a host name" },
        { "{'headers': {'host': 'a b'}}", E_POLICY_HEADER_VALUE, "must be a host name" },
        { "{'headers': {'host': 'http://a/'}}", E_POLICY_HEADER_VALUE, "must be a host name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "add-headers", cases[i].config,
                                        cases[i].code, cases[i].needle);
}

/* {"headers": {"h0": "v", ...}} with the first name and value stretched to some length. */
static void make_config(struct buf *out, size_t count, int name_bytes, int value_bytes)
{
    buf_init(out, 64 * 1024);
    buf_add_fmt(out, "{'headers': {'%0*d': '%0*d'", name_bytes, 0, value_bytes, 0);
    for (size_t i = 1; i < count; i++)
        buf_add_fmt(out, ", 'h%zu': 'v'", i);
    buf_add_fmt(out, "}}%c", '\0');
}

static void add_headers_limits_hold(void **state)
{
    static const struct {
        size_t count;
        int name_bytes;
        int value_bytes;
        enum err_code code;
    } cases[] = {
        { 10, 256, 8192, E_OK },
        { 11, 1, 1, E_POLICY_HEADER_TOO_MANY },
        { 1, 257, 1, E_POLICY_HEADER_NAME_LENGTH },
        { 1, 1, 8193, E_POLICY_HEADER_VALUE_LENGTH },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf config;

        make_config(&config, cases[i].count, cases[i].name_bytes, cases[i].value_bytes);
        if (cases[i].code == E_OK)
            counted_unref(fake_host_compile_action(POLICY_ON_HTTP_RESPONSE, "add-headers",
                                                   buf_str(&config).p));
        else
            fake_host_expect_config_refused(POLICY_ON_HTTP_RESPONSE, "add-headers",
                                            buf_str(&config).p, cases[i].code, "at most");
        buf_fini(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_headers_appends_and_folds_names),
        cmocka_unit_test(add_headers_replaces_host),
        cmocka_unit_test(add_headers_takes_scalars_as_text),
        cmocka_unit_test(add_headers_bad_configs_are_refused),
        cmocka_unit_test(add_headers_limits_hold),
    };

    return cmocka_run_group_tests_name("policy/add_headers", tests, NULL, NULL);
}
