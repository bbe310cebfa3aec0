#include "gateway/http2_frames.h"

#include <string.h>

enum { STREAM_ID_MASK = 0x7f }; /* of its first byte; the highest bit means nothing */

void http2_frames_init(struct http2_frames *f)
{
    *f = (struct http2_frames){ .left = HTTP2_PREFACE_BYTES };
}

static void read_head(const uint8_t *p, struct http2_frame *frame)
{
    frame->bytes = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    frame->type = p[3];
    frame->flags = p[4];
    frame->stream_id = (int32_t)((uint32_t)(p[5] & STREAM_ID_MASK) << 24 | (uint32_t)p[6] << 16 |
                                 (uint32_t)p[7] << 8 | p[8]);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t http2_frames_next(struct http2_frames *f, struct str in, bool *begins,
                         struct http2_frame *frame)
{
    size_t n = 0;
    size_t payload;

    *begins = false;
    if (f->left == 0) {
        n = smaller(in.n, sizeof(f->head) - f->have);
        memcpy(f->head + f->have, in.p, n);
        f->have += n;
        if (f->have < sizeof(f->head))
            return n;
        read_head(f->head, frame);
        *begins = true;
        f->have = 0;
        f->left = frame->bytes;
    }
    payload = smaller(in.n - n, f->left);
    f->left -= payload;
    return n + payload;
}
