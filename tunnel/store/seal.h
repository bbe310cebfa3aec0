/*
 * seal: secrets as they stand in the store: nobody without the key file can read or change one, or put
 * it in the place of another.
 * AES-256-GCM (NIST SP 800-38D). A sealed secret is a version byte, a random nonce of 96 bits, the
 * ciphertext and a tag of 128 bits; version and store key are authenticated with it. The standard
 * allows 2^32 random nonces for a key, many more than a gateway seals.
 * Thread: seal_key_open() any that may block; a key does not change, so the rest any.
 * Limits: SEAL_SECRET_MAX_BYTES.
 */
#ifndef TUNNEL_STORE_SEAL_H
#define TUNNEL_STORE_SEAL_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/store/store.h"

enum {
    SEAL_NONCE_BYTES = 12,
    SEAL_TAG_BYTES = 16,
    SEAL_EXTRA_BYTES = 1 + SEAL_NONCE_BYTES + SEAL_TAG_BYTES, /* what sealing adds */
    SEAL_SECRET_MAX_BYTES = STORE_VALUE_MAX_BYTES - SEAL_EXTRA_BYTES,
};

struct seal_key;

/*
 * Reads the key of 32 bytes from its file, or makes it (0600) when there is none. Returns NULL with
 * E_STORE: it cannot be read or made, others may read it, or it has another length.
 */
struct seal_key *seal_key_open(const char *path, struct err *e);
/* Wipes it. NULL is fine. */
void seal_key_free(struct seal_key *k);

/*
 * Is this the key that seals in the store? The first to ask leaves a sealed word there, "seal/check",
 * which says so from then on; so a key file that was lost and made anew is found at start, and not
 * by the first secret that is needed. Returns 0, or -1 with E_STORE.
 */
int seal_check(struct store *s, const struct seal_key *k, struct err *e);

/*
 * Seals a secret for the store key it is put under. Returns the bytes, *n of them, to free with
 * mem_free(), or NULL with E_LIMIT, or E_STORE when libcrypto fails.
 */
char *seal(const struct seal_key *k, struct str store_key, struct str secret, size_t *n,
           struct err *e);
/*
 * Opens what seal() made under the same store key. Returns the secret, *n bytes and a NUL behind
 * them, to mem_wipe() and mem_free(), or NULL with E_STORE: damaged, changed, sealed for another store
 * key or with another key file. `sealed` may be any bytes.
 */
char *unseal(const struct seal_key *k, struct str store_key, struct str sealed, size_t *n,
             struct err *e);

#endif
