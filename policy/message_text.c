#include "policy/message_text.h"

#include <string.h>

#include "base/utf8.h"

/* A replaced run is at least one byte long, and the replacement is three. */
enum { GROWTH = 3 };

static const struct str replacement = STR_INIT("\xef\xbf\xbd");

static size_t put(char *out, size_t n, struct str s)
{
    if (s.n > 0)
        memcpy(out + n, s.p, s.n);
    return n + s.n;
}

struct str message_text_clean(struct arena *a, struct str s)
{
    size_t good = utf8_good(s);
    size_t n = 0;
    char *out;

    if (good == s.n)
        return s;
    out = arena_alloc(a, s.n * GROWTH);
    while (s.n > 0) {
        n = put(out, n, str_slice(s, 0, good));
        s = str_skip(s, good);
        if (s.n > 0)
            n = put(out, n, replacement);
        s = str_skip(s, utf8_bad(s));
        good = utf8_good(s);
    }
    return str_of(out, n);
}

struct str message_text_lower(struct arena *a, struct str s)
{
    size_t i = 0;
    char *out;

    while (i < s.n && char_lower(s.p[i]) == s.p[i])
        i++;
    if (i == s.n)
        return s;
    out = arena_alloc(a, s.n);
    for (i = 0; i < s.n; i++)
        out[i] = char_lower(s.p[i]);
    return str_of(out, s.n);
}

struct str message_text_join(struct arena *a, const struct str *parts, size_t count)
{
    size_t total = 0;
    size_t n = 0;
    char *out;

    for (size_t i = 0; i < count; i++)
        total += parts[i].n;
    out = arena_alloc(a, total);
    for (size_t i = 0; i < count; i++)
        n = put(out, n, parts[i]);
    return str_of(out, n);
}
