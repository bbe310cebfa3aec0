/*
 * Unit tests of gateway/tls_upload and gateway/tls_attached: each fault of a pair, what a leaf says, and which
 * domain is served with what.
 * Links: tests/unit/gateway/self_signed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "gateway/tls_attached.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_upload.h"
#include "tests/unit/gateway/self_signed.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PEM_BYTES = 8192 };

static char cert_pem[PEM_BYTES];
static char key_pem[PEM_BYTES];
static char other_cert_pem[PEM_BYTES];
static char other_key_pem[PEM_BYTES];
static char locked_key_pem[PEM_BYTES];
static char odd_key_pem[PEM_BYTES];
static char large_key_pem[PEM_BYTES];

static void take_text(BIO *bio, char out[PEM_BYTES])
{
    int n = BIO_read(bio, out, PEM_BYTES - 1);

    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(bio);
}

static void write_key(EVP_PKEY *key, const char *password, char out[PEM_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
                         bio, key, password != NULL ? EVP_aes_128_cbc() : NULL, password,
                         password != NULL ? (int)strlen(password) : 0, NULL, NULL),
                     1);
    take_text(bio, out);
}

/* Names with a NUL in them, which no JSON that is stored can have. */
static void add_odd_names(X509 *cert, EVP_PKEY *key)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(text, "a\0b", 3), 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    assert_int_not_equal(sk_GENERAL_NAME_push(names, name), 0);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE),
                     1);
    GENERAL_NAMES_free(names);
    assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_localityName,
                                                MBSTRING_ASC, (const unsigned char *)"a\0b", 3, -1,
                                                0),
                     1);
    assert_int_not_equal(X509_sign(cert, key, EVP_sha256()), 0);
}

