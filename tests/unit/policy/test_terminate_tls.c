/*
 * Unit tests of policy/actions/terminate_tls: what a config may say, what the host is asked for, what
 * the result says; and of policy/pem with certificates made for it.
 * Links: tests/unit/policy/fake_host tests/unit/policy/action_scene tests/unit/policy/cert_maker
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/pem.h"
#include "policy/policy.h"
#include "tests/unit/policy/action_scene.h"
#include "tests/unit/policy/cert_maker.h"

#define T POLICY_ON_TCP_CONNECT

static const char action[] = "terminate-tls";

static struct made_cert ca;
static struct made_cert server;
static struct made_cert other;

static int make_certificates(void **state)
{
    (void)state;
    cert_make(&ca, &(struct cert_spec){ .subject = "/O=Example/CN=Clients", .is_ca = true });
    cert_make(&server, &(struct cert_spec){ .subject = "/CN=app", .san = "DNS:app.example.com" });
    cert_make(&other, &(struct cert_spec){ .subject = "/CN=other", .issuer = &ca });
    return 0;
}

static int free_certificates(void **state)
{
    (void)state;
    cert_fini(&ca);
    cert_fini(&server);
    cert_fini(&other);
    return 0;
}

/* A text as a double-quoted scalar of YAML. */
static const char *quoted(const char *text)
{
    struct buf out;
    const char *copy;

    buf_init(&out, SIZE_MAX / 2);
    buf_add_char(&out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buf_add_str(&out, STR("\\n"));
        else
            buf_add_char(&out, *text);
    }
    buf_add_str(&out, STR("\""));
    copy = scene_fmt("%.*s", STR_ARG(buf_str(&out)));
    buf_fini(&out);
    return copy;
}

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_good_configs_takes_them(void **state)
{
    (void)state;
    scene_expect_accepted(T, action, "{}");
    scene_expect_accepted(T, action, "{min_version: '1.3'}");
    scene_expect_accepted(T, action, "{min_version: 1.3, max_version: 1.3}");
    scene_expect_accepted(T, action, "{max_version: '1.2'}");
    scene_expect_accepted(T, action, "{mutual_tls_verification_strategy: request}");
    scene_expect_accepted(T, action, "{mutual_tls_verification_strategy: require-any}");
    scene_expect_accepted(T, action,
                          scene_fmt("{server_certificate: %s, server_private_key: %s}",
                                    quoted(server.cert_pem), quoted(server.key_pem)));
    scene_expect_accepted(T, action,
                          scene_fmt("{mutual_tls_certificate_authorities: [%s, %s]}",
                                    quoted(ca.cert_pem), quoted(ca.cert_pem)));
    scene_expect_accepted(T, action,
                          "{server_certificate: \"${secrets.get('a', 'crt')}\","
                          " server_private_key: \"${secrets.get('a', 'key')}\","
                          " mutual_tls_certificate_authorities: [\"${conn.tls.sni}\"]}");
}

/* Spec traffic-policy 1.10: one text is a list of one. */
static void compile_single_authority_is_a_list_of_one(void **state)
{
    (void)state;
    scene_expect_verdict(T, action,
                         scene_fmt("{mutual_tls_certificate_authorities: %s}", quoted(ca.cert_pem)),
                         POLICY_CONTINUE);
    assert_int_equal(scene.tls.authority_count, 1);
    assert_int_equal(scene.tls.verify, POLICY_TLS_REQUIRE_AND_VERIFY);
}

