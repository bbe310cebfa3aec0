#include "gateway/headers.h"

#include <string.h>

#include "base/buf.h"
#include "gateway/tls_cert.h"

/* Domain attributes of one cookie that are rewritten: each copies the cookie, and one is sensible. */
enum { COOKIE_DOMAINS_MAX = 8 };

/* ---- what is taken out ---- */

/*
 * Never forwarded (RFC 9110 section 7.6.1, spec 6.2). The last three frame a message or hold it
 * back: the codec of the other side writes its own.
 */
static const struct str hop_by_hop[] = {
    STR_INIT("connection"),
    STR_INIT("keep-alive"),
    STR_INIT("proxy-authenticate"),
    STR_INIT("proxy-authorization"),
    STR_INIT("proxy-connection"),
    STR_INIT("te"),
    STR_INIT("trailer"),
    STR_INIT("trailers"),
    STR_INIT("upgrade"),
    STR_INIT("transfer-encoding"),
    STR_INIT("content-length"),
    STR_INIT("expect"),
};

/* The gateway's word on errors. */
static const struct str error_codes[] = {
    STR_INIT("sallyport-error-code"),
    STR_INIT("ngrok-error-code"),
};

/* Families of fields by which the gateway tells an upstream who the visitor is. */
static const struct str reserved_prefixes[] = {
    STR_INIT("ngrok-mtls-"),
    STR_INIT("ngrok-auth-"),
    STR_INIT("sallyport-mtls-"),
    STR_INIT("sallyport-auth-"),
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/*
 * CGI and its heirs hand fields to programs as HTTP_NAME, where "-" and "_" are the same. So a
 * field that must not be forged is one under either spelling.
 */
static bool starts_like(struct str name, struct str prefix)
{
    if (name.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++) {
        char c = name.p[i] == '_' ? '-' : char_lower(name.p[i]);

        if (c != prefix.p[i])
            return false;
    }
    return true;
}

static bool is_like(struct str name, struct str other)
{
    return name.n == other.n && starts_like(name, other);
}

static bool is_hop_by_hop(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(hop_by_hop); i++) {
        if (name.n == hop_by_hop[i].n && str_eq_nocase(name, hop_by_hop[i]))
            return true;
    }
    return false;
}

static bool is_error_code(struct str name)
{
    return is_like(name, error_codes[0]) || is_like(name, error_codes[1]);
}

static bool is_reserved(struct str name)
{
    if (is_error_code(name))
        return true;
    for (size_t i = 0; i < COUNT_OF(reserved_prefixes); i++) {
        if (starts_like(name, reserved_prefixes[i]))
            return true;
    }
    return false;
}

/* Removes the fields for which `is` holds; returns how many. */
static size_t strip(struct http_headers *h, bool (*is)(struct str name))
{
    size_t kept = 0;
    size_t removed;

    for (size_t i = 0; i < h->count; i++) {
        if (!is(h->items[i].name))
            h->items[kept++] = h->items[i];
    }
    removed = h->count - kept;
    h->count = kept;
    return removed;
}

/* The options of all Connection fields that can name a field. Returns how many. */
static size_t connection_names(const struct http_headers *h,
                               struct str names[HTTP_CONNECTION_OPTIONS_MAX])
{
    size_t count = 0;
    struct http_header *field;

    for (size_t i = 0; (field = http_headers_find(h, STR("connection"), i)) != NULL; i++) {
        struct str rest = field->value;
        struct str name;

        /* Codecs refuse longer lists: what they let pass fits. */
        while (count < HTTP_CONNECTION_OPTIONS_MAX && str_next(&rest, ',', &name)) {
            name = str_trim_ows(name);
            if (name.n > 0 && !str_eq_nocase(name, STR("close")) && !is_hop_by_hop(name))
                names[count++] = name;
        }
    }
    return count;
}

void headers_strip_hop_by_hop(struct http_headers *h)
{
    struct str names[HTTP_CONNECTION_OPTIONS_MAX];
    size_t count = connection_names(h, names);

    (void)strip(h, is_hop_by_hop);
    for (size_t i = 0; i < count; i++)
        (void)http_headers_remove(h, names[i]);
}

void headers_strip_request_reserved(struct http_headers *h)
{
    (void)strip(h, is_reserved);
}

size_t headers_strip_error_codes(struct http_headers *h)
{
    return strip(h, is_error_code);
}

/* ---- x-forwarded-* ---- */

static const struct str forwarded_for = STR_INIT("x-forwarded-for");
static const struct str forwarded_proto = STR_INIT("x-forwarded-proto");
static const struct str forwarded_host = STR_INIT("x-forwarded-host");

