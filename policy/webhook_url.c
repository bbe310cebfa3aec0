/*
 * Schemes that sign the URL which the provider called, and often parameters in place of the body. Each
 * has its own idea of how a URL is written, so where public libraries differ, all their forms are tried:
 * each is signed with the secret, and so proves the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "policy/webhook_int.h"

enum { URL_FORMS_MAX = 3, URL_MAX_BYTES = 64 * 1024, SIGNED_HEADERS_MAX = 64 };

/* ---- parameters ------------------------------------------------------------------------------ */

/* Form decoding; an escape that is none stays as it is. */
static struct str decode(struct arena *a, struct str s)
{
    char *out;
    size_t n = 0;

    if (str_find_char(s, '%') == s.n && str_find_char(s, '+') == s.n)
        return s;
    out = arena_alloc(a, s.n);
    for (size_t i = 0; i < s.n; i++) {
        int high = i + 2 < s.n ? char_hex_value(s.p[i + 1]) : -1;
        int low = i + 2 < s.n ? char_hex_value(s.p[i + 2]) : -1;

        if (s.p[i] == '%' && high >= 0 && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return str_of(out, n);
}

static int compare(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int rc = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return rc != 0 ? rc : (a.n > b.n) - (a.n < b.n);
}

static int compare_params(const void *a, const void *b)
{
    const struct webhook_param *x = a;
    const struct webhook_param *y = b;
    int rc = compare(x->name, y->name);

    return rc != 0 ? rc : compare(x->value, y->value);
}

int webhook_read_params(const struct webhook_run *r, struct str text, struct webhook_params *out)
{
    struct arena *a = r->request->arena;
    struct str rest = text;
    struct str piece;
    size_t max = 1;

    for (size_t i = 0; i < text.n; i++)
        max += text.p[i] == '&';
    *out = (struct webhook_params){ .count = 0 };
    if (max > WEBHOOK_PARAMS_MAX) {
        (void)webhook_refuse(r, "there are more than %d parameters", WEBHOOK_PARAMS_MAX);
        return -1;
    }
    out->items = arena_alloc(a, max * sizeof(*out->items));
    while (str_next(&rest, '&', &piece)) {
        size_t equals = str_find_char(piece, '=');

        if (piece.n > 0)
            out->items[out->count++] =
                (struct webhook_param){ decode(a, str_slice(piece, 0, equals)),
                                        decode(a, str_skip(piece, equals + 1)) };
    }
    qsort(out->items, out->count, sizeof(*out->items), compare_params);
    return 0;
}

struct str webhook_param_find(const struct webhook_params *params, struct str name)
{
    struct str value = STR_NONE;

    for (size_t i = 0; i < params->count; i++) {
        if (!str_eq(params->items[i].name, name))
            continue;
        if (value.p != NULL)
            return STR_NONE;
        value = params->items[i].value;
    }
    return value;
}

struct str webhook_query(const struct webhook_run *r)
{
    struct str url = r->request->url;

    return str_skip(url, str_find_char(url, '?') + 1);
}

/* The parameters of a form, and none without a body; a body that is no form would not be signed. */
static int read_form(const struct webhook_run *r, struct webhook_params *out)
{
    *out = (struct webhook_params){ .count = 0 };
    if (r->request->body.n == 0)
        return 0;
    if (webhook_is_form(r))
        return webhook_read_params(r, r->request->body, out);
    (void)webhook_refuse(r, "the body is no form");
    return -1;
}

/* Names and values one behind the other; what is there twice counts once, as in Twilio's libraries. */
static void add_params(struct webhook_mac *m, const struct webhook_params *params)
{
    for (size_t i = 0; i < params->count; i++) {
        if (i > 0 && compare_params(&params->items[i - 1], &params->items[i]) == 0)
            continue;
        webhook_mac_add(m, params->items[i].name);
        webhook_mac_add(m, params->items[i].value);
    }
}

/* ---- Twilio, Mandrill ------------------------------------------------------------------------ */

/* Where the host and port of a URL begin and end. */
static void find_authority(struct str url, size_t *begin, size_t *end)
{
    *begin = str_find(url, STR("://"));
    *begin = *begin == url.n ? 0 : *begin + 3;
    *end = *begin;
    while (*end < url.n && url.p[*end] != '/' && url.p[*end] != '?')
        ++*end;
}

/* The URL as it was called, without a port, and with one: Twilio does it this way and that. */
static size_t url_forms(const struct webhook_run *r, struct str forms[URL_FORMS_MAX])
{
    struct str url = r->request->url;
    struct str authority;
    struct str host;
    size_t begin;
    size_t end;
    size_t colon;

    find_authority(url, &begin, &end);
    authority = str_slice(url, begin, end);
    colon = str_rfind_char(authority, ':');
    if (colon < authority.n && authority.p[authority.n - 1] == ']')
        colon = authority.n; /* it is within an IPv6 address */
    host = str_slice(authority, 0, colon);
    forms[0] = url;
    forms[1] = arena_fmt(r->request->arena, "%.*s%.*s%.*s", STR_ARG(str_slice(url, 0, begin)),
                         STR_ARG(host), STR_ARG(str_skip(url, end)));
    forms[2] = arena_fmt(r->request->arena, "%.*s%.*s:%s%.*s", STR_ARG(str_slice(url, 0, begin)),
                         STR_ARG(host), str_starts(url, STR("https")) ? "443" : "80",
                         STR_ARG(str_skip(url, end)));
    return URL_FORMS_MAX;
}

static bool is_signed(const struct webhook_run *r, const struct webhook_presented *p,
                      struct str url, const struct webhook_params *params)
{
    struct webhook_digest digest;
    struct webhook_mac m;

    webhook_mac_start(r, &m);
    webhook_mac_add(&m, url);
    add_params(&m, params);
    webhook_mac_end(&m, &digest);
    return webhook_is_presented(r, p, &digest);
}

/* A body that is no form is signed by its SHA-256 in the query. */
static int check_body_digest(const struct webhook_run *r)
{
    struct webhook_params query;
    struct webhook_digest digest;

    if (webhook_read_params(r, webhook_query(r), &query) == -1)
        return -1;
    webhook_sha256(r, &r->request->body, 1, &digest);
    if (webhook_matches(WEBHOOK_HEX, webhook_param_find(&query, STR("bodySHA256")), &digest))
        return 0;
    (void)webhook_refuse(r, "the body has not the digest that is in the URL");
    return -1;
}

enum webhook_verdict webhook_verify_twilio(const struct webhook_run *r)
{
    struct webhook_params params = { .count = 0 };
    struct webhook_presented p;
    struct str forms[URL_FORMS_MAX];

    if (webhook_read_presented(r, &p) == -1)
        return WEBHOOK_REFUSED;
    if (r->request->body.n > 0 && !webhook_is_form(r)) {
        if (check_body_digest(r) == -1)
            return WEBHOOK_REFUSED;
    } else if (read_form(r, &params) == -1) {
        return WEBHOOK_REFUSED;
    }
    for (size_t i = 0; i < url_forms(r, forms); i++) {
        if (is_signed(r, &p, forms[i], &params))
            return WEBHOOK_VERIFIED;
    }
    return webhook_refuse(r, "the signature is wrong");
}

enum webhook_verdict webhook_verify_mandrill(const struct webhook_run *r)
{
    struct webhook_params params;
    struct webhook_presented p;

    if (webhook_read_presented(r, &p) == -1 || read_form(r, &params) == -1)
        return WEBHOOK_REFUSED;
    if (is_signed(r, &p, r->request->url, &params))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}

/* ---- Plivo ----------------------------------------------------------------------------------- */

/*
 * The URL with its query sorted and decoded, then the parameters of a POST, then a nonce:
 * URL[?a=1&b=2][.][c3d4].NONCE, where "?" is there for parameters of either kind, and the first "."
 * if there are both.
 */
enum webhook_verdict webhook_verify_plivo(const struct webhook_run *r)
{
    struct str url = r->request->url;
    struct webhook_params query;
    struct webhook_params form;
    struct webhook_presented p;
    struct webhook_digest digest;
    struct webhook_mac m;
    struct str nonce;

    if (webhook_read_presented(r, &p) == -1 ||
        webhook_header(r, "x-plivo-signature-v3-nonce", &nonce) == -1 ||
        webhook_read_params(r, webhook_query(r), &query) == -1 || read_form(r, &form) == -1)
        return WEBHOOK_REFUSED;
    webhook_mac_start(r, &m);
    webhook_mac_add(&m, str_slice(url, 0, str_find_char(url, '?')));
    if (query.count > 0 || form.count > 0)
        webhook_mac_add(&m, STR("?"));
    for (size_t i = 0; i < query.count; i++) {
        webhook_mac_add(&m, i > 0 ? STR("&") : STR_NONE);
        webhook_mac_add(&m, query.items[i].name);
        webhook_mac_add(&m, STR("="));
        webhook_mac_add(&m, query.items[i].value);
    }
    if (query.count > 0 && form.count > 0)
        webhook_mac_add(&m, STR("."));
    for (size_t i = 0; i < form.count; i++) {
        webhook_mac_add(&m, form.items[i].name);
        webhook_mac_add(&m, form.items[i].value);
    }
    webhook_mac_add(&m, STR("."));
    webhook_mac_add(&m, nonce);
    webhook_mac_end(&m, &digest);
    return webhook_decide(r, &p, &digest);
}

/* ---- HubSpot --------------------------------------------------------------------------------- */

/* The escapes that HubSpot has decoded when it signs. */
static struct str decode_hubspot(struct arena *a, struct str url)
{
    static const struct str decoded = STR_INIT(":/?@!$'()*,;");
    char *out = arena_alloc(a, url.n);
    size_t n = 0;

    for (size_t i = 0; i < url.n; i++) {
        int high = i + 2 < url.n ? char_hex_value(url.p[i + 1]) : -1;
        int low = i + 2 < url.n ? char_hex_value(url.p[i + 2]) : -1;
        char c = high >= 0 && low >= 0 ? (char)(high * 16 + low) : '\0';

        if (url.p[i] == '%' && c != '\0' && str_find_char(decoded, c) < decoded.n) {
            out[n++] = c;
            i += 2;
        } else {
            out[n++] = url.p[i];
        }
    }
    return str_of(out, n);
}

static enum webhook_verdict verify_hubspot_v3(const struct webhook_run *r)
{
    const struct webhook_request *q = r->request;
    struct webhook_presented p;
    struct webhook_digest digest;
    struct str forms[2] = { decode_hubspot(q->arena, q->url), q->url };
    struct str time;

    if (webhook_read_presented(r, &p) == -1 ||
        webhook_header(r, r->webhook->scheme->time, &time) == -1 ||
        webhook_check_time(r, time) == -1)
        return WEBHOOK_REFUSED;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct webhook_mac m;

        webhook_mac_start(r, &m);
        webhook_mac_add(&m, q->method);
        webhook_mac_add(&m, forms[i]);
        webhook_mac_add(&m, q->body);
        webhook_mac_add(&m, time);
        webhook_mac_end(&m, &digest);
        if (webhook_is_presented(r, &p, &digest))
            return WEBHOOK_VERIFIED;
    }
    return webhook_refuse(r, "the signature is wrong");
}

/* Versions 1 and 2 are plain hashes that begin with the secret, and have no time. */
enum webhook_verdict webhook_verify_hubspot(const struct webhook_run *r)
{
    const struct webhook_request *q = r->request;
    struct str secret = str_of(r->key->text, r->key->bytes);
    const struct str v1[] = { secret, q->body };
    const struct str v2[] = { secret, q->method, q->url, q->body };
    struct webhook_digest digest;
    struct str signature;
    struct str version;

