/*
 * cjose verifies RS*, PS* and ES*. It trusts its caller to bring a key that fits the algorithm, and
 * takes an ECDSA signature of any length for any curve: both are decided here, before it is asked.
 * It has no EdDSA; that is libcrypto's.
 * Keys are handed to it as numbers and not as JSON, so that private parts, which have no business in
 * a published set, are never taken in.
 */
#include "policy/jwks.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/mem.h"
#include "policy/base64url.h"
#include "policy/jwt.h"

enum jwk_kind { JWK_RSA, JWK_P256, JWK_P384, JWK_P521, JWK_ED25519, JWK_ED448 };

/* A larger exponent makes checking slow, and nobody has one. */
enum { RSA_EXPONENT_MAX_BYTES = 8 };

#define ALG(alg) (1U << (alg))

static const struct {
    const char *kty;
    const char *crv; /* NULL: it has none */
    unsigned algs;
    int id;                  /* of cjose or libcrypto */
    size_t coordinate_bytes; /* of EC and OKP */
    size_t signature_bytes;
} kinds[] = {
    [JWK_RSA] = { "RSA", NULL,
                  ALG(JWT_RS256) | ALG(JWT_RS384) | ALG(JWT_RS512) | ALG(JWT_PS256) |
                      ALG(JWT_PS384) | ALG(JWT_PS512),
                  0, 0, 0 },
    [JWK_P256] = { "EC", "P-256", ALG(JWT_ES256), CJOSE_JWK_EC_P_256, 32, 64 },
    [JWK_P384] = { "EC", "P-384", ALG(JWT_ES384), CJOSE_JWK_EC_P_384, 48, 96 },
    [JWK_P521] = { "EC", "P-521", ALG(JWT_ES512), CJOSE_JWK_EC_P_521, 66, 132 },
    [JWK_ED25519] = { "OKP", "Ed25519", ALG(JWT_EDDSA), EVP_PKEY_ED25519, 32, 64 },
    [JWK_ED448] = { "OKP", "Ed448", ALG(JWT_EDDSA), EVP_PKEY_ED448, 57, 114 },
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

struct jwk {
    char *kid; /* owned; NULL: none */
    size_t kid_bytes;
    unsigned algs;          /* it may be used for */
    size_t signature_bytes; /* of its signatures, always */
    cjose_jwk_t *jose;      /* owned; NULL: an Edwards curve */
    EVP_PKEY *edwards;      /* owned; else NULL */
};

struct jwks {
    size_t count;
    struct jwk keys[JWKS_KEYS_MAX];
};

/* ---- reading a key --------------------------------------------------------------------------- */

static struct str string_of(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    return json_is_string(member) ? str_of(json_string_value(member), json_string_length(member))
                                  : STR_NONE;
}

static bool decode_member(struct arena *a, const json_t *key, const char *name, struct str *out)
{
    struct str text = string_of(key, name);

    return text.n > 0 && base64url_decode(a, text, out) == 0;
}

static bool find_kind(const json_t *key, enum jwk_kind *out)
{
    struct str kty = string_of(key, "kty");
    struct str crv = string_of(key, "crv");

    for (unsigned i = 0; i < KIND_COUNT; i++) {
        if (str_eq(kty, str_from(kinds[i].kty)) &&
            (kinds[i].crv == NULL || str_eq(crv, str_from(kinds[i].crv)))) {
            *out = (enum jwk_kind)i;
            return true;
        }
    }
    return false;
}

static bool has_verify(const json_t *key_ops)
{
    for (size_t i = 0; i < json_array_size(key_ops); i++) {
        const json_t *op = json_array_get(key_ops, i);

        if (json_is_string(op) && str_eq(str_from(json_string_value(op)), STR("verify")))
            return true;
    }
    return false;
}

/* "use" and "key_ops" (RFC 7517 sections 4.2, 4.3). */
static bool is_for_signatures(const json_t *key)
{
    const json_t *use = json_object_get(key, "use");
    const json_t *key_ops = json_object_get(key, "key_ops");

    return (use == NULL || str_eq(string_of(key, "use"), STR("sig"))) &&
           (key_ops == NULL || has_verify(key_ops));
}

/* What is left of the algorithms of its kind if it names its own; 0 is none. */
static unsigned narrow_algs(const json_t *key, unsigned algs)
{
    enum jwt_alg alg;

    if (json_object_get(key, "alg") == NULL)
        return algs;
    return jwt_alg_find(string_of(key, "alg"), &alg) == 0 ? algs & ALG(alg) : 0;
}

/* Big-endian numbers may come with zeros in front. */
static struct str without_zeros(struct str number)
{
    while (number.n > 0 && number.p[0] == '\0')
        number = str_skip(number, 1);
    return number;
}

static size_t bits_of(struct str number)
{
    size_t bits = number.n * 8;

    for (unsigned first = number.n > 0 ? (uint8_t)number.p[0] : 0x80; first < 0x80; first <<= 1)
        bits--;
    return bits;
}

static bool is_odd(struct str number)
{
    return number.n > 0 && ((uint8_t)number.p[number.n - 1] & 1) != 0;
}

static bool read_rsa(struct arena *a, const json_t *json, struct jwk *key)
{
    cjose_jwk_rsa_keyspec spec = { 0 };
    struct str n;
    struct str e;

    if (!decode_member(a, json, "n", &n) || !decode_member(a, json, "e", &e))
        return false;
    n = without_zeros(n);
    e = without_zeros(e);
    if (bits_of(n) < JWKS_RSA_MIN_BITS || bits_of(n) > JWKS_RSA_MAX_BITS || !is_odd(n) ||
        bits_of(e) < 2 || e.n > RSA_EXPONENT_MAX_BYTES || !is_odd(e))
        return false;
    spec.n = (uint8_t *)(uintptr_t)n.p;
    spec.nlen = n.n;
    spec.e = (uint8_t *)(uintptr_t)e.p;
    spec.elen = e.n;
    key->signature_bytes = n.n;
    key->jose = cjose_jwk_create_RSA_spec(&spec, NULL);
    return key->jose != NULL;
}

/* The library refuses points that are not on the curve. */
static bool read_ec(struct arena *a, const json_t *json, enum jwk_kind kind, struct jwk *key)
{
    cjose_jwk_ec_keyspec spec = { .crv = (cjose_jwk_ec_curve)kinds[kind].id };
    struct str x;
    struct str y;

    if (!decode_member(a, json, "x", &x) || !decode_member(a, json, "y", &y) ||
        x.n != kinds[kind].coordinate_bytes || y.n != kinds[kind].coordinate_bytes)
        return false;
    spec.x = (uint8_t *)(uintptr_t)x.p;
    spec.xlen = x.n;
    spec.y = (uint8_t *)(uintptr_t)y.p;
    spec.ylen = y.n;
    key->jose = cjose_jwk_create_EC_spec(&spec, NULL);
    return key->jose != NULL;
}

static bool read_edwards(struct arena *a, const json_t *json, enum jwk_kind kind, struct jwk *key)
{
    struct str x;

    if (!decode_member(a, json, "x", &x) || x.n != kinds[kind].coordinate_bytes)
        return false;
    key->edwards =
        EVP_PKEY_new_raw_public_key(kinds[kind].id, NULL, (const unsigned char *)x.p, x.n);
    return key->edwards != NULL;
}

/* False when it is not to be used. */
static bool read_key(struct arena *a, const json_t *json, struct jwk *key)
{
    struct str kid = string_of(json, "kid");
    enum jwk_kind kind;

    if (!find_kind(json, &kind) || !is_for_signatures(json))
        return false;
    key->algs = narrow_algs(json, kinds[kind].algs);
    if (key->algs == 0)
        return false;
    key->signature_bytes = kinds[kind].signature_bytes;
    if (kid.p != NULL) {
        key->kid = str_dup(kid);
        key->kid_bytes = kid.n;
    }
    switch (kind) {
    case JWK_RSA:
        return read_rsa(a, json, key);
    case JWK_P256:
    case JWK_P384:
    case JWK_P521:
        return read_ec(a, json, kind, key);
    case JWK_ED25519:
    case JWK_ED448:
        return read_edwards(a, json, kind, key);
    }
    return false;
}

/* ---- reading a set --------------------------------------------------------------------------- */

static void key_fini(struct jwk *key)
{
    if (key->jose != NULL)
        (void)cjose_jwk_release(key->jose); /* says whether others hold it, which nobody does */
    EVP_PKEY_free(key->edwards);
    mem_free(key->kid);
    *key = (struct jwk){ 0 };
}

static struct jwks *read_keys(const json_t *keys)
{
    struct jwks *set = mem_zalloc(sizeof(*set));
    struct arena scratch;

    arena_init(&scratch);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        struct jwk *key = &set->keys[set->count];

        if (read_key(&scratch, json_array_get(keys, i), key))
            set->count++;
        else
            key_fini(key);
        arena_reset(&scratch);
    }
    arena_fini(&scratch);
    ERR_clear_error(); /* what bad keys left must not look like an error of a connection */
    return set;
}

