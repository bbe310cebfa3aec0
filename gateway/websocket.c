#include "gateway/websocket.h"

#include <openssl/sha.h>

#include "base/base64.h"
#include "base/rand.h"

enum { KEY_BYTES = 16 };

static struct str encode(struct arena *a, const void *p, size_t n)
{
    size_t text_bytes = base64_text_bytes(n);
    char *text = arena_alloc(a, text_bytes);

    base64_encode(str_of(p, n), text);
    return str_of(text, text_bytes);
}

struct str websocket_key_new(struct arena *a)
{
    unsigned char key[KEY_BYTES];

    rand_bytes(key, sizeof(key));
    return encode(a, key, sizeof(key));
}

struct str websocket_accept(struct arena *a, struct str key)
{
    struct str text = arena_fmt(a, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", STR_ARG(key));
    unsigned char digest[SHA_DIGEST_LENGTH];

    (void)SHA1((const unsigned char *)text.p, text.n, digest);
    return encode(a, digest, sizeof(digest));
}
