/*
 * Fuzz target of gateway/tls_upload: what is before a NUL is the certificate, what is behind it the key. No
 * text makes it crash, leak, or refuse without saying why.
 */
#include <assert.h>

#include "gateway/tls_upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    size_t cut = str_find_char(text, '\0');
    enum api_pair_fault fault = API_PAIR_FINE;
    struct err e = { .code = E_OK };
    json_t *members = tls_upload_read(str_slice(text, 0, cut), str_skip(text, cut + 1), &fault, &e);

    assert((members != NULL) == (fault == API_PAIR_FINE));
    assert(members != NULL || e.code == E_CERTIFICATE_PEM);
    json_decref(members);
    return 0;
}
