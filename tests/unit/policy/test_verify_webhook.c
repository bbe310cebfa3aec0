/*
 * Unit tests of policy/actions/verify_webhook, through the whole engine. The schemes themselves are in
 * test_webhook.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_clock
 * Links: tests/unit/policy/webhook_request tests/unit/policy/webhook_signer
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/policy/fake_clock.h"
#include "tests/unit/policy/fake_host.h"
#include "tests/unit/policy/webhook_request.h"
#include "tests/unit/policy/webhook_signer.h"

static const char github[] = "{provider: github, secret: abc}";
static const char verified[] = "actions.ngrok.verify_webhook.verified";
static const char error_code[] = "actions.ngrok.verify_webhook.error.code";
static const char error_message[] = "actions.ngrok.verify_webhook.error.message";

static void start(struct fake_host *h, const char *body)
{
    fake_host_init(h, "192.0.2.1");
    fake_host_add(h, "Host", "hooks.example.com");
    h->method = STR("POST");
    h->target = STR("/in");
    h->messages[POLICY_REQUEST].body = str_from(body);
}

/* With the signature of GitHub. */
static void start_signed(struct fake_host *h, const char *body, const char *key)
{
    start(h, body);
    fake_host_add(
        h, "X-Hub-Signature-256",
        arena_fmt(&h->arena, "sha256=%s",
                  webhook_request_sign(&h->arena, "SHA256", 'x', str_from(key), str_from(body)))
            .p);
}

static enum policy_verdict run(struct fake_host *h, const char *config)
{
    return fake_run_action(h, POLICY_ON_HTTP_REQUEST, "verify-webhook", config);
}

static const char *eval(struct fake_host *h, const char *expression)
{
    return fake_host_eval(h, POLICY_ON_HTTP_REQUEST, expression);
}

static void check_decision(const struct fake_host *h, const char *decision)
{
    assert_true(str_eq(h->outcome->webhook_decision, str_from(decision)));
}

static void verify_webhook_signed_request_goes_on(void **state)
{
    struct fake_host h;

    (void)state;
    start_signed(&h, "{}", "abc");
    assert_int_equal(run(&h, github), POLICY_CONTINUE);
    assert_int_equal(h.suspended, 1); /* for the body */
    check_decision(&h, "allow");
    assert_string_equal(eval(&h, verified), "true");
    assert_string_equal(eval(&h, error_code), "");
    assert_string_equal(eval(&h, error_message), "");
    assert_false(h.messages[POLICY_REQUEST].body_set);
    fake_host_fini(&h);
}

static void verify_webhook_wrong_signature_is_answered_with_403(void **state)
{
    struct fake_host h;

    (void)state;
    start_signed(&h, "{}", "abd");
    assert_int_equal(run(&h, github), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_WEBHOOK_UNVERIFIED);
    assert_int_equal(err_number(h.response->error), 3204);
    assert_false(h.response->runs_response_phase);
    assert_non_null(strstr(h.response->message, "the signature is wrong"));
    assert_null(strstr(h.response->message, "abc"));
    check_decision(&h, "block");
    assert_string_equal(eval(&h, verified), "false");
    assert_string_equal(eval(&h, error_code), "ERR_NGROK_3204");
    fake_host_fini(&h);
}

static void verify_webhook_without_enforce_goes_on(void **state)
{
    struct fake_host h;

    (void)state;
    start(&h, "{}");
    assert_int_equal(run(&h, "{provider: github, secret: abc, enforce: false}"), POLICY_CONTINUE);
    check_decision(&h, "block");
    assert_string_equal(eval(&h, verified), "false");
    assert_string_equal(eval(&h, error_code), "ERR_NGROK_3204");
    assert_non_null(strstr(eval(&h, error_message), "is missing"));
    fake_host_fini(&h);
}

static void verify_webhook_old_name_is_taken(void **state)
{
    struct fake_host h;

    (void)state;
    start_signed(&h, "{}", "abc");
    assert_int_equal(fake_run_action(&h, POLICY_ON_HTTP_REQUEST, "webhook-validation", github),
                     POLICY_CONTINUE);
    check_decision(&h, "allow");
    fake_host_fini(&h);
}

static void verify_webhook_secret_may_be_an_expression(void **state)
{
    static const char config[] = "{provider: github, secret: \"${secrets.get('hooks', 'forge')}\"}";
    static const char empty[] = "{provider: github, secret: \"${req.headers['x-none'].join('')}\"}";
    struct fake_host h;

    (void)state;
    start_signed(&h, "{}", "abc");
    h.secrets[0] = (struct fake_secret){ "hooks", "forge", "abc" };
    assert_int_equal(run(&h, config), POLICY_CONTINUE);
    check_decision(&h, "allow");
    h.secrets[0].value = "abd";
    assert_int_equal(run(&h, config), POLICY_RESPOND);
    /* An empty secret is nobody's. */
    assert_int_equal(run(&h, empty), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_WEBHOOK_UNVERIFIED);
    check_decision(&h, "block");
    fake_host_fini(&h);
}