struct jwks *jwks_parse(struct str text, struct err *e)
{
    struct jwks *set = NULL;
    json_t *json = NULL;
    const json_t *keys;

    if (text.n > JWKS_MAX_BYTES) {
        (void)err_set(e, E_TOKEN_KEYS, "the key set has more than %d bytes", JWKS_MAX_BYTES);
        return NULL;
    }
    if (text.n > 0 && str_find_char(text, '\0') == text.n)
        json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    keys = json_object_get(json, "keys");
    if (!json_is_array(keys))
        (void)err_set(e, E_TOKEN_KEYS, "the key set is no JSON object with keys");
    else if (json_array_size(keys) > JWKS_KEYS_MAX)
        (void)err_set(e, E_TOKEN_KEYS, "the key set has more than %d keys", JWKS_KEYS_MAX);
    else
        set = read_keys(keys);
    json_decref(json);
    return set;
}

void jwks_free(struct jwks *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        key_fini(&set->keys[i]);
    mem_free(set);
}

size_t jwks_count(const struct jwks *set)
{
    return set->count;
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool fits(const struct jwk *key, const struct jwt *t)
{
    if ((key->algs & ALG(t->alg)) == 0)
        return false;
    return t->kid.p == NULL ||
           (key->kid != NULL && str_eq(str_of(key->kid, key->kid_bytes), t->kid));
}

static bool verify_edwards(EVP_PKEY *key, const struct jwt *t)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, (const unsigned char *)t->signature.p, t->signature.n,
                                 (const unsigned char *)t->signed_text.p, t->signed_text.n) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

/* *jws is the token as cjose holds it, made when the first key asks for it. */
static bool verify(const struct jwk *key, const struct jwt *t, cjose_jws_t **jws)
{
    if (t->signature.n != key->signature_bytes)
        return false;
    if (key->edwards != NULL)
        return verify_edwards(key->edwards, t);
    if (*jws == NULL)
        *jws = cjose_jws_import(t->text.p, t->text.n, NULL);
    return *jws != NULL && cjose_jws_verify(*jws, key->jose, NULL);
}

enum jwks_answer jwks_verify(const struct jwks *set, const struct jwt *t, unsigned *tries)
{
    enum jwks_answer answer = JWKS_NO_KEY;
    cjose_jws_t *jws = NULL;

    for (size_t i = 0; i < set->count && answer != JWKS_VERIFIED; i++) {
        if (!fits(&set->keys[i], t))
            continue;
        answer = JWKS_WRONG;
        if (*tries == 0)
            break;
        (*tries)--;
        if (verify(&set->keys[i], t, &jws))
            answer = JWKS_VERIFIED;
    }
    cjose_jws_release(jws);
    ERR_clear_error(); /* a bad signature must not look like an error of a connection */
    return answer;
}
