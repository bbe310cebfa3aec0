/*
 * Unit tests of policy/actions.def with every real action: each row in each phase, with and without its
 * required fields, and who reads its results.
 * Links: tests/unit/policy/fake_host tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/compiled.h"
#include "tests/unit/policy/action_scene.h"

/* A small config that each action takes, and the phases of spec traffic-policy 2.3. */
static const struct sample {
    const char *action;
    const char *phases; /* letters as in the spec */
    const char *config;
    bool needs_config;
} samples[] = {
    { "add-headers", "QS", "{headers: {a: b}}", true },
    { "basic-auth", "Q", "{credentials: ['user:password']}", true },
    { "circuit-breaker", "Q", "{}", false },
    { "close-connection", "TQ", "{}", false },
    { "compress-response", "S", "{}", false },
    { "custom-response", "QS", "{}", false },
    { "deny", "TQ", "{}", false },
    { "forward-internal", "TQ", "{url: 'https://a.internal'}", true },
    { "http-request", "QS", "{url: 'https://example.com'}", true },
    { "jwt-validation", "Q",
      "{issuer: {allow_list: [{value: 'https://issuer.example'}]},"
      " audience: {allow_list: [{value: a}]},"
      " http: {tokens: [{type: jwt, method: header, name: authorization, prefix: 'Bearer '}]},"
      " jws: {allowed_algorithms: [RS256],"
      " keys: {sources: {additional_jkus: ['https://issuer.example/keys']}}}}",
      true },
    { "log", "TQS", "{metadata: {a: b}}", true },
    { "rate-limit", "TQ",
      "{name: a, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.client_ip]}",
      true },
    { "redirect", "Q", "{to: /a}", true },
    { "remove-headers", "QS", "{headers: [a]}", true },
    { "request-body-find-replace", "Q", "{replacements: [{from: a}]}", true },
    { "response-body-find-replace", "S", "{replacements: [{from: a}]}", true },
    { "restrict-ips", "TQS", "{allow: ['::/0']}", true },
    { "set-vars", "TQSE", "{vars: [{a: 1}]}", true },
    { "sse-find-replace", "E", "{replacements: [{from: a}]}", true },
    { "terminate-tls", "T", "{}", false },
    { "url-rewrite", "Q", "{to: /a}", true },
    { "user-agent-filter", "Q", "{allow: [a]}", true },
    { "verify-webhook", "Q", "{provider: github, secret: secret}", true },
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };
static_assert(SAMPLES == (size_t)ACTION_TYPE_COUNT, "each row of actions.def has a sample");

static bool is_allowed(const struct sample *s, enum policy_phase phase)
{
    static const char letters[] = "TQSE";

    return strchr(s->phases, letters[phase]) != NULL;
}

static void every_action_is_for_its_phases_only(void **state)
{
    size_t allowed = 0;

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        for (int phase = 0; phase < POLICY_PHASE_COUNT; phase++) {
            const struct sample *s = &samples[i];

            if (is_allowed(s, (enum policy_phase)phase))
                scene_expect_accepted((enum policy_phase)phase, s->action, s->config);
            else
                fake_host_expect_config_refused(
                    (enum policy_phase)phase, s->action, s->config, E_POLICY_PHASE,
                    scene_fmt("the action '%s' is not available in %s", s->action,
                              policy_phase_name((enum policy_phase)phase)));
            allowed += is_allowed(s, (enum policy_phase)phase);
        }
    }
    assert_int_equal(allowed, 38);
}

static enum policy_phase first_phase(const struct sample *s)
{
    int phase = 0;

    while (!is_allowed(s, (enum policy_phase)phase))
        phase++;
    return (enum policy_phase)phase;
}

static void every_action_needs_its_config_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        const char *document = scene_fmt("%s: [{actions: [{type: %s}]}]",
                                         policy_phase_name(first_phase(s)), s->action);

        if (s->needs_config)
            fake_host_expect_refused(document, E_POLICY_MISSING, ".actions[0].config");
        else
            counted_unref(fake_host_compile(document));
    }
}

/* Wrong types, unknown fields and a config that is no mapping are errors of every action; a name of the
 * action is ignored (spec traffic-policy 1.10). */
static void every_action_refuses_odd_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        enum policy_phase phase = first_phase(s);

        fake_host_expect_config_refused(phase, s->action, "text", E_POLICY_CONFIG,
                                        "it must be a mapping");
        fake_host_expect_config_refused(phase, s->action, "[a]", E_POLICY_CONFIG,
                                        "it must be a mapping");
        fake_host_expect_config_refused(phase, s->action, "{no_such_field: 1}", E_POLICY_CONFIG,
                                        "unknown field 'no_such_field'");
        counted_unref(
            fake_host_compile(scene_fmt("%s: [{actions: [{type: %s, name: x, config: %s}]}]",
                                        policy_phase_name(phase), s->action, s->config)));
    }
}

static const struct action_type *type_of(const struct sample *s)
{
    const struct action_type *type = action_type_find(str_from(s->action));

    assert_non_null(type);
    return type;
}

/* Only a policy that reads the results of an action has them made. */
static void every_result_is_made_for_who_reads_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct action_type *type = type_of(&samples[i]);
        struct policy_problems *problems = policy_problems_new();
        struct policy_document *d;
        struct policy_params params = { .engine = fake_host_engine(),
                                        .limits = &policy_default_limits,
                                        .document_count = 1 };
        struct counted *policy;

        if (type->result[0] == '\0') {
            policy_problems_free(problems);
            continue;
        }
        d = policy_document_parse(STR("test.yml"),
                                  str_from(scene_fmt("on_http_request:\n"
                                                     "- expressions: ['actions.ngrok.%s == null']\n"
                                                     "  actions: [{type: close-connection}]\n",
                                                     type->result)),
                                  &policy_default_limits, problems);
        params.documents = (const struct policy_document *const *)&d;
        policy = policy_compile(&params, problems);
        assert_non_null(policy);
        assert_int_equal(policy_of(policy)->results_read, UINT64_C(1) << (type - action_types));
        counted_unref(policy);
        policy_document_free(d);
        policy_problems_free(problems);
    }
}

static void actions_that_always_end_are_those_of_the_spec(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const char *name = samples[i].action;
        bool ends = strcmp(name, "close-connection") == 0 || strcmp(name, "custom-response") == 0 ||
                    strcmp(name, "deny") == 0 || strcmp(name, "forward-internal") == 0;

        assert_int_equal((type_of(&samples[i])->flags & ACTION_ENDS) != 0, ends);
    }
}

static void free_of_nothing_is_fine(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACTION_TYPE_COUNT; i++)
        action_types[i].free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(every_action_is_for_its_phases_only),
        SCENE_TEST(every_action_needs_its_config_or_not),
        SCENE_TEST(every_action_refuses_odd_configs),
        SCENE_TEST(every_result_is_made_for_who_reads_it),
        SCENE_TEST(actions_that_always_end_are_those_of_the_spec),
        SCENE_TEST(free_of_nothing_is_fine),
    };

    return cmocka_run_group_tests_name("policy/actions_def", tests, NULL, NULL);
}
