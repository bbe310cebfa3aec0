/*
 * Fuzzes the rewriting of Location and Set-Cookie, and the stripping of fields named in Connection.
 * The input is three lines: the rewritten Host, the visitor's authority, and the value.
 */
#include <assert.h>
#include <stdint.h>

#include "gateway/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str names[] = { STR_INIT("location"), STR_INIT("set-cookie"),
                                        STR_INIT("connection") };
    struct str rest = str_of((const char *)data, size);
    struct str lines[3] = { STR_NONE, STR_NONE, STR_NONE };
    struct http_headers h = { 0 };
    struct arena a;

    for (size_t i = 0; i < 3; i++)
        (void)str_next(&rest, '\n', &lines[i]);
    arena_init(&a);
    for (size_t i = 0; i < 3; i++)
        http_headers_add(&h, &a, names[i], lines[2]);
    headers_rewrite_back(&h, &a, lines[0], STR("https"), lines[1]);
    assert(h.count == 3);
    assert(str_eq(h.items[2].value, lines[2]));
    if (lines[0].n == 0)
        assert(str_eq(h.items[0].value, lines[2]) && str_eq(h.items[1].value, lines[2]));
    headers_strip_hop_by_hop(&h);
    assert(h.count <= 2);
    headers_strip_request_reserved(&h);
    arena_fini(&a);
    return 0;
}
