#include "base/str.h"

#include <string.h>

#include "base/mem.h"

struct str str_from(const char *s)
{
    return s == NULL ? STR_NONE : str_of(s, strlen(s));
}

char *str_dup(struct str s)
{
    return mem_strndup(s.p, s.n);
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.n == b.n && str_starts_nocase(a, b);
}

int str_compare(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++) {
        if (char_lower(s.p[i]) != char_lower(prefix.p[i]))
            return false;
    }
    return true;
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

size_t str_find_char(struct str s, char c)
{
    const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

    return at == NULL ? s.n : (size_t)(at - s.p);
}

size_t str_rfind_char(struct str s, char c)
{
    const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

    return at == NULL ? s.n : (size_t)(at - s.p);
}

size_t str_find(struct str s, struct str needle)
{
    const char *at;

    if (needle.n == 0)
        return 0;
    at = s.n > 0 ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at == NULL ? s.n : (size_t)(at - s.p);
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return from == 0 ? str_of(s.p, to) : str_of(s.p + from, to - from);
}

struct str str_skip(struct str s, size_t n)
{
    return str_slice(s, n, s.n);
}

static struct str trim(struct str s, const char *set)
{
    while (s.n > 0 && s.p[0] != '\0' && strchr(set, s.p[0]) != NULL) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && s.p[s.n - 1] != '\0' && strchr(set, s.p[s.n - 1]) != NULL)
        s.n--;
    return s;
}

struct str str_trim(struct str s)
{
    return trim(s, " \t\r\n");
}

struct str str_trim_ows(struct str s)
{
    return trim(s, " \t");
}

bool str_next(struct str *rest, char sep, struct str *piece)
{
    size_t at;

    if (rest->p == NULL)
        return false;
    at = str_find_char(*rest, sep);
    *piece = str_slice(*rest, 0, at);
    *rest = at == rest->n ? STR_NONE : str_of(rest->p + at + 1, rest->n - at - 1);
    return true;
}

int str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        uint64_t digit;

        if (!char_is_digit(s.p[i]))
            return -1;
        digit = (uint64_t)(s.p[i] - '0');
        if (digit > max || value > (max - digit) / 10)
            return -1;
        value = value * 10 + digit;
    }
    *out = value;
    return 0;
}

int char_hex_value(char c)
{
    if (char_is_digit(c))
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Levenshtein by two rows; names are short, so the quadratic cost does not matter. */
size_t str_distance(struct str a, struct str b)
{
    enum { NAME_MAX_BYTES = 64 };
    size_t row[NAME_MAX_BYTES + 1];

    a = str_slice(a, 0, NAME_MAX_BYTES);
    b = str_slice(b, 0, NAME_MAX_BYTES);
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.n];
}
