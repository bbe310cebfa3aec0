/*
 * local_ca: the gateway's own certificate authority, for names that have no certificate.
 * Its certificate and key lie in state_dir as "ca.crt" and "ca.key" (0600), and are made at first
 * start. All leaves share one key pair that lives as long as the process: making a leaf then costs
 * one signature, and whoever could read one leaf's key from memory could read them all.
 * Owns:   the CA, the leaf key, the cache of leaves; counted, since a reload keeps them.
 * Thread: open on main; all else on any. A mutex guards the cache, never held while signing.
 * Limits: the cache holds as many leaves as it was told; the one used longest ago goes first.
 */
#ifndef GATEWAY_LOCAL_CA_H
#define GATEWAY_LOCAL_CA_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "base/err.h"
#include "base/str.h"

struct local_ca;

enum {
    LOCAL_CA_DAYS = 3650,
    LOCAL_CA_LEAF_DAYS = 90,
    LOCAL_CA_RENEW_MS = 24 * 3600 * 1000, /* a leaf with less time left is made anew */
};

/*
 * Loads the CA from state_dir, or makes it there when both files are missing (or the certificate,
 * after a first start that was cut short). Returns NULL with E_SYSTEM or E_CONFIG.
 */
struct local_ca *local_ca_open(const char *state_dir, size_t cache_max, struct err *e);
void local_ca_ref(struct local_ca *ca);
void local_ca_unref(struct local_ca *ca);

/* Changes the size of the cache. */
void local_ca_set_cache_max(struct local_ca *ca, size_t cache_max);

/*
 * The leaf for a folded host, from the cache or made now (about 100 us). now_ms is wall time. The
 * certificate is the caller's (X509_free); NULL when OpenSSL refuses.
 */
X509 *local_ca_leaf(struct local_ca *ca, struct str host, uint64_t now_ms);
/* The key of all leaves, and the CA's certificate; borrowed: they live as long as ca. */
EVP_PKEY *local_ca_leaf_key(const struct local_ca *ca);
X509 *local_ca_cert(const struct local_ca *ca);

/* Leaves in the cache. */
size_t local_ca_cached(struct local_ca *ca);

#endif
