/*
 * self_signed: a certificate for tests that play a TLS server: of up.test and 127.0.0.1, signed by
 * itself.
 * Owns: nothing; the caller frees both.
 */
#ifndef TESTS_UNIT_GATEWAY_SELF_SIGNED_H
#define TESTS_UNIT_GATEWAY_SELF_SIGNED_H

#include <openssl/types.h>

void self_signed_new(EVP_PKEY **key, X509 **cert);

#endif
