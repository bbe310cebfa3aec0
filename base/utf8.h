/*
 * utf8: reading text by code points (RFC 3629: shortest form, no surrogates, up to U+10FFFF).
 * Thread: any; pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { UTF8_MAX_BYTES = 4, UTF8_REPLACEMENT = 0xfffd };

/* Length of the well-formed sequence at the start of s; 0 when there is none, or s is empty. */
size_t utf8_length(struct str s);

/* True if all of s is well-formed; U+0000 is. */
bool utf8_is_valid(struct str s);

/*
 * The bytes before the first ill-formed one, and the ill-formed ones that follow it in a row.
 * A loop over it replaces each such run by one U+FFFD.
 */
size_t utf8_good(struct str s);
size_t utf8_bad(struct str s);

/* ---- of well-formed text; on other text the answers are wrong but safe ---- */

/* How many code points s has. */
size_t utf8_count(struct str s);

/* Byte offset of code point `index`; s.n for the index behind the last one, and when there are fewer
 * *missing (may be NULL) is set. */
size_t utf8_offset(struct str s, size_t index, bool *missing);

/* The first code point of s, which is not empty, and its length in bytes; ill-formed bytes are
 * UTF8_REPLACEMENT, one at a time. */
uint32_t utf8_decode(struct str s, size_t *n);

/* Length of the last code point of s; 0 when s is empty. */
size_t utf8_last_length(struct str s);

/* Writes a code point (no surrogate, at most U+10FFFF) and returns its length. */
size_t utf8_encode(uint32_t c, char out[UTF8_MAX_BYTES]);

/* True for a byte that continues a sequence. */
static inline bool utf8_is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

#endif
