#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct str s, char *out)
{
    while (s.n > 0) {
        unsigned char in[3] = { 0 };
        size_t n = s.n < sizeof(in) ? s.n : sizeof(in);

        memcpy(in, s.p, n);
        out[0] = alphabet[in[0] >> 2];
        out[1] = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        out[2] = n > 1 ? alphabet[(in[1] & 15) << 2 | in[2] >> 6] : '=';
        out[3] = n > 2 ? alphabet[in[2] & 63] : '=';
        out += 4;
        s = str_skip(s, n);
    }
}

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

int base64_decode_bare(struct str s, void *out, size_t cap, size_t *n)
{
    size_t whole = s.n / 4 * 4;
    size_t rest = s.n - whole;
    char last[4] = "====";
    size_t head;
    size_t tail;

    if (rest == 0)
        return base64_decode(s, out, cap, n);
    if (str_find_char(s, '=') < s.n)
        return -1; /* padding, but not enough of it */
    memcpy(last, s.p + whole, rest);
    if (base64_decode(str_slice(s, 0, whole), out, cap, &head) == -1 ||
        base64_decode(str_of(last, 4), (char *)out + head, cap - head, &tail) == -1)
        return -1;
    *n = head + tail;
    return 0;
}
