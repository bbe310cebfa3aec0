/*
 * Unit tests of policy/actions/circuit_breaker: its config, when it opens and closes, what names a
 * breaker. Breakers outlive policies, so each test has an endpoint of its own.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene tests/unit/policy/fake_clock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/policy/action_scene.h"
#include "tests/unit/policy/fake_clock.h"

#define Q POLICY_ON_HTTP_REQUEST

static const char action[] = "circuit-breaker";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{error_threshold: -0.1}", E_POLICY_RANGE, "config.error_threshold" },
        { "{error_threshold: 1.1}", E_POLICY_RANGE, "1.1 is outside of 0 to 1" },
        { "{error_threshold: half}", E_POLICY_CONFIG,
          "config.error_threshold: it must be a number" },
        { "{error_threshold: .nan}", E_POLICY_CONFIG, "it must be a number" },
        { "{error_threshold: '${0.5}'}", E_POLICY_CONFIG, "it must be a number" },
        { "{volume_threshold: 0}", E_POLICY_RANGE, "0 is outside of 1 to 2000000000" },
        { "{volume_threshold: 2000000001}", E_POLICY_RANGE, "config.volume_threshold" },
        { "{volume_threshold: 1.5}", E_POLICY_CONFIG, "it must be a whole number" },
        { "{window_duration: 999ms}", E_POLICY_RANGE,
          "config.window_duration: it must be at least 1s" },
        { "{window_duration: 2m1s}", E_POLICY_DURATION, "it must be at most 2m" },
        { "{window_duration: 10}", E_POLICY_CONFIG, "it must be a duration" },
        { "{tripped_duration: 0s}", E_POLICY_RANGE,
          "config.tripped_duration: it must be at least" },
        { "{tripped_duration: 121s}", E_POLICY_DURATION, "config.tripped_duration" },
        { "{num_buckets: 9}", E_POLICY_NOT_SETTABLE, "config.num_buckets: it is always 10" },
        { "{num_buckets: 128}", E_POLICY_NOT_SETTABLE, "it is always 10" },
        { "{num_buckets: 129}", E_POLICY_RANGE, "config.num_buckets" },
        { "{enforce: 'true'}", E_POLICY_CONFIG, "config.enforce: it must be true or false" },
        { "{rolling_window: 5m}", E_POLICY_DURATION, "config.rolling_window" },
        { "{error_threshold_percentage: 50}", E_POLICY_RANGE, "config.error_threshold_percentage" },
        { "{threshold: 1}", E_POLICY_CONFIG, "unknown field 'threshold'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_at_the_limits_accepts(void **state)
{
    static const char most[] = "{error_threshold: 1.0, volume_threshold: 2000000000,"
                               " window_duration: 2m, tripped_duration: 1s, num_buckets: 10,"
                               " enforce: false}";
    static const char *const configs[] = {
        "{}",
        "null",
        "{error_threshold: 0, volume_threshold: 1, window_duration: 1s, tripped_duration: 2m}",
        most,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
        scene_expect_accepted(Q, action, configs[i]);
}

static void compile_old_names_warns(void **state)
{
    (void)state;
    fake_host_expect_config_warning(Q, action, "{rolling_window: 5s}",
                                    "'rolling_window' is called 'window_duration' now");
    fake_host_expect_config_warning(Q, action, "{error_threshold_percentage: 0.5}",
                                    "'error_threshold_percentage' is called 'error_threshold'");
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void use_endpoint(const char *url)
{
    fake_host_set_var(&scene, VAR_ENDPOINT_URL, cel_string(str_from(url)));
}

enum upstream { NOT_SENT, SUCCEEDS, FAILS };

/* One request, its decision, and how the upstream did. */
static void request(const char *config, enum upstream upstream, const char *decision)
{
    enum policy_verdict verdict = fake_run_action(&scene, Q, action, config);

    scene_expect_text(scene.outcome->circuit_breaker_decision, decision);
    assert_int_equal(verdict,
                     str_eq(str_from(decision), STR("block")) ? POLICY_RESPOND : POLICY_CONTINUE);
    if (upstream != NOT_SENT)
        policy_run_upstream_result(scene.run, upstream == FAILS);
}

