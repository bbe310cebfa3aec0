#include "policy/base64url.h"

#include "base/base64.h"

/* The character of the standard alphabet, or NUL for one that this alphabet does not have. */
static char standard_char(char c)
{
    if (c == '-')
        return '+';
    if (c == '_')
        return '/';
    return char_is_alpha(c) || char_is_digit(c) ? c : '\0';
}

int base64url_decode(struct arena *a, struct str s, struct str *out)
{
    char *standard = arena_alloc(a, s.n);
    size_t max = base64_max_bytes(s.n + 3);
    char *bytes = arena_alloc(a, max);
    size_t n;

    for (size_t i = 0; i < s.n; i++) {
        standard[i] = standard_char(s.p[i]);
        if (standard[i] == '\0')
            return -1;
    }
    if (base64_decode_bare(str_of(standard, s.n), bytes, max, &n) == -1)
        return -1;
    *out = str_of(bytes, n);
    return 0;
}
