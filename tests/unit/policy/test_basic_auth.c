/*
 * Unit tests of policy/actions/basic_auth: credentials of every form, what is presented, hashes that are
 * verified off the loop.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene tests/unit/policy/fake_clock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <crypt.h>

#include "base/base64.h"
#include "base/buf.h"
#include "tests/unit/policy/action_scene.h"
#include "tests/unit/policy/fake_clock.h"

#define Q POLICY_ON_HTTP_REQUEST

static const char action[] = "basic-auth";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.credentials: it is required" },
        { "{credentials: null}", E_POLICY_MISSING, "config.credentials: it is required" },
        { "{credentials: []}", E_POLICY_MISSING, "it needs at least 1 entry" },
        { "{credentials: 'a:password'}", E_POLICY_CONFIG, "config.credentials: it must be a list" },
        { "{credentials: [[a]]}", E_POLICY_CONFIG, "config.credentials[0]: it must be a string" },
        { "{credentials: [12345678]}", E_POLICY_CONFIG, "config.credentials[0]: no ':'" },
        { "{credentials: [password]}", E_POLICY_CONFIG, "config.credentials[0]: no ':'" },
        { "{credentials: ['']}", E_POLICY_CONFIG, "config.credentials[0]: no ':'" },
        { "{credentials: ['${req.host}pw']}", E_POLICY_CONFIG, "no ':' between" },
        { "{credentials: ['pre${req.host}post']}", E_POLICY_CONFIG, "no ':' between" },
        { "{credentials: ['${req.host}${req.method}']}", E_POLICY_CONFIG, "no ':' between" },
        { "{credentials: [':password']}", E_AUTH_USER_EMPTY, "the user before ':' is empty" },
        { "{credentials: ['a:password', 'b:abcdefg']}", E_POLICY_TOO_SHORT,
          "config.credentials[1]: the password of user 'b' has 7 characters, it must" },
        { "{credentials: [\"a\\tb:password\"]}", E_POLICY_AUTH_USER, "control character" },
        { "{credentials: [\"a:pass\\u007fword\"]}", E_POLICY_AUTH_PASSWORD, "control character" },
        { "{credentials: ['${req.host}:short']}", E_POLICY_TOO_SHORT, "5 characters" },
        { "{credentials: [':${req.host}']}", E_AUTH_USER_EMPTY, "the user before ':' is empty" },
        { "{credentials: ['${req.host}:$1$salt$']}", E_POLICY_FIELD, "the password hash must be" },
        { "{credentials: ['a:${']}", E_POLICY_TEMPLATE, "it has no closing '}'" },
        { "{credentials: ['${nosuch}:password']}", E_POLICY_TEMPLATE, "config.credentials[0]" },
        { "{credentials: ['${nosuch}']}", E_POLICY_TEMPLATE, "config.credentials[0]" },
        { "{credentials: ['a:$9$salt$']}", E_POLICY_FIELD, "the password hash must be" },
        { "{credentials: ['a:$2b$31$abcdefghijklmnopqrstuuxgFXNcYgGWDpnhMhbTFYfiBaGk8MDlu']}",
          E_POLICY_FIELD, "the password hash must be" },
        { "{credentials: [{username: 'a:b', password: password}]}", E_POLICY_AUTH_USER, "a colon" },
        { "{credentials: [{username: a}]}", E_POLICY_MISSING,
          "config.credentials[0].password: it is required" },
        { "{credentials: [{password: password}]}", E_POLICY_MISSING,
          "config.credentials[0].username: it is required" },
        { "{credentials: [{user: a, username: a, password: password}]}", E_POLICY_CONFIG,
          "unknown field 'user'" },
        { "{credentials: [{username: a, password: short}]}", E_POLICY_TOO_SHORT, "5 characters" },
        { "{credentials: [{username: [a], password: password}]}", E_POLICY_CONFIG,
          "config.credentials[0].username" },
        { "{credentials: ['a:password'], realm: [a]}", E_POLICY_CONFIG, "config.realm" },
        { "{credentials: ['a:password'], realm: 'caf\xC3\xA9'}", E_POLICY_FIELD,
          "config.realm: character 4 is not printable ASCII" },
        { "{credentials: ['a:password'], realm: \"a\\nb\"}", E_POLICY_FIELD, "config.realm" },
        { "{credentials: ['a:password'], enforce: 1}", E_POLICY_CONFIG, "config.enforce" },
        { "{credentials: ['a:password'], enforce: '${true}'}", E_POLICY_CONFIG, "config.enforce" },
        { "{credential: ['a:password']}", E_POLICY_CONFIG, "unknown field 'credential'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

/* An expression of the password is where it is, not at the start of the credential. */
static void compile_bad_password_expression_is_pointed_at(void **state)
{
    (void)state;
    fake_host_expect_refused("on_http_request:\n"
                             "- actions:\n"
                             "  - type: basic-auth\n"
                             "    config:\n"
                             "      credentials:\n"
                             "      - ops:${nosuch}\n",
                             E_POLICY_TEMPLATE, "test.yml:6:15:");
}

