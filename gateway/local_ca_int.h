/*
 * local_ca_int: making the certificates, shared by local_ca.c (files and cache) and local_ca_mint.c.
 * Thread: any; nothing is kept.
 */
#ifndef GATEWAY_LOCAL_CA_INT_H
#define GATEWAY_LOCAL_CA_INT_H

#include <stdint.h>

#include <openssl/types.h>

#include "base/str.h"

/* A new P-256 key; the caller's. */
EVP_PKEY *local_ca_make_key(void);

/* A self-signed CA certificate of `key`, valid from now_ms (wall time); the caller's, or NULL. */
X509 *local_ca_make_root(EVP_PKEY *key, struct str common_name, uint64_t now_ms);

/* What all leaves of one CA and one leaf key have in common, worked out once. */
struct local_ca_mint;
/* All three must outlive it. NULL when OpenSSL refuses. */
struct local_ca_mint *local_ca_mint_new(X509 *root, EVP_PKEY *root_key, EVP_PKEY *leaf_key);
void local_ca_mint_free(struct local_ca_mint *m);
/* A server certificate for one folded host; the caller's, or NULL. */
X509 *local_ca_mint_leaf(const struct local_ca_mint *m, struct str host, uint64_t now_ms);

#endif
