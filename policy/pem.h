/*
 * pem: certificates and private keys from PEM text, with errors that say what is there instead.
 * The text may come from a file, a document or an expression; `what` names it in messages.
 * Thread: any; pure.
 * Limits: PEM_MAX_BYTES of text, PEM_CHAIN_MAX certificates of a chain, PEM_AUTHORITIES_MAX
 *         authorities, PEM_USER_KEY_MAX_BYTES of a user's private key.
 */
#ifndef POLICY_PEM_H
#define POLICY_PEM_H

#include <stdbool.h>

#include <openssl/types.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/str.h"

enum {
    PEM_MAX_BYTES = 1024 * 1024,
    PEM_CHAIN_MAX = 20,
    PEM_AUTHORITIES_MAX = 200,
    PEM_USER_KEY_MAX_BYTES = 2400, /* in DER: RSA of 4096 bits, and nothing slower */
};

/*
 * Reads all certificates, in order: at least one, and each signed by the next. Private keys beside
 * them are skipped. Returns the chain, which is the caller's (pem_chain_free()), or NULL with
 * E_CERTIFICATE_PEM.
 */
STACK_OF(X509) * pem_parse_chain(struct str pem, const char *what, struct err *e);

/* Reads the first private key; it must not be encrypted. NULL with E_CERTIFICATE_PEM. */
EVP_PKEY *pem_parse_key(struct str pem, const char *what, struct err *e);
/* The same for a key that a user of the gateway gives: each handshake signs on a worker's loop, and one
 * signature of RSA with 16384 bits takes a third of a second. */
EVP_PKEY *pem_parse_user_key(struct str pem, const char *what, struct err *e);

/*
 * Appends all certificates to `out`, in any order: at least one, and each that of an authority
 * (basicConstraints CA:TRUE, RFC 5280 section 4.2.1.9). Returns 0, or -1 with E_MTLS_NO_PEM,
 * E_MTLS_NOT_CA or E_CERTIFICATE_PEM; `out` may then hold some of them.
 */
int pem_parse_authorities(struct str pem, const char *what, STACK_OF(X509) * out, struct err *e);

/* True if the key is that of the certificate. */
bool pem_is_pair(X509 *cert, EVP_PKEY *key);

/* NULL is fine. */
void pem_chain_free(STACK_OF(X509) * chain);

#endif
