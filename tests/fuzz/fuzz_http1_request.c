/*
 * Fuzzes the request head: what is accepted, written again as the proxy does and parsed again must
 * be the same request, so that the upstream cannot see another one than we did.
 */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX_BYTES = 64 * 1024 };

static void write_head(const struct http_request *r, struct buf *out)
{
    buf_init(out, (size_t)HEAD_MAX_BYTES * 8);
    http1_write_request_line(out, r->method, r->target);
    http1_write_header(out, STR("host"), r->authority);
    http1_write_headers(out, &r->headers);
    http1_write_head_end(out);
    assert(!buf_failed(out));
}

static void assert_same(const struct http_request *x, const struct http_request *y)
{
    assert(str_eq(x->method, y->method) && str_eq(x->target, y->target));
    assert(str_eq(x->authority, y->authority) && str_eq(str_from(x->host), str_from(y->host)));
    assert(x->body == y->body && x->content_length == y->content_length);
    assert(x->keep_alive == y->keep_alive && x->headers.count == y->headers.count);
    assert(str_eq(x->upgrade, y->upgrade));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    struct http_request first;
    struct http_request second;
    struct err e;
    struct arena a;
    struct buf out;
    size_t scanned = 0;
    ptrdiff_t head = http1_find_head(in, HEAD_MAX_BYTES, &scanned, &e);

    arena_init(&a);
    if (head <= 0)
        (void)http1_parse_request(in, &a, &first, &e);
    if (head > 0 && http1_parse_request(str_slice(in, 0, (size_t)head), &a, &first, &e) == 0) {
        write_head(&first, &out);
        assert(http1_parse_request(buf_str(&out), &a, &second, &e) == 0);
        assert_same(&first, &second);
        buf_fini(&out);
    }
    arena_fini(&a);
    return 0;
}