static void verify_webhook_body_that_cannot_be_had_is_an_error(void **state)
{
    struct fake_host h;

    (void)state;
    start_signed(&h, "{}", "abc");
    h.body_error = E_POLICY_BODY_TOO_LARGE;
    assert_int_equal(run(&h, github), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_BODY_TOO_LARGE);
    check_decision(&h, "block");
    fake_host_fini(&h);
}

/* An upgrade has no body that could be read: it counts as empty. */
static void verify_webhook_request_without_body_is_checked(void **state)
{
    struct fake_host h;

    (void)state;
    start_signed(&h, "", "abc");
    h.messages[POLICY_REQUEST].no_body = true;
    assert_int_equal(run(&h, github), POLICY_CONTINUE);
    assert_int_equal(h.suspended, 0);
    fake_host_fini(&h);
}

/* The URL is the one that the client used. */
static void verify_webhook_url_of_the_client_is_signed(void **state)
{
    struct fake_host h;

    (void)state;
    start(&h, "{}");
    h.target = STR("/in?a=%7e");
    fake_host_add(&h, "X-Square-HmacSha256-Signature",
                  webhook_request_sign(&h.arena, "SHA256", 'b', STR("abc"),
                                       STR("https://hooks.example.com/in?a=%7e{}")));
    assert_int_equal(run(&h, "{provider: square, secret: abc}"), POLICY_CONTINUE);
    check_decision(&h, "allow");
    fake_host_fini(&h);
}

static void verify_webhook_challenge_is_answered_even_without_enforce(void **state)
{
    struct fake_host h;

    (void)state;
    start(&h, "");
    h.method = STR("GET");
    h.target = STR("/in?crc_token=token");
    assert_int_equal(run(&h, "{provider: twitter, secret: abc, enforce: false}"), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_OK);
    assert_int_equal(h.response->status, 200);
    assert_string_equal(fake_host_answer(&h, "content-type"), "application/json");
    assert_string_equal(fake_host_answer(&h, "x-content-type-options"), "nosniff");
    assert_true(
        str_eq(h.response->body,
               arena_fmt(&h.arena, "{\"response_token\":\"sha256=%s\"}",
                         webhook_request_sign(&h.arena, "SHA256", 'b', STR("abc"), STR("token")))));
    check_decision(&h, "allow");
    fake_host_fini(&h);
}

static void verify_webhook_xero_intent_with_wrong_signature_gets_401(void **state)
{
    struct fake_host h;

    (void)state;
    start(&h, "{\"events\": [], \"entropy\": \"A\"}");
    fake_host_add(&h, "x-xero-signature", "AAAA");
    assert_int_equal(run(&h, "{provider: xero, secret: abc}"), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_OK);
    assert_int_equal(h.response->status, 401);
    assert_int_equal(h.response->body.n, 0);
    assert_int_equal(h.response->header_count, 0);
    check_decision(&h, "block");
    assert_string_equal(eval(&h, error_code), "ERR_NGROK_3204");
    fake_host_fini(&h);
}

/* ---- Amazon SNS ------------------------------------------------------------------------------ */

static const char sns_url[] = "https://sns.eu-central-1.amazonaws.com/a.pem";
static const char sns_message[] =
    "{\"Type\": \"Notification\", \"MessageId\": \"1\", \"TopicArn\": "
    "\"arn:aws:sns:eu-central-1:123456789012:t\", \"Message\": \"m\", \"Timestamp\": "
    "\"2023-11-14T22:13:20Z\", \"SignatureVersion\": \"2\", \"Signature\": \"{s}\", "
    "\"SigningCertURL\": \"https://sns.eu-central-1.amazonaws.com/a.pem\"}";
static const char sns_signed[] =
    "Message\nm\nMessageId\n1\nTimestamp\n2023-11-14T22:13:20Z\nTopicArn\n"
    "arn:aws:sns:eu-central-1:123456789012:t\nType\nNotification\n";

static void start_sns(struct fake_host *h, const struct webhook_signer *s)
{
    fake_wall_ms = UINT64_C(1700000000000); /* 2023-11-14T22:13:20Z */
    start(h, "");
    h->messages[POLICY_REQUEST].body = str_from(
        webhook_request_replace(&h->arena, sns_message, "{s}",
                                webhook_signer_sign(s, &h->arena, "SHA256", str_from(sns_signed))));
    h->fetches[0] = (struct fake_fetch){
        .url = sns_url, .fetched = { .status = 200, .body = webhook_signer_pem(s, &h->arena) }
    };
}

static void verify_webhook_sns_certificate_is_fetched_once(void **state)
{
    struct webhook_signer *s = webhook_signer_new(2048, 1700000000);
    struct fake_host h;

    (void)state;
    start_sns(&h, s);
    assert_int_equal(run(&h, "{provider: sns}"), POLICY_CONTINUE);
    assert_int_equal(h.suspended, 2); /* for the body and the certificate */
    assert_int_equal(h.shared_count, 1);
    check_decision(&h, "allow");
    assert_int_equal(run(&h, "{provider: sns, secret: \"123456789012\"}"), POLICY_CONTINUE);
    assert_int_equal(h.suspended, 3); /* once more, for the body */
    assert_int_equal(h.shared_count, 1);
    assert_int_equal(run(&h, "{provider: sns, secret: \"123456789013\"}"), POLICY_RESPOND);
    webhook_signer_free(s);
    fake_host_fini(&h);
}

