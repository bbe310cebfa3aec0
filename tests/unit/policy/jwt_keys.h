/*
 * jwt_keys: keys and signed tokens, made with libcrypto alone, for tests of jwt, jwks and
 * jwt-validation.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_JWT_KEYS_H
#define TESTS_UNIT_POLICY_JWT_KEYS_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/str.h"

/* `kind`: "RSA" (2048 bits), "RSA-1024", "P-256", "P-384", "P-521", "Ed25519" or "Ed448". */
EVP_PKEY *jwt_keys_new(const char *kind);

/* Appends the public key as a JWK; `more` are further members: ",\"kid\":\"a\"". */
void jwt_keys_add_jwk(struct buf *out, EVP_PKEY *key, const char *more);

/* Appends base64url text. */
void jwt_keys_add_base64url(struct buf *out, struct str bytes);

/* Appends a token, signed the way `alg` says, whatever its header says. */
void jwt_keys_add_token(struct buf *out, EVP_PKEY *key, const char *alg, const char *header,
                        const char *payload);

#endif
