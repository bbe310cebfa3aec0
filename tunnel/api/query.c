#include "tunnel/api/query.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

/* Decodes to the arena; false on a bad escape. */
static bool decode(struct str text, bool plus_is_space, struct arena *a, struct str *out)
{
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '%') {
            int high = i + 2 < text.n ? char_hex_value(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? char_hex_value(text.p[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        p[n++] = c;
    }
    p[n] = '\0';
    *out = str_of(p, n);
    return utf8_is_valid(*out) && memchr(p, '\0', n) == NULL;
}

int api_segment_decode(struct str text, struct arena *a, struct str *out)
{
    return decode(text, false, a, out) ? 0 : -1;
}

static size_t count_pieces(struct str text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '&')
            n++;
    }
    return n;
}

int api_query_parse(struct str text, struct arena *a, struct api_query *out, struct api_error *e)
{
    struct str rest = text.n > 0 ? text : STR_NONE;
    struct str piece;
    size_t pieces = count_pieces(text);

    out->count = 0;
    out->items = NULL;
    if (pieces > API_QUERY_PARAMS_MAX)
        return api_error_set(e, API_QUERY_SYNTAX, "The query has more than %d parameters.",
                             API_QUERY_PARAMS_MAX);
    out->items = arena_zalloc(a, pieces * sizeof(*out->items));
    while (str_next(&rest, '&', &piece)) {
        size_t at = str_find_char(piece, '=');
        struct api_param *p = &out->items[out->count];

        if (piece.n == 0)
            continue;
        if (!decode(str_slice(piece, 0, at), true, a, &p->name) ||
            !decode(str_skip(piece, at + 1), true, a, &p->value))
            return api_error_set(e, API_QUERY_SYNTAX,
                                 "The query cannot be parsed: an escape is malformed.");
        out->count++;
    }
    return 0;
}

const struct api_param *api_query_find(const struct api_query *q, struct str name, size_t index)
{
    for (size_t i = 0; i < q->count; i++) {
        if (str_eq(q->items[i].name, name) && index-- == 0)
            return &q->items[i];
    }
    return NULL;
}

void api_query_encode(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (char_is_alpha(c) || char_is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL))
            buf_add_char(out, c);
        else
            buf_add_fmt(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void api_query_add(struct buf *out, char separator, const char *name, struct str value)
{
    buf_add_fmt(out, "%c%s=", separator, name);
    api_query_encode(out, value);
}