/* The names above with an underscore: for a program behind CGI they would be those fields. */
static bool is_forwarded_alias(struct str name)
{
    const struct str *const fields[] = { &forwarded_for, &forwarded_proto, &forwarded_host };

    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (is_like(name, *fields[i]))
            return !str_eq_nocase(name, *fields[i]);
    }
    return false;
}

/* Copies s and returns what follows the copy. */
static char *put(char *at, struct str s)
{
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

/* Makes one field of all that are there and `last`, joined in order (RFC 9110 section 5.3). */
static void append_to_list(struct http_headers *h, struct arena *a, struct str name,
                           struct str last)
{
    struct http_header *field;
    size_t total = last.n;
    char *start;
    char *at;

    for (size_t i = 0; (field = http_headers_find(h, name, i)) != NULL; i++)
        total += field->value.n + 2;
    start = at = arena_alloc(a, total);
    for (size_t i = 0; (field = http_headers_find(h, name, i)) != NULL; i++) {
        if (field->value.n > 0)
            at = put(put(at, field->value), STR(", "));
    }
    at = put(at, last);
    (void)http_headers_remove(h, name);
    http_headers_add(h, a, name, str_of(start, (size_t)(at - start)));
}

void headers_add_forwarded(struct http_headers *h, struct arena *a, const struct addr *client,
                           struct str scheme, struct str host)
{
    char ip[ADDR_IP_TEXT_BYTES];

    (void)strip(h, is_forwarded_alias);
    append_to_list(h, a, forwarded_for, str_from(addr_format_ip(client, ip)));
    append_to_list(h, a, forwarded_proto, scheme);
    if (http_headers_find(h, forwarded_host, 0) == NULL)
        http_headers_add(h, a, forwarded_host, arena_str(a, host));
}

/* ---- mutual TLS ------------------------------------------------------------------------------- */

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return true;
    }
    return false;
}

static void add_mtls(struct http_headers *h, struct arena *a, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    http_headers_add(h, a, arena_fmt(a, "ngrok-mtls-%s", name), value);
    http_headers_add(h, a, arena_fmt(a, "sallyport-mtls-%s", name), value);
}

static void add_mtls_list(struct http_headers *h, struct arena *a, const char *name,
                          const struct tls_texts *texts)
{
    struct buf joined;

    buf_init(&joined, SIZE_MAX / 2); /* the size of a certificate bounds it */
    for (size_t i = 0; i < texts->count; i++) {
        struct str text = texts->items[i];

        if (text.n == 0 || has_control(text) || str_find_char(text, ',') < text.n)
            continue;
        if (joined.len > 0)
            buf_add_char(&joined, ',');
        buf_add_str(&joined, text);
    }
    add_mtls(h, a, name, arena_str(a, buf_str(&joined)));
    buf_fini(&joined);
}

void headers_add_mtls(struct http_headers *h, struct arena *a, const struct tls_cert *cert)
{
    struct str cn = cert->subject.common_name;

    add_mtls(h, a, "subject-cn", has_control(cn) ? STR_NONE : cn);
    add_mtls_list(h, a, "subject-alt-name-dns", &cert->dns_names);
    add_mtls_list(h, a, "email-addresses", &cert->email_addresses);
    add_mtls(h, a, "serial-number", cert->serial_number);
}

/* ---- Location and cookie domains ---- */

/* What the visitor uses, what the upstream was told, and where new values go. */
struct rewrite {
    struct arena *arena;
    struct str scheme;
    struct str authority;
    struct str host;         /* of authority */
    struct str rewritten;    /* host of the rewritten Host */
    uint64_t rewritten_port; /* 0: none */
};

/* 0 for none, or one that is no port: such an authority equals only what is written the same. */
static uint64_t port_number(struct str port)
{
    uint64_t number = 0;

    (void)str_to_u64(port, UINT16_MAX, &number); /* stays 0 */
    return number;
}

static struct str without_trailing_dot(struct str host)
{
    return host.n > 0 && host.p[host.n - 1] == '.' ? str_slice(host, 0, host.n - 1) : host;
}

/*
 * True if the authority of a Location is the rewritten Host. A port that is the default of the
 * Location's scheme counts as none; `default_port` is 0 when it has no scheme, and then both
 * defaults do.
 */
static bool is_rewritten_host(const struct rewrite *r, struct str authority, uint64_t default_port)
{
    struct str host;
    struct str digits;
    uint64_t port;
    uint64_t missing;

    http_authority_split(authority, &host, &digits);
    if (!str_eq_nocase(without_trailing_dot(host), r->rewritten))
        return false;
    if (digits.n > 0 && port_number(digits) == 0)
        return false;
    port = port_number(digits);
    if (port == r->rewritten_port)
        return true;
    if (port != 0 && r->rewritten_port != 0)
        return false;
    missing = port + r->rewritten_port; /* the one that is written */
    return default_port != 0 ? missing == default_port : missing == 80 || missing == 443;
}