static const char *sized(size_t count, int user, int password, int realm)
{
    const char *pair = scene_fmt("'%0*d:%0*d'", user, 0, password, 0);

    return scene_fmt("{realm: '%0*d', credentials: [%s]}", realm, 0,
                     scene_repeat(count, pair, ","));
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(Q, action, sized(10, 128, 128, 128));
    scene_expect_accepted(Q, action, sized(1, 1, 8, 1));
    fake_host_expect_config_refused(Q, action, sized(11, 1, 8, 1), E_POLICY_LIST_LENGTH,
                                    "11 entries, at most 10");
    fake_host_expect_config_refused(Q, action, sized(1, 129, 8, 1), E_AUTH_USER_LENGTH,
                                    "129 characters, at most 128");
    fake_host_expect_config_refused(Q, action, sized(1, 1, 7, 1), E_POLICY_TOO_SHORT,
                                    "7 characters, it must have 8 to 128");
    fake_host_expect_config_refused(Q, action, sized(1, 1, 129, 1), E_POLICY_TOO_LONG,
                                    "129 characters, it must have 8 to 128");
    fake_host_expect_config_refused(Q, action, sized(1, 1, 8, 129), E_POLICY_TOO_LONG,
                                    "129 characters, at most 128");
    /* Characters, not bytes. */
    scene_expect_accepted(Q, action,
                          scene_fmt("{credentials: ['a:%s']}", scene_repeat(128, "\xC3\xA9", "")));
    fake_host_expect_config_refused(
        Q, action, scene_fmt("{credentials: ['a:%s']}", scene_repeat(7, "\xC3\xA9", "")),
        E_POLICY_TOO_SHORT, "7 characters");
}

