/*
 * Unit tests of policy/actions/redirect. How URLs are edited is tested with policy/url_edit.
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

static const char action[] = "redirect";

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.to: it is required" },
        { "{from: a}", E_POLICY_MISSING, "config.to: it is required" },
        { "{to: null}", E_POLICY_MISSING, "config.to: it is required" },
        { "{to: [a]}", E_POLICY_CONFIG, "config.to: it must be a string" },
        { "{to: '${'}", E_POLICY_TEMPLATE, "config.to" },
        { "{to: '${nosuch}'}", E_POLICY_TEMPLATE, "config.to" },
        { "{to: a, from: '('}", E_POLICY_REGEX, "config.from: invalid regular expression" },
        { "{to: a, from: '(?=a)'}", E_POLICY_REGEX, "config.from" },
        { "{to: a, from: '${'}", E_POLICY_TEMPLATE, "config.from" },
        { "{to: a, from: [b]}", E_POLICY_CONFIG, "config.from: it must be a string" },
        { "{to: \"a\\r\\nb: c\"}", E_POLICY_HEADER_VALUE, "config.to: it has a control character" },
        { "{location: \"a\\tb\"}", E_POLICY_HEADER_VALUE, "config.location: it has a control" },
        { "{to: a, status_code: 299}", E_POLICY_RANGE, "299 is outside of 300 to 308" },
        { "{to: a, status_code: 309}", E_POLICY_RANGE, "309 is outside of 300 to 308" },
        { "{to: a, status_code: '301'}", E_POLICY_CONFIG, "config.status_code" },
        { "{to: a, status_code: '${301}'}", E_POLICY_CONFIG, "config.status_code" },
        { "{to: a, headers: [b]}", E_POLICY_CONFIG, "config.headers: it must be a mapping" },
        { "{to: a, headers: {b: '${'}}", E_POLICY_TEMPLATE, "config.headers.b" },
        { "{to: a, headers: {connection: close}}", E_POLICY_NOT_SETTABLE, "'connection'" },
        { "{to: a, headers: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 1}}",
          E_POLICY_HEADER_TOO_MANY, "11 headers, at most 10" },
        { "{to: a, url: b}", E_POLICY_CONFIG, "unknown field 'url'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_odd_configs_warns(void **state)
{
    (void)state;
    fake_host_expect_config_warning(Q, action, "{location: /x}", "'location' is called 'to' now");
    fake_host_expect_config_warning(Q, action, "{location: /x, from: a}",
                                    "config.from: it has no effect beside 'location'");
    fake_host_expect_config_warning(Q, action, "{location: /x, to: /y}",
                                    "config.location: it has no effect beside 'to'");
    fake_host_expect_config_warning(Q, action, "{to: 'https://x$uri'}", "$uri is plain text here");
}

/* Runs it for a URL of the host app.example.com. */
static void expect_location(const char *config, const char *target, const char *location)
{
    scene_restart();
    scene.target = str_from(target);
    scene_expect_verdict(Q, action, config, location == NULL ? POLICY_CONTINUE : POLICY_RESPOND);
    if (location == NULL)
        return;
    assert_int_equal(scene.response->error, E_OK);
    if (strcmp(fake_host_answer(&scene, "location"), location) != 0)
        fail_msg("%s of %s: %s", config, target, fake_host_answer(&scene, "location"));
}

