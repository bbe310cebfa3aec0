/*
 * str: a borrowed run of bytes, the one way text is passed around.
 * A struct str never owns what it points at; its maker says how long that lives. It is not
 * NUL-terminated: copy it with str_dup() at the door of a library that wants a C string.
 * Thread: any; pure.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *p; /* borrowed; may be NULL when n is 0 */
    size_t n;      /* bytes */
};

/* A str of a string literal, and the two printf arguments for "%.*s". */
/* clang-format off */
#define STR(lit)      ((struct str){ .p = "" lit, .n = sizeof(lit) - 1 })
#define STR_INIT(lit) { .p = "" lit, .n = sizeof(lit) - 1 }
#define STR_ARG(s)    (int)(s).n, (s).p != NULL ? (s).p : ""
#define STR_NONE      ((struct str){ .p = NULL, .n = 0 })
/* clang-format on */

static inline struct str str_of(const char *p, size_t n)
{
    struct str s = { p, n }; /* plain enough for C++ too: policy/regex.cc includes this */

    return s;
}

/* A str of the C string s (NULL gives the empty str). */
struct str str_from(const char *s);

/* A NUL-terminated copy; free with mem_free(). */
char *str_dup(struct str s);

/* True if the bytes are equal; _nocase folds ASCII only. */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);

/* By the bytes, as memcmp(); what another one begins with comes before that. */
int str_compare(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Index of the first byte c, or s.n when there is none. */
size_t str_find_char(struct str s, char c);
/* Index of the last byte c, or s.n when there is none. */
size_t str_rfind_char(struct str s, char c);
/* Index of the first `needle`, or s.n when there is none. */
size_t str_find(struct str s, struct str needle);

/* The bytes from `from` up to (not including) `to`; both are cut to s.n. */
struct str str_slice(struct str s, size_t from, size_t to);
/* What follows the first n bytes. */
struct str str_skip(struct str s, size_t n);

/* Without space, tab, CR and LF at either end. */
struct str str_trim(struct str s);
/* Without space and tab at either end (RFC 9110 OWS). */
struct str str_trim_ows(struct str s);

/*
 * Takes the next piece of *rest up to `sep`; *rest then starts behind it. Returns false when
 * *rest.p is NULL, which is how the end looks; "a,," yields "a", "", "".
 */
bool str_next(struct str *rest, char sep, struct str *piece);

/*
 * Reads all of s as a decimal number without sign or spaces. Returns 0, or -1 when s is no such
 * number or is above max; *out is then untouched.
 */
int str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* ASCII classes and folding, free of the locale. */
static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool char_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline char char_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Value of a hexadecimal digit, or -1. */
int char_hex_value(char c);

/* Edit distance of two short names (bytes past the 64th are ignored), for "did you mean". */
size_t str_distance(struct str a, struct str b);

#endif
