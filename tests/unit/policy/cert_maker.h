/*
 * cert_maker: certificates for tests.
 *     struct made_cert ca, client;
 *     cert_make(&ca, &(struct cert_spec){ .subject = "/CN=Clients", .is_ca = true });
 *     cert_make(&client, &(struct cert_spec){ .subject = "/CN=alice", .issuer = &ca });
 * Owns:   everything in it, until cert_fini().
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_CERT_MAKER_H
#define TESTS_UNIT_POLICY_CERT_MAKER_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "base/str.h"

struct made_cert {
    X509 *cert;
    EVP_PKEY *key;
    char *cert_pem;
    char *key_pem;
};

struct cert_spec {
    const char *subject;            /* "/C=US/O=Example/CN=alice" */
    const struct made_cert *issuer; /* NULL: self-signed */
    bool is_ca;
    const char *san;    /* "DNS:a.example,email:a@example"; NULL: none */
    const char *usage;  /* extendedKeyUsage; NULL: none */
    const char *key;    /* "EC", "RSA", "ED25519"; NULL: EC */
    const char *digest; /* of the signature; NULL: SHA256, or none for ED25519 */
    bool pss;           /* RSA-PSS */
    const char *serial; /* hex; NULL: 7 */
    int64_t not_before; /* seconds since 1970; 0: a minute ago */
    int64_t not_after;  /* 0: in an hour */
};

void cert_make(struct made_cert *out, const struct cert_spec *spec);
void cert_fini(struct made_cert *c);

#endif
