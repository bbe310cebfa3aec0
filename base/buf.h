/*
 * buf: growing bytes with a maximum from birth, read from the front and written at the back.
 * Appends are sticky: one that would pass the maximum fails the buffer, later ones do nothing,
 * and buf_failed() is asked once at the end.
 * Owns: its memory, from the first append to buf_fini(). A drained buffer gives large memory back.
 * Thread: that of its owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
    char *mem;  /* owned; NULL while nothing was ever stored */
    size_t cap; /* bytes allocated */
    size_t off; /* bytes read from the front */
    size_t len; /* unread bytes behind off */
    size_t max; /* len never passes this */
    bool failed;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);

/* The unread bytes; valid until the next append or consume. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ .p = b->mem != NULL ? b->mem + b->off : NULL, .n = b->len };
}

/* How many more bytes fit below the maximum. */
static inline size_t buf_room(const struct buf *b)
{
    return b->failed ? 0 : b->max - b->len;
}

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, struct str s);
void buf_add_char(struct buf *b, char c);
void buf_add_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_add_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Makes room for n bytes and returns where to put them, or NULL (and fails) past the maximum. */
char *buf_reserve(struct buf *b, size_t n);
/* Declares that n of the reserved bytes were written. */
void buf_commit(struct buf *b, size_t n);

/* Drops n bytes from the front (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Drops everything and clears the failure. */
void buf_clear(struct buf *b);

#endif
