#include "tests/unit/policy/cert_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

enum { RSA_BITS = 2048 };

static EVP_PKEY *make_key(const char *type)
{
    EVP_PKEY *key;

    if (type != NULL && strcmp(type, "RSA") == 0)
        key = EVP_RSA_gen(RSA_BITS);
    else if (type != NULL && strcmp(type, "ED25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        key = EVP_EC_gen("P-256");
    assert_non_null(key);
    return key;
}

/* "/C=US/CN=x"; values in UTF-8, "+" is no separator. */
static void add_names(X509_NAME *name, struct str text)
{
    while (text.n > 0) {
        struct str part = str_slice(text, 1, 1 + str_find_char(str_skip(text, 1), '/'));
        size_t equals = str_find_char(part, '=');
        struct str value = str_skip(part, equals + 1);
        char *type = str_dup(str_slice(part, 0, equals));

        assert_int_equal(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8,
                                                    (const unsigned char *)value.p, (int)value.n,
                                                    -1, 0),
                         1);
        mem_free(type);
        text = str_skip(text, 1 + part.n);
    }
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext;

    if (value == NULL)
        return;
    ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void set_serial(X509 *cert, const char *hex)
{
    BIGNUM *n = NULL;

    assert_true(BN_hex2bn(&n, hex != NULL ? hex : "07") > 0);
    assert_non_null(BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)));
    BN_free(n);
}

static void set_times(X509 *cert, const struct cert_spec *spec)
{
    time_t from = (time_t)spec->not_before;
    time_t to = (time_t)spec->not_after;

    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    if (from != 0)
        (void)ASN1_TIME_set(X509_getm_notBefore(cert), from);
    if (to != 0)
        (void)ASN1_TIME_set(X509_getm_notAfter(cert), to);
}

static void sign(X509 *cert, EVP_PKEY *key, const struct cert_spec *spec)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how;
    const EVP_MD *digest = EVP_get_digestbyname(spec->digest != NULL ? spec->digest : "SHA256");

    if (EVP_PKEY_is_a(key, "ED25519"))
        digest = NULL;
    assert_int_equal(EVP_DigestSignInit(ctx, &how, digest, NULL, key), 1);
    if (spec->pss)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
    assert_true(X509_sign_ctx(cert, ctx) > 0);
    EVP_MD_CTX_free(ctx);
}

static char *bio_text(BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    char *text = str_dup(str_of(p, (size_t)n));

    BIO_free(bio);
    return text;
}

static void write_pem(struct made_cert *c)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, c->cert), 1);
    c->cert_pem = bio_text(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, c->key, NULL, NULL, 0, NULL, NULL), 1);
    c->key_pem = bio_text(bio);
}

void cert_make(struct made_cert *out, const struct cert_spec *spec)
{
    const struct made_cert *issuer = spec->issuer != NULL ? spec->issuer : out;

    *out = (struct made_cert){ .cert = X509_new(), .key = make_key(spec->key) };
    (void)X509_set_version(out->cert, X509_VERSION_3);
    set_serial(out->cert, spec->serial);
    set_times(out->cert, spec);
    (void)X509_set_pubkey(out->cert, out->key);
    add_names(X509_get_subject_name(out->cert), str_from(spec->subject));
    (void)X509_set_issuer_name(out->cert, X509_get_subject_name(issuer->cert));
    if (spec->is_ca)
        add_extension(out->cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(out->cert, NID_subject_alt_name, spec->san);
    add_extension(out->cert, NID_ext_key_usage, spec->usage);
    sign(out->cert, issuer->key, spec);
    write_pem(out);
}

void cert_fini(struct made_cert *c)
{
    X509_free(c->cert);
    EVP_PKEY_free(c->key);
    mem_free(c->cert_pem);
    mem_free(c->key_pem);
}
