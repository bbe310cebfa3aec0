#include "policy/target_url.h"

#include <string.h>

/* RFC 3986 section 2.3. */
static bool is_unreserved(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL);
}

static bool is_escape(struct str s)
{
    return s.n >= 3 && s.p[0] == '%' && char_hex_value(s.p[1]) >= 0 && char_hex_value(s.p[2]) >= 0;
}

/* RFC 3986 section 2: what a URL may hold as it is; an escape stays one. */
static bool starts_well(struct str s)
{
    return is_unreserved(s.p[0]) || is_escape(s) ||
           (s.p[0] != '\0' && strchr(":/?#[]@!$&'()*+,;=", s.p[0]) != NULL);
}

static void add_escape(struct buf *out, char c)
{
    buf_add_fmt(out, "%%%02X", (unsigned char)c);
}

bool target_url_is_http(struct str url)
{
    struct str rest;

    if (str_starts_nocase(url, STR("http://")))
        rest = str_skip(url, 7);
    else if (str_starts_nocase(url, STR("https://")))
        rest = str_skip(url, 8);
    else
        return false;
    for (size_t i = 0; i < rest.n; i++) {
        if ((unsigned char)rest.p[i] <= 0x20 || rest.p[i] == 0x7F)
            return false;
    }
    return rest.n > 0 && strchr("/?#:", rest.p[0]) == NULL;
}

void target_url_add(struct buf *out, struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        if (starts_well(str_skip(url, i)))
            buf_add_char(out, url.p[i]);
        else
            add_escape(out, url.p[i]);
    }
}

void target_url_add_query(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_unreserved(text.p[i]))
            buf_add_char(out, text.p[i]);
        else
            add_escape(out, text.p[i]);
    }
}
