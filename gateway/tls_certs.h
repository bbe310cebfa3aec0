/*
 * tls_certs: the configured certificates, found by the name that a client asks for.
 * Names come from the DNS entries of subjectAltName only (RFC 6125 section 6.4.4 leaves the common
 * name behind). An exact name goes before a wildcard, which stands for one label; of two
 * certificates with the same name the one configured first serves it.
 * Owns:   certificates and keys.
 * Thread: load and free on main; all else on any, since nothing changes.
 */
#ifndef GATEWAY_TLS_CERTS_H
#define GATEWAY_TLS_CERTS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/str.h"

struct config_certificate;
struct tls_certs;
struct tls_pair; /* one certificate with its chain and key */

/*
 * Loads all pairs. Each that cannot be used is a line "FILE:LINE: text" in `problems`, and then NULL
 * is returned. `ctx` is asked whether it would serve each pair (a key may be too weak).
 */
struct tls_certs *tls_certs_load(const struct config_certificate *list, size_t count, SSL_CTX *ctx,
                                 struct buf *problems);
void tls_certs_free(struct tls_certs *c);

/* A pair by itself; takes both, the leaf being the first of the chain. */
struct tls_pair *tls_pair_new(STACK_OF(X509) * chain, EVP_PKEY *key);
void tls_pair_free(struct tls_pair *p);

/* The pair for a folded host, or NULL. */
const struct tls_pair *tls_certs_find(const struct tls_certs *c, struct str host);
bool tls_pair_covers(const struct tls_pair *p, struct str host);
/* Makes `ssl` present the pair. Returns 0, or -1 with the reason in OpenSSL's queue. */
int tls_pair_use(const struct tls_pair *p, SSL *ssl);

#endif
