#include "gateway/http2.h"

static const struct str connection_fields[] = {
    STR_INIT("connection"),        STR_INIT("keep-alive"), STR_INIT("proxy-connection"),
    STR_INIT("transfer-encoding"), STR_INIT("upgrade"),
};

bool http2_is_connection_field(struct str name)
{
    for (size_t i = 0; i < sizeof(connection_fields) / sizeof(connection_fields[0]); i++) {
        if (str_eq_nocase(name, connection_fields[i]))
            return true;
    }
    return false;
}

nghttp2_nv http2_field(struct str name, struct str value)
{
    /* nghttp2 only reads them, but its type is that of what it copies them to. */
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.p,
        .value = (uint8_t *)(uintptr_t)value.p,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

nghttp2_nv *http2_fields(struct arena *a, const struct http_headers *h, size_t spare, size_t *count)
{
    nghttp2_nv *out = arena_alloc(a, (h->count + spare + 1) * sizeof(*out));
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++) {
        if (!http2_is_connection_field(h->items[i].name))
            out[spare + n++] = http2_field(h->items[i].name, h->items[i].value);
    }
    *count = n;
    return out;
}
