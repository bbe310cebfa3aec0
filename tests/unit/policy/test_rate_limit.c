/*
 * Unit tests of policy/actions/rate_limit: its config, what names a bucket, what a visitor is told. How
 * events are counted is tested with policy/counters. Buckets outlive policies, so each test has names of
 * its own.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene tests/unit/policy/fake_clock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/policy/action_scene.h"
#include "tests/unit/policy/fake_clock.h"

#define Q POLICY_ON_HTTP_REQUEST

static const char action[] = "rate-limit";

/* ---- config ---------------------------------------------------------------------------------- */

/* A config in which one field is another. */
static const char *with(const char *name, const char *algorithm, const char *capacity,
                        const char *rate, const char *keys, const char *more)
{
    return scene_fmt("{name: %s, algorithm: %s, capacity: %s, rate: %s, bucket_key: %s%s}", name,
                     algorithm, capacity, rate, keys, more);
}

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct {
        const char *name;
        const char *algorithm;
        const char *capacity;
        const char *rate;
        const char *keys;
        const char *more;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "null", "sliding_window", "1", "60s", "['1']", "", E_POLICY_MISSING, "config.name" },
        { "''", "sliding_window", "1", "60s", "['1']", "", E_POLICY_EMPTY, "config.name" },
        { "[a]", "sliding_window", "1", "60s", "['1']", "", E_POLICY_CONFIG, "config.name" },
        { "a", "null", "1", "60s", "['1']", "", E_POLICY_MISSING, "config.algorithm" },
        { "a", "token_bucket", "1", "60s", "['1']", "", E_POLICY_CHOICE, "'token_bucket'" },
        { "a", "sliding_window", "null", "60s", "['1']", "", E_POLICY_MISSING, "config.capacity" },
        { "a", "sliding_window", "0", "60s", "['1']", "", E_POLICY_RANGE, "0 is outside of 1 to" },
        { "a", "sliding_window", "2000000001", "60s", "['1']", "", E_POLICY_RANGE, "2000000000" },
        { "a", "sliding_window", "1.5", "60s", "['1']", "", E_POLICY_CONFIG, "a whole number" },
        { "a", "sliding_window", "'5'", "60s", "['1']", "", E_POLICY_CONFIG, "a whole number" },
        { "a", "sliding_window", "1", "null", "['1']", "", E_POLICY_MISSING, "config.rate" },
        { "a", "sliding_window", "1", "60", "['1']", "", E_POLICY_CONFIG, "must be a duration" },
        { "a", "sliding_window", "1", "1s", "['1']", "", E_POLICY_RANGE, "at least 1m" },
        { "a", "sliding_window", "1", "59s", "['1']", "", E_POLICY_RANGE, "at least 1m" },
        { "a", "sliding_window", "1", "65s", "['1']", "", E_POLICY_RANGE, "a multiple of 10s" },
        { "a", "sliding_window", "1", "24h10s", "['1']", "", E_POLICY_DURATION, "at most 24h" },
        { "a", "sliding_window", "1", "60s", "null", "", E_POLICY_MISSING, "config.bucket_key" },
        { "a", "sliding_window", "1", "60s", "[]", "", E_POLICY_MISSING, "at least 1 entry" },
        { "a", "sliding_window", "1", "60s", "req.host", "", E_POLICY_CONFIG, "must be a list" },
        { "a", "sliding_window", "1", "60s", "['${req.host}']", "", E_POLICY_EXPRESSION,
          "config.bucket_key[0]" },
        { "a", "sliding_window", "1", "60s", "['req.host', nosuch]", "", E_POLICY_EXPRESSION,
          "config.bucket_key[1]" },
        { "a", "sliding_window", "1", "60s", "[{a: b}]", "", E_POLICY_CONFIG,
          "config.bucket_key[0]" },
        { "a", "sliding_window", "1", "60s", "['1']", ", enforce: 1", E_POLICY_CONFIG,
          "config.enforce" },
        { "a", "sliding_window", "1", "60s", "['1']", ", burst: 1", E_POLICY_CONFIG,
          "unknown field 'burst'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(Q, action,
                                        with(cases[i].name, cases[i].algorithm, cases[i].capacity,
                                             cases[i].rate, cases[i].keys, cases[i].more),
                                        cases[i].code, cases[i].needle);
}

