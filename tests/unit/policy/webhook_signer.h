/*
 * webhook_signer: an RSA key with a certificate of its own, as the one that Amazon SNS signs with.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_WEBHOOK_SIGNER_H
#define TESTS_UNIT_POLICY_WEBHOOK_SIGNER_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct webhook_signer;

/* Valid for a year around `now`, seconds since 1970. */
struct webhook_signer *webhook_signer_new(unsigned bits, int64_t now);
void webhook_signer_free(struct webhook_signer *s);
/* The certificate. */
struct str webhook_signer_pem(const struct webhook_signer *s, struct arena *a);
/* RSA PKCS #1 v1.5 in base64, in the arena. */
const char *webhook_signer_sign(const struct webhook_signer *s, struct arena *a, const char *hash,
                                struct str payload);

#endif