static void run_opens_at_volume_and_threshold(void **state)
{
    static const char config[] = "{error_threshold: 0.5, volume_threshold: 4}";

    (void)state;
    use_endpoint("https://opens.example.com");
    request(config, FAILS, "allow");
    request(config, FAILS, "allow");
    request(config, SUCCEEDS, "allow"); /* 2 of 3: too few */
    request(config, SUCCEEDS, "allow"); /* 2 of 4 */
    request(config, NOT_SENT, "block");
    assert_int_equal(scene.response->error, E_CIRCUIT_OPEN);
    assert_int_equal(err_status(E_CIRCUIT_OPEN), 503);
    assert_int_equal(err_number(E_CIRCUIT_OPEN), 3202);
    assert_int_equal(scene.response->header_count, 0);
    assert_false(scene.response->runs_response_phase);
}

static void run_below_the_threshold_stays_closed(void **state)
{
    static const char config[] = "{error_threshold: 0.5, volume_threshold: 3}";

    (void)state;
    use_endpoint("https://below.example.com");
    request(config, SUCCEEDS, "allow");
    request(config, SUCCEEDS, "allow");
    request(config, FAILS, "allow");
    request(config, NOT_SENT, "allow");
}

/* The published example: both tests are ">=". */
static void run_with_threshold_zero_opens_after_a_success(void **state)
{
    static const char config[] = "{error_threshold: 0, volume_threshold: 1}";

    (void)state;
    use_endpoint("https://zero.example.com");
    request(config, SUCCEEDS, "allow");
    request(config, NOT_SENT, "block");
}

static void run_with_defaults_opens_at_five_of_ten(void **state)
{
    (void)state;
    use_endpoint("https://defaults.example.com");
    for (int i = 0; i < 10; i++)
        request("{}", i < 5 ? FAILS : SUCCEEDS, "allow");
    request("{}", NOT_SENT, "block");
    fake_mono_ms += 9999;
    request("{}", NOT_SENT, "block");
    fake_mono_ms += 1;
    request("{}", NOT_SENT, "allow_while_open");
}

static void run_counts_a_window_only(void **state)
{
    static const char config[] = "{error_threshold: 1, volume_threshold: 2, window_duration: 2s}";

    (void)state;
    use_endpoint("https://window.example.com");
    request(config, FAILS, "allow");
    fake_mono_ms += 2000;
    request(config, FAILS, "allow");
    request(config, NOT_SENT, "allow");
    fake_mono_ms += 1000;
    request(config, FAILS, "allow");
    request(config, NOT_SENT, "block");
}

/* D34. */
static void run_after_the_trip_tries_one(void **state)
{
    static const char config[] =
        "{error_threshold: 1, volume_threshold: 2, window_duration: 2m, tripped_duration: 5s}";

    (void)state;
    use_endpoint("https://tries.example.com");
    request(config, FAILS, "allow");
    request(config, FAILS, "allow");
    fake_mono_ms += 4999;
    request(config, NOT_SENT, "block");
    fake_mono_ms += 1;
    request(config, NOT_SENT, "allow_while_open"); /* its answer is not there yet */
    request(config, NOT_SENT, "block");
    fake_mono_ms += 5000; /* it never came */
    request(config, FAILS, "allow_while_open");
    request(config, NOT_SENT, "block");
    fake_mono_ms += 5000;
    request(config, SUCCEEDS, "allow_while_open");
    request(config, FAILS, "allow"); /* closed, and the window is empty */
    request(config, NOT_SENT, "allow");
}

static void run_without_enforce_never_trips(void **state)
{
    static const char config[] = "{error_threshold: 0, volume_threshold: 1, enforce: false}";

    (void)state;
    use_endpoint("https://lenient.example.com");
    request(config, FAILS, "");
    request(config, FAILS, "");
}

static void run_counts_what_was_sent_only_once(void **state)
{
    static const char config[] = "{error_threshold: 1, volume_threshold: 2}";

    (void)state;
    use_endpoint("https://once.example.com");
    request(config, FAILS, "allow");
    policy_run_upstream_result(scene.run, true);
    request(config, NOT_SENT, "allow");
}

