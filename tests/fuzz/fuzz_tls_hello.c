/*
 * Fuzz target of gateway/tls_hello: no extension makes it read outside its bytes, and what it calls
 * a host name is one.
 */
#include <assert.h>
#include <string.h>

#include "gateway/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[HOST_MAX_BYTES + 1];
    char again[HOST_MAX_BYTES + 1];
    size_t at = 0;

    if (tls_hello_server_name(data, size, host) == 0) {
        assert(strlen(host) > 0);
        assert(host_fold(str_from(host), again) == 0 && strcmp(host, again) == 0);
    }
    if (tls_hello_alpn(data, size, &at)) {
        struct str name = str_of((const char *)data + at, data[at - 1]);

        assert(at + name.n <= size);
        assert(str_eq(name, STR("h2")) || str_eq(name, STR("http/1.1")));
    }
    return 0;
}