static void compile_bad_configs_refuses_them(void **state)
{
    const struct scene_refusal cases[] = {
        { "{min_version: '1.1'}", E_POLICY_CHOICE, "config.min_version" },
        { "{max_version: '1.4'}", E_POLICY_CHOICE, "config.max_version" },
        { "{min_version: '1.3', max_version: '1.2'}", E_POLICY_RANGE,
          "config.min_version: 1.3 is above max_version, which is 1.2" },
        { "{server_certificate: x}", E_POLICY_FIELDS_TOGETHER, "server_certificate needs it" },
        { "{server_private_key: x}", E_POLICY_FIELDS_TOGETHER, "server_private_key needs it" },
        { "{server_certificate: x, server_private_key: y}", E_POLICY_UNPARSABLE,
          "config.server_certificate: the text holds no certificate in PEM form" },
        { "{server_certificate: '${', server_private_key: y}", E_POLICY_TEMPLATE,
          "config.server_certificate" },
        { "{mutual_tls_verification_strategy: none}", E_POLICY_CHOICE,
          "config.mutual_tls_verification_strategy" },
        { "{mutual_tls_verification_strategy: require-and-verify}", E_POLICY_FIELDS_TOGETHER,
          "config.mutual_tls_certificate_authorities: require-and-verify needs it" },
        { "{mutual_tls_certificate_authorities: []}", E_POLICY_MISSING,
          "config.mutual_tls_certificate_authorities" },
        { "{mutual_tls_certificate_authorities: [x]}", E_MTLS_NO_PEM,
          "config.mutual_tls_certificate_authorities[0]: the text holds no certificate" },
        { "{mutual_tls_certificate_authorities: {a: b}}", E_POLICY_CONFIG, "it must be a list" },
        { "{certificate: x}", E_POLICY_CONFIG, "unknown field 'certificate'" },
    };

    (void)state;
    scene_expect_refusals(T, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_certificates_that_do_not_fit_refuses_them(void **state)
{
    const struct scene_refusal cases[] = {
        { scene_fmt("{server_certificate: %s, server_private_key: %s}", quoted(server.cert_pem),
                    quoted(other.key_pem)),
          E_POLICY_UNPARSABLE, "config.server_private_key: it is not the key of the certificate" },
        { scene_fmt("{server_certificate: %s, server_private_key: %s}", quoted(server.key_pem),
                    quoted(server.cert_pem)),
          E_POLICY_UNPARSABLE, "are cert and key exchanged?" },
        { scene_fmt("{server_certificate: \"${conn.tls.sni}\", server_private_key: %s}",
                    quoted(server.cert_pem)),
          E_POLICY_UNPARSABLE, "config.server_private_key: the text holds a certificate" },
        { scene_fmt("{server_certificate: %s, server_private_key: %s}",
                    quoted(scene_fmt("%s%s", other.cert_pem, server.cert_pem)),
                    quoted(other.key_pem)),
          E_POLICY_UNPARSABLE, "certificate 1 is not signed by certificate 2" },
        { scene_fmt("{mutual_tls_certificate_authorities: [%s]}", quoted(other.cert_pem)),
          E_MTLS_NOT_CA, "authorities[0]: the text: certificate 1 is not that of an authority" },
        { scene_fmt("{mutual_tls_certificate_authorities: [%s]}",
                    quoted(scene_fmt("%s%s", ca.cert_pem, server.cert_pem))),
          E_MTLS_NOT_CA, "certificate 2 is not that of an authority" },
    };

    (void)state;
    scene_expect_refusals(T, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_stored_authority_warns(void **state)
{
    (void)state;
    fake_host_expect_config_warning(T, action, "{mutual_tls_certificate_authorities: [ca_123]}",
                                    "this gateway stores no authorities, so 'ca_123' lets nobody");
}

static bool compiles_for(unsigned protocols, struct err *e)
{
    static const char text[] = "on_tcp_connect: [{actions: [{type: terminate-tls}]}]";
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *document =
        policy_document_parse(STR("test"), str_from(text), &policy_default_limits, problems);
    const struct policy_document *documents[] = { document };
    struct counted *policy = policy_compile(
        &(struct policy_params){
            .engine = fake_host_engine(),
            .limits = &policy_default_limits,
            .documents = documents,
            .document_count = 1,
            .protocols = protocols,
        },
        problems);

    if (policy != NULL)
        assert_true(policy_ends_tls(policy));
    policy_problems_first(problems, e);
    counted_unref(policy);
    policy_document_free(document);
    policy_problems_free(problems);
    return policy != NULL;
}

static void compile_for_plain_http_only_is_refused(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_true(compiles_for(POLICY_HTTPS, &e));
    assert_true(compiles_for(POLICY_TLS, &e));
    assert_true(compiles_for(POLICY_TCP, &e));
    assert_true(compiles_for(POLICY_HTTP | POLICY_HTTPS, &e));
    assert_true(compiles_for(0, &e));
    assert_false(compiles_for(POLICY_HTTP, &e));
    assert_int_equal(e.code, E_POLICY_PROTOCOL);
    assert_non_null(strstr(e.msg, "not available in on_tcp_connect of http endpoints"));
}

static void policy_ends_tls_knows_who_does(void **state)
{
    struct counted *policy =
        fake_host_compile("on_tcp_connect: [{actions: [{type: restrict-ips, config: "
                          "{allow: ['::/0']}}]}]");

    (void)state;
    assert_false(policy_ends_tls(policy));
    assert_false(policy_ends_tls(NULL));
    counted_unref(policy);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_empty_config_asks_for_the_defaults(void **state)
{
    (void)state;
    scene_expect_verdict(T, action, "{}", POLICY_CONTINUE);
    assert_int_equal(scene.suspended, 1);
    assert_int_equal(scene.tls_count, 1);
    assert_int_equal(scene.tls.min_version, POLICY_TLS_1_2);
    assert_int_equal(scene.tls.max_version, POLICY_TLS_1_3);
    assert_int_equal(scene.tls.verify, POLICY_TLS_NO_CERTIFICATE);
    assert_int_equal(scene.tls.certificate.n, 0);
    assert_int_equal(scene.tls.key.n, 0);
    assert_int_equal(scene.tls.authority_count, 0);
}

static void run_hands_over_what_is_configured(void **state)
{
    (void)state;
    scene_expect_verdict(T, action,
                         scene_fmt("{min_version: 1.3, server_certificate: %s, "
                                   "server_private_key: %s, mutual_tls_verification_strategy: "
                                   "require-any, mutual_tls_certificate_authorities: [%s]}",
                                   quoted(server.cert_pem), quoted(server.key_pem),
                                   quoted(ca.cert_pem)),
                         POLICY_CONTINUE);
    assert_int_equal(scene.tls.min_version, POLICY_TLS_1_3);
    assert_int_equal(scene.tls.verify, POLICY_TLS_REQUIRE_ANY);
    scene_expect_text(scene.tls.certificate, server.cert_pem);
    scene_expect_text(scene.tls.key, server.key_pem);
    assert_int_equal(scene.tls.authority_count, 1);
}

static void run_evaluates_fields_for_the_connection(void **state)
{
    (void)state;
    scene.secrets[0] = (struct fake_secret){ "pki", "ca", ca.cert_pem };
    scene.secrets[1] = (struct fake_secret){ "pki", "crt", server.cert_pem };
    scene.secrets[2] = (struct fake_secret){ "pki", "key", server.key_pem };
    scene_expect_verdict(T, action,
                         "{server_certificate: \"${secrets.get('pki', 'crt')}\","
                         " server_private_key: \"${secrets.get('pki', 'key')}\","
                         " mutual_tls_certificate_authorities: "
                         "[\"${secrets.get('pki', 'ca')}\"]}",
                         POLICY_CONTINUE);
    scene_expect_text(scene.tls.key, server.key_pem);
    assert_int_equal(scene.tls.authority_count, 1);
    assert_true(str_starts(scene.tls.authorities[0], STR("-----BEGIN CERTIFICATE-----")));
}

static void run_field_that_fails_closes_before_the_handshake(void **state)
{
    (void)state;
    scene_expect_verdict(T, action,
                         "{mutual_tls_certificate_authorities: [\"${secrets.get('pki', 'ca')}\"]}",
                         POLICY_CLOSE);
    assert_int_equal(scene.tls_count, 0);
}

static void run_text_that_the_host_refuses_closes(void **state)
{
    (void)state;
    (void)err_set(&scene.tls_error, E_CERTIFICATE_PEM, "no certificate");
    scene_expect_verdict(T, action, "{}", POLICY_CLOSE);
}

static void run_stored_authority_trusts_nobody_and_is_named(void **state)
{
    (void)state;
    scene_expect_verdict(
        T, action,
        scene_fmt("{mutual_tls_certificate_authorities: [ca_1, %s, ca_2]}", quoted(ca.cert_pem)),
        POLICY_CONTINUE);
    assert_int_equal(scene.tls.authority_count, 1);
    scene_expect_eval(T, "actions.ngrok.terminate_tls.warnings",
                      "[\"there is no certificate authority 'ca_1'\","
                      "\"there is no certificate authority 'ca_2'\"]");
    scene_restart();
    scene_expect_verdict(T, action, "{mutual_tls_certificate_authorities: [ca_1]}",
                         POLICY_CONTINUE);
    assert_int_equal(scene.tls.authority_count, 0);
    assert_int_equal(scene.tls.verify, POLICY_TLS_REQUIRE_AND_VERIFY);
}

static void run_second_action_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&scene,
                              "on_tcp_connect: [{actions: [{type: terminate-tls}]}, {actions: "
                              "[{type: terminate-tls, config: {min_version: 1.3}}]}]",
                              T),
                     POLICY_CONTINUE);
    assert_int_equal(scene.tls_count, 1);
    assert_int_equal(scene.tls.min_version, POLICY_TLS_1_2);
}

static void run_result_says_what_the_handshake_came_to(void **state)
{
    (void)state;
    fake_host_set_var(&scene, VAR_CONN_TLS_SNI, cel_string(STR("app.example.com")));
    fake_host_set_var(&scene, VAR_CONN_TLS_CIPHER_SUITE, cel_string(STR("TLS_AES_128_GCM_SHA256")));
    fake_host_set_var(&scene, VAR_CONN_TLS_CLIENT_SUBJECT, cel_string(STR("CN=alice")));
    fake_host_set_var(&scene, VAR_CONN_TLS_CLIENT_SUBJECT_COMMON_NAME, cel_string(STR("alice")));
    scene_expect_verdict(T, action, "{}", POLICY_CONTINUE);
    scene_expect_eval(T, "actions.ngrok.terminate_tls",
                      "{\"cipher_suite\":\"TLS_AES_128_GCM_SHA256\",\"sni\":\"app.example.com\","
                      "\"version\":\"1.3\",\"warnings\":[],"
                      "\"error\":{\"code\":\"\",\"message\":\"\"}}");
    scene_expect_eval(T, "actions.ngrok.terminate_tls.client.subject", "CN=alice");
    scene_expect_eval(T, "actions.sallyport.terminate_tls.client.subject.common_name", "alice");
}

static void run_without_a_reader_makes_no_result(void **state)
{
    (void)state;
    scene_expect_no_result(T, action, "{}", "terminate_tls");
}

/* ---- PEM ------------------------------------------------------------------------------------- */

static void parse_more_than_the_limits_is_refused(void **state)
{
    struct str pem = str_from(scene_repeat(PEM_AUTHORITIES_MAX + 1, ca.cert_pem, ""));
    STACK_OF(X509) *all = sk_X509_new_null();
    char *large = mem_zalloc(PEM_MAX_BYTES + 1);
    struct err e = { 0 };

    (void)state;
    assert_int_equal(pem_parse_authorities(pem, "it", all, &e), -1);
    assert_string_equal(e.msg, "it holds more than 200 certificates");
    pem_chain_free(all);
    assert_null(pem_parse_chain(str_of(large, PEM_MAX_BYTES + 1), "it", &e));
    assert_string_equal(e.msg, "it is larger than 1048576 bytes");
    assert_null(pem_parse_key(str_of(large, PEM_MAX_BYTES + 1), "it", &e));
    mem_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_good_configs_takes_them),
        SCENE_TEST(compile_single_authority_is_a_list_of_one),
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_certificates_that_do_not_fit_refuses_them),
        SCENE_TEST(compile_stored_authority_warns),
        SCENE_TEST(compile_for_plain_http_only_is_refused),
        SCENE_TEST(policy_ends_tls_knows_who_does),
        SCENE_TEST(run_empty_config_asks_for_the_defaults),
        SCENE_TEST(run_hands_over_what_is_configured),
        SCENE_TEST(run_evaluates_fields_for_the_connection),
        SCENE_TEST(run_field_that_fails_closes_before_the_handshake),
        SCENE_TEST(run_text_that_the_host_refuses_closes),
        SCENE_TEST(run_stored_authority_trusts_nobody_and_is_named),
        SCENE_TEST(run_second_action_is_skipped),
        SCENE_TEST(run_result_says_what_the_handshake_came_to),
        SCENE_TEST(run_without_a_reader_makes_no_result),
        SCENE_TEST(parse_more_than_the_limits_is_refused),
    };

    return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
