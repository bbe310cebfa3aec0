#include "gateway/tls_hello.h"

enum { SNI_TYPE_HOST_NAME = 0, SNI_HEAD_BYTES = 5 };

static size_t u16_at(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* struct { uint16 list_length; { uint8 type; uint16 length; name } } */
int tls_hello_server_name(const uint8_t *p, size_t n, char out[HOST_MAX_BYTES + 1])
{
    if (n < SNI_HEAD_BYTES || u16_at(p) != n - 2 || p[2] != SNI_TYPE_HOST_NAME ||
        u16_at(p + 3) != n - SNI_HEAD_BYTES)
        return -1;
    return host_fold(str_of((const char *)p + SNI_HEAD_BYTES, n - SNI_HEAD_BYTES), out);
}

bool tls_hello_alpn(const uint8_t *p, size_t n, size_t *at)
{
    bool found = false;

    for (size_t i = 0; i < n && p[i] < n - i; i += 1 + (size_t)p[i]) {
        struct str name = str_of((const char *)p + i + 1, p[i]);

        if (!str_eq(name, STR("h2")) && (found || !str_eq(name, STR("http/1.1"))))
            continue;
        *at = i + 1;
        found = true;
        if (str_eq(name, STR("h2")))
            break;
    }
    return found;
}
