/*
 * Fuzz target of base/proxy_protocol: a header is read whole or not at all, never beyond its limit,
 * and what was read is written and read again as the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && addr_ip_equal(a, b) && a->port == b->port;
}

static void fuzz_format(const struct proxy_header *h)
{
    for (unsigned version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2; version++) {
        struct proxy_header again;
        struct buf out;

        buf_init(&out, PROXY_PROTOCOL_V1_MAX_BYTES);
        proxy_protocol_format(version, h, &out);
        assert(!buf_failed(&out));
        assert(proxy_protocol_parse(buf_str(&out), &again, NULL) == (ptrdiff_t)out.len);
        assert(again.local == h->local);
        assert(h->local || (is_same(&again.source, &h->source) &&
                            is_same(&again.destination, &h->destination)));
        buf_fini(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    struct proxy_header h;
    struct err e = { .code = E_OK };
    ptrdiff_t used = proxy_protocol_parse(in, &h, &e);

    if (used == -1) {
        assert(e.code == E_SYNTAX && e.msg[0] != '\0');
    } else if (used == 0) {
        assert(size < PROXY_PROTOCOL_MAX_BYTES);
    } else {
        assert(used <= PROXY_PROTOCOL_MAX_BYTES && (size_t)used <= size);
        assert(proxy_protocol_parse(str_slice(in, 0, (size_t)used - 1), &h, NULL) == 0);
        assert(proxy_protocol_parse(in, &h, NULL) == used);
        fuzz_format(&h);
    }
    return 0;
}