/* The table of spec traffic-policy 6.17, and D48. */
static void run_redirects(void **state)
{
    static const struct {
        const char *config;
        const char *target;
        const char *location; /* NULL: none */
    } cases[] = {
        { "{from: /v1/, to: /v2/}", "/api/v1/u", "https://app.example.com/api/v2/u" },
        { "{from: /old, to: 'https://new/blog'}", "/old/foo",
          "https://app.example.com/https://new/blog/foo" },
        { "{to: 'https://new/blog'}", "/any?thing", "https://new/blog" },
        { "{to: '/geo?city=San Francisco'}", "/geo",
          "https://app.example.com/geo?city=San%20Francisco" },
        { "{from: '^https?://[^/]+/old/(.*)$', to: 'https://new/$1'}", "/old/a?b",
          "https://new/a?b" },
        { "{from: /old, to: ''}", "/oldfoo", "https://app.example.com/foo" },
        { "{from: /old, to: ''}", "/old", "https://app.example.com" },
        { "{from: /old, to: '?x'}", "/old", "https://app.example.com?x" },
        { "{from: ^/api/, to: /x/}", "/api/a", NULL },
        { "{from: /api/, to: /x/}", "/a/api/b", "https://app.example.com/a/x/b" },
        { "{from: a, to: b}", "/xyz", "https://bpp.exbmple.com/xyz" },
        { "{from: /nosuch, to: /x}", "/a", NULL },
        { "{from: /a, to: /a}", "/a", NULL },
        { "{to: 'https://app.example.com/a?b=1'}", "/a?b=1", NULL },
        { "{to: /a}", "/a", NULL },
        { "{to: '/a#top'}", "/a", "https://app.example.com/a#top" },
        { "{to: '#top'}", "/a?b=c", "https://app.example.com/a?b=c#top" },
        { "{from: '/(\\w+)/(\\w+)', to: '/$2/$1/$$/$3/$x'}", "/a/b",
          "https://app.example.com/b/a/$/$3/$x" },
        { "{from: '/x(b)?', to: '/[$1]$0'}", "/x", "https://app.example.com/[]/x" },
        { "{to: '${req.url.scheme}://${req.host}/x${req.url.path}'}", "/a",
          "https://app.example.com/x/a" },
        { "{from: '^${req.url.scheme}://${req.url.authority}/a', to: /b}", "/a/c",
          "https://app.example.com/b/c" },
        { "{location: 'https://new/'}", "/", "https://new/" },
        { "{location: 'https://new/', from: /a}", "/b", "https://new/" },
        { "{from: 'app', to: \"${'caf\\u00e9'}\"}", "/", "https://caf%C3%A9.example.com/" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_location(cases[i].config, cases[i].target, cases[i].location);
}

static void run_answers_the_status_the_headers_and_no_body(void **state)
{
    static const unsigned statuses[] = { 300, 301, 303, 307, 308 };

    (void)state;
    scene_expect_verdict(Q, action, "{to: /x, headers: {X-A: '${1 + 1}', cache-control: no-store}}",
                         POLICY_RESPOND);
    assert_int_equal(scene.response->status, 302);
    assert_int_equal(scene.response->body.n, 0);
    assert_int_equal(scene.response->header_count, 3);
    assert_string_equal(fake_host_answer(&scene, "x-a"), "2");
    assert_string_equal(fake_host_answer(&scene, "cache-control"), "no-store");
    assert_true(scene.response->runs_response_phase); /* D4 */
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        scene_expect_verdict(Q, action, scene_fmt("{to: /x, status_code: %u}", statuses[i]),
                             POLICY_RESPOND);
        assert_int_equal(scene.response->status, statuses[i]);
    }
}

static void run_upgrades_the_scheme(void **state)
{
    static const char config[] = "{from: '^http:', to: 'https:', status_code: 308}";

    (void)state;
    fake_host_set_var(&scene, VAR_REQ_URL_SCHEME, cel_string(STR("http")));
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
    assert_string_equal(fake_host_answer(&scene, "location"), "https://app.example.com/");
    expect_location(config, "/", NULL);
}

static void run_result_is_match_and_url(void **state)
{
    (void)state;
    scene.target = STR("/v1/u?x");
    scene_expect_verdict(Q, action, "{from: '/v(\\d)/(z)?', to: '/w$1/'}", POLICY_RESPOND);
    scene_expect_eval(Q, "actions.ngrok.redirect",
                      "{\"matches\":[\"/v1/\",\"1\",\"\"],"
                      "\"url\":\"https://app.example.com/w1/u?x\","
                      "\"error\":{\"code\":\"\",\"message\":\"\"}}");
    scene_expect_verdict(Q, action, "{to: /z}", POLICY_RESPOND);
    scene_expect_eval(Q, "actions.ngrok.redirect.matches", "[\"https://app.example.com/v1/u?x\"]");
    scene_expect_verdict(Q, action, "{from: /none, to: /z}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.redirect",
                      "{\"matches\":[],\"url\":\"https://app.example.com/v1/u?x\","
                      "\"error\":{\"code\":\"\",\"message\":\"\"}}");
    scene_restart();
    scene_expect_no_result(Q, action, "{to: /z}", "redirect");
    assert_string_equal(fake_host_answer(&scene, "location"), "https://app.example.com/z");
}

static void run_that_fails_leaves_nothing_of_its_answer(void **state)
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
        { "{to: /x, headers: {a: b, c: '${[][0]}'}}", E_POLICY_FIELD_EVALUATION, "headers.c",
          2253 },
        { "{to: /x, headers: {a: b, c: \"${'\\\\n'}\"}}", E_POLICY_HEADER_VALUE, "'c'", 2211 },
        { "{to: \"/x${'\\\\r\\\\n'}a: b\"}", E_POLICY_HEADER_VALUE, "control character", 2211 },
        { "{to: \"/x${'\\\\u0000'}\"}", E_POLICY_HEADER_VALUE, "control character", 2211 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_failure(Q, action, cases[i].config, cases[i].code, cases[i].needle);
        scene_expect_eval(Q, "actions.ngrok.redirect.error.code",
                          scene_fmt("ERR_NGROK_%u", cases[i].number));
        assert_non_null(strstr(scene.response->message,
                               fake_host_eval(&scene, Q, "actions.ngrok.redirect.error.message")));
    }
}

/* Values of headers are of no use when there is no redirect. */
static void run_without_redirect_leaves_the_headers_alone(void **state)
{
    (void)state;
    scene_expect_verdict(Q, action, "{from: /none, to: /x, headers: {a: '${[][0]}'}}",
                         POLICY_CONTINUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_odd_configs_warns),
        SCENE_TEST(run_redirects),
        SCENE_TEST(run_answers_the_status_the_headers_and_no_body),
        SCENE_TEST(run_upgrades_the_scheme),
        SCENE_TEST(run_result_is_match_and_url),
        SCENE_TEST(run_that_fails_leaves_nothing_of_its_answer),
        SCENE_TEST(run_without_redirect_leaves_the_headers_alone),
    };

    return cmocka_run_group_tests_name("policy/redirect", tests, NULL, NULL);
}
