/*
 * Fuzzes the response head, for GET and HEAD: what is accepted, written again and parsed again must
 * be the same response.
 */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX_BYTES = 64 * 1024 };

static void check(struct str head, struct str method)
{
    struct http_response first;
    struct http_response second;
    struct err e;
    struct arena a;
    struct buf out;

    arena_init(&a);
    if (http1_parse_response(head, method, &a, &first, &e) == 0) {
        assert(first.status >= 100 && first.status <= 599);
        buf_init(&out, head.n * 8 + 1024);
        http1_write_status_line(&out, first.status, first.reason);
        http1_write_headers(&out, &first.headers);
        http1_write_head_end(&out);
        assert(!buf_failed(&out));
        assert(http1_parse_response(buf_str(&out), method, &a, &second, &e) == 0 ||
               first.version_minor == 0);
        if (first.version_minor == 1) {
            assert(first.status == second.status && first.body == second.body);
            assert(first.content_length == second.content_length);
            assert(first.keep_alive == second.keep_alive);
            assert(first.headers.count == second.headers.count);
        }
        buf_fini(&out);
    }
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    size_t scanned = 0;
    ptrdiff_t head = http1_find_head(in, HEAD_MAX_BYTES, &scanned, NULL);

    if (head > 0)
        in = str_slice(in, 0, (size_t)head);
    check(in, STR("GET"));
    check(in, STR("HEAD"));
    return 0;
}