static const char *sized(int name, size_t keys)
{
    return with(scene_fmt("'%0*d'", name, 0), "sliding_window", "1", "60s",
                scene_fmt("[%s]", scene_repeat(keys, "'1'", ",")), "");
}

static void compile_limits_hold(void **state)
{
    const char *wide = scene_repeat(1023, "\xC3\xA9", "");

    (void)state;
    scene_expect_accepted(Q, action, sized(1023, 10));
    fake_host_expect_config_refused(Q, action, sized(1024, 1), E_POLICY_TOO_LONG,
                                    "1024 characters, at most 1023");
    fake_host_expect_config_refused(Q, action, sized(1, 11), E_POLICY_LIST_LENGTH,
                                    "11 entries, at most 10");
    scene_expect_accepted(Q, action, with(wide, "sliding_window", "1", "60s", "['1']", ""));
    scene_expect_accepted(Q, action, with("a", "sliding_window", "2000000000", "24h", "['1']", ""));
}

/* ---- runs ------------------------------------------------------------------------------------ */

static const char *limit(const char *name, unsigned capacity, const char *keys)
{
    return with(name, "sliding_window", scene_fmt("%u", capacity), "60s", keys, "");
}

static void run_over_the_capacity_refuses(void **state)
{
    const char *config = limit("over", 2, "['1']");

    (void)state;
    fake_mono_ms = 60000ULL * 1000;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
    assert_int_equal(scene.response->error, E_RATE_LIMITED);
    assert_int_equal(err_status(E_RATE_LIMITED), 429);
    assert_int_equal(err_number(E_RATE_LIMITED), 0);
    assert_int_equal(scene.response->header_count, 1);
    assert_false(scene.response->runs_response_phase);
}

static void expect_refused(const char *config, const char *seconds)
{
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
    assert_string_equal(fake_host_answer(&scene, "retry-after"), seconds);
    assert_non_null(strstr(scene.response->message, scene_fmt("try again in %s s", seconds)));
}

/* In whole seconds, never too few; refused requests are not counted. */
static void run_tells_when_to_come_again(void **state)
{
    const char *config = limit("again", 2, "['1']");

    (void)state;
    fake_mono_ms = 60000ULL * 2000;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    for (int i = 0; i < 5; i++)
        expect_refused(config, "61");
    fake_mono_ms += 59000;
    expect_refused(config, "2");
    fake_mono_ms += 1000;
    expect_refused(config, "1");
    fake_mono_ms += 1;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
}

static void run_without_enforce_only_tells(void **state)
{
    const char *config = with("lenient", "sliding_window", "1", "60s", "['1']", ", enforce: false");

    (void)state;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.rate_limit.limited", "false");
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.rate_limit.limited", "true");
}

/* Runs it twice with a capacity of one: true if both were in the same bucket. */
static bool share(const char *one, const char *two)
{
    assert_int_equal(fake_run_action(&scene, Q, action, one), POLICY_CONTINUE);
    return fake_run_action(&scene, Q, action, two) == POLICY_RESPOND;
}

static void run_buckets_have_names_numbers_and_keys(void **state)
{
    (void)state;
    assert_true(share(limit("s1", 1, "['1']"), limit("s1", 1, "['1']")));
    assert_true(share(limit("s2", 1, "['req.host', '1']"), limit("s2", 1, "['req.host', '1']")));
    assert_false(share(limit("s3", 1, "['1']"), limit("s4", 1, "['1']")));
    assert_false(share(limit("s5", 1, "['1']"), limit("s5", 2, "['1']")));
    assert_false(
        share(limit("s6", 1, "['1']"), with("s6", "sliding_window", "1", "70s", "['1']", "")));
    assert_false(share(limit("s7", 1, "['1']"), limit("s7", 1, "['2']")));
    assert_false(
        share(limit("s8", 1, "[\"'ab'\", \"'c'\"]"), limit("s8", 1, "[\"'a'\", \"'bc'\"]")));
    assert_false(share(limit("s9", 1, "['1']"), limit("s9", 1, "['1', '1']")));
    /* enforce is no part of what is counted. */
    assert_true(share(with("s10", "sliding_window", "1", "60s", "['1']", ", enforce: false"),
                      limit("s10", 1, "['1']")));
}

