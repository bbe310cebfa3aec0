#include "policy/cel/url_text.h"

#include <string.h>

#include "base/addr.h"

enum { ESCAPE_BYTES = 3, PORT_MAX = 65535 };

/* ---- escapes ---- */

/* RFC 3986 section 2.3 */
static bool is_unreserved(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

void url_text_escape(struct cel_text *out, struct str s, struct str space)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t from = 0;

    for (size_t i = 0; i < s.n && !out->failed; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char escape[ESCAPE_BYTES] = { '%', hex[c >> 4], hex[c & 15] };

        if (is_unreserved(s.p[i]))
            continue;
        cel_text_add(out, str_slice(s, from, i));
        cel_text_add(out, c == ' ' ? space : str_of(escape, sizeof(escape)));
        from = i + 1;
    }
    cel_text_add(out, str_skip(s, from));
}

/* The byte of an escape at the start of s, or -1. */
static int read_escape(struct str s)
{
    int high;
    int low;

    if (s.n < ESCAPE_BYTES || s.p[0] != '%')
        return -1;
    high = char_hex_value(s.p[1]);
    low = char_hex_value(s.p[2]);
    return high == -1 || low == -1 ? -1 : high << 4 | low;
}

struct cel_value url_text_unescape(struct cel_run *run, struct str s, enum url_plus plus,
                                   enum url_bad_escape bad)
{
    bool has_plus = plus == URL_PLUS_IS_SPACE && str_find_char(s, '+') < s.n;
    size_t n = 0;
    char *out;

    if (!has_plus && str_find_char(s, '%') == s.n)
        return cel_charge_bytes(run, s.n) ? cel_bytes(s) : cel_spent(run);
    out = cel_text_alloc(run, s.n);
    if (out == NULL)
        return cel_spent(run);
    while (s.n > 0) {
        int byte = read_escape(s);

        if (byte == -1 && s.p[0] == '%' && bad == URL_BAD_ESCAPE_FAILS)
            return cel_error(run, "the text has a '%%' that begins no escape");
        if (byte != -1)
            out[n++] = (char)byte;
        else
            out[n++] = s.p[0] == '+' && has_plus ? ' ' : s.p[0];
        s = str_skip(s, byte != -1 ? ESCAPE_BYTES : 1);
    }
    return cel_bytes(str_of(out, n));
}

/* ---- parts ---- */

/* Cuts *s at the first `c` and returns what stands behind it. */
static struct str cut(struct str *s, char c)
{
    size_t at = str_find_char(*s, c);
    struct str behind = str_skip(*s, at + 1);

    *s = str_slice(*s, 0, at);
    return behind;
}

/* Length of the scheme, without its colon; 0: there is none. */
static size_t scheme_length(struct str s)
{
    size_t n = 0;

    while (n < s.n && (char_is_alpha(s.p[n]) || (n > 0 && (char_is_digit(s.p[n]) || s.p[n] == '+' ||
                                                           s.p[n] == '-' || s.p[n] == '.'))))
        n++;
    return n < s.n && s.p[n] == ':' ? n : 0;
}

/* A '%' has to begin an escape. */
static bool has_bad_escape(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && read_escape(str_skip(s, i)) == -1)
            return true;
    }
    return false;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

static bool has_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr(set, s.p[i]) != NULL)
            return true;
    }
    return false;
}

static bool parse_port(struct str text)
{
    uint64_t port;

    return text.n == 0 || str_to_u64(text, PORT_MAX, &port) == 0;
}

/* "[2001:db8::1]" and maybe a port (RFC 3986 section 3.2.2). */
static bool parse_bracketed(struct url_parts *out)
{
    size_t end = str_find_char(out->host, ']');
    struct str behind = str_skip(out->host, end + 1);
    struct addr ip;

    out->hostname = str_slice(out->host, 1, end);
    out->port = str_skip(behind, 1);
    return end < out->host.n && (behind.n == 0 || behind.p[0] == ':') &&
           str_find_char(out->hostname, ':') < out->hostname.n &&
           addr_parse_ip(out->hostname, &ip) == 0;
}

static bool parse_authority(struct str s, struct url_parts *out)
{
    size_t at = str_rfind_char(s, '@');

    out->host = s;
    if (at < s.n) {
        out->user = str_slice(s, 0, at);
        out->host = str_skip(s, at + 1);
    }
    out->hostname = out->host;
    if (has_bad_escape(s) || has_any(s, " <>\"\\^`{|}") || has_any(out->user, "[]@"))
        return false;
    if (str_starts(out->host, STR("["))) {
        if (!parse_bracketed(out))
            return false;
    } else {
        out->port = cut(&out->hostname, ':');
        if (has_any(out->hostname, "[]"))
            return false;
    }
    return parse_port(out->port);
}

bool url_text_parse(struct str s, struct url_parts *out)
{
    size_t scheme = scheme_length(s);
    struct str authority;

    *out = (struct url_parts){ 0 };
    if (has_control(s))
        return false;
    out->fragment = cut(&s, '#');
    out->query = cut(&s, '?');
    if (scheme > 0) {
        out->scheme = str_slice(s, 0, scheme);
        s = str_skip(s, scheme + 1);
    } else if (str_find_char(s, ':') < str_find_char(s, '/')) {
        return false; /* RFC 3986 section 4.2: it would be a scheme */
    }
    if (str_starts(s, STR("//"))) {
        authority = str_skip(s, 2);
        s = str_skip(authority, str_find_char(authority, '/'));
        authority.n -= s.n;
        if (!parse_authority(authority, out))
            return false;
    }
    out->path = s;
    return !has_bad_escape(out->path) && !has_bad_escape(out->fragment);
}
