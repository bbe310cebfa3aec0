/*
 * Fuzz target of gateway/client_hello and gateway/tls_ja4: no bytes make them read outside of what
 * they got, what is asked for is more than is there, and what is found does not depend on where the
 * bytes were cut.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/client_hello.h"
#include "gateway/tls_hello.h"
#include "gateway/tls_ja4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum client_hello_found find(const uint8_t *data, size_t size, char ja4[JA4_BYTES],
                                    size_t *wanted)
{
    char *exact = mem_alloc(size > 0 ? size : 1);
    enum client_hello_found found;
    struct client_hello hello;
    struct str message;

    ja4[0] = '\0';
    if (size > 0)
        memcpy(exact, data, size);
    found = client_hello_find(exact, size, &message, wanted);
    if (found == CLIENT_HELLO_WHOLE && client_hello_parse(message, &hello) == 0) {
        char host[HOST_MAX_BYTES + 1];

        (void)tls_hello_server_name((const uint8_t *)hello.server_name.p, hello.server_name.n,
                                    host);
        ja4_format(&hello, ja4);
        assert(ja4[0] == '\0' || strlen(ja4) == JA4_BYTES - 1);
    }
    mem_free(exact);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char whole[JA4_BYTES];
    char cut[JA4_BYTES];
    size_t wanted = 0;
    enum client_hello_found found = find(data, size, whole, &wanted);

    if (found == CLIENT_HELLO_CUT) {
        assert(wanted > size && wanted <= CLIENT_HELLO_RAW_MAX_BYTES);
        return 0;
    }
    /* As a slow client would send it. */
    for (size_t n = 0; n < size; n = wanted) {
        enum client_hello_found early = find(data, n, cut, &wanted);

        if (early != CLIENT_HELLO_CUT) {
            assert(early == found && strcmp(whole, cut) == 0);
            return 0;
        }
        assert(wanted > n && (wanted <= size || found != CLIENT_HELLO_WHOLE));
    }
    return 0;
}
