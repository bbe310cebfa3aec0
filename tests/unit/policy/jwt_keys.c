#include "tests/unit/policy/jwt_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/mem.h"

enum { SIGNATURE_MAX_BYTES = 1024, COORDINATE_MAX_BYTES = 66 };

EVP_PKEY *jwt_keys_new(const char *kind)
{
    EVP_PKEY *key;

    if (strcmp(kind, "RSA") == 0)
        key = EVP_RSA_gen(2048);
    else if (strcmp(kind, "RSA-1024") == 0)
        key = EVP_RSA_gen(1024);
    else if (kind[0] == 'P')
        key = EVP_EC_gen(kind);
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    assert_non_null(key);
    return key;
}

void jwt_keys_add_base64url(struct buf *out, struct str bytes)
{
    char *text = mem_alloc(base64_text_bytes(bytes.n));

    base64_encode(bytes, text);
    for (size_t i = 0; i < base64_text_bytes(bytes.n) && text[i] != '='; i++)
        buf_add_char(out, text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    mem_free(text);
}

static void add_member(struct buf *out, const char *name, struct str bytes)
{
    buf_add_fmt(out, ",\"%s\":\"", name);
    jwt_keys_add_base64url(out, bytes);
    buf_add_char(out, '"');
}

static void add_number(struct buf *out, EVP_PKEY *key, const char *name, const char *param,
                       size_t bytes)
{
    unsigned char number[SIGNATURE_MAX_BYTES];
    BIGNUM *bn = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
    if (bytes == 0)
        bytes = (size_t)BN_num_bytes(bn);
    assert_int_equal(BN_bn2binpad(bn, number, (int)bytes), (int)bytes);
    add_member(out, name, str_of((const char *)number, bytes));
    BN_free(bn);
}

static size_t coordinate_bytes(EVP_PKEY *key)
{
    return ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
}

static void add_raw(struct buf *out, EVP_PKEY *key)
{
    unsigned char raw[COORDINATE_MAX_BYTES];
    size_t n = sizeof(raw);

    assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &n), 1);
    add_member(out, "x", str_of((const char *)raw, n));
}

void jwt_keys_add_jwk(struct buf *out, EVP_PKEY *key, const char *more)
{
    static const struct {
        int bits;
        const char *crv;
    } curves[] = { { 256, "P-256" }, { 384, "P-384" }, { 521, "P-521" } };

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        buf_add_fmt(out, "{\"kty\":\"RSA\"%s", more);
        add_number(out, key, "n", OSSL_PKEY_PARAM_RSA_N, 0);
        add_number(out, key, "e", OSSL_PKEY_PARAM_RSA_E, 0);
        break;
    case EVP_PKEY_EC:
        for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
            if (EVP_PKEY_get_bits(key) == curves[i].bits)
                buf_add_fmt(out, "{\"kty\":\"EC\",\"crv\":\"%s\"%s", curves[i].crv, more);
        }
        add_number(out, key, "x", OSSL_PKEY_PARAM_EC_PUB_X, coordinate_bytes(key));
        add_number(out, key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_bytes(key));
        break;
    default:
        buf_add_fmt(out, "{\"kty\":\"OKP\",\"crv\":\"%s\"%s",
                    EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? "Ed25519" : "Ed448", more);
        add_raw(out, key);
        break;
    }
    buf_add_char(out, '}');
}

static const EVP_MD *digest_of(const char *alg)
{
    if (strcmp(alg, "EdDSA") == 0)
        return NULL;
    if (strcmp(alg + 2, "256") == 0)
        return EVP_sha256();
    return strcmp(alg + 2, "384") == 0 ? EVP_sha384() : EVP_sha512();
}

/* The two numbers of a DER signature, side by side (RFC 7518 section 3.4). */
static size_t flatten(EVP_PKEY *key, unsigned char *signature, size_t n)
{
    int bytes = (int)coordinate_bytes(key);
    const unsigned char *at = signature;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);

    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, bytes), bytes);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + bytes, bytes), bytes);
    ECDSA_SIG_free(sig);
    return 2 * (size_t)bytes;
}

static size_t sign(EVP_PKEY *key, const char *alg, struct str text,
                   unsigned char out[SIGNATURE_MAX_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL;
    size_t n = SIGNATURE_MAX_BYTES;

    assert_int_equal(EVP_DigestSignInit(ctx, &params, digest_of(alg), NULL, key), 1);
    if (alg[0] == 'P') {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n), 1);
    EVP_MD_CTX_free(ctx);
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? flatten(key, out, n) : n;
}

void jwt_keys_add_token(struct buf *out, EVP_PKEY *key, const char *alg, const char *header,
                        const char *payload)
{
    unsigned char signature[SIGNATURE_MAX_BYTES];
    size_t start = buf_str(out).n;
    size_t n;

    jwt_keys_add_base64url(out, str_from(header));
    buf_add_char(out, '.');
    jwt_keys_add_base64url(out, str_from(payload));
    n = sign(key, alg, str_skip(buf_str(out), start), signature);
    buf_add_char(out, '.');
    jwt_keys_add_base64url(out, str_of((const char *)signature, n));
}
