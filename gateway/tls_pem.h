/*
 * tls_pem: certificates and private keys from PEM files, with errors that say what is in the file
 * instead. Used by tls_certs and local_ca only.
 * Thread: any; reads files, so not on a worker.
 * Limits: TLS_PEM_MAX_BYTES a file, TLS_PEM_CHAIN_MAX certificates.
 */
#ifndef GATEWAY_TLS_PEM_H
#define GATEWAY_TLS_PEM_H

#include <openssl/types.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/str.h"

enum { TLS_PEM_MAX_BYTES = 1024 * 1024, TLS_PEM_CHAIN_MAX = 20 };

/*
 * Reads all certificates of a file, in order: at least one, and each signed by the next. Private
 * keys beside them are skipped. Returns the chain, which is the caller's (sk_X509_pop_free), or
 * NULL with E_CONFIG or E_SYSTEM; the message names the file.
 */
STACK_OF(X509) * tls_pem_read_chain(const char *path, struct err *e);

/* Reads the first private key of a file; it must not be encrypted. NULL as above. */
EVP_PKEY *tls_pem_read_key(const char *path, struct err *e);

/* The same from memory; `path` only names it in messages. */
STACK_OF(X509) * tls_pem_parse_chain(struct str pem, const char *path, struct err *e);
EVP_PKEY *tls_pem_parse_key(struct str pem, const char *path, struct err *e);

#endif
