/*
 * tls_cert: what a certificate says, as plain text for policies (spec traffic-policy 4.4).
 * A visitor's certificate says what its maker likes: all text that comes out is valid UTF-8, and of
 * each list only the first entries are kept.
 * Owns:   nothing; text lives in the arena.
 * Thread: that of the session.
 * Limits: TLS_CERT_ENTRIES_MAX entries of a list.
 */
#ifndef GATEWAY_TLS_CERT_H
#define GATEWAY_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct tls_session;
struct x509_st; /* OpenSSL's X509 */

enum { TLS_CERT_ENTRIES_MAX = 100 };

struct tls_texts {
    struct str *items;
    size_t count;
};

/* The parts of a distinguished name that policies can ask for. */
enum tls_name_part {
    TLS_NAME_COUNTRY,
    TLS_NAME_LOCALITY,
    TLS_NAME_ORGANIZATION,
    TLS_NAME_ORGANIZATIONAL_UNIT,
    TLS_NAME_POSTAL_CODE,
    TLS_NAME_PROVINCE,
    TLS_NAME_STREET_ADDRESS,
};
enum { TLS_NAME_PARTS = TLS_NAME_STREET_ADDRESS + 1 };

struct tls_name {
    struct str text; /* RFC 2253: "CN=E1,O=Let's Encrypt,C=US" */
    struct str common_name;
    struct tls_texts parts[TLS_NAME_PARTS];
};

struct tls_extension {
    struct str id; /* OID */
    bool critical;
    struct str value; /* DER */
};

struct tls_cert {
    struct tls_name issuer;
    struct tls_name subject;
    struct str san; /* "DNS:www.example.com, DNS:example.com" */
    struct tls_texts dns_names;
    struct tls_texts email_addresses;
    struct tls_texts ip_addresses;
    struct tls_texts uris;
    struct str serial_number;       /* lower-case hex */
    struct str signature_algorithm; /* "SHA256-RSA", "ECDSA-SHA256", "Ed25519" */
    int64_t not_after;              /* seconds since 1970 */
    int64_t not_before;
    struct tls_extension *extensions;
    size_t extension_count;
    struct str pem; /* of a visitor's only */
};

void tls_cert_read(struct x509_st *x509, struct arena *a, struct tls_cert *out);
/* It as PEM, in the arena. */
struct str tls_cert_pem(struct x509_st *x509, struct arena *a);
/* The leaf that this session presented (in tls.c). False when there is none. */
bool tls_server_cert(const struct tls_session *s, struct arena *a, struct tls_cert *out);

#endif
