/*
 * webhook: who sends signed webhooks, and whether a request is one (spec traffic-policy 6.26 and
 * appendix A). What a provider signs, where it puts the signature and how old a request may be is a row
 * of webhook_providers.def; what no row can say is a function in webhook_special.c, webhook_url.c or
 * webhook_sns.c; a provider's test of the endpoint is answered by webhook_challenge.c.
 * Pure: it gets the request and the time, and returns what it thinks of them.
 * Owns:   a webhook its digests, a key the secret.
 * Thread: any; webhooks, keys and certificates do not change once they are made.
 * Limits: WEBHOOK_SECRET_MAX_BYTES; what comes from the request is bounded by webhook_int.h.
 */
#ifndef POLICY_WEBHOOK_H
#define POLICY_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct webhook;             /* a provider, with what checking its requests takes */
struct webhook_key;         /* a secret made ready for checking */
struct webhook_certificate; /* whose key signed a message of Amazon SNS */

enum { WEBHOOK_SECRET_MAX_BYTES = 4096, WEBHOOK_CERTIFICATE_MAX_BYTES = 16 * 1024 };

/* All borrowed. */
struct webhook_request {
    struct str method;
    struct str url;  /* as the client sent it, with scheme and host */
    struct str body; /* raw, as received */
    uint64_t now_ms; /* since 1970 */
    /* The index-th field of that name (in lower case), or an empty str with p == NULL. */
    struct str (*header)(void *ctx, struct str name, size_t index);
    void *ctx;
    struct arena *arena;                           /* for what comes out, and for work */
    const struct webhook_certificate *certificate; /* what WEBHOOK_CERTIFICATE asked for, or NULL */
};

enum webhook_verdict {
    WEBHOOK_VERIFIED,
    WEBHOOK_REFUSED,     /* `e` says why: E_WEBHOOK_UNVERIFIED, and nothing that is secret */
    WEBHOOK_ANSWER,      /* a test of the endpoint: to be answered with the outcome */
    WEBHOOK_CERTIFICATE, /* ask again with the certificate of the outcome's URL */
};

/* Text is static or in the arena. */
struct webhook_outcome {
    unsigned status;
    struct str type; /* media type of the body; empty: none */
    struct str body;
    struct str certificate_url;
};

/* NULL when there is no such provider; aliases are fine. */
struct webhook *webhook_new(struct str provider);
/* NULL is fine. */
void webhook_free(struct webhook *w);
/* All providers, "a, b, c". */
void webhook_list(struct buf *out);
/* False for a provider that is checked without one. */
bool webhook_needs_secret(const struct webhook *w);

/*
 * NULL with E_POLICY_WEBHOOK_SECRET when it is empty, E_POLICY_WEBHOOK_KEY when it is not the public key
 * that the provider signs with, E_POLICY_WEBHOOK_NO_SECRET, E_POLICY_TOO_LONG, or E_POLICY_UNPARSABLE
 * when it has not the provider's form.
 */
struct webhook_key *webhook_key_new(const struct webhook *w, struct str secret, struct err *e);
/* NULL is fine. */
void webhook_key_free(struct webhook_key *k);

/* NULL with E_WEBHOOK_UNVERIFIED. The key of the certificate is RSA of 2048 bits or more. */
struct webhook_certificate *webhook_certificate_new(struct str pem, struct err *e);
/* NULL is fine. */
void webhook_certificate_free(struct webhook_certificate *certificate);

/* `key` may be NULL only when none is needed. */
enum webhook_verdict webhook_check(const struct webhook *w, const struct webhook_key *key,
                                   const struct webhook_request *request,
                                   struct webhook_outcome *out, struct err *e);

#endif
