/*
 * Unit tests of policy/actions/url_rewrite. How URLs are edited is tested with policy/url_edit.
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

static const char action[] = "url-rewrite";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.to: it is required" },
        { "{from: a}", E_POLICY_MISSING, "config.to: it is required" },
        { "{location: /x}", E_POLICY_CONFIG, "unknown field 'location'" },
        { "{to: {a: b}}", E_POLICY_CONFIG, "config.to: it must be a string" },
        { "{to: '${'}", E_POLICY_TEMPLATE, "config.to" },
        { "{to: a, from: '['}", E_POLICY_REGEX, "config.from: invalid regular expression" },
        { "{to: a, from: '(a)\\1'}", E_POLICY_REGEX, "config.from" },
        { "{to: a, from: '${nosuch}'}", E_POLICY_TEMPLATE, "config.from" },
        { "{to: a, status_code: 301}", E_POLICY_CONFIG, "unknown field 'status_code'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

/* D49. */
static void compile_words_of_old_warns(void **state)
{
    static const char *const words[] = { "$args", "$query_string", "$authority", "$is_args",
                                         "$uri",  "$arg_",         "$scheme",    "$host",
                                         "$port", "$user",         "$is_user" };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        fake_host_expect_config_warning(Q, action, scene_fmt("{to: '/x%s'}", words[i]), words[i]);
}

