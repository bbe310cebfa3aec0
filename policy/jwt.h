/*
 * jwt: a JSON Web Token as a signed text: its compact form, its header and its claims (RFC 7515,
 * RFC 7519). Whether the signature is good is asked of a key set (policy/jwks.h).
 * Only what a header says of the signature is believed: keys and addresses of keys in it ("jwk",
 * "jku", "x5c", "x5u") are never looked at, since whoever made the token chose them.
 * Owns:   nothing; what is read lies in the arena.
 * Thread: that of the arena; pure.
 * Limits: JWT_MAX_BYTES.
 */
#ifndef POLICY_JWT_H
#define POLICY_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    JWT_MAX_BYTES = 16 * 1024,
    JWT_LEEWAY_S = 60, /* by which clocks may differ */
};

/* Signatures that can be checked with a public key (RFC 7518 section 3, RFC 8037 section 3.1). */
enum jwt_alg {
    JWT_RS256,
    JWT_RS384,
    JWT_RS512,
    JWT_PS256,
    JWT_PS384,
    JWT_PS512,
    JWT_ES256,
    JWT_ES384,
    JWT_ES512,
    JWT_EDDSA,
};
enum { JWT_ALG_COUNT = JWT_EDDSA + 1 };

/* "RS256" and so on, by number; ends with NULL. */
extern const char *const jwt_alg_names[JWT_ALG_COUNT + 1];

/* The algorithm of that name. Returns 0 or -1. */
int jwt_alg_find(struct str name, enum jwt_alg *out);

struct jwt {
    struct str text;           /* all of it, as it came */
    struct str signed_text;    /* what the signature is of: header and payload */
    struct str signature_text; /* base64url */
    struct str signature;
    struct str header;  /* JSON, an object */
    struct str payload; /* JSON, an object */
    enum jwt_alg alg;
    struct str kid; /* p == NULL: none */
    struct str typ; /* p == NULL: none */
    struct str iss; /* p == NULL: none */
    struct str *aud;
    size_t aud_count;
    bool has_exp;
    bool has_nbf;
    double exp; /* seconds since 1970 */
    double nbf;
};

/*
 * Reads a token; `text` must live as long as `a`. Refused are, beside what is malformed: tokens that
 * are not signed, encrypted ones, symmetric and unknown algorithms, extensions that must be
 * understood ("crit", RFC 7515 section 4.1.11), and members that are given twice. -1 with
 * E_TOKEN_MALFORMED, or E_CREDENTIALS for a signature that cannot be accepted.
 */
int jwt_parse(struct arena *a, struct str text, struct jwt *out, struct err *e);

/* Checks exp and nbf (RFC 7519 sections 4.1.4, 4.1.5), if the token has them. -1 with
 * E_CREDENTIALS. */
int jwt_check_time(const struct jwt *t, uint64_t now_s, struct err *e);

/* True if the token's type is this one or it has none (RFC 7515 section 4.1.9: the case does not
 * matter, and "application/" may stand before it). */
bool jwt_is_type(const struct jwt *t, struct str type);

#endif
