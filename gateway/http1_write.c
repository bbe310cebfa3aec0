#include <stdint.h>
#include <string.h>

#include "gateway/http1.h"

/* Copies s and returns what follows the copy. */
static char *put(char *at, struct str s)
{
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_header(char *at, const struct http_header *h)
{
    at = put(at, h->name);
    *at++ = ':';
    *at++ = ' ';
    at = put(at, h->value);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static size_t header_bytes(const struct http_header *h)
{
    return h->name.n + h->value.n + sizeof(": \r\n") - 1;
}

void http1_write_request_line(struct buf *out, struct str method, struct str target)
{
    buf_add_str(out, method);
    buf_add_char(out, ' ');
    buf_add_str(out, target);
    buf_add_str(out, STR(" HTTP/1.1\r\n"));
}

/* The space behind the status stays when the reason is empty (RFC 9112 section 4). */
void http1_write_status_line(struct buf *out, unsigned status, struct str reason)
{
    char line[] = "HTTP/1.1 000 ";

    line[9] = (char)('0' + status / 100 % 10);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    buf_add(out, line, sizeof(line) - 1);
    buf_add_str(out, reason);
    buf_add_str(out, STR("\r\n"));
}

void http1_write_header(struct buf *out, struct str name, struct str value)
{
    struct http_header one = { .name = name, .value = value };
    size_t n = header_bytes(&one);
    char *at = buf_reserve(out, n);

    if (at == NULL)
        return;
    (void)put_header(at, &one);
    buf_commit(out, n);
}

/* The room is asked for once: a head has some twenty fields and each is in four pieces. */
void http1_write_headers(struct buf *out, const struct http_headers *h)
{
    size_t n = 0;
    char *at;

    for (size_t i = 0; i < h->count; i++)
        n += header_bytes(&h->items[i]);
    at = buf_reserve(out, n);
    if (at == NULL)
        return;
    for (size_t i = 0; i < h->count; i++)
        at = put_header(at, &h->items[i]);
    buf_commit(out, n);
}

void http1_write_head_end(struct buf *out)
{
    buf_add_str(out, STR("\r\n"));
}

void http1_write_chunk_start(struct buf *out, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char line[sizeof(n) * 2 + 2];
    size_t at = sizeof(line);

    line[--at] = '\n';
    line[--at] = '\r';
    for (; n > 0; n >>= 4)
        line[--at] = digits[n & 0xf];
    buf_add(out, line + at, sizeof(line) - at);
}

void http1_write_chunk_end(struct buf *out)
{
    buf_add_str(out, STR("\r\n"));
}

void http1_write_last_chunk(struct buf *out, const struct http_headers *trailers)
{
    buf_add_str(out, STR("0\r\n"));
    if (trailers != NULL)
        http1_write_headers(out, trailers);
    buf_add_str(out, STR("\r\n"));
}
