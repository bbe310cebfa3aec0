/*
 * tls_ja4: the JA4 fingerprint of a TLS client: what kind of program said this ClientHello.
 * As FoxIO specifies it (github.com/FoxIO-LLC/ja4, technical_details/JA4.md), for TLS over TCP.
 * Thread: any; pure.
 */
#ifndef GATEWAY_TLS_JA4_H
#define GATEWAY_TLS_JA4_H

struct client_hello;

enum {
    JA4_BYTES = 37, /* "t13d1516h2_8daaf6152771_e5627efa2ab1" with a NUL */
    /* Ciphers, extensions and signature algorithms: clients have some dozens of each. */
    JA4_LIST_MAX = 512,
};

/* Writes the fingerprint; "" when the hello has a list that is longer than JA4_LIST_MAX. */
void ja4_format(const struct client_hello *hello, char out[JA4_BYTES]);

#endif
