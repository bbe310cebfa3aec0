/*
 * Fuzz target of tokens, key sets and the bodies that tokens stand in: the first line is a token, the
 * rest a JWK set or a body. A token that was read is the text that came, in parts that mean one thing
 * only; a set keeps its limits; and checking one with the other leaves no error behind that a TLS
 * connection could stumble over.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/err.h>

#include "policy/body_field.h"
#include "policy/jwks.h"
#include "policy/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_token(struct str text, const struct jwt *t)
{
    assert(text.n <= JWT_MAX_BYTES && t->alg < JWT_ALG_COUNT);
    assert(t->signed_text.n + 1 + t->signature_text.n == text.n);
    assert(str_find_char(text, '=') == text.n && str_find_char(text, '\0') == text.n);
    assert(t->signature.n > 0 && str_find_char(t->header, '{') < t->header.n);
    assert(t->kid.p == NULL || str_find_char(t->kid, '\0') == t->kid.n);
    for (size_t i = 0; i < t->aud_count; i++)
        assert(t->aud[i].n <= text.n);
}

/* The same token with another signature is never good, as far as the first one was. */
static void check_signature(const struct jwks *set, const struct jwt *t)
{
    unsigned tries = 4;
    struct jwt changed = *t;
    enum jwks_answer answer = jwks_verify(set, t, &tries);
    unsigned before = tries;

    assert(tries <= 4 && (answer != JWKS_NO_KEY || tries == 4));
    assert(answer == JWKS_NO_KEY || jwks_count(set) > 0);
    changed.signature.n--;
    if (answer == JWKS_VERIFIED)
        assert(jwks_verify(set, &changed, &before) != JWKS_VERIFIED);
    assert(ERR_peek_error() == 0);
}

/* The same bytes as the body of a request. */
static void check_body(struct str text)
{
    for (int format = BODY_JSON; format <= BODY_FORM; format++) {
        struct err e = { .code = E_OK };
        struct body_fields body;
        struct str value;
        struct arena a;

        arena_init(&a);
        if (body_fields_open(&body, (enum body_format)format, text, &e) == -1)
            assert(e.code == E_TOKEN_JSON || e.code == E_TOKEN_FORM);
        else if (body_fields_find(&body, &a, STR("keys"), 64, &value, &e) == 0)
            assert(value.n <= 64);
        else
            assert(e.code != E_OK);
        body_fields_close(&body);
        arena_fini(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_of((const char *)data, size);
    struct str token = str_slice(all, 0, str_find_char(all, '\n'));
    struct err e = { .code = E_OK };
    struct jwks *set = jwks_parse(str_skip(all, token.n + 1), &e);
    struct arena a;
    struct jwt t;

    assert(set != NULL ? jwks_count(set) <= JWKS_KEYS_MAX : e.code == E_TOKEN_KEYS);
    arena_init(&a);
    if (jwt_parse(&a, token, &t, &e) == 0) {
        check_token(token, &t);
        (void)jwt_check_time(&t, 1700000000, &e);
        (void)jwt_is_type(&t, STR("at+jwt"));
        if (set != NULL)
            check_signature(set, &t);
    } else {
        assert(e.code == E_TOKEN_MALFORMED || e.code == E_CREDENTIALS);
    }
    arena_fini(&a);
    jwks_free(set);
    check_body(str_skip(all, token.n + 1));
    return 0;
}
