/*
 * head_buf: finds the end of a message head in bytes that come in pieces.
 * A head that comes in one piece is read where it lies; one that does not is gathered. Never a byte
 * more than the head is taken, so what follows it stays with the stream, where back-pressure is.
 * Owns:   what it has gathered.
 * Thread: that of the stream.
 * Limits: what the caller gives head_buf_read(), at most HEAD_BUF_MAX_BYTES.
 */
#ifndef GATEWAY_HEAD_BUF_H
#define GATEWAY_HEAD_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* The largest value that the settings *_head_max_bytes may have. */
enum { HEAD_BUF_MAX_BYTES = 16 * 1024 * 1024 };

struct head_buf {
    struct buf gathered;
    size_t scanned; /* by http1_find_head() */
};

void head_buf_init(struct head_buf *h);
/* Forgets what was gathered and gives its memory back; h is as after head_buf_init(). */
void head_buf_reset(struct head_buf *h);

/*
 * Takes bytes from the front of `in`, which is not empty; *used says how many. Returns 1 when the
 * head is whole: *head borrows it from `in` or from h, until head_buf_reset(), which is then due. 0:
 * more is needed; the caller goes on with what it has behind *used. -1 with the errors of
 * http1_find_head().
 */
int head_buf_read(struct head_buf *h, struct str in, size_t max_bytes, struct str *head,
                  size_t *used, struct err *e);

#endif
