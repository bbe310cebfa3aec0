/*
 * Fuzz target of policy/pem: no text makes it crash, leak, or refuse without saying why.
 */
#include <assert.h>

#include <openssl/evp.h>

#include "policy/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    STACK_OF(X509) *authorities = sk_X509_new_null();
    struct err e = { .code = E_OK };
    STACK_OF(X509) * chain;
    EVP_PKEY *key;

    chain = pem_parse_chain(text, "fuzz.crt", &e);
    assert(chain != NULL || e.code == E_CERTIFICATE_PEM);
    e.code = E_OK;
    key = pem_parse_key(text, "fuzz.key", &e);
    assert(key != NULL || e.code == E_CERTIFICATE_PEM);
    e.code = E_OK;
    if (pem_parse_authorities(text, "fuzz.crt", authorities, &e) == -1)
        assert(e.code == E_CERTIFICATE_PEM || e.code == E_MTLS_NO_PEM || e.code == E_MTLS_NOT_CA);
    pem_chain_free(authorities);
    pem_chain_free(chain);
    EVP_PKEY_free(key);
    return 0;
}
