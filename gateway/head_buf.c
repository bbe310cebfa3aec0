#include "gateway/head_buf.h"

#include <assert.h>

#include "gateway/http1.h"

enum { HEAD_BUF_PIECE_BYTES = 64 * 1024 }; /* taken from `in` at once, beyond the limit at most */

void head_buf_init(struct head_buf *h)
{
    *h = (struct head_buf){ 0 };
    buf_init(&h->gathered, (size_t)HEAD_BUF_MAX_BYTES + HEAD_BUF_PIECE_BYTES);
}

void head_buf_reset(struct head_buf *h)
{
    buf_fini(&h->gathered);
    h->scanned = 0;
}

int head_buf_read(struct head_buf *h, struct str in, size_t max_bytes, struct str *head,
                  size_t *used, struct err *e)
{
    size_t before = h->gathered.len;
    ptrdiff_t n;

    *head = in;
    if (before > 0) {
        in = str_slice(in, 0, HEAD_BUF_PIECE_BYTES);
        buf_add_str(&h->gathered, in);
        *head = buf_str(&h->gathered);
    }
    *used = in.n;
    n = http1_find_head(*head, max_bytes, &h->scanned, e);
    if (n < 0)
        return -1;
    if (n == 0) {
        if (before == 0)
            buf_add_str(&h->gathered, in);
        /* There was room: less than max_bytes had been gathered, or it would have been refused. */
        assert(!buf_failed(&h->gathered));
        return 0;
    }
    assert((size_t)n > before);
    *head = str_slice(*head, 0, (size_t)n);
    *used = (size_t)n - before;
    return 1;
}
