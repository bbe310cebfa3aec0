/*
 * Unit tests of policy/policy: documents, their errors, and the order of a run.
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

#include "base/mem.h"
#include "tests/unit/policy/fake_host.h"

static void policy_compile_bad_documents_are_refused_with_place(void **state)
{
    static const struct {
        const char *json;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "[]", E_POLICY_DOCUMENT, "a policy must be a mapping" },
        { "{}", E_POLICY_NO_ACTION, "no action" },
        { "{'on_http_request': []}", E_POLICY_NO_ACTION, "no action" },
        { "{'on_http_requests': []}", E_POLICY_DOCUMENT,
          "unknown key 'on_http_requests'; known: on_tcp_connect, on_http_request, "
          "on_http_response" },
        { "{'on_http_request': {}}", E_POLICY_DOCUMENT, "on_http_request: it must be a list" },
        { "{'on_http_request': [1]}", E_POLICY_DOCUMENT, "on_http_request[0]: a rule must be" },
        { "{'on_http_request': [{}]}", E_POLICY_NO_ACTION, "on_http_request[0]: actions needs" },
        { "{'on_http_request': [{'actions': []}]}", E_POLICY_NO_ACTION, "on_http_request[0]: " },
        { "{'on_http_request': [{'actions': {}}]}", E_POLICY_DOCUMENT, "actions must be a list" },
        { "{'on_http_request': [{'name': 1, 'actions': []}]}", E_POLICY_DOCUMENT, "name must be" },
        { "{'on_http_request': [{'if': 'x', 'actions': []}]}", E_POLICY_DOCUMENT,
          "on_http_request[0]: unknown key 'if'; known: name, actions" },
        { "{'on_http_request': [{'expressions': ['true'], 'actions': []}]}", E_POLICY_EXPRESSION,
          "on_http_request[0]: expressions are not available" },
        { "{'on_http_request': [{'actions': [1]}]}", E_POLICY_DOCUMENT,
          "on_http_request[0].actions[0]: an action must be a mapping" },
        { "{'on_http_request': [{'actions': [{}]}]}", E_POLICY_MISSING, "type is required" },
        { "{'on_http_request': [{'actions': [{'type': 'deny', 'if': 1}]}]}", E_POLICY_DOCUMENT,
          "unknown key 'if'; known: type, config, name" },
        { "{'on_http_request': [{'actions': [{'type': 'add-header'}]}]}", E_POLICY_ACTION,
          "on_http_request[0].actions[0]: unknown action 'add-header'; the nearest is "
          "'add-headers'" },
        { "{'on_http_response': [{'actions': [{'type': 'basic-auth'}]}]}", E_POLICY_PHASE,
          "'basic-auth' is not available in on_http_response" },
        { "{'on_tcp_connect': [{'actions': [{'type': 'add-headers'}]}]}", E_POLICY_PHASE,
          "not available in on_tcp_connect" },
        { "{'on_http_request': [{'actions': [{'type': 'add-headers', 'config': 'x'}]}]}",
          E_POLICY_CONFIG, "on_http_request[0].actions[0].config: it must be a mapping" },
        { "{'on_http_request': [{'actions': [{'type': 'add-headers', 'config': {'a': 1}}]}]}",
          E_POLICY_CONFIG,
          "on_http_request[0].actions[0].config: unknown key 'a'; known: headers" },
        { "{'on_http_request': ["
          "{'actions': [{'type': 'add-headers', 'config': {'headers': {'a': 'b'}}}]},"
          "{'actions': [{'type': 'add-headers', 'config': {'headers': {'a': 'b'}}},"
          "             {'type': 'add-headers', 'config': {'headers': {'a b': 'b'}}}]}]}",
          E_POLICY_HEADER_NAME, "on_http_request[1].actions[1].config.headers.a b: header name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_refused(cases[i].json, cases[i].code, cases[i].needle);
}

static void add_rules(json_t *document, size_t count)
{
    for (size_t i = 0; i < count; i++)
        policy_document_add(document, i % 2 == 0 ? POLICY_ON_HTTP_REQUEST : POLICY_ON_HTTP_RESPONSE,
                            "add-headers", json_pack("{s:{s:s}}", "headers", "a", "b"));
}

static void policy_compile_rules_at_limit(void **state)
{
    json_t *document = json_object();
    struct counted *policy;
    struct err e;

    (void)state;
    add_rules(document, POLICY_RULES_MAX);
    policy = policy_compile(document, &e);
    assert_non_null(policy);
    counted_unref(policy);
    add_rules(document, 1);
    assert_null(policy_compile(document, &e));
    assert_int_equal(e.code, E_POLICY_RULES);
    json_decref(document);
}

static void policy_compile_actions_at_limit(void **state)
{
    json_t *actions = json_array();
    json_t *document = json_pack("{s:[{s:o}]}", "on_tcp_connect", "actions", actions);
    struct counted *policy;
    struct err e;

    (void)state;
    for (size_t i = 0; i < POLICY_RULE_ACTIONS_MAX; i++)
        json_array_append_new(actions, json_pack("{s:s, s:{s:[s]}}", "type", "restrict-ips",
                                                 "config", "allow", "::/0"));
    policy = policy_compile(document, &e);
    assert_non_null(policy);
    counted_unref(policy);
    json_array_append_new(actions, json_object());
    assert_null(policy_compile(document, &e));
    assert_int_equal(e.code, E_POLICY_RULE_ITEMS);
    json_decref(document);
}

static void policy_compile_takes_names_of_rules_and_actions(void **state)
{
    struct counted *policy =
        fake_host_compile("{'on_tcp_connect': [{'name': 'r', 'actions': [{'name': 'a', 'type': "
                          "'restrict-ips', 'config': {'allow': ['::/0']}}]}]}");

    (void)state;
    assert_true(policy_has_phase(policy, POLICY_ON_TCP_CONNECT));
    assert_false(policy_has_phase(policy, POLICY_ON_HTTP_REQUEST));
    assert_false(policy_has_phase(NULL, POLICY_ON_HTTP_REQUEST));
    counted_unref(policy);
}

static void policy_run_goes_through_rules_in_order(void **state)
{
    struct counted *policy = fake_host_compile(
        "{'on_http_request': ["
        "{'actions': [{'type': 'add-headers', 'config': {'headers': {'x-a': '1'}}},"
        "             {'type': 'remove-headers', 'config': {'headers': ['X-A']}}]},"
        "{'actions': [{'type': 'add-headers', 'config': {'headers': {'x-a': '2'}}}]}]}");
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-a"), "2");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    fake_host_fini(&h);
    counted_unref(policy);
}

static void policy_run_stops_at_a_verdict(void **state)
{
    struct counted *policy = fake_host_compile(
        "{'on_http_request': ["
        "{'actions': [{'type': 'restrict-ips', 'config': {'allow': ['10.0.0.0/8']}},"
        "             {'type': 'add-headers', 'config': {'headers': {'x-a': '1'}}}]},"
        "{'actions': [{'type': 'add-headers', 'config': {'headers': {'x-a': '2'}}}]}]}");
    struct fake_host h;

    (void)state;
    fake_host_init(&h, "192.0.2.1");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_null(fake_host_values(&h, "x-a"));
    fake_host_fini(&h);
    counted_unref(policy);
}

static void policy_check_action_leaves_the_place_out(void **state)
{
    json_t *config = json_pack("{s:[s]}", "allow", "10.0.0.0/33");
    struct err e;

    (void)state;
    assert_int_equal(policy_check_action(POLICY_ON_HTTP_REQUEST, "restrict-ips", config, &e), -1);
    assert_int_equal(e.code, E_POLICY_CIDR);
    assert_string_equal(e.msg, "'10.0.0.0/33' has no valid prefix length (0-32)");
    json_array_set_new(json_object_get(config, "allow"), 0, json_string("10.0.0.0/32"));
    assert_int_equal(policy_check_action(POLICY_ON_HTTP_REQUEST, "restrict-ips", config, &e), 0);
    json_decref(config);
}

static void policy_reference_outlives_the_first_holder(void **state)
{
    struct counted *policy = fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "add-headers",
                                                      "{'headers': {'x-a': '1'}}");
    struct fake_host h;

    (void)state;
    counted_ref(policy);
    counted_unref(policy);
    fake_host_init(&h, "192.0.2.1");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    fake_host_fini(&h);
    counted_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_compile_bad_documents_are_refused_with_place),
        cmocka_unit_test(policy_compile_rules_at_limit),
        cmocka_unit_test(policy_compile_actions_at_limit),
        cmocka_unit_test(policy_compile_takes_names_of_rules_and_actions),
        cmocka_unit_test(policy_run_goes_through_rules_in_order),
        cmocka_unit_test(policy_run_stops_at_a_verdict),
        cmocka_unit_test(policy_check_action_leaves_the_place_out),
        cmocka_unit_test(policy_reference_outlives_the_first_holder),
    };

    return cmocka_run_group_tests_name("policy/policy", tests, NULL, NULL);
}
