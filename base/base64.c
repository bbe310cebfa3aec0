#include "base/base64.h"

#include <stdint.h>

static int char_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct str s, void *out, size_t cap, size_t *n)
{
    unsigned char *to = out;
    size_t padding = 0;
    size_t done = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    if (s.n % 4 != 0)
        return -1;
    while (padding < 2 && padding < s.n && s.p[s.n - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < s.n - padding; i++) {
        int value = char_value(s.p[i]);

        if (value == -1)
            return -1;
        bits = (bits << 6 | (uint32_t)value) & 0xffff; /* at most 6 + 6 of them are not out yet */
        bit_count += 6;
        if (bit_count < 8)
            continue;
        if (done == cap)
            return -1;
        bit_count -= 8;
        to[done++] = (unsigned char)(bits >> bit_count & 0xff);
    }
    if ((bits & ((1U << bit_count) - 1)) != 0)
        return -1;
    *n = done;
    return 0;
}
