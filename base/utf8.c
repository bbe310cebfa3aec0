#include "base/utf8.h"

#include <assert.h>
#include <string.h>

/* What may follow a lead byte: its length, and the range of the second byte, which is where
 * overlong forms, surrogates and what lies above U+10FFFF are told apart (RFC 3629 section 4). */
struct lead {
    unsigned char first;
    unsigned char last;
    unsigned char length;
    unsigned char low;
    unsigned char high;
};

static const struct lead leads[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
    { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
    { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static const struct lead *find_lead(unsigned char c)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (c >= leads[i].first && c <= leads[i].last)
            return &leads[i];
    }
    return NULL;
}

size_t utf8_length(struct str s)
{
    const struct lead *lead;

    if (s.n == 0)
        return 0;
    if ((unsigned char)s.p[0] < 0x80)
        return 1;
    lead = find_lead((unsigned char)s.p[0]);
    if (lead == NULL || s.n < lead->length)
        return 0;
    if ((unsigned char)s.p[1] < lead->low || (unsigned char)s.p[1] > lead->high)
        return 0;
    for (size_t i = 2; i < lead->length; i++) {
        if (!utf8_is_tail(s.p[i]))
            return 0;
    }
    return lead->length;
}

/* The ASCII bytes at the start, eight at a time: nearly all text there is. */
static size_t ascii_length(struct str s)
{
    size_t i = 0;
    uint64_t word;

    while (s.n - i >= sizeof(word)) {
        memcpy(&word, s.p + i, sizeof(word));
        if ((word & 0x8080808080808080U) != 0)
            break;
        i += sizeof(word);
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_good(struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        size_t n = ascii_length(str_skip(s, i));

        if (n == 0)
            n = utf8_length(str_skip(s, i));
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

size_t utf8_bad(struct str s)
{
    size_t i = 0;

    while (i < s.n && utf8_length(str_skip(s, i)) == 0)
        i++;
    return i;
}

bool utf8_is_valid(struct str s)
{
    return utf8_good(s) == s.n;
}

size_t utf8_count(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += !utf8_is_tail(s.p[i]);
    return count;
}

size_t utf8_offset(struct str s, size_t index, bool *missing)
{
    size_t i = 0;

    for (; i < s.n && index > 0; index--) {
        i++;
        while (i < s.n && utf8_is_tail(s.p[i]))
            i++;
    }
    if (missing != NULL)
        *missing = index > 0;
    return i;
}

uint32_t utf8_decode(struct str s, size_t *n)
{
    uint32_t c;

    *n = utf8_length(s);
    if (*n == 0) {
        *n = 1;
        return UTF8_REPLACEMENT;
    }
    if (*n == 1)
        return (unsigned char)s.p[0];
    c = (unsigned char)s.p[0] & (0xffU >> (*n + 1));
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
    return c;
}

size_t utf8_last_length(struct str s)
{
    size_t n = 0;

    while (n < s.n && n < UTF8_MAX_BYTES) {
        n++;
        if (!utf8_is_tail(s.p[s.n - n]))
            break;
    }
    return n;
}

size_t utf8_encode(uint32_t c, char out[UTF8_MAX_BYTES])
{
    static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    assert(c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)(marks[n] | c);
    return n;
}