static void run_buckets_belong_to_an_endpoint(void **state)
{
    const char *config = limit("endpoint", 1, "['1']");

    (void)state;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    fake_host_set_var(&scene, VAR_ENDPOINT_URL, cel_string(STR("https://other.example.com")));
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
}

static void run_key_is_the_text_of_its_values(void **state)
{
    static const struct {
        const char *keys;
        const char *text;
    } cases[] = {
        { "[req.host]", "app.example.com" },
        { "['req.host', 'req.method']", "app.example.com,GET" },
        { "['1', '1.5', 'true', 'null', '2u']", "1,1.5,true,,2" },
        { "[\"req.headers['x-key']\"]", "k1,k2" },
        { "[\"req.headers['none']\"]", "" },
        { "[\"req.headers['none']\", \"'b'\"]", ",b" },
        { "[\"[1, ['a', 2], null]\"]", "1,[\"a\",2]," },
        { "[\"{'a': [1]}\"]", "{\"a\":[1]}" },
        { "[\"duration('90s')\"]", "1m30s" },
        { "[\"getReqHeader('x-key').join(',')\"]", "k1,k2" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "X-Key", "k1");
        fake_host_add(&scene, "X-Key", "k2");
        scene_expect_verdict(Q, action, limit(scene_fmt("key%zu", i), 1000, cases[i].keys),
                             POLICY_CONTINUE);
        scene_expect_eval(Q, "actions.ngrok.rate_limit.bucket_key", cases[i].text);
    }
}

static void run_with_a_failing_key_ends_and_counts_nothing(void **state)
{
    (void)state;
    scene_expect_failure(Q, action, limit("bad", 1, "[req.method, \"req.headers['x'][0]\"]"),
                         E_POLICY_FIELD_EVALUATION, "rate-limit: bucket_key");
    scene_expect_failure(Q, action, limit("bad", 1, "[vars.none]"), E_POLICY_FIELD_EVALUATION,
                         "rate-limit: bucket_key");
    fake_host_add(&scene, "x", "1");
    scene_expect_verdict(Q, action, limit("bad", 1, "[req.method, \"req.headers['x'][0]\"]"),
                         POLICY_CONTINUE);
}

static void run_results_tell_all(void **state)
{
    const char *config = limit("results", 1, "[req.method]");

    (void)state;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.rate_limit",
                      "{\"bucket_key\":\"GET\",\"limited\":false,"
                      "\"error\":{\"code\":\"\",\"message\":\"\"}}");
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
    scene_expect_eval(Q, "actions.ngrok.rate_limit.limited", "true");
    scene_expect_no_result(Q, action, config, "rate_limit");
}

/* ("60s" of the first window) + what the window before still weighs: D47. */
static void run_window_slides(void **state)
{
    const char *config = limit("slides", 10, "['1']");
    size_t passed = 0;

    (void)state;
    fake_mono_ms = 60000ULL * 3000;
    for (int i = 0; i < 10; i++)
        scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    fake_mono_ms += 60000 + 30000; /* half of them still count */
    for (int i = 0; i < 10; i++)
        passed += fake_run_action(&scene, Q, action, config) == POLICY_CONTINUE;
    assert_int_equal(passed, 5);
    fake_mono_ms += 120000;
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_over_the_capacity_refuses),
        SCENE_TEST(run_tells_when_to_come_again),
        SCENE_TEST(run_without_enforce_only_tells),
        SCENE_TEST(run_buckets_have_names_numbers_and_keys),
        SCENE_TEST(run_buckets_belong_to_an_endpoint),
        SCENE_TEST(run_key_is_the_text_of_its_values),
        SCENE_TEST(run_with_a_failing_key_ends_and_counts_nothing),
        SCENE_TEST(run_results_tell_all),
        SCENE_TEST(run_window_slides),
    };

    return cmocka_run_group_tests_name("policy/rate_limit", tests, NULL, NULL);
}