/* On the command line everybody's first try is user:pass. */
static void check_of_a_flag_takes_shorter_passwords(void **state)
{
    static const struct {
        const char *pair;
        enum err_code code;
    } cases[] = { { "a:pass", E_OK },
                  { "a:abc", E_POLICY_TOO_SHORT },
                  { "a:$5$rounds=1000$salt$", E_OK },
                  { "a:${1}", E_OK },
                  { "abcd", E_POLICY_CONFIG } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *config = json_pack("{s:[s]}", "credentials", cases[i].pair);
        struct err e = { .code = E_OK };

        assert_int_equal(policy_check_action(fake_host_engine(), Q, action, config, &e),
                         cases[i].code == E_OK ? 0 : -1);
        assert_int_equal(e.code, cases[i].code);
        json_decref(config);
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* "Basic " and the base64 of a pair. */
static const char *basic(const char *pair)
{
    struct str s = str_from(pair);
    size_t n = base64_text_bytes(s.n);
    char *text = arena_alloc(&scene.arena, n);

    base64_encode(s, text);
    return scene_fmt("Basic %.*s", (int)n, text);
}

/* One request with this pair. */
static void expect_pair(const char *config, const char *pair, bool allowed)
{
    struct fake_message *m = &scene.messages[POLICY_REQUEST];

    m->count = 1; /* the Host */
    fake_host_add(&scene, "Authorization", basic(pair));
    scene_expect_verdict(Q, action, config, allowed ? POLICY_CONTINUE : POLICY_RESPOND);
    scene_expect_text(scene.outcome->basic_auth_decision, allowed ? "allow" : "block");
}

static void run_checks_what_is_presented(void **state)
{
    static const struct {
        const char *field;
        bool allowed;
        bool presented;
        const char *user;
    } cases[] = {
        { NULL, false, false, "" },
        { "Basic b3BzOmh1bnRlcjIy", true, true, "ops" },
        { "bAsIc   b3BzOmh1bnRlcjIy ", true, true, "ops" },
        { "Basic Y2Fmw6k6cGE6c3Mgd29yZA==", true, true, "caf\xC3\xA9" },
        { "Basic b3BzOmh1bnRlcjIz", false, true, "ops" },     /* ops:hunter23 */
        { "Basic b3BzOmh1bnRlcjI=", false, true, "ops" },     /* ops:hunter2 */
        { "Basic b3BzOmh1bnRlcjIyMg==", false, true, "ops" }, /* ops:hunter222 */
        { "Basic T1BTOmh1bnRlcjIy", false, true, "OPS" },     /* OPS:hunter22 */
        { "Basic OmF1bnRlcjIy", false, true, "" },            /* :aunter22 */
        { "Basic b3Bz", false, true, "ops" },                 /* no colon */
        { "Basic /zphYmNkZWZnaA==", false, true, "" },        /* FF, which is not UTF-8 */
        { "Basic", false, false, "" },
        { "Basicb3BzOmh1bnRlcjIy", false, false, "" },
        { "Bearer b3BzOmh1bnRlcjIy", false, false, "" },
        { "Basic Y2Fmw6k6cGE6c3Mgd29yZB==", false, true, "" }, /* unused bits set */
        { "Basic b3Bz OmhunRlcjIy", false, true, "" },
        { "Basic b3BzOmh1bnRlcjI-", false, true, "" },
        { "Basic b3BzOmh1bnRlcjIy====", false, true, "" },
        { "Basic ====", false, true, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        if (cases[i].field != NULL)
            fake_host_add(&scene, "Authorization", cases[i].field);
        scene_expect_verdict(Q, action, "{credentials: ['ops:hunter22', 'caf\xC3\xA9:pa:ss word']}",
                             cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        scene_expect_text(scene.outcome->basic_auth_decision, cases[i].allowed ? "allow" : "block");
        scene_expect_eval(Q, "actions.ngrok.basic_auth.credentials",
                          scene_fmt("{\"presented\":%s,\"username\":\"%s\",\"authorized\":%s}",
                                    cases[i].presented ? "true" : "false", cases[i].user,
                                    cases[i].allowed ? "true" : "false"));
        if (cases[i].allowed)
            scene_expect_text(scene.outcome->basic_auth_username, cases[i].user);
        assert_int_equal(scene.suspended, 0);
    }
}

static void run_with_two_fields_counts_them_as_none(void **state)
{
    (void)state;
    fake_host_add(&scene, "Authorization", "Basic b3BzOmh1bnRlcjIy");
    fake_host_add(&scene, "authorization", "Basic b3BzOmh1bnRlcjIy");
    scene_expect_verdict(Q, action, "{credentials: ['ops:hunter22']}", POLICY_RESPOND);
    scene_expect_eval(Q, "actions.ngrok.basic_auth.credentials.presented", "false");
}

static void run_challenges_with_the_realm(void **state)
{
    static const struct {
        const char *realm;
        const char *challenge;
    } cases[] = {
        { "", "Basic realm=\"ngrok\", charset=\"UTF-8\"" },
        { ", realm: staff", "Basic realm=\"staff\", charset=\"UTF-8\"" },
        { ", realm: ''", "Basic realm=\"\", charset=\"UTF-8\"" },
        { ", realm: 'a \"b\\'", "Basic realm=\"a \\\"b\\\\\", charset=\"UTF-8\"" },
        { ", realm: '${1}'", "Basic realm=\"${1}\", charset=\"UTF-8\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene_expect_verdict(Q, action,
                             scene_fmt("{credentials: ['ops:hunter22']%s}", cases[i].realm),
                             POLICY_RESPOND);
        assert_int_equal(scene.response->error, E_CREDENTIALS);
        assert_int_equal(err_number(E_CREDENTIALS), 3401);
        assert_int_equal(err_status(E_CREDENTIALS), 401);
        assert_int_equal(scene.response->header_count, 1);
        assert_string_equal(fake_host_answer(&scene, "www-authenticate"), cases[i].challenge);
        assert_false(scene.response->runs_response_phase);
    }
}

static void run_with_the_longest_realm_escapes_all_of_it(void **state)
{
    (void)state;
    scene_expect_verdict(
        Q, action,
        scene_fmt("{credentials: ['ops:hunter22'], realm: '%s'}", scene_repeat(128, "\\", "")),
        POLICY_RESPOND);
    assert_string_equal(
        fake_host_answer(&scene, "www-authenticate"),
        scene_fmt("Basic realm=\"%s\", charset=\"UTF-8\"", scene_repeat(256, "\\", "")));
}

static void run_without_enforce_goes_on(void **state)
{
    (void)state;
    fake_host_add(&scene, "Authorization", basic("ops:wrong-one"));
    scene_expect_verdict(Q, action, "{credentials: ['ops:hunter22'], enforce: false}",
                         POLICY_CONTINUE);
    scene_expect_text(scene.outcome->basic_auth_decision, "block");
    scene_expect_text(scene.outcome->basic_auth_username, "ops");
    scene_expect_eval(Q, "actions.ngrok.basic_auth.credentials.authorized", "false");
}

static void run_keeps_the_field_for_the_upstream(void **state)
{
    (void)state;
    expect_pair("{credentials: ['ops:hunter22']}", "ops:hunter22", true);
    assert_string_equal(fake_host_values(&scene, "authorization"), basic("ops:hunter22"));
    scene_expect_no_result(Q, action, "{credentials: ['ops:hunter22']}", "basic_auth");
    scene_expect_text(scene.outcome->basic_auth_decision, "allow");
}

static void run_of_several_actions_needs_all(void **state)
{
    static const char document[] =
        "on_http_request:\n"
        "- actions:\n"
        "  - {type: basic-auth, config: {credentials: ['ops:hunter22', 'dev:password']}}\n"
        "  - {type: basic-auth, config: {credentials: ['ops:hunter22']}}\n";

    (void)state;
    fake_host_add(&scene, "Authorization", basic("dev:password"));
    assert_int_equal(fake_run(&scene, document, Q), POLICY_RESPOND);
    scene_restart();
    fake_host_add(&scene, "Authorization", basic("ops:hunter22"));
    assert_int_equal(fake_run(&scene, document, Q), POLICY_CONTINUE);
}

/* 128 characters of four bytes each, for user and password: the longest pair that can match. */
static void run_with_the_longest_pair_matches(void **state)
{
    const char *half = scene_repeat(128, "\xF0\x9F\x9A\xAA", "");
    const char *pair = scene_fmt("%s:%s", half, half);
    const char *config = scene_fmt("{credentials: ['%s']}", pair);

    (void)state;
    expect_pair(config, pair, true);
    expect_pair(config, scene_fmt("%sx", pair), false);
    expect_pair(config, scene_fmt("%s%s", pair, scene_repeat(10000, "x", "")), false);
}

static void run_takes_mappings(void **state)
{
    static const char config[] = "{credentials: [{username: ops, password: 'a:password'},"
                                 " {username: '${req.method}', password: 12345678}]}";

    (void)state;
    expect_pair(config, "ops:a:password", true);
    expect_pair(config, "GET:12345678", true);
    expect_pair(config, "ops:password", false);
}

/* ---- computed credentials -------------------------------------------------------------------- */

static void run_evaluates_credentials(void **state)
{
    static const struct {
        const char *credential; /* in double quotes */
        const char *pair;
        bool allowed;
    } cases[] = {
        { "${'ops:hunter22'}", "ops:hunter22", true },
        { "${'ops:hunter22'}", "ops:hunter23", false },
        { "${'ops:hunt:er22'}", "ops:hunt:er22", true },
        { "${'opshunter22'}", "opshunter22:", false },
        { "${'ops'}:hunter22", "ops:hunter22", true },
        { "${'ops'}:${'hunter22'}", "ops:hunter22", true },
        { "o${'p'}s:hun${'ter'}22", "ops:hunter22", true },
        { "pre${'a'}:password", "prea:password", true },
        { "${'a:b'}:password", "a:b:password", false }, /* a colon in the user */
        { "a:${'b:password'}", "a:b:password", true },
        { "${req.method}:password", "GET:password", true },
        { "ops:${secrets.get('v', 'n')}", "ops:s3cret-one", true },
        { "ops:${secrets.get('v', 'n')}", "ops:s3cret-two", false },
        { "ops:${'short'}", "ops:short", false }, /* it never matches: D33 */
        { "${''}:password", ":password", false },
        { "${'a\\\\tb'}:password", "a\tb:password", false },
        { "$${a}:password", "${a}:password", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        scene.secrets[0] = (struct fake_secret){ "v", "n", "s3cret-one" };
        expect_pair(scene_fmt("{credentials: [\"%s\"]}", cases[i].credential), cases[i].pair,
                    cases[i].allowed);
    }
}

static void run_with_computed_lengths_at_their_limits(void **state)
{
    const char *longest = scene_repeat(128, "p", "");
    const char *config =
        scene_fmt("{credentials: ['${req.headers.user[0]}:${req.headers.password[0]}']}");

    (void)state;
    fake_host_add(&scene, "user", longest);
    fake_host_add(&scene, "password", longest);
    fake_host_add(&scene, "Authorization", basic(scene_fmt("%s:%s", longest, longest)));
    scene_expect_verdict(Q, action, config, POLICY_CONTINUE);
    scene.messages[POLICY_REQUEST].count = 2;
    fake_host_add(&scene, "password", scene_fmt("%sp", longest));
    fake_host_add(&scene, "Authorization", basic(scene_fmt("%s:%sp", longest, longest)));
    scene_expect_verdict(Q, action, config, POLICY_RESPOND);
}

static void run_with_a_failing_credential_ends(void **state)
{
    (void)state;
    fake_host_add(&scene, "Authorization", basic("ops:hunter22"));
    scene_expect_failure(Q, action, "{credentials: ['ops:hunter22', 'a:${[][0]}']}",
                         E_POLICY_FIELD_EVALUATION, "credentials[1]");
    scene_expect_failure(Q, action, "{credentials: [\"a:${secrets.get('v', 'none')}\"]}",
                         E_POLICY_FIELD_EVALUATION, "there is no such secret");
    assert_int_equal(scene.outcome->basic_auth_decision.n, 0);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static const char *hash_of(const char *password, const char *method)
{
    struct crypt_data data = { .initialized = 0 };
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];

    assert_non_null(
        crypt_gensalt_rn(method, 0, "0123456789abcdef", 16, setting, (int)sizeof(setting)));
    if (strcmp(method, "$5$") == 0)
        return scene_fmt("%s",
                         crypt_rn(password, "$5$rounds=1000$0123456789", &data, (int)sizeof(data)));
    return scene_fmt("%s", crypt_rn(password, setting, &data, (int)sizeof(data)));
}

static void run_verifies_hashes_off_the_loop(void **state)
{
    const char *config = scene_fmt("{credentials: ['ops:%s', 'dev:%s']}",
                                   hash_of("hunter22", "$5$"), hash_of("abc", "$2b$"));

    (void)state;
    expect_pair(config, "ops:hunter22", true);
    assert_int_equal(scene.suspended, 1);
    scene_expect_eval(Q, "actions.ngrok.basic_auth.credentials.authorized", "true");
    expect_pair(config, "ops:hunter23", false);
    assert_int_equal(scene.suspended, 2);
    scene_expect_eval(Q, "actions.ngrok.basic_auth.credentials",
                      "{\"presented\":true,\"username\":\"ops\",\"authorized\":false}");
    expect_pair(config, "dev:abc", true); /* how long it is nobody knows */
    assert_int_equal(scene.suspended, 3);
    expect_pair(config, "dev:hunter22", false);
    assert_int_equal(scene.suspended, 4);
    expect_pair(config, "eve:hunter22", false); /* nothing to verify */
    assert_int_equal(scene.suspended, 4);
}

static void run_remembers_answers_for_a_while(void **state)
{
    const char *config = scene_fmt("{credentials: ['ops:%s']}", hash_of("hunter22", "$5$"));

    (void)state;
    expect_pair(config, "ops:hunter22", true);
    expect_pair(config, "ops:hunter23", false);
    assert_int_equal(scene.suspended, 2);
    expect_pair(config, "ops:hunter22", true);
    expect_pair(config, "ops:hunter23", false);
    assert_int_equal(scene.suspended, 2);
    fake_mono_ms += 5 * 60 * 1000 - 1;
    expect_pair(config, "ops:hunter22", true);
    assert_int_equal(scene.suspended, 2);
    fake_mono_ms += 1;
    expect_pair(config, "ops:hunter22", true);
    assert_int_equal(scene.suspended, 3);
}

/* An answer is remembered for a pair and a hash, not for the pair alone. */
static void run_with_another_hash_forgets(void **state)
{
    (void)state;
    expect_pair(scene_fmt("{credentials: ['ops:%s']}", hash_of("hunter22", "$5$")), "ops:hunter22",
                true);
    expect_pair(scene_fmt("{credentials: ['ops:%s']}", hash_of("changed!", "$5$")), "ops:hunter22",
                false);
    assert_int_equal(scene.suspended, 2);
    expect_pair(scene_fmt("{credentials: ['dev:%s']}", hash_of("hunter22", "$5$")), "dev:hunter22",
                true);
    assert_int_equal(scene.suspended, 3);
}

static void run_with_several_hashes_of_a_user_tries_all(void **state)
{
    const char *config = scene_fmt("{credentials: ['ops:%s', 'ops:%s', 'ops:a-plain-one']}",
                                   hash_of("hunter22", "$5$"), hash_of("password", "$5$"));

    (void)state;
    expect_pair(config, "ops:password", true);
    assert_int_equal(scene.suspended, 1);
    expect_pair(config, "ops:a-plain-one", true); /* known without a job */
    assert_int_equal(scene.suspended, 1);
}

static void run_with_a_computed_hash_verifies_it(void **state)
{
    (void)state;
    scene.secrets[0] = (struct fake_secret){ "v", "n", hash_of("hunter22", "$5$") };
    expect_pair("{credentials: [\"ops:${secrets.get('v', 'n')}\"]}", "ops:hunter22", true);
    expect_pair("{credentials: [\"ops:${secrets.get('v', 'n')}\"]}", "ops:hunter23", false);
    assert_int_equal(scene.suspended, 2);
    scene.secrets[0].value = "$9$nobody-knows$this";
    expect_pair("{credentials: [\"ops:${secrets.get('v', 'n')}\"]}", "ops:hunter22", false);
    assert_int_equal(scene.suspended, 2);
}

static void run_with_a_hash_as_password_does_not_match(void **state)
{
    const char *hash = hash_of("hunter22", "$5$");

    (void)state;
    expect_pair(scene_fmt("{credentials: ['ops:%s']}", hash), scene_fmt("ops:%s", hash), false);
}

/* A hash is to be verified, and then another credential fails. */
static void run_with_a_failing_credential_behind_a_hash_ends(void **state)
{
    (void)state;
    fake_host_add(&scene, "Authorization", basic("ops:hunter22"));
    scene_expect_failure(
        Q, action, scene_fmt("{credentials: ['ops:%s', 'a:${[][0]}']}", hash_of("hunter22", "$5$")),
        E_POLICY_FIELD_EVALUATION, "credentials[1]");
    assert_int_equal(scene.suspended, 0);
}

/* The visitor leaves while the hash is being verified. */
static void run_that_is_freed_while_it_waits_leaves_the_job_to_the_host(void **state)
{
    struct counted *policy = fake_host_compile_action(
        Q, action, scene_fmt("{credentials: ['ops:%s']}", hash_of("hunter22", "$5$")));

    (void)state;
    fake_host_add(&scene, "Authorization", basic("ops:hunter22"));
    assert_int_equal(fake_host_start(&scene, policy, Q), POLICY_SUSPEND);
    counted_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_bad_password_expression_is_pointed_at),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(check_of_a_flag_takes_shorter_passwords),
        SCENE_TEST(run_checks_what_is_presented),
        SCENE_TEST(run_with_two_fields_counts_them_as_none),
        SCENE_TEST(run_challenges_with_the_realm),
        SCENE_TEST(run_with_the_longest_realm_escapes_all_of_it),
        SCENE_TEST(run_without_enforce_goes_on),
        SCENE_TEST(run_keeps_the_field_for_the_upstream),
        SCENE_TEST(run_of_several_actions_needs_all),
        SCENE_TEST(run_with_the_longest_pair_matches),
        SCENE_TEST(run_takes_mappings),
        SCENE_TEST(run_evaluates_credentials),
        SCENE_TEST(run_with_computed_lengths_at_their_limits),
        SCENE_TEST(run_with_a_failing_credential_ends),
        SCENE_TEST(run_verifies_hashes_off_the_loop),
        SCENE_TEST(run_remembers_answers_for_a_while),
        SCENE_TEST(run_with_another_hash_forgets),
        SCENE_TEST(run_with_several_hashes_of_a_user_tries_all),
        SCENE_TEST(run_with_a_computed_hash_verifies_it),
        SCENE_TEST(run_with_a_hash_as_password_does_not_match),
        SCENE_TEST(run_with_a_failing_credential_behind_a_hash_ends),
        SCENE_TEST(run_that_is_freed_while_it_waits_leaves_the_job_to_the_host),
    };

    return cmocka_run_group_tests_name("policy/basic_auth", tests, NULL, NULL);
}
