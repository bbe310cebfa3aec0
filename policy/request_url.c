/*
 * Nearly every target is in normal form already, so each step first looks whether it has anything
 * to do, and hands on what it was given if not: of a plain request only the full URL is put
 * together.
 */
#include "policy/request_url.h"

#include <string.h>

#include "base/utf8.h"
#include "policy/message_text.h"
#include "policy/pairs_map.h"

enum { ESCAPE_BYTES = 3 };

/* ---- escapes ---- */

/* RFC 3986 section 2.3 */
static bool is_unreserved(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* Controls, spaces and what is not ASCII: no URL has them but in escapes. */
static bool must_be_escaped(char c)
{
    return (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f;
}

/* True if s begins with an escape; its byte is then in *byte. */
static bool read_escape(struct str s, char *byte)
{
    int high;
    int low;

    if (s.n < ESCAPE_BYTES || s.p[0] != '%')
        return false;
    high = char_hex_value(s.p[1]);
    low = char_hex_value(s.p[2]);
    if (high < 0 || low < 0)
        return false;
    *byte = (char)(high << 4 | low);
    return true;
}

static size_t write_escape(char *out, char byte)
{
    static const char digits[] = "0123456789ABCDEF";

    out[0] = '%';
    out[1] = digits[(unsigned char)byte >> 4];
    out[2] = digits[(unsigned char)byte & 0xf];
    return ESCAPE_BYTES;
}

static bool has_odd_bytes(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' || must_be_escaped(s.p[i]))
            return true;
    }
    return false;
}

/* Escapes in the one form they should have. A '%' that begins none is one byte like others: left
 * alone it could begin an escape with what is decoded behind it. */
static struct str normalize_escapes(struct arena *a, struct str s)
{
    size_t n = 0;
    char *out;

    if (!has_odd_bytes(s))
        return s;
    out = arena_alloc(a, s.n * ESCAPE_BYTES);
    while (s.n > 0) {
        char byte = s.p[0];
        bool escaped = read_escape(s, &byte);

        if (escaped ? !is_unreserved(byte) : byte == '%' || must_be_escaped(byte))
            n += write_escape(out + n, byte);
        else
            out[n++] = byte;
        s = str_skip(s, escaped ? ESCAPE_BYTES : 1);
    }
    return str_of(out, n);
}

/* Each byte that is no part of UTF-8 as an escape. */
static struct str escape_invalid(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n * ESCAPE_BYTES);
    size_t n = 0;

    while (s.n > 0) {
        size_t good = utf8_good(s);
        size_t bad;

        memcpy(out + n, s.p, good);
        n += good;
        s = str_skip(s, good);
        bad = utf8_bad(s);
        for (size_t i = 0; i < bad; i++)
            n += write_escape(out + n, s.p[i]);
        s = str_skip(s, bad);
    }
    return str_of(out, n);
}

static struct str decode_path(struct arena *a, struct str s)
{
    size_t n = 0;
    char *out;

    if (str_find_char(s, '%') == s.n)
        return s;
    out = arena_alloc(a, s.n);
    while (s.n > 0) {
        bool escaped = read_escape(s, &out[n]);

        if (!escaped)
            out[n] = s.p[0];
        n++;
        s = str_skip(s, escaped ? ESCAPE_BYTES : 1);
    }
    s = str_of(out, n);
    return utf8_is_valid(s) ? s : escape_invalid(a, s);
}

/* ---- the path ---- */

static bool is_dot(struct str segment)
{
    return str_eq(segment, STR("."));
}

static bool is_dot_dot(struct str segment)
{
    return str_eq(segment, STR(".."));
}

/* The path, which begins with '/', without its dot segments (RFC 3986 section 5.2.4). */
static struct str remove_dots(struct arena *a, struct str path)
{
    struct str rest = str_skip(path, 1);
    struct str segment = STR_NONE;
    size_t n = 0;
    char *out;

    if (str_find(path, STR("/.")) == path.n)
        return path;
    out = arena_alloc(a, path.n + 1);
    while (str_next(&rest, '/', &segment)) {
        if (is_dot(segment))
            continue;
        if (is_dot_dot(segment)) {
            while (n > 0 && out[n - 1] != '/')
                n--;
            n -= n > 0;
            continue;
        }
        out[n++] = '/';
        if (segment.n > 0)
            memcpy(out + n, segment.p, segment.n);
        n += segment.n;
    }
    /* What a dot segment at the end stands for is a folder. */
    if (n == 0 || is_dot(segment) || is_dot_dot(segment))
        out[n++] = '/';
    return str_of(out, n);
}

/* ---- the authority ---- */

struct authority {
    struct str user_password;
    struct str host; /* with brackets */
    struct str port;
};

static void split_authority(struct str s, struct authority *out)
{
    size_t at = str_rfind_char(s, '@');
    size_t bracket;
    size_t colon;

    out->user_password = at == s.n ? STR_NONE : str_slice(s, 0, at);
    out->host = at == s.n ? s : str_skip(s, at + 1);
    out->port = STR_NONE;
    bracket = str_rfind_char(out->host, ']');
    colon = str_rfind_char(out->host, ':');
    if (colon == out->host.n || (bracket != out->host.n && colon < bracket))
        return;
    out->port = str_skip(out->host, colon + 1);
    out->host = str_slice(out->host, 0, colon);
}