/* Spec 6.3: an absolute or scheme-relative URL of the rewritten Host becomes the visitor's. */
static void rewrite_location(const struct rewrite *r, struct http_header *h)
{
    struct str v = h->value;
    bool relative = str_starts(v, STR("//"));
    struct str scheme = relative ? STR_NONE : r->scheme;
    bool https = str_starts_nocase(v, STR("https://"));
    size_t start = https ? 8 : 7;
    size_t end;

    if (relative)
        start = 2;
    else if (!https && !str_starts_nocase(v, STR("http://")))
        return;
    end = start;
    while (end < v.n && v.p[end] != '/' && v.p[end] != '?' && v.p[end] != '#')
        end++;
    if (!is_rewritten_host(r, str_slice(v, start, end), relative ? 0 : https ? 443 : 80))
        return;
    h->value = arena_fmt(r->arena, "%.*s%s//%.*s%.*s", STR_ARG(scheme), relative ? "" : ":",
                         STR_ARG(r->authority), STR_ARG(str_skip(v, end)));
}

static bool is_equal_or_parent(struct str domain, struct str host)
{
    if (str_eq_nocase(domain, host))
        return true;
    return domain.n > 0 && host.n > domain.n && host.p[host.n - domain.n - 1] == '.' &&
           str_eq_nocase(str_skip(host, host.n - domain.n), domain);
}

/*
 * A cookie for the host the upstream believes to be would be refused by the browser. So a Domain
 * that is the rewritten host or a parent of it, and is neither the visitor's host nor a parent of
 * that, becomes the visitor's host. A leading dot means nothing (RFC 6265 section 5.2.3) and goes
 * with the old text. All other bytes of the cookie stay.
 */
static bool rewrite_cookie_attribute(const struct rewrite *r, struct http_header *h,
                                     struct str attribute)
{
    size_t equals = str_find_char(attribute, '=');
    struct str domain = str_trim_ows(str_skip(attribute, equals + 1));
    struct str bare = str_starts(domain, STR(".")) ? str_skip(domain, 1) : domain;
    struct str before;
    struct str after;

    if (!str_eq_nocase(str_trim_ows(str_slice(attribute, 0, equals)), STR("domain")))
        return false;
    if (!is_equal_or_parent(bare, r->rewritten) || is_equal_or_parent(bare, r->host))
        return false;
    before = str_of(h->value.p, (size_t)(domain.p - h->value.p));
    after = str_skip(h->value, before.n + domain.n);
    h->value =
        arena_fmt(r->arena, "%.*s%.*s%.*s", STR_ARG(before), STR_ARG(r->host), STR_ARG(after));
    return true;
}

/* Looks at each attribute; what stands before the first ";" is the cookie itself. */
static void rewrite_cookie(const struct rewrite *r, struct http_header *h)
{
    size_t start = str_find_char(h->value, ';');
    size_t rewritten = 0;

    while (start < h->value.n && rewritten < COOKIE_DOMAINS_MAX) {
        struct str rest = str_skip(h->value, start + 1);
        struct str attribute = str_slice(rest, 0, str_find_char(rest, ';'));
        size_t behind = rest.n - attribute.n;

        rewritten += rewrite_cookie_attribute(r, h, attribute) ? 1 : 0;
        start = h->value.n - behind;
    }
}

static const struct {
    struct str name;
    void (*rewrite)(const struct rewrite *r, struct http_header *h);
} rewritten_fields[] = {
    { STR_INIT("location"), rewrite_location },
    { STR_INIT("content-location"), rewrite_location },
    { STR_INIT("set-cookie"), rewrite_cookie },
};

void headers_rewrite_back(struct http_headers *h, struct arena *a, struct str rewritten,
                          struct str scheme, struct str authority)
{
    struct rewrite r = { .arena = a, .scheme = scheme, .authority = authority };
    struct str host;
    struct str port;

    http_authority_split(authority, &r.host, &port);
    http_authority_split(rewritten, &host, &port);
    r.rewritten = without_trailing_dot(host);
    r.rewritten_port = port_number(port);
    if (r.rewritten.n == 0)
        return;
    for (size_t i = 0; i < h->count; i++) {
        for (size_t k = 0; k < COUNT_OF(rewritten_fields); k++) {
            if (str_eq_nocase(h->items[i].name, rewritten_fields[k].name))
                rewritten_fields[k].rewrite(&r, &h->items[i]);
        }
    }
}
