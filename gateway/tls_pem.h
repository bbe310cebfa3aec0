/*
 * tls_pem: certificates and private keys from PEM files (policy/pem.h reads the text). Used by
 * tls_certs and local_ca only.
 * Thread: any; reads files, so not on a worker.
 */
#ifndef GATEWAY_TLS_PEM_H
#define GATEWAY_TLS_PEM_H

#include <openssl/types.h>
#include <openssl/x509.h>

#include "base/err.h"

/*
 * The chain of a file, which is the caller's (pem_chain_free()), or NULL with E_CERTIFICATE_PEM,
 * E_CONFIG (too large) or E_SYSTEM; the message names the file.
 */
STACK_OF(X509) * tls_pem_read_chain(const char *path, struct err *e);

/* The first private key of a file. NULL as above. */
EVP_PKEY *tls_pem_read_key(const char *path, struct err *e);

#endif
