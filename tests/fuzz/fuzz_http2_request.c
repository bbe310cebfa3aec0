/*
 * Fuzzes the request of a header list: what is accepted, written as HTTP/1.1 and parsed again must be
 * the same request, so that the upstream cannot see another one than we did. Each line of the input
 * is a field: its name up to a tab, and its value.
 */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/headers.h"
#include "gateway/http1.h"
#include "gateway/http2_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX_BYTES = 64 * 1024 };

static void read_list(struct http2_head *h, struct str in)
{
    struct str line;

    while (str_next(&in, '\n', &line)) {
        size_t tab = str_find_char(line, '\t');

        if (http2_head_add(h, str_slice(line, 0, tab), str_skip(line, tab + 1)) == HTTP2_LIST_BOMB)
            return;
    }
}

/* As the upstream codec does. */
static void write_head(struct http_request *r, struct buf *out)
{
    headers_strip_hop_by_hop(&r->headers);
    buf_init(out, (size_t)HEAD_MAX_BYTES * 8);
    http1_write_request_line(out, r->method, r->target);
    http1_write_header(out, STR("host"), r->authority);
    http1_write_headers(out, &r->headers);
    if (r->has_content_length)
        buf_add_fmt(out, "content-length: %llu\r\n", (unsigned long long)r->content_length);
    if (r->body == HTTP_BODY_CHUNKED)
        http1_write_header(out, STR("transfer-encoding"), STR("chunked"));
    http1_write_head_end(out);
    assert(!buf_failed(out));
}

static void check(struct http_request *r, struct arena *a)
{
    struct http_request again;
    struct buf out;
    struct err e;

    write_head(r, &out);
    assert(http1_parse_request(buf_str(&out), a, &again, &e) == 0);
    assert(str_eq(r->method, again.method) && str_eq(r->target, again.target));
    assert(str_eq(r->authority, again.authority));
    assert(str_eq(str_from(r->host), str_from(again.host)) && r->port == again.port);
    assert(r->body == again.body && r->content_length == again.content_length);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    bool ended = size > 0 && (data[0] & 1) != 0;
    struct http2_head h;
    struct http_request r;
    enum http2_ask ask;
    struct err e;
    struct arena a;

    arena_init(&a);
    http2_head_init(&h, &a, HEAD_MAX_BYTES);
    read_list(&h, str_skip(in, 1));
    if (http2_head_finish(&h, "https", ended, &r, &ask, &e) == 0)
        check(&r, &a);
    arena_fini(&a);
    return 0;
}
