/*
 * http2_frames: where the frames of an HTTP/2 connection begin (RFC 9113 section 4.1).
 * nghttp2 passes over some frames without telling anybody, and those count too. So what comes is cut
 * at the frames before nghttp2 gets it.
 * Thread: that of the connection; pure.
 */
#ifndef GATEWAY_HTTP2_FRAMES_H
#define GATEWAY_HTTP2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { HTTP2_FRAME_HEAD_BYTES = 9, HTTP2_PREFACE_BYTES = 24 };

/* What is read of a frame before it begins: of padded DATA also how long the padding is. */
enum { HTTP2_FRAME_BEGIN_BYTES = HTTP2_FRAME_HEAD_BYTES + 1 };

struct http2_frame {
    size_t bytes; /* of its payload, of DATA without padding */
    uint8_t type;
    uint8_t flags;
    int32_t stream_id;
};

struct http2_frames {
    size_t left; /* bytes until the next frame begins */
    uint8_t head[HTTP2_FRAME_BEGIN_BYTES];
    size_t have; /* bytes of `head` */
};

/* A visitor's bytes, which begin with the preface. */
void http2_frames_init(struct http2_frames *f);

/*
 * Returns how many bytes at the front of `in` (not empty) belong together: all of them, or up to the
 * end of a frame. *begins: a frame begins in them, or before them if they bring what is missing of its
 * head, which is *frame.
 */
size_t http2_frames_next(struct http2_frames *f, struct str in, bool *begins,
                         struct http2_frame *frame);

#endif
