/*
 * Unit tests of policy/actions/basic_auth.
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

#include <openssl/evp.h>

#include "base/buf.h"
#include "tests/unit/policy/fake_host.h"

static const char two[] = "{'credentials': ['ops:hunter22', 'caf\\u00e9:pa:ss word']}";

struct outcome {
    enum policy_verdict verdict;
    char decision[16];
    char user[1100];
    char challenge[400];
    struct policy_response response; /* its strs are dead, but for literals */
};

/* One request with these Authorization fields; NULL: none. */
static void run(const char *config, const char *first, const char *second, struct outcome *out)
{
    struct counted *policy = fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "basic-auth", config);
    struct fake_host h;

    fake_host_init(&h, "192.0.2.1");
    if (first != NULL)
        fake_host_add(&h, "Authorization", first);
    if (second != NULL)
        fake_host_add(&h, "authorization", second);
    out->verdict = fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST);
    out->response = h.result.response;
    (void)snprintf(out->decision, sizeof(out->decision), "%.*s",
                   STR_ARG(h.result.basic_auth_decision));
    (void)snprintf(out->user, sizeof(out->user), "%.*s", STR_ARG(h.result.basic_auth_username));
    (void)snprintf(out->challenge, sizeof(out->challenge), "%.*s",
                   STR_ARG(h.result.response.headers[0].value));
    fake_host_fini(&h);
    counted_unref(policy);
}

static void basic_auth_checks_what_is_presented(void **state)
{
    static const struct {
        const char *field;
        bool allowed;
        const char *user;
    } cases[] = {
        { NULL, false, "" },
        { "Basic b3BzOmh1bnRlcjIy", true, "ops" },
        { "bAsIc   b3BzOmh1bnRlcjIy ", true, "ops" },
        { "Basic Y2Fmw6k6cGE6c3Mgd29yZA==", true, "caf\xC3\xA9" },
        { "Basic b3BzOmh1bnRlcjIz", false, "ops" },     /* ops:hunter23 */
        { "Basic b3BzOmh1bnRlcjI=", false, "ops" },     /* ops:hunter2 */
        { "Basic b3BzOmh1bnRlcjIyMg==", false, "ops" }, /* ops:hunter222 */
        { "Basic T1BTOmh1bnRlcjIy", false, "OPS" },
        { "Basic b3Bz", false, "ops" }, /* no colon */
        { "Basic ", false, "" },
        { "Basic", false, "" },
        { "Basicb3BzOmh1bnRlcjIy", false, "" },
        { "Bearer b3BzOmh1bnRlcjIy", false, "" },
        { "Basic Y2Fmw6k6cGE6c3Mgd29yZA", false, "" },   /* padding left out */
        { "Basic Y2Fmw6k6cGE6c3Mgd29yZB==", false, "" }, /* unused bits set */
        { "Basic b3Bz OmhunRlcjIy", false, "" },
        { "Basic b3BzOmh1bnRlcjI-", false, "" },
        { "Basic b3BzOmh1bnRlcjIy====", false, "" },
        { "Basic =", false, "" },
        { "Basic ====", false, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outcome o;

        run(two, cases[i].field, NULL, &o);
        assert_int_equal(o.verdict, cases[i].allowed ? POLICY_CONTINUE : POLICY_RESPOND);
        assert_string_equal(o.decision, cases[i].allowed ? "allow" : "block");
        if (o.user[0] != '\0' || cases[i].allowed)
            assert_string_equal(o.user, cases[i].user);
    }
}

static void basic_auth_two_fields_count_as_none(void **state)
{
    struct outcome o;

    (void)state;
    run(two, "Basic b3BzOmh1bnRlcjIy", "Basic b3BzOmh1bnRlcjIy", &o);
    assert_int_equal(o.verdict, POLICY_RESPOND);
}

static void basic_auth_challenges_without_error_code(void **state)
{
    struct outcome o;

    (void)state;
    run("{'credentials': ['ops:hunter22'], 'realm': 'a \\\"b\\\\'}", NULL, NULL, &o);
    assert_int_equal(o.response.status, 401);
    assert_int_equal(o.response.error, E_OK);
    assert_true(str_eq(o.response.headers[0].name, STR("www-authenticate")));
    assert_string_equal(o.challenge, "Basic realm=\"a \\\"b\\\\\", charset=\"UTF-8\"");
    assert_true(o.response.body.n > 0);
    run(two, NULL, NULL, &o);
    assert_string_equal(o.challenge, "Basic realm=\"ngrok\", charset=\"UTF-8\"");
}

static void basic_auth_without_enforce_goes_on(void **state)
{
    struct outcome o;

    (void)state;
    run("{'credentials': ['ops:hunter22'], 'enforce': false}", "Basic b3BzOmh1bnRlcjIz", NULL, &o);
    assert_int_equal(o.verdict, POLICY_CONTINUE);
    assert_string_equal(o.decision, "block");
}

static void basic_auth_takes_mappings(void **state)
{
    struct outcome o;

    (void)state;
    run("{'credentials': [{'username': 'ops', 'password': 'hunter22'}]}", "Basic b3BzOmh1bnRlcjIy",
        NULL, &o);
    assert_int_equal(o.verdict, POLICY_CONTINUE);
}

static void basic_auth_bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.credentials: it is required" },
        { "{'credentials': []}", E_POLICY_MISSING, "config.credentials: it is required" },
        { "{'credentials': 'a:passw'}", E_POLICY_CONFIG, "config.credentials: it must be a list" },
        { "{'credentials': [1]}", E_POLICY_CONFIG, "config.credentials[0]: it must be a string" },
        { "{'credentials': ['secret']}", E_POLICY_CONFIG, "config.credentials[0]: no ':'" },
        { "{'credentials': [':password']}", E_AUTH_USER_EMPTY, "the user before ':' is empty" },
        { "{'credentials': ['a:passw', 'b:abc']}", E_POLICY_TOO_SHORT,
          "config.credentials[1]: the password of user 'b' has 3 characters" },
        { "{'credentials': ['a\\nb:password']}", E_POLICY_AUTH_USER, "control character" },
        { "{'credentials': ['a:pass\\u0000word']}", E_POLICY_AUTH_PASSWORD, "control character" },
        { "{'credentials': ['a:${secrets.get(x)}']}", E_POLICY_TEMPLATE, "not available" },
        { "{'credentials': ['${a}']}", E_POLICY_TEMPLATE, "not available" },
        { "{'credentials': [{'username': 'a:b', 'password': 'password'}]}", E_POLICY_AUTH_USER,
          "a colon" },
        { "{'credentials': [{'username': 'a'}]}", E_POLICY_CONFIG, "both strings" },
        { "{'credentials': [{'user': 'a', 'password': 'b'}]}", E_POLICY_CONFIG,
          "unknown key 'user'; known: username, password" },
        { "{'credentials': ['a:passw'], 'realm': 1}", E_POLICY_CONFIG, "config.realm: it must be" },
        { "{'credentials': ['a:passw'], 'realm': 'caf\\u00e9'}", E_POLICY_FIELD,
          "config.realm: character 4" },
        { "{'credentials': ['a:passw'], 'realm': 'a\\nb'}", E_POLICY_FIELD, "config.realm" },
        { "{'credentials': ['a:passw'], 'enforce': 1}", E_POLICY_CONFIG, "config.enforce" },
        { "{'credential': []}", E_POLICY_CONFIG,
          "unknown key 'credential'; known: credentials, realm, enforce" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "basic-auth", cases[i].config,
                                        cases[i].code, cases[i].needle);
}

