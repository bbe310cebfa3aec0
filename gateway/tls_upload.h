/*
 * tls_upload: a certificate and its key that somebody uploads (spec api 3.7): whether they can be served,
 * and what the certificate says.
 * Thread: any that may take its time.
 * Limits: PEM_MAX_BYTES, PEM_CHAIN_MAX (policy/pem.h), TLS_CERT_ENTRIES_MAX names of a kind.
 */
#ifndef GATEWAY_TLS_UPLOAD_H
#define GATEWAY_TLS_UPLOAD_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/api/host.h"

/*
 * The members of a tls_certificate from "not_before" on, a new reference; or NULL with the fault, and
 * E_CERTIFICATE_PEM in words.
 */
json_t *tls_upload_read(struct str certificate_pem, struct str key_pem, enum api_pair_fault *fault,
                        struct err *e);

#endif