static void make_pair(char cert_out[PEM_BYTES], char key_out[PEM_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key;
    X509 *cert;

    self_signed_new(&key, &cert);
    if (cert_out == other_cert_pem)
        add_odd_names(cert, key);
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    take_text(bio, cert_out);
    write_key(key, NULL, key_out);
    if (cert_out == cert_pem)
        write_key(key, "secret", locked_key_pem);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* Of several primes, which are found sooner. */
static EVP_PKEY *make_large_key(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 5120), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 4), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static int set_up(void **state)
{
    EVP_PKEY *large = make_large_key();
    EVP_PKEY *odd = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

    (void)state;
    make_pair(cert_pem, key_pem);
    make_pair(other_cert_pem, other_key_pem);
    write_key(odd, NULL, odd_key_pem);
    EVP_PKEY_free(odd);
    write_key(large, NULL, large_key_pem);
    EVP_PKEY_free(large);
    return 0;
}

static json_t *read_pair(const char *cert, const char *key, enum api_pair_fault *fault)
{
    struct err e = { .code = E_OK };
    json_t *members = tls_upload_read(str_from(cert), str_from(key), fault, &e);

    if (members == NULL)
        assert_int_equal(e.code, E_CERTIFICATE_PEM);
    return members;
}

static void read_faults(void **state)
{
    static char two[2 * PEM_BYTES];
    static char cut[PEM_BYTES];
    static char headers[2 * PEM_BYTES];
    const struct {
        const char *cert;
        const char *key;
        enum api_pair_fault fault;
    } rows[] = {
        { cert_pem, key_pem, API_PAIR_FINE },
        { " \n", key_pem, API_PAIR_EMPTY },
        { "hello", key_pem, API_PAIR_NO_PEM },
        { cut, key_pem, API_PAIR_DAMAGED },
        { "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", key_pem,
          API_PAIR_DAMAGED },
        { headers, key_pem, API_PAIR_HEADERS },
        { "-----BEGIN PUBLIC KEY-----\naGVsbG8=\n-----END PUBLIC KEY-----\n", key_pem,
          API_PAIR_TYPE },
        { key_pem, cert_pem, API_PAIR_CERT_IS_KEY },
        { two, key_pem, API_PAIR_ORDER },
        { cert_pem, locked_key_pem, API_PAIR_KEY_ENCRYPTED },
        { cert_pem, "hello", API_PAIR_KEY_TYPE },
        { cert_pem, odd_key_pem, API_PAIR_KEY_TYPE },
        { cert_pem, large_key_pem, API_PAIR_KEY_TYPE },
        { cert_pem, cert_pem, API_PAIR_KEY_IS_CERT },
        { cert_pem, other_key_pem, API_PAIR_OTHER_KEY },
    };

    (void)state;
    (void)snprintf(two, sizeof(two), "%s%s", cert_pem, other_cert_pem);
    (void)snprintf(cut, sizeof(cut), "%.100s", cert_pem);
    (void)snprintf(headers, sizeof(headers), "-----BEGIN CERTIFICATE-----\nX: y\n\n%s",
                   cert_pem + strlen("-----BEGIN CERTIFICATE-----\n"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum api_pair_fault fault;
        json_t *members = read_pair(rows[i].cert, rows[i].key, &fault);

        if (fault != rows[i].fault)
            print_error("row %zu: %d\n", i, (int)fault);
        assert_int_equal(fault, rows[i].fault);
        assert_int_equal(members != NULL, fault == API_PAIR_FINE);
        json_decref(members);
    }
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text != NULL ? text : "(none)";
}

static void read_tells_what_the_leaf_says(void **state)
{
    enum api_pair_fault fault;
    json_t *o = read_pair(cert_pem, key_pem, &fault);
    const json_t *names = json_object_get(o, "subject_alternative_names");
    const json_t *dns = json_object_get(names, "dns_names");
    const json_t *ips = json_object_get(names, "ips");

    (void)state;
    assert_string_equal(text_of(o, "subject_common_name"), "up");
    assert_string_equal(text_of(o, "issuer_common_name"), "up");
    assert_string_equal(text_of(o, "subject_country"), "");
    assert_string_equal(text_of(o, "serial_number"), "01");
    assert_string_equal(text_of(o, "private_key_type"), "ecdsa");
    assert_int_equal(strlen(text_of(o, "not_before")), 20);
    assert_int_equal(json_array_size(dns), 1);
    assert_string_equal(json_string_value(json_array_get(dns, 0)), "up.test");
    assert_string_equal(json_string_value(json_array_get(ips, 0)), "127.0.0.1");
    assert_true(json_is_array(json_object_get(o, "key_usages")));
    assert_true(json_is_array(json_object_get(o, "extended_key_usages")));
    json_decref(o);
}

static void read_tells_nothing_that_could_not_be_stored(void **state)
{
    enum api_pair_fault fault;
    json_t *o = read_pair(other_cert_pem, other_key_pem, &fault);
    char *text = json_dumps(o, JSON_COMPACT);
    json_t *again = json_loads(text, 0, NULL);

    (void)state;
    assert_int_equal(fault, API_PAIR_FINE);
    assert_non_null(again);
    assert_string_equal(text_of(again, "subject_locality"), "");
    json_decref(again);
    free(text);
    json_decref(o);
}

static void attached_find_prefers_the_closest_domain(void **state)
{
    static const struct {
        const char *host;
        const char *domain; /* whose certificate; "": none */
    } rows[] = {
        { "a.com", "a.com" },
        { "b.a.com", "*.a.com" },
        { "x.y.a.com", "*.a.com" },
        { "c.b.a.com", "*.b.a.com" },
        { "d.c.b.a.com", "*.b.a.com" },
        { "com", "" },
        { "b.com", "" },
        { "xa.com", "" },
    };
    static const char *const domains[] = { "a.com", "*.a.com", "*.b.a.com" };
    struct tls_attached *a = tls_attached_new();
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT(domains); i++) {
        assert_int_equal(
            tls_attached_add(a, str_from(domains[i]), str_from(cert_pem), str_from(key_pem), &e),
            0);
        assert_true(tls_attached_attach(a, str_from(domains[i]), str_from(domains[i])));
    }
    assert_true(tls_attached_is(a, STR("a.com"), STR("a.com")));
    assert_false(tls_attached_is(a, STR("a.com"), STR("*.a.com")));
    assert_false(tls_attached_is(a, STR("a.com"), STR("")));
    assert_true(tls_attached_is(a, STR("b.a.com"), STR("")));
    assert_false(tls_attached_attach(a, STR("a.com"), STR("a.com")));
    assert_false(tls_attached_attach(a, STR("z.com"), STR("nope")));
    assert_int_equal(tls_attached_add(a, STR("bad"), STR("x"), STR("y"), &e), -1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct tls_pair *found = tls_attached_find(a, str_from(rows[i].host));

        assert_ptr_equal(found, rows[i].domain[0] != '\0'
                                    ? tls_attached_find(a, str_from(rows[i].domain))
                                    : NULL);
    }
    tls_attached_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_faults),
        cmocka_unit_test(read_tells_what_the_leaf_says),
        cmocka_unit_test(read_tells_nothing_that_could_not_be_stored),
        cmocka_unit_test(attached_find_prefers_the_closest_domain),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
