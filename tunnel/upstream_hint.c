/*
 * The upstream hint says how to talk through a channel; where the agent connects to is its own
 * business and never reaches the gateway. So names are checked loosely here: they are shown, sent
 * as Host or SNI, and never resolved.
 */
#include <stdio.h>

#include "base/addr.h"
#include "tunnel/url_int.h"

enum { TLS_PORT = 443, HTTP_PORT = 80 };

static const unsigned hint_schemes[] = {
    [URL_COMMAND_HTTP] = SCHEME_BIT(SCHEME_HTTP) | SCHEME_BIT(SCHEME_HTTPS),
    [URL_COMMAND_TCP] = SCHEME_BIT(SCHEME_TCP) | SCHEME_BIT(SCHEME_TLS),
    [URL_COMMAND_TLS] = SCHEME_BIT(SCHEME_TCP) | SCHEME_BIT(SCHEME_TLS),
};

static bool is_number(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_digit(s.p[i]))
            return false;
    }
    return s.n > 0;
}

static int set_ip6(struct upstream_hint *h, struct str literal, struct err *e)
{
    char text[ADDR_IP_TEXT_BYTES];
    struct addr a;

    /* url_split() saw to it that the literal has both brackets. */
    if (addr_parse_ip(str_slice(literal, 1, literal.n - 1), &a) == -1)
        return err_set(e, E_HOST_SYNTAX, "'%.*s' is no IPv6 address", STR_ARG(literal));
    (void)snprintf(h->host, sizeof(h->host), a.family == 6 ? "[%s]" : "%s",
                   addr_format_ip(&a, text));
    return 0;
}

static int check_character(char c, struct err *e)
{
    if (char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '_' || c == '.')
        return 0;
    if (c > ' ' && c < 0x7f)
        return err_set(e, E_HOST_CHARACTER, "illegal character '%c' in the upstream's name", c);
    return err_set(e, E_HOST_CHARACTER,
                   "illegal character 0x%02x in the upstream's name; write it as punycode",
                   (unsigned)(unsigned char)c);
}

static int set_name(struct upstream_hint *h, struct str name, struct err *e)
{
    struct str rest = name;
    struct str label;

    if (name.n > HOST_MAX_BYTES)
        return err_set(e, E_HOST_LENGTH, "the upstream's name is longer than %d characters",
                       HOST_MAX_BYTES);
    while (str_next(&rest, '.', &label)) {
        if (label.n == 0)
            return err_set(e, E_HOST_EMPTY_LABEL, "the upstream's name '%.*s' has an empty part",
                           STR_ARG(name));
        if (label.n > HOST_LABEL_MAX_BYTES)
            return err_set(e, E_HOST_LABEL_LENGTH,
                           "a part of the upstream's name has %zu characters; at most %d allowed",
                           label.n, HOST_LABEL_MAX_BYTES);
    }
    for (size_t i = 0; i < name.n; i++) {
        if (check_character(name.p[i], e) == -1)
            return -1;
        h->host[i] = char_lower(name.p[i]);
    }
    h->host[name.n] = '\0';
    return 0;
}

static int set_host(struct upstream_hint *h, struct str host, struct err *e)
{
    if (host.n == 0)
        host = STR("localhost");
    return host.p[0] == '[' ? set_ip6(h, host, e) : set_name(h, host, e);
}

static int set_port(struct upstream_hint *h, const struct url_parts *parts, struct err *e)
{
    uint32_t port;

    if (!parts->has_port) {
        if (h->command != URL_COMMAND_HTTP)
            return err_set(e, E_URL_SCHEME_HOST_PORT,
                           "the upstream of a %s endpoint needs a port: HOST:PORT",
                           url_command_name(h->command));
        h->port = h->https ? TLS_PORT : HTTP_PORT;
        return 0;
    }
    if (url_read_port(parts->port, &port, e) == -1)
        return -1;
    if (port == 0 || port > UINT16_MAX)
        return err_set(e, E_PORT_SCHEME,
                       "the upstream's port is out of range; allowed: 1 to 65535");
    h->port = (uint16_t)port;
    /* Only a guess is changed by the port, never a scheme that was written. */
    if (!parts->has_scheme && h->command == URL_COMMAND_HTTP)
        h->https = port == TLS_PORT;
    return 0;
}

static int set_scheme(struct upstream_hint *h, const struct url_parts *parts, struct err *e)
{
    enum scheme scheme;

    if (!parts->has_scheme)
        return 0;
    if (url_find_scheme(parts->scheme, hint_schemes[h->command], h->command, &scheme, e) == -1)
        return -1;
    h->https = scheme == SCHEME_HTTPS || scheme == SCHEME_TLS;
    return 0;
}

int upstream_hint_parse(struct str s, enum url_command command, struct upstream_hint *out,
                        struct err *e)
{
    struct upstream_hint h = { .command = command };
    struct url_parts parts = { 0 };

    s = str_trim(s);
    if (str_starts_nocase(s, STR("file://")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "file:// is not supported over SSH; run a web server on your side, such as "
                       "'python3 -m http.server 8000', and forward its port");
    if (is_number(s)) {
        parts.has_port = true;
        parts.port = s;
    } else if (url_split(s, &parts, e) == -1) {
        return -1;
    }
    if (set_scheme(&h, &parts, e) == -1 || set_port(&h, &parts, e) == -1 ||
        set_host(&h, parts.host, e) == -1)
        return -1;
    *out = h;
    return 0;
}

const char *upstream_hint_format(const struct upstream_hint *h, char out[URL_TEXT_BYTES])
{
    const char *scheme = h->https ? "https" : "http";

    if (h->command != URL_COMMAND_HTTP)
        scheme = h->https ? "tls" : "tcp";
    (void)snprintf(out, URL_TEXT_BYTES, "%s://%s:%u", scheme, h->host, (unsigned)h->port);
    return out;
}
