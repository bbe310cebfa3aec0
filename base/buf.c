#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum {
    BUF_MIN_BYTES = 256,
    BUF_KEEP_BYTES = 16 * 1024, /* a drained buffer above this gives its memory back */
};

void buf_init(struct buf *b, size_t max_bytes)
{
    assert(max_bytes < SIZE_MAX); /* buf_add_vfmt() needs one more */
    *b = (struct buf){ .max = max_bytes };
}

void buf_fini(struct buf *b)
{
    mem_free(b->mem);
    *b = (struct buf){ .max = b->max };
}

static void move_to_front(struct buf *b)
{
    assert(b->mem != NULL);
    memmove(b->mem, b->mem + b->off, b->len);
    b->off = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t want;

    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    if (n <= b->cap - b->off - b->len && b->mem != NULL)
        return b->mem + b->off + b->len;
    /* Move to the front first when that alone makes the room and is cheap. */
    if (b->off > 0 && b->len + n <= b->cap && b->off >= b->len) {
        move_to_front(b);
        return b->mem + b->len;
    }
    want = b->cap > 0 ? b->cap : BUF_MIN_BYTES;
    while (want < b->len + n) {
        assert(want <= SIZE_MAX / 2);
        want *= 2;
    }
    if (b->off > 0)
        move_to_front(b);
    if (want > b->cap) {
        b->mem = mem_realloc(b->mem, want);
        b->cap = want;
    }
    return b->mem + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(b->off + b->len + n <= b->cap);
    b->len += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *at;

    if (n == 0)
        return;
    at = buf_reserve(b, n);
    if (at == NULL)
        return;
    memcpy(at, p, n);
    b->len += n;
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_add_vfmt(b, fmt, ap);
    va_end(ap);
}

void buf_add_vfmt(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;
    char *at;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0);
    /* vsnprintf writes a NUL too, which is not counted as content. */
    if ((size_t)n > buf_room(b)) {
        b->failed = true;
        return;
    }
    b->max++;
    at = buf_reserve(b, (size_t)n + 1);
    b->max--;
    if (at == NULL)
        return;
    (void)vsnprintf(at, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->off += n;
    b->len -= n;
    if (b->len > 0)
        return;
    b->off = 0;
    if (b->cap > BUF_KEEP_BYTES) {
        mem_free(b->mem);
        b->mem = NULL;
        b->cap = 0;
    }
}

void buf_clear(struct buf *b)
{
    buf_consume(b, b->len);
    b->failed = false;
}