static void verify_webhook_sns_certificate_that_cannot_be_had_blocks(void **state)
{
    struct webhook_signer *s = webhook_signer_new(2048, 1700000000);
    struct fake_host h;

    (void)state;
    start_sns(&h, s);
    h.fetches[0].error = E_FETCH_FAILED;
    assert_int_equal(run(&h, "{provider: sns}"), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_WEBHOOK_UNVERIFIED);
    assert_non_null(strstr(h.response->message, "cannot be had"));
    assert_int_equal(run(&h, "{provider: sns, enforce: false}"), POLICY_CONTINUE);
    h.fetches[0].error = E_OK;
    h.fetches[0].fetched.body = STR("no certificate");
    assert_int_equal(run(&h, "{provider: sns}"), POLICY_RESPOND);
    assert_non_null(strstr(h.response->message, "no good one"));
    check_decision(&h, "block");
    webhook_signer_free(s);
    fake_host_fini(&h);
}

/* ---- configs --------------------------------------------------------------------------------- */

static void verify_webhook_secret_that_fits_nothing_is_a_warning(void **state)
{
    static const struct {
        const char *config;
        const char *needle;
    } cases[] = {
        { "{provider: sns, secret: abc}", "there is no secret" },
        { "{provider: sendgrid, secret: abc}", "public key" },
        { "{provider: svix, secret: 'whsec_?'}", "base64" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_warning(POLICY_ON_HTTP_REQUEST, "verify-webhook", cases[i].config,
                                        cases[i].needle);
}

static void verify_webhook_bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "provider" },
        { "{secret: abc}", E_POLICY_MISSING, "provider" },
        { "{provider: nobody, secret: abc}", E_POLICY_WEBHOOK_PROVIDER, "'nobody'" },
        { "{provider: [github], secret: abc}", E_POLICY_CONFIG, "provider" },
        { "{provider: github}", E_POLICY_WEBHOOK_SECRET, "secret" },
        { "{provider: github, secret: ''}", E_POLICY_WEBHOOK_SECRET, "empty" },
        { "{provider: github, secret: null}", E_POLICY_WEBHOOK_SECRET, "secret" },
        { "{provider: github, secret: '${nothing}'}", E_POLICY_TEMPLATE, "secret" },
        { "{provider: github, secret: abc, enforce: maybe}", E_POLICY_CONFIG, "enforce" },
        { "{provider: github, secret: abc, other: 1}", E_POLICY_CONFIG, "other" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "verify-webhook", cases[i].config,
                                        cases[i].code, cases[i].needle);
}

static void verify_webhook_unknown_provider_lists_the_known(void **state)
{
    static const char text[] = "{on_http_request: [{actions: [{type: verify-webhook, config: "
                               "{provider: nobody, secret: abc}}]}]}";
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        policy_document_parse(STR("test.yml"), str_from(text), &policy_default_limits, problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = {
        .engine = fake_host_engine(),
        .limits = &policy_default_limits,
        .documents = documents,
        .document_count = 1,
        .account = STR("default"),
    };
    struct buf shown;

    (void)state;
    assert_null(policy_compile(&params, problems));
    buf_init(&shown, 8192);
    policy_problems_format(problems, &shown);
    assert_true(str_find(buf_str(&shown), STR("hint: supported: aftership, airship, ")) <
                buf_str(&shown).n);
    assert_true(str_find(buf_str(&shown), STR(", zendesk, zoom\n")) < buf_str(&shown).n);
    buf_fini(&shown);
    policy_document_free(d);
    policy_problems_free(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify_webhook_signed_request_goes_on),
        cmocka_unit_test(verify_webhook_wrong_signature_is_answered_with_403),
        cmocka_unit_test(verify_webhook_without_enforce_goes_on),
        cmocka_unit_test(verify_webhook_old_name_is_taken),
        cmocka_unit_test(verify_webhook_secret_may_be_an_expression),
        cmocka_unit_test(verify_webhook_body_that_cannot_be_had_is_an_error),
        cmocka_unit_test(verify_webhook_request_without_body_is_checked),
        cmocka_unit_test(verify_webhook_url_of_the_client_is_signed),
        cmocka_unit_test(verify_webhook_challenge_is_answered_even_without_enforce),
        cmocka_unit_test(verify_webhook_xero_intent_with_wrong_signature_gets_401),
        cmocka_unit_test(verify_webhook_sns_certificate_is_fetched_once),
        cmocka_unit_test(verify_webhook_sns_certificate_that_cannot_be_had_blocks),
        cmocka_unit_test(verify_webhook_bad_configs_are_refused),
        cmocka_unit_test(verify_webhook_secret_that_fits_nothing_is_a_warning),
        cmocka_unit_test(verify_webhook_unknown_provider_lists_the_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
