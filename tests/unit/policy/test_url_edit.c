/*
 * Unit tests of policy/url_edit: what is edited, and how the result becomes a URL again. The Location of
 * redirect shows it.
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

/* The Location of a redirect; NULL: there was none. */
static const char *location(const char *config)
{
    if (fake_run_action(&scene, Q, "redirect", config) == POLICY_CONTINUE)
        return "none";
    if (scene.response->error != E_OK)
        fail_msg("%s: %s", config, scene.response->message);
    return fake_host_answer(&scene, "location");
}

static void expect_location(const char *config, const char *expected)
{
    const char *is = location(config);

    if (strcmp(is, expected) != 0)
        fail_msg("%s: %s instead of %s", config, is, expected);
}

static void apply_edits_the_url_as_it_was_sent(void **state)
{
    static const struct {
        const char *host;
        const char *target;
        const char *edited; /* "[" URL "]" */
    } cases[] = {
        { "app.example.com", "/", "https://app.example.com/" },
        { "APP.Example.com:443", "/a/../b?c=%7e", "https://app.example.com/a/../b?c=%7e" },
        { "app.example.com:8443", "/%61?", "https://app.example.com:8443/%61" },
        { "[::1]:80", "//x", "https://[::1]:80//x" },
        { "u:p@app.example.com", "/", "https://u:p@app.example.com/" },
        { "app.example.com", "*", "https://app.example.com" }, /* OPTIONS */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene.messages[POLICY_REQUEST].count = 0;
        fake_host_add(&scene, "Host", cases[i].host);
        scene.target = str_from(cases[i].target);
        expect_location("{to: 'https://x/[$0]'}", scene_fmt("https://x/[%s]", cases[i].edited));
    }
}

/* Of a request for https://app.example.com/a/b?c=d. */
static void apply_completes_what_is_missing(void **state)
{
    static const struct {
        const char *config;
        const char *url;
    } cases[] = {
        { "{to: 'https://new'}", "https://new" },
        { "{to: 'HTTP+x.y-z://new/p'}", "HTTP+x.y-z://new/p" },
        { "{to: '//new/x'}", "https://new/x" },
        { "{to: '///x'}", "https://app.example.com/x" },
        { "{to: '://new/x'}", "https://new/x" },
        { "{to: 'https:///x'}", "https://app.example.com/x" },
        { "{to: 'http:///x'}", "http://app.example.com/x" },
        { "{to: 'http://?x'}", "http://app.example.com?x" },
        { "{to: /x}", "https://app.example.com/x" },
        { "{to: x}", "https://app.example.com/a/x" },
        { "{to: ./x}", "https://app.example.com/a/./x" },
        { "{to: '?x'}", "https://app.example.com/a/b?x" },
        { "{to: '#x'}", "https://app.example.com/a/b?c=d#x" },
        { "{to: ''}", "none" },
        { "{to: '/login?next=https://x/y'}", "https://app.example.com/login?next=https://x/y" },
        { "{to: 'login?next=https://x/y'}", "https://app.example.com/a/login?next=https://x/y" },
        { "{to: '1a://x'}", "https://app.example.com/a/1a://x" },
        { "{to: 'mailto:x'}", "https://app.example.com/a/mailto:x" },
        { "{from: '^https://[^/]+', to: ''}", "none" },
        { "{from: '^https://[^/]+/a', to: ''}", "https://app.example.com/b?c=d" },
        { "{from: 'app.example.com', to: ''}", "none" },
        { "{from: 'app.example.com/a', to: '/x'}", "https://app.example.com/x/b?c=d" },
        { "{from: '^https', to: ''}", "none" },
        { "{from: '^https:', to: ''}", "none" },
    };

    (void)state;
    scene.target = STR("/a/b?c=d");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_location(cases[i].config, cases[i].url);
    scene.target = STR("*");
    expect_location("{to: x}", "https://app.example.com/x");
}

