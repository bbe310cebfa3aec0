/*
 * coding: content codings (RFC 9110 section 8.4.1) as streams: gzip, deflate (zlib format), br and
 * zstd, each way. Every other module of the engine sees only this.
 * Owns:   an encoder and a decoder their library's state.
 * Thread: that of its owner.
 * Limits: what is appended to the buffer of the caller: passing its maximum fails, so a small input
 *         cannot unfold without bound.
 */
#ifndef POLICY_CODING_H
#define POLICY_CODING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum coding { CODING_GZIP, CODING_DEFLATE, CODING_BR, CODING_ZSTD };
enum { CODING_COUNT = CODING_ZSTD + 1 };

/* "gzip" and so on. */
const char *coding_name(enum coding c);
/* The coding of that name (any case; "x-gzip" is gzip). Returns 0 or -1. */
int coding_find(struct str name, enum coding *out);

enum coding_flush {
    CODING_MORE,   /* as it is best */
    CODING_FLUSH,  /* all input so far must be readable on the other side */
    CODING_FINISH, /* the last call */
};

struct encoder;
/* NULL if the library has no memory. */
struct encoder *encoder_new(enum coding c);
void encoder_free(struct encoder *e);
/* -1 with E_REPLACE_FAILED when `out` is full or the library fails. */
int encoder_push(struct encoder *e, struct str in, enum coding_flush flush, struct buf *out,
                 struct err *why);

struct decoder;
struct decoder *decoder_new(enum coding c);
void decoder_free(struct decoder *d);
/* -1 with E_POLICY_BODY when the input is not in this coding or goes on behind its end, with
 * E_POLICY_BODY_TOO_LARGE when `out` is full. */
int decoder_push(struct decoder *d, struct str in, struct buf *out, struct err *why);
/* True when the coded stream has come to its end. */
bool decoder_is_complete(const struct decoder *d);

/*
 * Decodes a whole body with the codings of a Content-Encoding value ("gzip, br": applied in this
 * order, undone in reverse). -1 with E_POLICY_BODY: unknown coding, bad or incomplete data; or with
 * E_POLICY_BODY_TOO_LARGE: more than out's maximum.
 */
int coding_decode_all(struct str content_encoding, struct str body, struct buf *out,
                      struct err *why);

#endif
