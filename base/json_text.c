#include "base/json_text.h"

#include "base/utf8.h"

static void add_escaped_char(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        buf_add_char(b, '\\');
        buf_add_char(b, (char)c);
        return;
    case '\n':
        buf_add_str(b, STR("\\n"));
        return;
    case '\r':
        buf_add_str(b, STR("\\r"));
        return;
    case '\t':
        buf_add_str(b, STR("\\t"));
        return;
    default:
        buf_add_fmt(b, "\\u%04x", (unsigned)c);
    }
}

/* True for U+0080 to U+009F, which some terminals obey like the controls below U+0020. */
static bool is_c1_control(struct str s)
{
    return s.n >= 2 && (unsigned char)s.p[0] == 0xc2 && (unsigned char)s.p[1] < 0xa0;
}

/* What is written, and not what is read, has the limit: so a line has one too. */
void json_text_escape(struct buf *b, struct str s, size_t max_bytes)
{
    size_t end = b->len + max_bytes;

    while (s.n > 0) {
        size_t n = utf8_length(s);
        unsigned char c = (unsigned char)s.p[0];

        if (b->len >= end) {
            buf_add_str(b, STR("..."));
            return;
        }
        if (n == 2 && is_c1_control(s)) {
            add_escaped_char(b, (unsigned char)s.p[1]);
        } else if (n == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            add_escaped_char(b, c);
            n = 1;
        } else {
            buf_add(b, s.p, n);
        }
        s = str_skip(s, n);
    }
}

void json_text_string(struct buf *b, struct str s, size_t max_bytes)
{
    buf_add_char(b, '"');
    json_text_escape(b, s, max_bytes);
    buf_add_char(b, '"');
}

/* ---- objects --------------------------------------------------------------------------- */

/* Splits a dotted name; returns how many parts. */
static size_t split(struct str name, struct str part[JSON_TEXT_DEPTH_MAX])
{
    size_t n = 0;

    while (n < JSON_TEXT_DEPTH_MAX && str_next(&name, '.', &part[n]))
        n++;
    return n;
}

static void close_to(struct buf *b, struct json_text_object *o, size_t depth)
{
    for (; o->depth > depth; o->depth--)
        buf_add_char(b, '}');
}

void json_text_name(struct buf *b, struct json_text_object *o, struct str name)
{
    struct str part[JSON_TEXT_DEPTH_MAX];
    size_t parts = split(name, part);
    size_t common = 0;

    while (common < o->depth && common + 1 < parts && str_eq(o->open[common], part[common]))
        common++;
    close_to(b, o, common);
    if (o->has_members)
        buf_add_char(b, ',');
    o->has_members = true;
    for (; o->depth + 1 < parts; o->depth++) {
        o->open[o->depth] = part[o->depth];
        buf_add_fmt(b, "\"%.*s\":{", STR_ARG(part[o->depth]));
    }
    buf_add_fmt(b, "\"%.*s\":", STR_ARG(part[parts - 1]));
}

void json_text_close(struct buf *b, struct json_text_object *o)
{
    close_to(b, o, 0);
}
