#include "tests/unit/policy/webhook_signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/base64.h"
#include "base/mem.h"

enum { HALF_YEAR = 183 * 24 * 60 * 60, SIGNATURE_MAX_BYTES = 1024 };

struct webhook_signer {
    EVP_PKEY *key; /* owned */
    X509 *x509;    /* owned */
};

struct webhook_signer *webhook_signer_new(unsigned bits, int64_t now)
{
    struct webhook_signer *s = mem_zalloc(sizeof(*s));

    s->key = EVP_RSA_gen(bits);
    s->x509 = X509_new();
    assert_non_null(s->key);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(s->x509), (time_t)(now - HALF_YEAR)));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(s->x509), (time_t)(now + HALF_YEAR)));
    assert_int_equal(X509_set_pubkey(s->x509, s->key), 1);
    assert_int_not_equal(X509_sign(s->x509, s->key, EVP_sha256()), 0);
    return s;
}

void webhook_signer_free(struct webhook_signer *s)
{
    EVP_PKEY_free(s->key);
    X509_free(s->x509);
    mem_free(s);
}

struct str webhook_signer_pem(const struct webhook_signer *s, struct arena *a)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct str pem;
    char *p;
    long n;

    assert_int_equal(PEM_write_bio_X509(bio, s->x509), 1);
    n = BIO_get_mem_data(bio, &p);
    pem = arena_str(a, str_of(p, (size_t)n));
    BIO_free(bio);
    return pem;
}

const char *webhook_signer_sign(const struct webhook_signer *s, struct arena *a, const char *hash,
                                struct str payload)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[SIGNATURE_MAX_BYTES];
    char text[2 * SIGNATURE_MAX_BYTES];
    size_t n = sizeof(signature);

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, hash, NULL, NULL, s->key, NULL), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &n, (const unsigned char *)payload.p, payload.n), 1);
    EVP_MD_CTX_free(ctx);
    base64_encode(str_of((const char *)signature, n), text);
    text[base64_text_bytes(n)] = '\0';
    return arena_fmt(a, "%s", text).p;
}
