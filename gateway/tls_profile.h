/*
 * tls_profile: settings for the server side of one TLS connection, in place of the gateway's own:
 * versions, certificate, and who may come with which certificate (spec traffic-policy 6.25).
 * Parsing PEM costs far more than finding it again, so a worker keeps profiles by the hash of what
 * they were made of.
 * Owns:   a profile its certificates and key; immutable and counted, since connections outlive the
 *         cache's interest in it.
 * Thread: a cache its worker's; a profile any.
 * Limits: a cache keeps as many as it was told; the one used longest ago goes first.
 */
#ifndef GATEWAY_TLS_PROFILE_H
#define GATEWAY_TLS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct policy_tls;
struct ssl_st; /* OpenSSL's SSL */
struct tls_profile;
struct tls_profiles;
struct x509_store_ctx_st; /* OpenSSL's X509_STORE_CTX */

enum { TLS_PROFILE_ID_BYTES = 32 };

struct tls_profiles *tls_profiles_new(void);
/* NULL is fine. */
void tls_profiles_free(struct tls_profiles *c);

/*
 * The profile of these settings, with a reference for the caller; at most `max` are kept. NULL with
 * E_CERTIFICATE_PEM, E_CERTIFICATE_PAIR, E_MTLS_NO_PEM or E_MTLS_NOT_CA.
 */
struct tls_profile *tls_profiles_get(struct tls_profiles *c, const struct policy_tls *settings,
                                     size_t max, struct err *e);
/* How many are kept. */
size_t tls_profiles_count(const struct tls_profiles *c);

/* NULL is fine for both. */
void tls_profile_ref(struct tls_profile *p);
void tls_profile_unref(struct tls_profile *p);

/* What it was made of, as a hash. */
const uint8_t *tls_profile_id(const struct tls_profile *p);
/* True if it brings a certificate of its own. */
bool tls_profile_has_certificate(const struct tls_profile *p);
/* True if visitors are asked for a certificate. */
bool tls_profile_is_mutual(const struct tls_profile *p);

/* ---- for tls.c ---- */

/*
 * Makes a session that has not begun do as it says; visitors may send certificates of at most
 * max_bytes. -1 with E_CERTIFICATE_PEM when OpenSSL does not take the certificate (a key that is too
 * weak).
 */
int tls_profile_apply(const struct tls_profile *p, struct ssl_st *ssl, size_t max_bytes,
                      struct err *e);
/*
 * Judges the certificates that a visitor sent. Returns 1, or 0 with *why (a static text) and the alert
 * bad_certificate to come, whatever was wrong: the specification wants no other.
 */
int tls_profile_verify(const struct tls_profile *p, struct x509_store_ctx_st *ctx,
                       const char **why);

#endif
