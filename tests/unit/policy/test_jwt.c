/*
 * Unit tests of policy/jwt and policy/jwks: real keys, real signatures, and tokens that nobody means
 * well with.
 * Links: tests/unit/policy/jwt_keys
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "policy/jwks.h"
#include "policy/jwt.h"
#include "tests/unit/policy/jwt_keys.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

/* Keys are dear to make: one of each kind for all tests. */
static struct {
    EVP_PKEY *rsa;
    EVP_PKEY *other_rsa;
    EVP_PKEY *short_rsa;
    EVP_PKEY *p256;
    EVP_PKEY *other_p256;
    EVP_PKEY *p384;
    EVP_PKEY *p521;
    EVP_PKEY *ed25519;
    EVP_PKEY *ed448;
} keys;

static int make_keys(void **state)
{
    (void)state;
    keys.rsa = jwt_keys_new("RSA");
    keys.other_rsa = jwt_keys_new("RSA");
    keys.short_rsa = jwt_keys_new("RSA-1024");
    keys.p256 = jwt_keys_new("P-256");
    keys.other_p256 = jwt_keys_new("P-256");
    keys.p384 = jwt_keys_new("P-384");
    keys.p521 = jwt_keys_new("P-521");
    keys.ed25519 = jwt_keys_new("Ed25519");
    keys.ed448 = jwt_keys_new("Ed448");
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(keys.rsa);
    EVP_PKEY_free(keys.other_rsa);
    EVP_PKEY_free(keys.short_rsa);
    EVP_PKEY_free(keys.p256);
    EVP_PKEY_free(keys.other_p256);
    EVP_PKEY_free(keys.p384);
    EVP_PKEY_free(keys.p521);
    EVP_PKEY_free(keys.ed25519);
    EVP_PKEY_free(keys.ed448);
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* "header.payload.signature" of plain texts; the signature is no real one. */
static void add_plain(struct buf *out, const char *header, const char *payload,
                      const char *signature)
{
    jwt_keys_add_base64url(out, str_from(header));
    buf_add_char(out, '.');
    jwt_keys_add_base64url(out, str_from(payload));
    buf_add_char(out, '.');
    jwt_keys_add_base64url(out, str_from(signature));
}

static enum err_code parse_text(struct arena *a, struct str text, struct jwt *out)
{
    struct err e = { .code = E_OK };

    if (jwt_parse(a, text, out, &e) == 0)
        return E_OK;
    assert_true(e.code != E_OK && e.msg[0] != '\0');
    return e.code;
}

static void parse_reads_header_and_claims(void **state)
{
    struct arena a;
    struct buf text;
    struct jwt t;

    (void)state;
    arena_init(&a);
    buf_init(&text, TEXT_MAX_BYTES);
    add_plain(&text, "{\"alg\":\"ES384\",\"kid\":\"k 1\",\"typ\":\"JWT\",\"x5u\":1}",
              "{\"iss\":\"https://a/\",\"aud\":[\"x\",\"y\\u0000z\"],\"exp\":1.5e9,\"nbf\":12}",
              "sig");
    assert_int_equal(parse_text(&a, buf_str(&text), &t), E_OK);
    assert_int_equal(t.alg, JWT_ES384);
    assert_true(str_eq(t.kid, STR("k 1")));
    assert_true(str_eq(t.typ, STR("JWT")));
    assert_true(str_eq(t.iss, STR("https://a/")));
    assert_int_equal(t.aud_count, 2);
    assert_true(str_eq(t.aud[0], STR("x")));
    assert_true(str_eq(t.aud[1], STR("y\0z")));
    assert_true(t.has_exp && t.exp == 1500000000.0 && t.has_nbf && t.nbf == 12.0);
    assert_true(str_eq(t.signature, STR("sig")));
    assert_true(str_eq(t.signature_text, STR("c2ln")));
    assert_int_equal(t.signed_text.n, t.text.n - 5);
    buf_fini(&text);
    arena_fini(&a);
}

static void parse_claims_may_be_absent(void **state)
{
    struct arena a;
    struct buf text;
    struct jwt t;

    (void)state;
    arena_init(&a);
    buf_init(&text, TEXT_MAX_BYTES);
    add_plain(&text, "{\"alg\":\"EdDSA\"}", "{\"aud\":\"one\"}", "s");
    assert_int_equal(parse_text(&a, buf_str(&text), &t), E_OK);
    assert_null(t.kid.p);
    assert_null(t.typ.p);
    assert_null(t.iss.p);
    assert_false(t.has_exp || t.has_nbf);
    assert_int_equal(t.aud_count, 1);
    assert_true(jwt_is_type(&t, STR("at+jwt")));
    assert_int_equal(jwt_check_time(&t, 0, NULL), 0);
    buf_fini(&text);
    arena_fini(&a);
}

static void parse_refuses_what_it_must(void **state)
{
    static const struct {
        const char *header;
        const char *payload;
        enum err_code code;
    } cases[] = {
        { "{\"alg\":\"none\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"None\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"nOnE\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"HS256\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"HS512\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"rs256\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"RS256 \"}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"ES256K\"}", "{}", E_CREDENTIALS },
        { "{\"alg\":[\"RS256\"]}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":null}", "{}", E_TOKEN_MALFORMED },
        { "{\"Alg\":\"RS256\"}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\\u0000\"}", "{}", E_TOKEN_MALFORMED },
        { "{}", "{}", E_TOKEN_MALFORMED },
        { "", "{}", E_TOKEN_MALFORMED },
        { "[]", "{}", E_TOKEN_MALFORMED },
        { "\"RS256\"", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}x", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}{}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"alg\":\"RS256\"}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"al\\u0067\":\"none\"}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"x\":{\"a\":1,\"a\":2}}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"RS256\",\"crit\":[]}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"RS256\",\"crit\":null}", "{}", E_CREDENTIALS },
        { "{\"alg\":\"RS256\",\"kid\":1}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"typ\":[]}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\",\"kid\":\"\xff\"}", "{}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "[]", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "null", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{} {}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"iss\":\"a\",\"iss\":\"b\"}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"iss\":1}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"iss\":null}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"aud\":1}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"aud\":[\"a\",1]}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"aud\":{}}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"exp\":\"1\"}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"exp\":1e999}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"exp\":NaN}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "{\"nbf\":true}", E_TOKEN_MALFORMED },
        { "{\"alg\":\"RS256\"}", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", E_TOKEN_MALFORMED },
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text;
        struct jwt t;

        buf_init(&text, TEXT_MAX_BYTES);
        add_plain(&text, cases[i].header, cases[i].payload, "signature");
        if (parse_text(&a, buf_str(&text), &t) != cases[i].code)
            fail_msg("case %zu: %s %s", i, cases[i].header, cases[i].payload);
        buf_fini(&text);
    }
    arena_fini(&a);
}

/* "e30" is {}, "eyJhbGciOiJSUzI1NiJ9" is {"alg":"RS256"}. */
static void parse_refuses_bad_shapes(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", E_OK },
        { "eyJhbGciOiJSUzI1NiJ9.e30.", E_CREDENTIALS }, /* not signed */
        { "", E_TOKEN_MALFORMED },
        { ".", E_TOKEN_MALFORMED },
        { "..", E_TOKEN_MALFORMED },
        { "...", E_TOKEN_MALFORMED },
        { "....", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2ln.", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2ln.c2ln", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.a.b.c.d", E_TOKEN_MALFORMED }, /* encrypted */
        { ".e30.c2ln", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9..c2ln", E_TOKEN_MALFORMED },
        { " eyJhbGciOiJSUzI1NiJ9.e30.c2ln", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2ln=", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30=.c2ln", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2lu+w", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2lu/w", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2lu-w", E_OK },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c2lu_w", E_OK },
        { "eyJhbGciOiJSUzI1NiJ9.e30.c", E_TOKEN_MALFORMED },    /* no such length */
        { "eyJhbGciOiJSUzI1NiJ9.e31.c2ln", E_TOKEN_MALFORMED }, /* unused bits */
        { "eyJhbGciOiJSUzI1NiJ9.e 30.c2ln", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9.\xc3\xa9.c2ln", E_TOKEN_MALFORMED },
        { "{\"payload\":\"e30\",\"signatures\":[]}", E_TOKEN_MALFORMED },
        { "eyJhbGciOiJSUzI1NiJ9AA.e30.c2ln", E_TOKEN_MALFORMED }, /* a NUL behind the header */
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwt t;

        if (parse_text(&a, str_from(cases[i].text), &t) != cases[i].code)
            fail_msg("case %zu: %s", i, cases[i].text);
    }
    arena_fini(&a);
}

/* A token of exactly `size` bytes: 16 KiB and a byte more. */
static void parse_size_limit_holds(void **state)
{
    static const char header[] = "eyJhbGciOiJSUzI1NiJ9.e30.";

    (void)state;
    for (size_t size = JWT_MAX_BYTES - 1; size <= JWT_MAX_BYTES + 2; size++) {
        char *text = mem_alloc(size);
        struct arena a;
        struct jwt t;
        enum err_code code;

        arena_init(&a);
        memset(text, 'A', size);
        memcpy(text, header, sizeof(header) - 1);
        code = parse_text(&a, str_of(text, size), &t);
        if (size <= JWT_MAX_BYTES && (size - (sizeof(header) - 1)) % 4 != 1)
            assert_int_equal(code, E_OK);
        else
            assert_int_equal(code, E_TOKEN_MALFORMED);
        arena_fini(&a);
        mem_free(text);
    }
}

static void check_time_has_a_leeway_of_a_minute(void **state)
{
    static const struct {
        const struct jwt t;
        uint64_t now_s;
        int rc;
    } cases[] = {
        { { .has_exp = true, .exp = 1000 }, 999, 0 },
        { { .has_exp = true, .exp = 1000 }, 1059, 0 },
        { { .has_exp = true, .exp = 1000 }, 1060, -1 },
        { { .has_exp = true, .exp = 1000.5 }, 1060, 0 },
        { { .has_exp = true, .exp = -1 }, 1060, -1 },
        { { .has_exp = true, .exp = 1e300 }, 1060, 0 },
        { { .has_nbf = true, .nbf = 1000 }, 940, 0 },
        { { .has_nbf = true, .nbf = 1000 }, 939, -1 },
        { { .has_nbf = true, .nbf = 1e300 }, 939, -1 },
        { { .has_nbf = true, .nbf = -1e300 }, 0, 0 },
        { { .has_exp = true, .exp = 10, .has_nbf = true, .nbf = 500 }, 100, -1 },
        { { .has_exp = false }, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(jwt_check_time(&cases[i].t, cases[i].now_s, NULL), cases[i].rc);
}

static void is_type_ignores_case_and_prefix(void **state)
{
    static const struct {
        struct str typ;
        bool same;
    } cases[] = {
        { STR_INIT("at+jwt"), true },
        { STR_INIT("AT+JWT"), true },
        { STR_INIT("application/at+jwt"), true },
        { STR_INIT("Application/At+jwt"), true },
        { STR_INIT("JWT"), false },
        { STR_INIT(""), false },
        { STR_INIT("at+jwtx"), false },
        { STR_INIT("x/at+jwt"), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwt t = { .typ = cases[i].typ };

        assert_int_equal(jwt_is_type(&t, STR("at+jwt")), cases[i].same);
    }
}

/* ---- key sets -------------------------------------------------------------------------------- */

/* A set of up to three keys with members of their own. */
static struct jwks *make_set(EVP_PKEY *first, const char *more_first, EVP_PKEY *second,
                             const char *more_second)
{
    struct err e = { .code = E_OK };
    struct jwks *set;
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("{\"keys\":["));
    jwt_keys_add_jwk(&text, first, more_first);
    if (second != NULL) {
        buf_add_char(&text, ',');
        jwt_keys_add_jwk(&text, second, more_second);
    }
    buf_add_str(&text, STR("]}"));
    set = jwks_parse(buf_str(&text), &e);
    assert_int_equal(e.code, E_OK);
    buf_fini(&text);
    return set;
}

static enum jwks_answer check(const struct jwks *set, struct str token, unsigned *tries)
{
    enum jwks_answer answer;
    struct arena a;
    struct jwt t;

    arena_init(&a);
    assert_int_equal(parse_text(&a, token, &t), E_OK);
    answer = jwks_verify(set, &t, tries);
    assert_int_equal(ERR_peek_error(), 0); /* it would be taken for an error of a connection */
    arena_fini(&a);
    return answer;
}

/* Signs {} with a key and checks it against a set. */
static enum jwks_answer sign_and_check(const struct jwks *set, EVP_PKEY *key, const char *alg,
                                       const char *header)
{
    unsigned tries = 16;
    enum jwks_answer answer;
    struct buf token;

    buf_init(&token, TEXT_MAX_BYTES);
    jwt_keys_add_token(&token, key, alg, header, "{}");
    answer = check(set, buf_str(&token), &tries);
    buf_fini(&token);
    return answer;
}

static void verify_accepts_every_algorithm(void **state)
{
    const struct {
        const char *alg;
        EVP_PKEY *key;
    } cases[] = {
        { "RS256", keys.rsa },     { "RS384", keys.rsa },   { "RS512", keys.rsa },
        { "PS256", keys.rsa },     { "PS384", keys.rsa },   { "PS512", keys.rsa },
        { "ES256", keys.p256 },    { "ES384", keys.p384 },  { "ES512", keys.p521 },
        { "EdDSA", keys.ed25519 }, { "EdDSA", keys.ed448 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwks *set = make_set(cases[i].key, "", NULL, NULL);
        char header[64];

        (void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", cases[i].alg);
        assert_int_equal(jwks_count(set), 1);
        assert_int_equal(sign_and_check(set, cases[i].key, cases[i].alg, header), JWKS_VERIFIED);
        jwks_free(set);
    }
}

/* Any other bit of header, payload or signature. */
static void verify_refuses_changed_tokens(void **state)
{
    const struct {
        const char *alg;
        const char *header;
        EVP_PKEY *key;
    } cases[] = {
        { "RS256", "{\"alg\":\"RS256\"}", keys.rsa },
        { "PS256", "{\"alg\":\"PS256\"}", keys.rsa },
        { "ES256", "{\"alg\":\"ES256\"}", keys.p256 },
        { "EdDSA", "{\"alg\":\"EdDSA\"}", keys.ed25519 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwks *set = make_set(cases[i].key, "", NULL, NULL);
        struct buf token;
        struct str text;

        buf_init(&token, TEXT_MAX_BYTES);
        jwt_keys_add_token(&token, cases[i].key, cases[i].alg, cases[i].header, "{\"a\":\"b\"}");
        text = buf_str(&token);
        for (size_t k = 0; k < text.n; k += 7) {
            char was = token.mem[k];
            struct arena a;
            struct jwt t;
            unsigned tries = 16;

            if (was == '.')
                continue;
            token.mem[k] = was == 'A' ? 'B' : 'A';
            arena_init(&a);
            if (jwt_parse(&a, text, &t, NULL) == 0)
                assert_true(jwks_verify(set, &t, &tries) != JWKS_VERIFIED);
            arena_fini(&a);
            token.mem[k] = was;
        }
        buf_fini(&token);
        jwks_free(set);
    }
}

/* The header names an algorithm that the key is not for, or that the signature was not made with. */
static void verify_refuses_confused_algorithms(void **state)
{
    const struct {
        EVP_PKEY *in_set;
        EVP_PKEY *signer;
        const char *alg;
        const char *header;
        enum jwks_answer answer;
    } cases[] = {
        { keys.rsa, keys.rsa, "RS256", "{\"alg\":\"PS256\"}", JWKS_WRONG },
        { keys.rsa, keys.rsa, "PS256", "{\"alg\":\"RS256\"}", JWKS_WRONG },
        { keys.rsa, keys.rsa, "RS256", "{\"alg\":\"RS512\"}", JWKS_WRONG },
        { keys.rsa, keys.other_rsa, "RS256", "{\"alg\":\"RS256\"}", JWKS_WRONG },
        { keys.rsa, keys.rsa, "RS256", "{\"alg\":\"ES256\"}", JWKS_NO_KEY },
        { keys.rsa, keys.rsa, "RS256", "{\"alg\":\"EdDSA\"}", JWKS_NO_KEY },
        { keys.p256, keys.p256, "ES256", "{\"alg\":\"ES384\"}", JWKS_NO_KEY },
        { keys.p256, keys.p256, "ES384", "{\"alg\":\"ES384\"}", JWKS_NO_KEY },
        { keys.p384, keys.p384, "ES256", "{\"alg\":\"ES256\"}", JWKS_NO_KEY },
        { keys.p384, keys.p384, "ES256", "{\"alg\":\"ES384\"}", JWKS_WRONG },
        { keys.p256, keys.other_p256, "ES256", "{\"alg\":\"ES256\"}", JWKS_WRONG },
        { keys.p256, keys.p521, "ES512", "{\"alg\":\"ES256\"}", JWKS_WRONG },
        { keys.p256, keys.p256, "ES256", "{\"alg\":\"RS256\"}", JWKS_NO_KEY },
        { keys.ed25519, keys.ed448, "EdDSA", "{\"alg\":\"EdDSA\"}", JWKS_WRONG },
        { keys.ed25519, keys.p256, "ES256", "{\"alg\":\"EdDSA\"}", JWKS_WRONG },
        { keys.ed25519, keys.rsa, "RS256", "{\"alg\":\"RS256\"}", JWKS_NO_KEY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwks *set = make_set(cases[i].in_set, "", NULL, NULL);
        enum jwks_answer answer =
            sign_and_check(set, cases[i].signer, cases[i].alg, cases[i].header);

        if (answer != cases[i].answer)
            fail_msg("case %zu: %d instead of %d", i, (int)answer, (int)cases[i].answer);
        jwks_free(set);
    }
}

/* The signature of an ECDSA key that is all zeros once fooled a whole platform. */
static void verify_refuses_degenerate_signatures(void **state)
{
    static const struct {
        size_t bytes;
        int fill;
    } cases[] = {
        { 64, 0 },    { 64, 0xff }, { 1, 0 },   { 63, 0 }, { 65, 0 },
        { 72, 0x30 }, { 132, 0 },   { 256, 0 }, { 2, 1 },  { 512, 0xff },
    };
    static const char *const algs[] = { "ES256", "RS256", "PS256", "EdDSA" };
    struct jwks *ec = make_set(keys.p256, "", keys.ed25519, "");
    struct jwks *rsa = make_set(keys.rsa, "", NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < sizeof(algs) / sizeof(algs[0]); k++) {
            char signature[512];
            char header[64];
            unsigned tries = 16;
            struct buf token;

            memset(signature, cases[i].fill, sizeof(signature));
            (void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[k]);
            buf_init(&token, TEXT_MAX_BYTES);
            jwt_keys_add_base64url(&token, str_from(header));
            buf_add_str(&token, STR(".e30."));
            jwt_keys_add_base64url(&token, str_of(signature, cases[i].bytes));
            assert_true(check(ec, buf_str(&token), &tries) != JWKS_VERIFIED);
            assert_true(check(rsa, buf_str(&token), &tries) != JWKS_VERIFIED);
            buf_fini(&token);
        }
    }
    jwks_free(ec);
    jwks_free(rsa);
}

static void verify_selects_by_kid(void **state)
{
    struct jwks *set = make_set(keys.rsa, ",\"kid\":\"a\"", keys.other_rsa, ",\"kid\":\"b\"");
    const struct {
        EVP_PKEY *signer;
        const char *header;
        enum jwks_answer answer;
    } cases[] = {
        { keys.rsa, "{\"alg\":\"RS256\",\"kid\":\"a\"}", JWKS_VERIFIED },
        { keys.other_rsa, "{\"alg\":\"RS256\",\"kid\":\"b\"}", JWKS_VERIFIED },
        { keys.other_rsa, "{\"alg\":\"RS256\",\"kid\":\"a\"}", JWKS_WRONG },
        { keys.other_rsa, "{\"alg\":\"RS256\",\"kid\":\"c\"}", JWKS_NO_KEY },
        { keys.other_rsa, "{\"alg\":\"RS256\",\"kid\":\"\"}", JWKS_NO_KEY },
        { keys.other_rsa, "{\"alg\":\"RS256\",\"kid\":\"B\"}", JWKS_NO_KEY },
        { keys.other_rsa, "{\"alg\":\"RS256\"}", JWKS_VERIFIED },
        { keys.p256, "{\"alg\":\"ES256\",\"kid\":\"a\"}", JWKS_NO_KEY },
        /* What the header brings along is never a key. */
        { keys.other_rsa,
          "{\"alg\":\"RS256\",\"kid\":\"a\",\"jku\":\"https://x/\",\"jwk\":{\"kty\":\"RSA\"}}",
          JWKS_WRONG },
    };

    (void)state;
    assert_int_equal(jwks_count(set), 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(sign_and_check(set, cases[i].signer,
                                        cases[i].signer == keys.p256 ? "ES256" : "RS256",
                                        cases[i].header),
                         cases[i].answer);
    jwks_free(set);
}

static void verify_stops_when_the_tries_are_used_up(void **state)
{
    struct jwks *set = make_set(keys.rsa, "", keys.other_rsa, "");
    unsigned tries = 1;
    struct buf token;

    (void)state;
    buf_init(&token, TEXT_MAX_BYTES);
    jwt_keys_add_token(&token, keys.other_rsa, "RS256", "{\"alg\":\"RS256\"}", "{}");
    assert_int_equal(check(set, buf_str(&token), &tries), JWKS_WRONG);
    assert_int_equal(tries, 0);
    assert_int_equal(check(set, buf_str(&token), &tries), JWKS_WRONG);
    tries = 2;
    assert_int_equal(check(set, buf_str(&token), &tries), JWKS_VERIFIED);
    assert_int_equal(tries, 0);
    buf_fini(&token);
    jwks_free(set);
}

static void keys_name_their_use(void **state)
{
    const struct {
        EVP_PKEY *key;
        const char *more;
        size_t count;
    } cases[] = {
        { keys.rsa, "", 1 },
        { keys.rsa, ",\"use\":\"sig\"", 1 },
        { keys.rsa, ",\"use\":\"enc\"", 0 },
        { keys.rsa, ",\"use\":1", 0 },
        { keys.rsa, ",\"key_ops\":[\"verify\"]", 1 },
        { keys.rsa, ",\"key_ops\":[\"sign\",\"verify\"]", 1 },
        { keys.rsa, ",\"key_ops\":[\"sign\",1]", 0 },
        { keys.rsa, ",\"key_ops\":\"verify\"", 0 },
        { keys.rsa, ",\"alg\":\"RS512\"", 1 },
        { keys.rsa, ",\"alg\":\"ES256\"", 0 },
        { keys.rsa, ",\"alg\":\"HS256\"", 0 },
        { keys.rsa, ",\"alg\":\"RSA-OAEP\"", 0 },
        { keys.rsa, ",\"alg\":null", 0 },
        { keys.rsa, ",\"x5c\":[\"x\"],\"x5t\":\"y\",\"d\":\"AQAB\"", 1 },
        { keys.short_rsa, "", 0 },
        { keys.p256, ",\"alg\":\"ES256\"", 1 },
        { keys.p256, ",\"alg\":\"ES384\"", 0 },
        { keys.ed25519, ",\"alg\":\"EdDSA\"", 1 },
        { keys.ed25519, ",\"alg\":\"ES256\"", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwks *set = make_set(cases[i].key, cases[i].more, NULL, NULL);

        if (jwks_count(set) != cases[i].count)
            fail_msg("case %zu: %s", i, cases[i].more);
        jwks_free(set);
    }
}

/* A key that names its algorithm is for no other. */
static void keys_stick_to_their_algorithm(void **state)
{
    struct jwks *set = make_set(keys.rsa, ",\"alg\":\"PS256\"", NULL, NULL);

    (void)state;
    assert_int_equal(sign_and_check(set, keys.rsa, "PS256", "{\"alg\":\"PS256\"}"), JWKS_VERIFIED);
    assert_int_equal(sign_and_check(set, keys.rsa, "RS256", "{\"alg\":\"RS256\"}"), JWKS_NO_KEY);
    jwks_free(set);
}

/* 42 characters of a coordinate of 43. */
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void parse_leaves_bad_keys_out(void **state)
{
    static const char *const cases[] = {
        "{\"keys\":[]}",
        "{\"keys\":[1,null,\"x\",[],{}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"=\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":1,\"e\":2}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        /* not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ZEROS "A\",\"y\":\"" ZEROS "E\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ZEROS "A\",\"y\":\"" ZEROS "A\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ZEROS "A\"}]}",
        "{\"keys\":[{\"kty\":\"rsa\"},{\"kty\":[]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwks *set = jwks_parse(str_from(cases[i]), NULL);

        assert_non_null(set);
        assert_int_equal(jwks_count(set), 0);
        jwks_free(set);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

/* An RSA key whose numbers are digits: `n_bits` and `e`. */
static size_t count_rsa(size_t n_bits, struct str e)
{
    size_t bytes = (n_bits + 7) / 8;
    char *n = mem_alloc(bytes);
    struct jwks *set;
    struct buf text;
    size_t count;

    memset(n, 0xff, bytes);
    n[0] = (char)(0xff >> (bytes * 8 - n_bits));
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AAAA")); /* zeros in front */
    jwt_keys_add_base64url(&text, str_of(n, bytes));
    buf_add_str(&text, STR("\",\"e\":\""));
    jwt_keys_add_base64url(&text, e);
    buf_add_str(&text, STR("\"}]}"));
    set = jwks_parse(buf_str(&text), NULL);
    assert_non_null(set);
    count = jwks_count(set);
    jwks_free(set);
    buf_fini(&text);
    mem_free(n);
    return count;
}

static void parse_limits_of_rsa_keys_hold(void **state)
{
    (void)state;
    assert_int_equal(count_rsa(JWKS_RSA_MIN_BITS, STR("\1\0\1")), 1);
    assert_int_equal(count_rsa(JWKS_RSA_MIN_BITS - 1, STR("\1\0\1")), 0);
    assert_int_equal(count_rsa(JWKS_RSA_MAX_BITS, STR("\1\0\1")), 1);
    assert_int_equal(count_rsa(JWKS_RSA_MAX_BITS + 1, STR("\1\0\1")), 0);
    assert_int_equal(count_rsa(2048, STR("\3")), 1);
    assert_int_equal(count_rsa(2048, STR("\0\0\3")), 1);
    assert_int_equal(count_rsa(2048, STR("\1")), 0); /* every signature would be its own digest */
    assert_int_equal(count_rsa(2048, STR("\2")), 0);
    assert_int_equal(count_rsa(2048, STR("\0")), 0);
    assert_int_equal(count_rsa(2048, STR("\1\0\0\0\0\0\0\1")), 1);
    assert_int_equal(count_rsa(2048, STR("\1\0\0\0\0\0\0\0\1")), 0);
}

static void parse_refuses_what_is_no_set(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),
        STR_INIT("{}"),
        STR_INIT("[]"),
        STR_INIT("null"),
        STR_INIT("<html>"),
        STR_INIT("{\"keys\":{}}"),
        STR_INIT("{\"keys\":null}"),
        STR_INIT("{\"keys\":[]"),
        STR_INIT("{\"keys\":[]}{}"),
        STR_INIT("{\"keys\":[]}\0"),
        STR_INIT("{\"keys\":[],\"keys\":[]}"),
        STR_INIT("{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"RSA\"}]}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = { .code = E_OK };

        assert_null(jwks_parse(cases[i], &e));
        assert_int_equal(e.code, E_TOKEN_KEYS);
    }
}

static struct jwks *parse_many(size_t count, size_t padding)
{
    struct jwks *set;
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("{\"keys\":["));
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, i > 0 ? STR(",") : STR(""));
        jwt_keys_add_jwk(&text, keys.ed25519, "");
    }
    buf_add_str(&text, STR("]}"));
    while (buf_str(&text).n < padding)
        buf_add_char(&text, ' ');
    set = jwks_parse(buf_str(&text), NULL);
    buf_fini(&text);
    return set;
}

static void parse_limits_of_sets_hold(void **state)
{
    struct jwks *set = parse_many(JWKS_KEYS_MAX, 0);

    (void)state;
    assert_int_equal(jwks_count(set), JWKS_KEYS_MAX);
    jwks_free(set);
    assert_null(parse_many(JWKS_KEYS_MAX + 1, 0));
    set = parse_many(1, JWKS_MAX_BYTES);
    assert_non_null(set);
    jwks_free(set);
    assert_null(parse_many(1, JWKS_MAX_BYTES + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_header_and_claims),
        cmocka_unit_test(parse_claims_may_be_absent),
        cmocka_unit_test(parse_refuses_what_it_must),
        cmocka_unit_test(parse_refuses_bad_shapes),
        cmocka_unit_test(parse_size_limit_holds),
        cmocka_unit_test(check_time_has_a_leeway_of_a_minute),
        cmocka_unit_test(is_type_ignores_case_and_prefix),
        cmocka_unit_test(verify_accepts_every_algorithm),
        cmocka_unit_test(verify_refuses_changed_tokens),
        cmocka_unit_test(verify_refuses_confused_algorithms),
        cmocka_unit_test(verify_refuses_degenerate_signatures),
        cmocka_unit_test(verify_selects_by_kid),
        cmocka_unit_test(verify_stops_when_the_tries_are_used_up),
        cmocka_unit_test(keys_name_their_use),
        cmocka_unit_test(keys_stick_to_their_algorithm),
        cmocka_unit_test(parse_leaves_bad_keys_out),
        cmocka_unit_test(parse_limits_of_rsa_keys_hold),
        cmocka_unit_test(parse_refuses_what_is_no_set),
        cmocka_unit_test(parse_limits_of_sets_hold),
    };

    return cmocka_run_group_tests_name("policy/jwt", tests, make_keys, free_keys);
}