/* ---- what names a breaker -------------------------------------------------------------------- */

static const char open_at_once[] = "{error_threshold: 0, volume_threshold: 1}";

static void run_of_another_endpoint_has_another_breaker(void **state)
{
    (void)state;
    use_endpoint("https://one.example.com");
    request(open_at_once, SUCCEEDS, "allow");
    use_endpoint("https://two.example.com");
    request(open_at_once, NOT_SENT, "allow");
    use_endpoint("https://one.example.com");
    request(open_at_once, NOT_SENT, "block");
}

static void run_of_a_changed_action_has_another_breaker(void **state)
{
    static const char *const changed[] = {
        "{error_threshold: 0.1, volume_threshold: 1}",
        "{error_threshold: 0, volume_threshold: 2}",
        "{error_threshold: 0, volume_threshold: 1, window_duration: 11s}",
        "{error_threshold: 0, volume_threshold: 1, tripped_duration: 11s}",
    };

    (void)state;
    use_endpoint("https://changed.example.com");
    request(open_at_once, SUCCEEDS, "allow");
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
        request(changed[i], NOT_SENT, "allow");
    request(open_at_once, NOT_SENT, "block");
}

static void run_of_two_in_a_policy_has_two_breakers(void **state)
{
    static const char document[] =
        "on_http_request:\n"
        "- actions: [{type: circuit-breaker, config: {error_threshold: 1, volume_threshold: 3}},\n"
        "            {type: circuit-breaker, config: {error_threshold: 1, volume_threshold: 3}}]\n";

    (void)state;
    use_endpoint("https://several.example.com");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_run(&scene, document, Q), POLICY_CONTINUE);
        policy_run_upstream_result(scene.run, true);
    }
    assert_int_equal(fake_run(&scene, document, Q), POLICY_RESPOND);
}

static struct policy_document *parse(const char *name, struct policy_problems *problems)
{
    static const char text[] =
        "on_http_request:\n"
        "- actions: [{type: circuit-breaker, config: {error_threshold: 1, volume_threshold: 2}}]\n";

    return policy_document_parse(str_from(name), str_from(text), &policy_default_limits, problems);
}

/* The first rule of the operator's document and that of the user's. */
static void run_of_two_documents_has_two_breakers(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *one = parse("one.yml", problems);
    struct policy_document *two = parse("two.yml", problems);
    const struct policy_document *documents[] = { one, two };
    const struct policy_params params = {
        .engine = fake_host_engine(),
        .limits = &policy_default_limits,
        .documents = documents,
        .document_count = 2,
        .account = STR("default"),
    };
    struct counted *policy = policy_compile(&params, problems);

    (void)state;
    use_endpoint("https://documents.example.com");
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_CONTINUE);
    policy_run_upstream_result(scene.run, true); /* one in each: a shared one would be open now */
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_CONTINUE);
    policy_run_upstream_result(scene.run, true);
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_RESPOND);
    counted_unref(policy);
    policy_document_free(one);
    policy_document_free(two);
    policy_problems_free(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_at_the_limits_accepts),
        SCENE_TEST(compile_old_names_warns),
        SCENE_TEST(run_opens_at_volume_and_threshold),
        SCENE_TEST(run_below_the_threshold_stays_closed),
        SCENE_TEST(run_with_threshold_zero_opens_after_a_success),
        SCENE_TEST(run_with_defaults_opens_at_five_of_ten),
        SCENE_TEST(run_counts_a_window_only),
        SCENE_TEST(run_after_the_trip_tries_one),
        SCENE_TEST(run_without_enforce_never_trips),
        SCENE_TEST(run_counts_what_was_sent_only_once),
        SCENE_TEST(run_of_another_endpoint_has_another_breaker),
        SCENE_TEST(run_of_a_changed_action_has_another_breaker),
        SCENE_TEST(run_of_two_in_a_policy_has_two_breakers),
        SCENE_TEST(run_of_two_documents_has_two_breakers),
    };

    return cmocka_run_group_tests_name("policy/circuit_breaker", tests, NULL, NULL);
}