    if (q->header(q->ctx, str_from(r->webhook->scheme->headers), 0).p != NULL)
        return verify_hubspot_v3(r);
    if (webhook_header(r, "x-hubspot-signature", &signature) == -1 ||
        webhook_header(r, "x-hubspot-signature-version", &version) == -1)
        return WEBHOOK_REFUSED;
    if (str_eq(version, STR("v1")))
        webhook_sha256(r, v1, 2, &digest);
    else if (str_eq(version, STR("v2")))
        webhook_sha256(r, v2, 4, &digest);
    else
        return webhook_refuse(r, "the version of the signature is unknown");
    if (webhook_matches(WEBHOOK_HEX, signature, &digest))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}

/* ---- Contentful ------------------------------------------------------------------------------ */

/* Escapes all but letters, digits and `kept`; the escape begins with `percent`. */
static void add_escaped(struct buf *out, struct str s, struct str kept, const char *percent)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (char_is_alpha(c) || char_is_digit(c) || str_find_char(kept, c) < kept.n)
            buf_add_char(out, c);
        else
            buf_add_fmt(out, "%s%02X", percent, (unsigned char)c);
    }
}

/* Path and query as Contentful's library has them: the query is escaped, and then all of it again. */
static struct str escape_target(const struct webhook_run *r, struct str target)
{
    size_t mark = str_find_char(target, '?');
    struct buf out;
    struct str text;

