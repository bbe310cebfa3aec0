#include "gateway/websocket.h"

#include <openssl/evp.h>

#include "base/base64.h"

struct str websocket_accept(struct arena *a, struct str key)
{
    struct str text = arena_fmt(a, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", STR_ARG(key));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char *out;

    if (EVP_Digest(text.p, text.n, digest, &n, EVP_sha1(), NULL) != 1)
        return STR_NONE;
    out = arena_alloc(a, base64_text_bytes(n));
    base64_encode(str_of((const char *)digest, n), out);
    return str_of(out, base64_text_bytes(n));
}
