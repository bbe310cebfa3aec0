/*
 * base64: RFC 4648 section 4, read strictly and written with padding.
 * Thread: any; pure.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

#include "base/str.h"

/* The most bytes that n characters can stand for. */
static inline size_t base64_max_bytes(size_t n)
{
    return n / 4 * 3;
}

/* How long the text of n bytes is. */
static inline size_t base64_text_bytes(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes the text of s to out, which has room for base64_text_bytes(s.n); no NUL. */
void base64_encode(struct str s, char *out);

/*
 * Decodes all of s to out: whole groups, padding where it belongs, no other character, unused bits
 * zero; so one value has one text. Returns 0 and the length in *n, or -1 when s is malformed or
 * stands for more than cap bytes; out is then undefined.
 */
int base64_decode(struct str s, void *out, size_t cap, size_t *n);

/* The same, and the padding at the end may be left out; at most base64_max_bytes(s.n + 3) bytes. */
int base64_decode_bare(struct str s, void *out, size_t cap, size_t *n);

#endif