static void apply_escapes_what_no_url_has(void **state)
{
    static const struct {
        const char *to; /* in double quotes */
        const char *url;
    } cases[] = {
        { "/a b", "/a%20b" },
        { "/\\u00e9\\U0001F6AA", "/%C3%A9%F0%9F%9A%AA" },
        { "/\\\"<>\\\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D" },
        { "/-._~:/?#[]@!$&'()*+,;=", "/-._~:/?#[]@!$&'()*+,;=" },
        { "/%41%zz%", "/%41%25zz%25" },
        { "/${'a b'}%20c", "/a%20b%20c" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_location(scene_fmt("{to: \"%s\"}", cases[i].to),
                        scene_fmt("https://app.example.com%s", cases[i].url));
}

static void apply_replaces_all_matches_and_groups(void **state)
{
    static const struct {
        const char *config;
        const char *url;
    } cases[] = {
        { "{from: 'x(\\d)', to: '<$1>'}", "https://app.example.com/a%3C1%3E/%3C2%3E?%3C3%3E" },
        { "{from: 'x(\\d)', to: '$0$0'}", "https://app.example.com/ax1x1/x2x2?x3x3" },
        { "{from: 'x(\\d)', to: '$10'}", "https://app.example.com/a10/20?30" },
        { "{from: 'x(\\d)', to: '$2'}", "https://app.example.com/a$2/$2?$2" },
        { "{from: 'x(\\d)', to: '$$1'}", "https://app.example.com/a$1/$1?$1" },
        { "{from: 'x(\\d)', to: '$'}", "https://app.example.com/a$/$?$" },
        { "{from: 'x(\\d)', to: '$${1}'}", "https://app.example.com/a$%7B1%7D/$%7B1%7D?$%7B1%7D" },
        { "{from: 'x(\\d)', to: '${1}'}", "https://app.example.com/a1/1?1" }, /* that is CEL */
        { "{from: 'X(?i)', to: y}", "none" },
        { "{from: '(?i)X\\d', to: y}", "https://app.example.com/ay/y?y" },
        { "{from: \"${'x' + '[12]'}\", to: y}", "https://app.example.com/ay/y?x3" },
        { "{from: '$', to: '&end'}", "https://app.example.com/ax1/x2?x3&end" },
    };

    (void)state;
    scene.target = STR("/ax1/x2?x3");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_location(cases[i].config, cases[i].url);
}

/* An edit of the path cannot make another host of it. */
static void apply_keeps_the_path_apart(void **state)
{
    (void)state;
    scene.target = STR("/old.evil.example/x");
    expect_location("{from: /old, to: ''}", "https://app.example.com/.evil.example/x");
    expect_location("{from: /old, to: '@evil'}", "https://app.example.com/@evil.evil.example/x");
    expect_location("{from: /old, to: ':81'}", "https://app.example.com/:81.evil.example/x");
    expect_location("{from: 'com/old', to: 'org'}", "https://app.example.org.evil.example/x");
}

static void apply_that_grows_too_much_fails(void **state)
{
    const size_t site = strlen("https://app.example.com/");
    size_t most = 64 * 1024;

    (void)state;
    fake_host_add(&scene, "x", scene_repeat(most - site, "x", ""));
    assert_int_equal(strlen(location("{to: '/${req.headers.x[0]}'}")), most);
    scene_expect_failure(Q, "redirect", "{to: '/${req.headers.x[0]}y'}", E_POLICY_MEMORY, "");
    scene_expect_failure(Q, "redirect", "{from: '[a-z]', to: '${req.headers.x[0]}'}",
                         E_POLICY_MEMORY, "");
    /* Escaping makes it longer. */
    scene_expect_failure(Q, "redirect",
                         "{from: '^.*$', to: '/${req.headers.x[0].replace(\"x\", \" \")}'}",
                         E_POLICY_MEMORY, "");
    scene_expect_eval(Q, "actions.ngrok.redirect.url", "https://app.example.com/");
    scene_expect_eval(Q, "actions.ngrok.redirect.error.code", "ERR_NGROK_2249");
    scene_expect_eval(Q, "actions.ngrok.redirect.matches", "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(apply_edits_the_url_as_it_was_sent),
        SCENE_TEST(apply_completes_what_is_missing),
        SCENE_TEST(apply_escapes_what_no_url_has),
        SCENE_TEST(apply_replaces_all_matches_and_groups),
        SCENE_TEST(apply_keeps_the_path_apart),
        SCENE_TEST(apply_that_grows_too_much_fails),
    };

    return cmocka_run_group_tests_name("policy/url_edit", tests, NULL, NULL);
}