static void basic_auth_limits_hold(void **state)
{
    static const struct {
        size_t count;
        int user;
        int password;
        int realm;
        enum err_code code;
    } cases[] = {
        { 10, 128, 128, 128, E_OK },           { 1, 1, 4, 1, E_OK },
        { 11, 1, 8, 1, E_POLICY_LIST_LENGTH }, { 1, 129, 8, 1, E_AUTH_USER_LENGTH },
        { 1, 1, 3, 1, E_POLICY_TOO_SHORT },    { 1, 1, 129, 1, E_POLICY_TOO_LONG },
        { 1, 1, 8, 129, E_POLICY_TOO_LONG },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf config;

        buf_init(&config, 64 * 1024);
        buf_add_fmt(&config, "{'realm': '%0*d', 'credentials': [", cases[i].realm, 0);
        for (size_t k = 0; k < cases[i].count; k++)
            buf_add_fmt(&config, "%s'%0*d:%0*d'", k > 0 ? "," : "", cases[i].user, 0,
                        cases[i].password, 0);
        buf_add_fmt(&config, "]}%c", '\0');
        if (cases[i].code == E_OK)
            counted_unref(
                fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "basic-auth", buf_str(&config).p));
        else
            fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "basic-auth",
                                            buf_str(&config).p, cases[i].code, "");
        buf_fini(&config);
    }
}

/* 128 characters of four bytes each, for user and password: the longest pair that can match. */
static void basic_auth_longest_pair_matches_and_longer_does_not(void **state)
{
    struct buf pair;
    struct buf config;
    char field[2048] = "Basic ";
    struct outcome o;

    (void)state;
    buf_init(&pair, 4096);
    for (int i = 0; i < 256; i++) {
        buf_add_str(&pair, STR("\xF0\x9F\x9A\xAA"));
        if (i == 127)
            buf_add_char(&pair, ':');
    }
    buf_init(&config, 8192);
    buf_add_fmt(&config, "{'credentials': ['%.*s']}%c", STR_ARG(buf_str(&pair)), '\0');
    EVP_EncodeBlock((unsigned char *)field + 6, (const unsigned char *)pair.mem, (int)pair.len);
    run(buf_str(&config).p, field, NULL, &o);
    assert_int_equal(o.verdict, POLICY_CONTINUE);
    buf_add_char(&pair, 'x');
    EVP_EncodeBlock((unsigned char *)field + 6, (const unsigned char *)pair.mem, (int)pair.len);
    run(buf_str(&config).p, field, NULL, &o);
    assert_int_equal(o.verdict, POLICY_RESPOND);
    buf_fini(&pair);
    buf_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_auth_checks_what_is_presented),
        cmocka_unit_test(basic_auth_two_fields_count_as_none),
        cmocka_unit_test(basic_auth_challenges_without_error_code),
        cmocka_unit_test(basic_auth_without_enforce_goes_on),
        cmocka_unit_test(basic_auth_takes_mappings),
        cmocka_unit_test(basic_auth_bad_configs_are_refused),
        cmocka_unit_test(basic_auth_limits_hold),
        cmocka_unit_test(basic_auth_longest_pair_matches_and_longer_does_not),
    };

    return cmocka_run_group_tests_name("policy/basic_auth", tests, NULL, NULL);
}
