/*
 * jwks: a set of public keys (RFC 7517) and checking the signatures of tokens with it.
 * A key is used for what it is: RSA keys for RS* and PS*, a curve for its own ES*, an Edwards curve
 * for EdDSA, and if the key names its algorithm, for that one only. So the header of a token never
 * decides what a key is taken for.
 * A check runs where it is called. It takes about 35 us for RS256, 110 us for ES256, 190 us for EdDSA:
 * what handing it to another thread and back would cost too. ES384 and ES512 take 1 ms, because
 * libcrypto has no fast code for these curves.
 * Owns:   its keys.
 * Thread: that of its owner (the library counts references without atomics).
 * Limits: JWKS_MAX_BYTES, JWKS_KEYS_MAX; RSA keys of JWKS_RSA_MIN_BITS to JWKS_RSA_MAX_BITS.
 */
#ifndef POLICY_JWKS_H
#define POLICY_JWKS_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct jwks;
struct jwt;

enum {
    JWKS_MAX_BYTES = 256 * 1024,
    JWKS_KEYS_MAX = 100,
    JWKS_RSA_MIN_BITS = 2048, /* RFC 7518 section 3.3 */
    JWKS_RSA_MAX_BITS = 8192,
};

/*
 * Reads a set. Keys that are not for checking signatures, of unknown kind, too weak or incomplete are
 * left out (RFC 7517 section 5), so it may be empty. NULL with E_TOKEN_KEYS when the text is none.
 */
struct jwks *jwks_parse(struct str json, struct err *e);
/* NULL is fine. */
void jwks_free(struct jwks *set);
size_t jwks_count(const struct jwks *set);

enum jwks_answer {
    JWKS_NO_KEY,   /* none of the keys fits the token: its kid, if it has one, and its algorithm */
    JWKS_WRONG,    /* one fits, but the signature is not of it */
    JWKS_VERIFIED, /* the signature is of a key of the set */
};

/* Tries all keys that fit. Each takes one of *tries; when there is none left the answer is
 * JWKS_WRONG. */
enum jwks_answer jwks_verify(const struct jwks *set, const struct jwt *t, unsigned *tries);

#endif
