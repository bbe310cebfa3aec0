/*
 * Unit tests of policy/actions/forward_internal: targets, and what happens when a forward fails before or
 * after it was tried.
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

#define T POLICY_ON_TCP_CONNECT
#define Q POLICY_ON_HTTP_REQUEST

static const char action[] = "forward-internal";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.url: it is required" },
        { "{url: null}", E_POLICY_MISSING, "config.url: it is required" },
        { "{url: [a]}", E_POLICY_CONFIG, "config.url: it must be a string" },
        { "{url: '${'}", E_POLICY_TEMPLATE, "config.url" },
        { "{url: 'https://${nosuch}.internal'}", E_POLICY_TEMPLATE, "config.url" },
        { "{url: 'https://a.internal', on_error: ignore}", E_POLICY_CHOICE, "'ignore' is not one" },
        { "{url: 'https://a.internal', on_error: [halt]}", E_POLICY_CONFIG, "config.on_error" },
        { "{url: 'https://a.internal', on_error: '${1}'}", E_POLICY_CHOICE, "config.on_error" },
        { "{url: 'https://a.internal', binding: public}", E_POLICY_CHOICE, "config.binding" },
        { "{url: 'https://a.internal', path: /x}", E_POLICY_CONFIG, "unknown field 'path'" },
    };
    static const char *const bad[] = {
        "",
        "a.internal",
        "https:a.internal",
        "https://",
        "https://.internal",
        "https://internal",
        "https://example.com",
        "https://a.internal.example.com",
        "https://ainternal",
        "https://a.internal/",
        "https://a.internal/path",
        "https://a.internal?x",
        "https://a.internal#x",
        "https://user@a.internal",
        "https://a b.internal",
        "https://a.internal:",
        "https://a.internal:0",
        "https://a.internal:65536",
        "https://a.internal:x",
        "https://a.internal:80:80",
        "https://[::1]",
        "ftp://a.internal",
        "://a.internal",
        "tcp://a.internal",
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        fake_host_expect_config_refused(Q, action, scene_fmt("{url: '%s'}", bad[i]), E_POLICY_URL,
                                        "it must be the URL of an internal endpoint");
}

static void run_forwards_to_the_target(void **state)
{
    static const struct {
        enum policy_phase phase;
        const char *config;
        const char *url;
    } cases[] = {
        { Q, "{url: 'https://api.internal'}", "https://api.internal" },
        { Q, "{url: 'http://a.b-c.internal:8080', on_error: halt}", "http://a.b-c.internal:8080" },
        { Q, "{url: 'HTTPS://Api.Internal:65535', binding: internal}",
          "HTTPS://Api.Internal:65535" },
        { Q, "{url: \"https://${req.host.split('.')[0]}.apps.internal\", on_error: continue}",
          "https://app.apps.internal" },
        { T, "{url: 'tcp://db.internal:5432'}", "tcp://db.internal:5432" },
        { T, "{url: 'tls://db.internal'}", "tls://db.internal" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_verdict(cases[i].phase, action, cases[i].config, POLICY_FORWARD);
        scene_expect_text(scene.forwarded, cases[i].url);
        scene_expect_eval(cases[i].phase, "actions.ngrok.forward_internal == null", "true");
    }
}

/* ---- failures -------------------------------------------------------------------------------- */

static void fail_forwards(enum err_code code)
{
    (void)err_set(&scene.forward_error, code, "it did not work");
}

static void run_without_the_endpoint_halts(void **state)
{
    (void)state;
    fail_forwards(E_ENDPOINT_OFFLINE);
    scene_expect_failure(Q, action, "{url: 'https://api.internal'}", E_ENDPOINT_OFFLINE,
                         "it did not work");
    fail_forwards(E_FORWARD_HOPS);
    scene_expect_failure(Q, action, "{url: 'https://api.internal', on_error: halt}", E_FORWARD_HOPS,
                         "it did not work");
    scene_expect_eval(Q, "actions.ngrok.forward_internal == null", "true");
    scene_restart();
    fail_forwards(E_ENDPOINT_OFFLINE);
    scene_expect_verdict(T, action, "{url: 'tcp://db.internal:5432'}", POLICY_CLOSE);
}