static void run_changes_the_target(void **state)
{
    static const struct {
        const char *config;
        const char *target;
        const char *changed; /* NULL: it is not */
    } cases[] = {
        { "{from: '/shop/([a-z]+)/(\\d+)', to: '/item.cgi?kind=$1&id=$2'}", "/shop/hats/7",
          "/item.cgi?kind=hats&id=7" },
        { "{from: /a, to: /b}", "/a/a?x=/a", "/b/b?x=/b" },
        { "{from: /nosuch, to: /b}", "/a", NULL },
        { "{from: /a, to: /a}", "/a", NULL },
        { "{from: 'app.example.com/old', to: /new}", "/old/x?y", "/new/x?y" },
        { "{from: '^https://[^/]+', to: ''}", "/a?b", NULL },
        { "{from: '^https://[^/]+', to: 'http://other:81'}", "/a?b", "/a?b" },
        { "{from: '^https', to: ''}", "/a?b", NULL },
        { "{to: /x}", "/a?b", "/x" },
        { "{to: '/x?y'}", "/a?b", "/x?y" },
        { "{to: '?y'}", "/a/b?c", "/a/b?y" },
        { "{to: sub}", "/a/b?c", "/a/sub" },
        { "{to: 'https://other.example.com'}", "/a", "/" },
        { "{to: 'https://other.example.com?x'}", "/a", "/?x" },
        { "{to: '/x#y'}", "/a", "/x" },
        { "{to: '/a#y'}", "/a", NULL },
        { "{from: a, to: \"\\u00e9 \\n\"}", "/xa", "/x%C3%A9%20%0A" },
        { "{to: '/50%/%41%4'}", "/", "/50%25/%41%254" },
        { "{from: '/%61', to: /b}", "/%61", "/b" }, /* the path as it was sent */
        { "{from: /old, to: ''}", "/oldfoo", "/foo" },
        { "{to: '/$args/$host'}", "/a", "/$args/$host" },
        { "{to: '/$$1$$1'}", "/a", "/$1$1" },
        { "{to: '/from?url=$0'}", "/a", "/from?url=https://app.example.com/a" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene.target = str_from(cases[i].target);
        scene_expect_verdict(Q, action, cases[i].config, POLICY_CONTINUE);
        if (cases[i].changed != NULL && !str_eq(scene.target, str_from(cases[i].changed)))
            fail_msg("%s of %s: %.*s", cases[i].config, cases[i].target, STR_ARG(scene.target));
        if (cases[i].changed == NULL && scene.target_set)
            fail_msg("%s of %s: changed to %.*s", cases[i].config, cases[i].target,
                     STR_ARG(scene.target));
    }
}

static void run_leaves_the_host_alone(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{to: 'http://other.example.com:81/x'}", POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "host"), "app.example.com");
    scene_expect_text(scene.target, "/x");
    scene_expect_eval(Q, "actions.ngrok.url_rewrite.url", "http://other.example.com:81/x");
    scene_expect_eval(Q, "req.url", "https://app.example.com/x");
}

static void run_is_seen_by_later_actions(void **state)
{
    static const char document[] =
        "on_http_request:\n"
        "- expressions: [\"req.url.path == '/a'\"]\n"
        "  actions:\n"
        "  - {type: url-rewrite, config: {from: /a, to: /b}}\n"
        "  - {type: url-rewrite, config: {from: /b, to: '/c?x=1'}}\n"
        "  - {type: add-headers, config: {headers: {x: '${req.url.path} ${req.url.query}'}}}\n"
        "- expressions: [\"req.url.path == '/c'\"]\n"
        "  actions: [{type: redirect, config: {from: /c, to: /d}}]\n";

    (void)state;
    scene.target = STR("/a");
    assert_int_equal(fake_run(&scene, document, Q), POLICY_RESPOND);
    assert_string_equal(fake_host_values(&scene, "x"), "/c x=1");
    assert_string_equal(fake_host_answer(&scene, "location"), "https://app.example.com/d?x=1");
}

static void run_result_is_match_and_url(void **state)
{
    (void)state;
    scene.target = STR("/v1/u#");
    scene_expect_verdict(Q, action, "{from: '/(v)(\\d)/', to: '/w$2/'}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.url_rewrite.matches", "[\"/v1/\",\"v\",\"1\"]");
    scene_expect_eval(Q, "actions.ngrok.url_rewrite.error", "{\"code\":\"\",\"message\":\"\"}");
    scene.target = STR("/v1/u");
    scene_expect_verdict(Q, action, "{from: /none, to: /x}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.url_rewrite",
                      "{\"matches\":[],\"url\":\"https://app.example.com/v1/u\","
                      "\"error\":{\"code\":\"\",\"message\":\"\"}}");
    scene_restart();
    scene_expect_no_result(Q, action, "{to: /x}", "url_rewrite");
    scene_expect_text(scene.target, "/x");
}

static void run_that_fails_changes_nothing(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
        unsigned number;
    } cases[] = {
        { "{to: '/x${[][0]}'}", E_POLICY_FIELD_EVALUATION, "to: ", 2253 },
        { "{to: /x, from: '${[][0]}'}", E_POLICY_FIELD_EVALUATION, "from: ", 2253 },
        { "{to: /x, from: \"${'('}\"}", E_POLICY_REGEX, "computed regular expression", 2261 },
        { "{from: '\\.com', to: ':port'}", E_POLICY_FIELD_EVALUATION, "the result is no URL",
          2253 },
        { "{from: '\\.com', to: ':65536'}", E_POLICY_FIELD_EVALUATION, "is no URL", 2253 },
        { "{to: 'https://[::1/x'}", E_POLICY_FIELD_EVALUATION, "is no URL", 2253 },
        { "{to: 'https://[::1]x/'}", E_POLICY_FIELD_EVALUATION, "is no URL", 2253 },
        { "{to: 'https://user@/x'}", E_POLICY_FIELD_EVALUATION, "is no URL", 2253 },
        { "{to: 'https://:80/x'}", E_POLICY_FIELD_EVALUATION, "is no URL", 2253 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_failure(Q, action, cases[i].config, cases[i].code, cases[i].needle);
        assert_false(scene.target_set);
        scene_expect_eval(Q, "actions.ngrok.url_rewrite.error.code",
                          scene_fmt("ERR_NGROK_%u", cases[i].number));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them), SCENE_TEST(compile_words_of_old_warns),
        SCENE_TEST(run_changes_the_target),           SCENE_TEST(run_leaves_the_host_alone),
        SCENE_TEST(run_is_seen_by_later_actions),     SCENE_TEST(run_result_is_match_and_url),
        SCENE_TEST(run_that_fails_changes_nothing),
    };

    return cmocka_run_group_tests_name("policy/url_rewrite", tests, NULL, NULL);
}
