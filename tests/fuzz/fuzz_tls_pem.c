/*
 * Fuzz target of gateway/tls_pem: no file makes it crash, leak, or refuse without saying why.
 */
#include <assert.h>

#include <openssl/evp.h>

#include "gateway/tls_pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct err e = { .code = E_OK };
    STACK_OF(X509) * chain;
    EVP_PKEY *key;

    if (size > TLS_PEM_MAX_BYTES)
        return 0;
    chain = tls_pem_parse_chain(text, "fuzz.crt", &e);
    assert(chain != NULL || e.code == E_CONFIG);
    e.code = E_OK;
    key = tls_pem_parse_key(text, "fuzz.key", &e);
    assert(key != NULL || e.code == E_CONFIG);
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(key);
    return 0;
}