static void run_with_continue_goes_on_and_tells(void **state)
{
    static const struct {
        const char *url;
        const char *resolved;
    } cases[] = {
        { "https://api.internal", "https://api.internal:443" },
        { "http://api.internal", "http://api.internal:80" },
        { "https://api.internal:8443", "https://api.internal:8443" },
        { "tls://api.internal", "tls://api.internal:443" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fail_forwards(E_ENDPOINT_OFFLINE);
        scene_expect_verdict(Q, action, scene_fmt("{url: '%s', on_error: continue}", cases[i].url),
                             POLICY_CONTINUE);
        scene_expect_eval(Q, "actions.ngrok.forward_internal",
                          scene_fmt("{\"url\":\"%s\",\"error\":{\"code\":\"ERR_NGROK_3200\","
                                    "\"message\":\"it did not work\"}}",
                                    cases[i].resolved));
    }
    scene_expect_no_result(Q, action, "{url: 'https://api.internal', on_error: continue}",
                           "forward_internal");
}

static void run_with_a_computed_url_that_is_none_fails(void **state)
{
    static const char *const hosts[] = { "example.com", "a.internal/x", "a b.internal", "" };

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "x", hosts[i]);
        scene_expect_failure(Q, action, "{url: 'https://${req.headers.x[0]}'}", E_ENDPOINT_OFFLINE,
                             "not the URL of an internal endpoint");
        assert_null(scene.forwarded.p);
        scene_expect_verdict(Q, action, "{url: 'https://${req.headers.x[0]}', on_error: continue}",
                             POLICY_CONTINUE);
        scene_expect_eval(Q, "actions.ngrok.forward_internal.url",
                          scene_fmt("https://%s", hosts[i]));
    }
}

/* on_error is about forwards, not about expressions. */
static void run_with_a_failing_url_ends(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, "{url: 'https://${[][0]}', on_error: continue}",
                         E_POLICY_FIELD_EVALUATION, "url: ");
}

static const char fallback[] =
    "on_http_request:\n"
    "- actions:\n"
    "  - {type: forward-internal, config: {url: 'https://one.internal', on_error: continue}}\n"
    "  - type: custom-response\n"
    "    config: {body: 'no backend: ${actions.ngrok.forward_internal.error.code}'}\n";

static void forward_that_fails_later_goes_on_behind_it(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&scene, fallback, Q), POLICY_FORWARD);
    assert_int_equal(fake_host_forward_failed(&scene, E_ENDPOINT_OFFLINE, "gone"), POLICY_RESPOND);
    scene_expect_text(scene.response->body, "no backend: ERR_NGROK_3200");
    scene_expect_eval(Q, "actions.ngrok.forward_internal.url", "https://one.internal:443");
    scene_expect_eval(Q, "actions.ngrok.forward_internal.error.message", "gone");
}

static void forward_that_fails_later_with_halt_ends(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{url: 'https://api.internal'}", POLICY_FORWARD);
    assert_int_equal(fake_host_forward_failed(&scene, E_ENDPOINT_OFFLINE, "gone"), POLICY_RESPOND);
    assert_int_equal(scene.response->error, E_ENDPOINT_OFFLINE);
    assert_string_equal(scene.response->message, "gone");
}

static void forwards_in_a_row_are_a_list_of_fallbacks(void **state)
{
    static const char document[] =
        "on_http_request:\n"
        "- actions:\n"
        "  - {type: forward-internal, config: {url: 'https://one.internal', on_error: continue}}\n"
        "  - {type: forward-internal, config: {url: 'https://two.internal', on_error: continue}}\n"
        "- actions:\n"
        "  - {type: forward-internal, config: {url: 'https://three.internal'}}\n";

    (void)state;
    assert_int_equal(fake_run(&scene, document, Q), POLICY_FORWARD);
    scene_expect_text(scene.forwarded, "https://one.internal");
    assert_int_equal(fake_host_forward_failed(&scene, E_ENDPOINT_OFFLINE, "gone"), POLICY_FORWARD);
    scene_expect_text(scene.forwarded, "https://two.internal");
    assert_int_equal(fake_host_forward_failed(&scene, E_ENDPOINT_OFFLINE, "gone"), POLICY_FORWARD);
    scene_expect_text(scene.forwarded, "https://three.internal");
    assert_int_equal(fake_host_forward_failed(&scene, E_ENDPOINT_OFFLINE, "gone"), POLICY_RESPOND);
}

static void what_stands_behind_it_is_reached_with_continue_only(void **state)
{
    struct counted *policy;

    (void)state;
    fake_host_expect_warning("on_http_request: [{actions: [{type: forward-internal, config: {url: "
                             "'https://a.internal'}}, {type: deny}]}]",
                             "it can never run, because forward-internal");
    policy = fake_host_compile(fallback);
    counted_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(run_forwards_to_the_target),
        SCENE_TEST(run_without_the_endpoint_halts),
        SCENE_TEST(run_with_continue_goes_on_and_tells),
        SCENE_TEST(run_with_a_computed_url_that_is_none_fails),
        SCENE_TEST(run_with_a_failing_url_ends),
        SCENE_TEST(forward_that_fails_later_goes_on_behind_it),
        SCENE_TEST(forward_that_fails_later_with_halt_ends),
        SCENE_TEST(forwards_in_a_row_are_a_list_of_fallbacks),
        SCENE_TEST(what_stands_behind_it_is_reached_with_continue_only),
    };

    return cmocka_run_group_tests_name("policy/forward_internal", tests, NULL, NULL);
}