static struct str without_brackets(struct str host)
{
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return str_slice(host, 1, host.n - 1);
    return host;
}

static bool is_default_port(struct str scheme, uint64_t port)
{
    return str_eq(scheme, STR("https")) ? port == 443 : port == 80;
}

static void build_authority(struct arena *a, struct str sent, struct request_url *u)
{
    struct authority parts;
    struct str host;
    struct str port = STR_NONE;
    uint64_t number = 0;

    split_authority(sent, &parts);
    host = message_text_lower(a, message_text_clean(a, parts.host));
    u->user_password = message_text_clean(a, parts.user_password);
    u->host = without_brackets(host);
    u->has_port = str_to_u64(parts.port, UINT16_MAX, &number) == 0;
    u->port = (uint16_t)number;
    if (u->has_port && !is_default_port(u->scheme, number))
        port = arena_fmt(a, ":%u", (unsigned)number);
    if (u->user_password.n == 0 && port.n == 0) {
        u->authority = host;
        return;
    }
    u->authority = message_text_join(
        a,
        (const struct str[]){ u->user_password, u->user_password.n > 0 ? STR("@") : STR(""), host,
                              port },
        4);
}

/* ---- the whole ---- */

static struct str full_url(struct arena *a, struct str scheme, struct str authority, struct str uri)
{
    return message_text_join(a, (const struct str[]){ scheme, STR("://"), authority, uri }, 4);
}

/* "*" */
static void build_without_path(struct arena *a, struct str authority, struct str target,
                               struct request_url *u)
{
    u->raw_path = message_text_clean(a, target);
    u->path = u->raw_path;
    u->uri = u->raw_path;
    u->query = STR("");
    u->url = full_url(a, u->scheme, u->authority, STR(""));
    u->raw = full_url(a, u->scheme, authority, STR(""));
}

static bool is_same(struct str a, struct str b)
{
    return a.p == b.p && a.n == b.n;
}

void request_url_build(struct arena *a, struct str scheme, struct str authority, struct str target,
                       struct request_url *out)
{
    size_t question = str_find_char(target, '?');
    struct str raw_path = str_slice(target, 0, question);
    struct str raw_query = str_skip(target, question); /* with the "?" */
    struct str path;
    struct str query;

    *out = (struct request_url){ .scheme = message_text_lower(a, scheme) };
    build_authority(a, authority, out);
    authority = message_text_clean(a, authority);
    if (target.n > 0 && target.p[0] != '/' && question > 0) {
        build_without_path(a, authority, target, out);
        return;
    }
    path = raw_path.n == 0 ? STR("/") : remove_dots(a, normalize_escapes(a, raw_path));
    query = normalize_escapes(a, raw_query);
    out->path = decode_path(a, path);
    out->raw_path = message_text_clean(a, raw_path);
    out->query = message_text_clean(a, str_skip(raw_query, 1));
    if (is_same(path, raw_path) && is_same(query, raw_query))
        out->uri = target;
    else
        out->uri = message_text_join(a, (const struct str[]){ path, query }, 2);
    out->url = full_url(a, out->scheme, out->authority, out->uri);
    if (is_same(out->uri, target) && str_eq(out->authority, authority))
        out->raw = out->url;
    else
        out->raw = full_url(a, out->scheme, authority, message_text_clean(a, target));
}

/* ---- parameters ---- */

/* application/x-www-form-urlencoded */
static struct str decode_form(struct arena *a, struct str s)
{
    size_t n = 0;
    char *out;

    if (str_find_char(s, '%') == s.n && str_find_char(s, '+') == s.n)
        return message_text_clean(a, s);
    out = arena_alloc(a, s.n);
    while (s.n > 0) {
        bool escaped = read_escape(s, &out[n]);

        if (!escaped)
            out[n] = s.p[0] == '+' ? ' ' : s.p[0];
        n++;
        s = str_skip(s, escaped ? ESCAPE_BYTES : 1);
    }
    return message_text_clean(a, str_of(out, n));
}

static size_t count_params(struct str query)
{
    struct str piece;
    size_t count = 0;

    while (str_next(&query, '&', &piece))
        count += piece.n > 0;
    return count;
}

struct cel_value request_url_query_params(struct arena *a, struct str query)
{
    size_t count = count_params(query);
    struct pair *pairs;
    struct str piece;

    if (count > REQUEST_URL_PARAMS_MAX)
        return pairs_map_error(STR("the query has too many parameters"));
    pairs = arena_zalloc(a, count * sizeof(*pairs));
    count = 0;
    while (str_next(&query, '&', &piece)) {
        size_t equals = str_find_char(piece, '=');

        if (piece.n == 0)
            continue;
        pairs[count].name = decode_form(a, str_slice(piece, 0, equals));
        pairs[count].value = cel_string(decode_form(a, str_skip(piece, equals + 1)));
        count++;
    }
    return pairs_map_of_lists(a, pairs, count);
}