    buf_init(&out, URL_MAX_BYTES);
    add_escaped(&out, str_slice(target, 0, mark), STR(";,/?:@&=+$-_.!~*'()#"), "%");
    if (mark + 1 < target.n) {
        buf_add_char(&out, '?');
        add_escaped(&out, str_skip(target, mark + 1), STR("-_.!~*'()"), "%25");
    }
    text = buf_failed(&out) ? target : arena_str(r->request->arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* -1 (refused) unless the time is among the headers that are signed. */
static int check_signed_headers(const struct webhook_run *r, struct str names)
{
    struct str name;
    bool has_time = false;
    size_t count = 0;

    while (str_next(&names, ',', &name) && count++ < SIGNED_HEADERS_MAX)
        has_time =
            has_time || str_eq_nocase(str_trim_ows(name), str_from(r->webhook->scheme->time));
    if (count > SIGNED_HEADERS_MAX)
        (void)webhook_refuse(r, "too many headers are signed");
    else if (!has_time)
        (void)webhook_refuse(r, "the time is not signed");
    else
        return 0;
    return -1;
}

/* The headers that are signed, "name:value;name:value". */
static void add_signed_headers(const struct webhook_run *r, struct webhook_mac *m, struct str names)
{
    const struct webhook_request *q = r->request;
    struct str name;
    size_t count = 0;

    while (str_next(&names, ',', &name)) {
        name = str_trim_ows(name);
        webhook_mac_add(m, count++ > 0 ? STR(";") : STR_NONE);
        webhook_mac_add(m, name);
        webhook_mac_add(m, STR(":"));
        if (name.n > 0)
            webhook_mac_add(m, str_trim_ows(q->header(q->ctx, name, 0)));
    }
}

static void mac_contentful(const struct webhook_run *r, struct str target, struct str names,
                           struct webhook_digest *out)
{
    struct webhook_mac m;

    webhook_mac_start(r, &m);
    webhook_mac_add(&m, r->request->method);
    webhook_mac_add(&m, STR("\n"));
    webhook_mac_add(&m, target);
    webhook_mac_add(&m, STR("\n"));
    add_signed_headers(r, &m, names);
    webhook_mac_add(&m, STR("\n"));
    webhook_mac_add(&m, r->request->body);
    webhook_mac_end(&m, out);
}

/* Contentful's library escapes path and query, its examples take the path as it comes. */
static bool is_signed_by_contentful(const struct webhook_run *r, const struct webhook_presented *p,
                                    struct str names)
{
    struct webhook_digest digest;
    struct str target;
    struct str forms[URL_FORMS_MAX];
    size_t begin;
    size_t end;

    find_authority(r->request->url, &begin, &end);
    target = str_skip(r->request->url, end);
    forms[0] = escape_target(r, target);
    forms[1] = target;
    forms[2] = str_slice(target, 0, str_find_char(target, '?'));
    for (size_t i = 0; i < URL_FORMS_MAX; i++) {
        mac_contentful(r, forms[i], names, &digest);
        if (webhook_is_presented(r, p, &digest))
            return true;
    }
    return false;
}

enum webhook_verdict webhook_verify_contentful(const struct webhook_run *r)
{
    struct webhook_presented p;
    struct str names;
    struct str time;

    if (webhook_read_presented(r, &p) == -1 ||
        webhook_header(r, "x-contentful-signed-headers", &names) == -1 ||
        check_signed_headers(r, names) == -1 ||
        webhook_header(r, r->webhook->scheme->time, &time) == -1 ||
        webhook_check_time(r, time) == -1)
        return WEBHOOK_REFUSED;
    if (is_signed_by_contentful(r, &p, names))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}
