/*
 * Fuzzes the body reader. The first byte says how the rest is cut into pieces; content, end and
 * verdict must be those of reading it in one piece.
 */
#include <assert.h>
#include <stdint.h>

#include "gateway/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns 0 or -1; all content goes to `content`, the bytes taken to *taken. */
static int read_all(struct http1_body *b, struct str in, size_t piece, struct buf *content,
                    size_t *taken)
{
    *taken = 0;
    for (size_t at = 0; at < in.n; at += piece) {
        struct str rest = str_slice(in, at, at + piece);
        struct str data;
        size_t used = 1;

        while (used > 0) {
            struct err e;

            if (http1_body_read(b, rest, &data, &used, &e) == -1)
                return -1;
            assert(used <= rest.n && data.n <= used);
            buf_add_str(content, data);
            rest = str_skip(rest, used);
            *taken += used;
        }
    }
    return 0;
}

static void check(enum http_body kind, uint64_t length, struct str in, size_t piece)
{
    size_t steps[] = { in.n, piece };
    struct http1_body bodies[2];
    struct buf contents[2];
    size_t taken[2];
    int results[2];

    for (size_t i = 0; i < 2; i++) {
        http1_body_init(&bodies[i], kind, length);
        buf_init(&contents[i], in.n);
        results[i] = read_all(&bodies[i], in, steps[i], &contents[i], &taken[i]);
    }
    assert(results[0] == results[1]);
    if (results[0] == 0) {
        struct http_headers trailers;
        struct arena a;

        assert(taken[0] == taken[1]);
        assert(str_eq(buf_str(&contents[0]), buf_str(&contents[1])));
        assert(http1_body_is_done(&bodies[0]) == http1_body_is_done(&bodies[1]));
        arena_init(&a);
        (void)http1_body_trailers(&bodies[1], &a, &trailers, NULL);
        arena_fini(&a);
    }
    for (size_t i = 0; i < 2; i++) {
        http1_body_fini(&bodies[i]);
        buf_fini(&contents[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in;

    if (size < 2)
        return 0;
    in = str_of((const char *)data + 1, size - 1);
    check(HTTP_BODY_CHUNKED, 0, in, (size_t)data[0] + 1);
    check(HTTP_BODY_LENGTH, data[0], in, (size_t)data[1] + 1);
    return 0;
}
