/*
 * Unit tests of gateway/tls_profile: settings become profiles, once, bad texts are told, and who may
 * come in.
 * Links: tests/unit/policy/cert_maker
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "gateway/tls_profile.h"
#include "policy/host.h"
#include "tests/unit/policy/cert_maker.h"

enum { CACHE_MAX = 3, CERTIFICATES_MAX_BYTES = 65536 };

static struct made_cert ca;
static struct made_cert server;
static struct made_cert client;
static struct tls_profiles *profiles;

static int make_all(void **state)
{
    (void)state;
    cert_make(&ca, &(struct cert_spec){ .subject = "/CN=Clients", .is_ca = true });
    cert_make(&server, &(struct cert_spec){ .subject = "/CN=app", .san = "DNS:app.example.com" });
    cert_make(&client, &(struct cert_spec){ .subject = "/CN=alice", .issuer = &ca });
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    cert_fini(&ca);
    cert_fini(&server);
    cert_fini(&client);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    profiles = tls_profiles_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_profiles_free(profiles);
    return 0;
}

static struct policy_tls with_versions(enum policy_tls_version min, enum policy_tls_version max)
{
    return (struct policy_tls){ .min_version = min, .max_version = max };
}

static struct tls_profile *get(const struct policy_tls *settings)
{
    struct err e = { 0 };
    struct tls_profile *p = tls_profiles_get(profiles, settings, CACHE_MAX, &e);

    if (p == NULL)
        fail_msg("refused: %s", e.msg);
    return p;
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void get_same_settings_gives_the_same_profile(void **state)
{
    struct policy_tls settings = with_versions(POLICY_TLS_1_3, POLICY_TLS_1_3);
    struct tls_profile *first;
    struct tls_profile *second;

    (void)state;
    settings.certificate = str_from(server.cert_pem);
    settings.key = str_from(server.key_pem);
    first = get(&settings);
    second = get(&settings);
    assert_ptr_equal(first, second);
    assert_true(tls_profile_has_certificate(first));
    assert_false(tls_profile_is_mutual(first));
    assert_int_equal(tls_profiles_count(profiles), 1);
    tls_profile_unref(first);
    tls_profile_unref(second);
}

static void get_other_settings_gives_another_profile(void **state)
{
    const struct str authority = str_from(ca.cert_pem);
    const struct str halves[] = { str_slice(authority, 0, 10), str_skip(authority, 10) };
    struct policy_tls settings[] = { with_versions(POLICY_TLS_1_2, POLICY_TLS_1_2),
                                     with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3),
                                     with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3),
                                     with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3) };
    struct tls_profile *made[4];

    (void)state;
    settings[2].verify = settings[3].verify = POLICY_TLS_REQUIRE_ANY;
    settings[2].authorities = &authority;
    settings[2].authority_count = 1;
    settings[3].authorities = halves; /* the same bytes, in other texts */
    settings[3].authority_count = 2;
    for (size_t i = 0; i < 4; i++)
        made[i] = get(&settings[i]);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = i + 1; k < 4; k++)
            assert_memory_not_equal(tls_profile_id(made[i]), tls_profile_id(made[k]),
                                    TLS_PROFILE_ID_BYTES);
    }
    for (size_t i = 0; i < 4; i++)
        tls_profile_unref(made[i]);
}

static void get_beyond_the_limit_drops_the_least_recently_used(void **state)
{
    struct policy_tls settings[] = { with_versions(POLICY_TLS_1_2, POLICY_TLS_1_2),
                                     with_versions(POLICY_TLS_1_3, POLICY_TLS_1_3),
                                     with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3),
                                     with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3) };
    struct tls_profile *first = get(&settings[0]);
    struct tls_profile *again;

    (void)state;
    settings[3].verify = POLICY_TLS_REQUEST;
    for (size_t i = 1; i < 4; i++)
        tls_profile_unref(get(&settings[i]));
    assert_int_equal(tls_profiles_count(profiles), CACHE_MAX);
    again = get(&settings[0]);
    assert_ptr_not_equal(first, again); /* who still has it keeps it */
    assert_memory_equal(tls_profile_id(first), tls_profile_id(again), TLS_PROFILE_ID_BYTES);
    tls_profile_unref(first);
    tls_profile_unref(again);
}

static void get_bad_texts_is_refused_and_not_kept(void **state)
{
    const struct str leaf = str_from(client.cert_pem);
    const struct str none = STR("none");
    const struct {
        const char *certificate;
        const char *key;
        const struct str *authority;
        enum err_code code;
    } cases[] = {
        { "none", server.key_pem, NULL, E_CERTIFICATE_PEM },
        { server.cert_pem, "none", NULL, E_CERTIFICATE_PEM },
        { server.cert_pem, client.key_pem, NULL, E_CERTIFICATE_PAIR },
        { "", "", &none, E_MTLS_NO_PEM },
        { "", "", &leaf, E_MTLS_NOT_CA },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_tls settings = with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3);
        struct err e = { 0 };

        settings.certificate = str_from(cases[i].certificate);
        settings.key = str_from(cases[i].key);
        settings.authorities = cases[i].authority;
        settings.authority_count = cases[i].authority != NULL;
        if (cases[i].authority != NULL)
            settings.verify = POLICY_TLS_REQUIRE_AND_VERIFY;
        assert_null(tls_profiles_get(profiles, &settings, CACHE_MAX, &e));
        assert_int_equal(e.code, cases[i].code);
    }
    assert_int_equal(tls_profiles_count(profiles), 0);
}

