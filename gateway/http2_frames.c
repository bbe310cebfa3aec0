#include "gateway/http2_frames.h"

#include <string.h>

#include <nghttp2/nghttp2.h>

enum { STREAM_ID_MASK = 0x7f }; /* of its first byte; the highest bit means nothing */

void http2_frames_init(struct http2_frames *f)
{
    *f = (struct http2_frames){ .left = HTTP2_PREFACE_BYTES };
}

static size_t payload_bytes(const uint8_t *p)
{
    return (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
}

/* RFC 9113 section 6.1: the payload begins with the length of the padding. */
static bool is_padded_data(const uint8_t *p)
{
    return p[3] == NGHTTP2_DATA && (p[4] & NGHTTP2_FLAG_PADDED) != 0 && payload_bytes(p) > 0;
}

static void read_head(const uint8_t *p, struct http2_frame *frame)
{
    frame->bytes = payload_bytes(p);
    frame->type = p[3];
    frame->flags = p[4];
    frame->stream_id = (int32_t)((uint32_t)(p[5] & STREAM_ID_MASK) << 24 | (uint32_t)p[6] << 16 |
                                 (uint32_t)p[7] << 8 | p[8]);
    if (is_padded_data(p)) {
        size_t padding = 1 + (size_t)p[HTTP2_FRAME_HEAD_BYTES];

        frame->bytes -= padding < frame->bytes ? padding : frame->bytes;
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes bytes of the head up to `want`; true when it has them. */
static bool fill_head(struct http2_frames *f, struct str in, size_t want, size_t *used)
{
    size_t n = smaller(in.n - *used, want - f->have);

    memcpy(f->head + f->have, in.p + *used, n);
    f->have += n;
    *used += n;
    return f->have == want;
}

size_t http2_frames_next(struct http2_frames *f, struct str in, bool *begins,
                         struct http2_frame *frame)
{
    size_t n = 0;
    size_t payload;

    *begins = false;
    if (f->left == 0) {
        if (f->have < HTTP2_FRAME_HEAD_BYTES && !fill_head(f, in, HTTP2_FRAME_HEAD_BYTES, &n))
            return n;
        if (is_padded_data(f->head) && !fill_head(f, in, HTTP2_FRAME_BEGIN_BYTES, &n))
            return n;
        read_head(f->head, frame);
        *begins = true;
        f->left = payload_bytes(f->head) - (f->have - HTTP2_FRAME_HEAD_BYTES);
        f->have = 0;
    }
    payload = smaller(in.n - n, f->left);
    f->left -= payload;
    return n + payload;
}