/* ---- applying -------------------------------------------------------------------------------- */

static void apply_sets_what_it_says(void **state)
{
    const struct str authority = str_from(ca.cert_pem);
    struct policy_tls settings = with_versions(POLICY_TLS_1_3, POLICY_TLS_1_3);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl = SSL_new(ctx);
    struct tls_profile *p;
    struct err e;

    (void)state;
    settings.verify = POLICY_TLS_REQUIRE_AND_VERIFY;
    settings.authorities = &authority;
    settings.authority_count = 1;
    settings.certificate = str_from(server.cert_pem);
    settings.key = str_from(server.key_pem);
    p = get(&settings);
    assert_int_equal(tls_profile_apply(p, ssl, CERTIFICATES_MAX_BYTES, &e), 0);
    assert_int_equal(SSL_get_min_proto_version(ssl), TLS1_3_VERSION);
    assert_int_equal(SSL_get_max_proto_version(ssl), TLS1_3_VERSION);
    assert_int_equal(SSL_get_verify_mode(ssl), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    assert_true((SSL_get_options(ssl) & SSL_OP_NO_TICKET) != 0);
    assert_int_equal(SSL_get_num_tickets(ssl), 0);
    assert_int_equal(SSL_get_max_cert_list(ssl), CERTIFICATES_MAX_BYTES);
    assert_int_equal(sk_X509_NAME_num(SSL_get_client_CA_list(ssl)), 1);
    assert_int_equal(X509_cmp(SSL_get_certificate(ssl), server.cert), 0);
    tls_profile_unref(p);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void apply_weak_key_is_refused(void **state)
{
    struct policy_tls settings = with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl = SSL_new(ctx);
    struct tls_profile *p;
    struct err e = { 0 };

    (void)state;
    SSL_set_security_level(ssl, 5); /* nothing of ours is strong enough */
    settings.certificate = str_from(server.cert_pem);
    settings.key = str_from(server.key_pem);
    p = get(&settings);
    assert_int_equal(tls_profile_apply(p, ssl, CERTIFICATES_MAX_BYTES, &e), -1);
    assert_int_equal(e.code, E_CERTIFICATE_PEM);
    tls_profile_unref(p);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

/* ---- verifying ------------------------------------------------------------------------------- */

static int verify(enum policy_tls_verify how, const struct made_cert *visitor, const char **why)
{
    const struct str authority = str_from(ca.cert_pem);
    struct policy_tls settings = with_versions(POLICY_TLS_1_2, POLICY_TLS_1_3);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE *store = X509_STORE_new();
    struct tls_profile *p;
    int rc;

    settings.verify = how;
    settings.authorities = &authority;
    settings.authority_count = 1;
    p = get(&settings);
    assert_int_equal(X509_STORE_add_cert(store, ca.cert), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, visitor->cert, NULL), 1);
    *why = NULL;
    rc = tls_profile_verify(p, ctx, why);
    if (rc == 0)
        assert_int_equal(X509_STORE_CTX_get_error(ctx), X509_V_ERR_CERT_REJECTED);
    tls_profile_unref(p);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return rc;
}

static void verify_follows_the_strategy(void **state)
{
    struct made_cert expired;
    const char *why;

    (void)state;
    cert_make(&expired, &(struct cert_spec){ .subject = "/CN=old",
                                             .issuer = &ca,
                                             .not_before = 1000000000,
                                             .not_after = 1000003600 });
    assert_int_equal(verify(POLICY_TLS_REQUIRE_AND_VERIFY, &client, &why), 1);
    assert_int_equal(verify(POLICY_TLS_REQUIRE_AND_VERIFY, &server, &why), 0);
    assert_non_null(strstr(why, "self-signed"));
    assert_int_equal(verify(POLICY_TLS_REQUIRE_AND_VERIFY, &expired, &why), 0);
    assert_non_null(strstr(why, "expired"));
    assert_int_equal(verify(POLICY_TLS_REQUIRE_ANY, &server, &why), 1);
    assert_int_equal(verify(POLICY_TLS_REQUEST, &expired, &why), 1);
    cert_fini(&expired);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(get_same_settings_gives_the_same_profile),
        TEST(get_other_settings_gives_another_profile),
        TEST(get_beyond_the_limit_drops_the_least_recently_used),
        TEST(get_bad_texts_is_refused_and_not_kept),
        TEST(apply_sets_what_it_says),
        TEST(apply_weak_key_is_refused),
        TEST(verify_follows_the_strategy),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}
