#include "gateway/http2_request.h"

#include <stdint.h>
#include <string.h>

#include "gateway/http1.h"
#include "gateway/http2.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

void http2_head_init(struct http2_head *h, struct arena *a, size_t max_bytes)
{
    *h = (struct http2_head){ .arena = a, .max_bytes = max_bytes };
}

/* ---- one field ---------------------------------------------------------------------------------- */

static int take_once(struct str *to, struct str name, struct str value, struct err *e)
{
    if (to->p != NULL)
        return err_set(e, E_BAD_REQUEST, "%.*s is sent twice", STR_ARG(name));
    *to = value;
    return 0;
}

static int add_pseudo(struct http2_head *h, struct str name, struct str value, struct err *e)
{
    const struct {
        struct str name;
        struct str *to;
    } known[] = {
        { STR(":method"), &h->method },     { STR(":path"), &h->path },
        { STR(":scheme"), &h->scheme },     { STR(":authority"), &h->authority },
        { STR(":protocol"), &h->protocol },
    };

    if (h->headers.count > 0 || h->host.p != NULL)
        return err_set(e, E_BAD_REQUEST, "a pseudo-header field stands behind others");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq(known[i].name, name))
            return take_once(known[i].to, name, arena_str(h->arena, value), e);
    }
    return err_set(e, E_BAD_REQUEST, "unknown pseudo-header field");
}

static int add_length(struct http2_head *h, struct str value, struct err *e)
{
    if (h->has_length)
        return err_set(e, E_BAD_REQUEST, "Content-Length is sent twice");
    h->has_length = true;
    if (str_to_u64(value, INT64_MAX, &h->length) == -1)
        return err_set(e, E_BAD_REQUEST, "Content-Length is not a number");
    return 0;
}

/* Fields that frame, route or belong to a connection. */
static int read_field(struct http2_head *h, struct str name, struct str value, struct err *e)
{
    if (str_eq(name, STR("content-length")))
        return add_length(h, value, e);
    if (str_eq(name, STR("te")) && !str_eq_nocase(value, STR("trailers")))
        return err_set(e, E_BAD_REQUEST, "TE is not exactly \"trailers\"");
    if (http2_is_connection_field(name))
        return err_set(e, E_BAD_REQUEST, "HTTP/2 has no field %.*s", STR_ARG(name));
    if (str_eq(name, STR("expect")) && str_eq_nocase(value, STR("100-continue")))
        h->expect_continue = true;
    if (str_eq(name, STR("cookie")))
        h->cookies++;
    return 0;
}

static bool has_upper(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != char_lower(s.p[i]))
            return true;
    }
    return false;
}

static int check_field(struct str name, struct str value, struct err *e)
{
    if (!http_is_token(name) || has_upper(name))
        return err_set(e, E_BAD_REQUEST, "illegal character in a header field name");
    if (http_value_span(value) != value.n)
        return err_set(e, E_BAD_REQUEST, "control character in a header field");
    if (str_trim_ows(value).n != value.n)
        return err_set(e, E_BAD_REQUEST, "space around the value of a header field");
    return 0;
}

static int add_field(struct http2_head *h, struct str name, struct str value, struct err *e)
{
    if (str_starts(name, STR(":"))) {
        if (http_value_span(value) != value.n)
            return err_set(e, E_BAD_REQUEST, "control character in a header field");
        return add_pseudo(h, name, value, e);
    }
    if (check_field(name, value, e) == -1 || read_field(h, name, value, e) == -1)
        return -1;
    if (h->headers.count == HTTP1_HEADERS_MAX)
        return err_set(e, E_HEAD_TOO_LARGE, "more than %d header fields", HTTP1_HEADERS_MAX);
    value = arena_str(h->arena, value);
    if (str_eq(name, STR("host")))
        return take_once(&h->host, STR("Host"), value, e);
    http_headers_add(&h->headers, h->arena, arena_str(h->arena, name), value);
    return 0;
}

enum http2_list http2_head_add(struct http2_head *h, struct str name, struct str value)
{
    h->bytes += name.n + value.n + HTTP2_FIELD_OVERHEAD_BYTES;
    if (h->bytes / 2 > h->max_bytes)
        return HTTP2_LIST_BOMB;
    if (h->first.code != E_OK)
        return HTTP2_LIST_OK;
    if (h->bytes > h->max_bytes)
        (void)err_set(&h->first, E_HEAD_TOO_LARGE, "the head is larger than %zu bytes",
                      h->max_bytes);
    else
        (void)add_field(h, name, value, &h->first); /* keeps what was wrong */
    return HTTP2_LIST_OK;
}

/* ---- the whole list ----------------------------------------------------------------------------- */

/* Of HTTP/1.1 only one may come, so several become one (RFC 9113 section 8.2.3). */
static void join_cookies(struct http2_head *h)
{
    static const struct str name = STR_INIT("cookie");
    static const struct str glue = STR_INIT("; ");
    const struct http_header *cookie;
    size_t bytes = 0;
    char *joined;
    char *at;

    if (h->cookies < 2)
        return;
    for (size_t i = 0; (cookie = http_headers_find(&h->headers, name, i)) != NULL; i++)
        bytes += cookie->value.n + glue.n;
    joined = at = arena_alloc(h->arena, bytes);
    for (size_t i = 0; i < h->headers.count; i++) {
        cookie = &h->headers.items[i];
        if (!str_eq(cookie->name, name))
            continue;
        if (at != joined) {
            memcpy(at, glue.p, glue.n);
            at += glue.n;
        }
        memcpy(at, cookie->value.p, cookie->value.n);
        at += cookie->value.n;
    }
    (void)http_headers_remove(&h->headers, name);
    http_headers_add(&h->headers, h->arena, name, str_of(joined, (size_t)(at - joined)));
}

static uint16_t effective_port(uint16_t port, const char *scheme)
{
    if (port != 0)
        return port;
    return str_eq(str_from(scheme), STR("https")) ? HTTPS_PORT : HTTP_PORT;
}

static int check_authority(const struct http2_head *h, const char *scheme, struct http_request *r,
                           struct err *e)
{
    char host[HTTP_HOST_BYTES];
    uint16_t port;

    r->authority = h->authority.p != NULL ? h->authority : h->host;
    if (r->authority.p == NULL)
        return err_set(e, E_BAD_REQUEST, "Host is missing");
    if (http_authority_parse(r->authority, r->host, &r->port) == -1)
        return err_set(e, E_BAD_REQUEST, "Host is not a valid host name");
    if (h->host.p == NULL || h->authority.p == NULL)
        return 0;
    if (http_authority_parse(h->host, host, &port) == -1 ||
        !str_eq(str_from(host), str_from(r->host)) ||
        effective_port(port, scheme) != effective_port(r->port, scheme))
        return err_set(e, E_BAD_REQUEST, "Host and :authority differ");
    return 0;
}

static int check_target(struct http_request *r, struct err *e)
{
    size_t question;

    if (http_target_span(r->target) != r->target.n)
        return err_set(e, E_BAD_REQUEST, "illegal character in the request target");
    if (str_find_char(r->target, '#') != r->target.n)
        return err_set(e, E_BAD_REQUEST, "the request target has a fragment");
    if (str_eq(r->target, STR("*")) && !str_eq(r->method, STR("OPTIONS")))
        return err_set(e, E_BAD_REQUEST, "the target * is for OPTIONS only");
    if (!str_eq(r->target, STR("*")) && !str_starts(r->target, STR("/")))
        return err_set(e, E_BAD_REQUEST, "the request target is not a path");
    question = str_find_char(r->target, '?');
    r->path = str_slice(r->target, 0, question);
    r->query = str_skip(r->target, question + 1);
    return 0;
}

/* A CONNECT is either extended, and then has all that a request has, or refused. */
static int check_method(const struct http2_head *h, struct http_request *r, enum http2_ask *ask,
                        struct err *e)
{
    bool connects = str_eq(r->method, STR("CONNECT"));

    *ask = HTTP2_ASK_REQUEST;
    if (!http_is_token(r->method))
        return err_set(e, E_BAD_REQUEST, "the method is not a token");
    if (connects && h->protocol.p == NULL)
        return err_set(e, E_METHOD, "the method CONNECT is not allowed");
    if (h->protocol.p == NULL)
        return 0;
    if (!connects)
        return err_set(e, E_BAD_REQUEST, ":protocol without CONNECT");
    if (!str_eq_nocase(h->protocol, STR("websocket")))
        return err_set(e, E_PROTOCOL_UNKNOWN, "the protocol of this CONNECT is not supported");
    *ask = HTTP2_ASK_WEBSOCKET;
    return 0;
}

static int check_scheme(const struct http2_head *h, struct err *e)
{
    /* A balancer that ends TLS says https over a plain connection, so either will do. */
    if (!str_eq_nocase(h->scheme, STR("http")) && !str_eq_nocase(h->scheme, STR("https")))
        return err_set(e, E_BAD_REQUEST, "the scheme is neither http nor https");
    return 0;
}

static int frame_body(const struct http2_head *h, bool ended, struct http_request *r, struct err *e)
{
    if (ended && h->length > 0)
        return err_set(e, E_BAD_REQUEST, "Content-Length without a body");
    r->has_content_length = h->has_length && (ended || h->length > 0);
    r->content_length = h->length;
    if (h->length > 0)
        r->body = HTTP_BODY_LENGTH;
    else if (!ended)
        r->body = HTTP_BODY_CHUNKED;
    /* Without a body there is nothing to hold back. */
    r->expect_continue = h->expect_continue && r->body != HTTP_BODY_NONE;
    return 0;
}

/* What an upstream that speaks HTTP/1.1 knows as an upgrade. */
static int frame_websocket(const struct http2_head *h, struct http_request *r, struct err *e)
{
    if (h->has_length)
        return err_set(e, E_BAD_REQUEST, "a CONNECT has no Content-Length");
    r->method = STR("GET");
    r->upgrade = STR("websocket");
    (void)http_headers_remove(&r->headers, STR("sec-websocket-key"));
    return 0;
}

int http2_head_finish(struct http2_head *h, const char *scheme, bool ended,
                      struct http_request *out, enum http2_ask *ask, struct err *e)
{
    *ask = HTTP2_ASK_REQUEST;
    join_cookies(h);
    *out = (struct http_request){
        .method = h->method,
        .target = h->path,
        .version_major = 2,
        .headers = h->headers,
        .body = HTTP_BODY_NONE,
        .keep_alive = true,
    };
    if (h->first.code != E_OK)
        return err_set(e, h->first.code, "%s", h->first.msg);
    if (check_method(h, out, ask, e) == -1 || check_scheme(h, e) == -1 ||
        check_target(out, e) == -1 || check_authority(h, scheme, out, e) == -1)
        return -1;
    return *ask == HTTP2_ASK_WEBSOCKET ? frame_websocket(h, out, e) : frame_body(h, ended, out, e);
}

/* ---- trailers ----------------------------------------------------------------------------------- */

int http2_trailer_add(struct http_headers *trailers, struct arena *a, size_t *bytes,
                      struct str name, struct str value, struct err *e)
{
    *bytes += name.n + value.n + HTTP2_FIELD_OVERHEAD_BYTES;
    if (*bytes > HTTP1_TRAILERS_MAX_BYTES)
        return err_set(e, E_BAD_REQUEST, "the trailers are larger than %d bytes",
                       HTTP1_TRAILERS_MAX_BYTES);
    if (check_field(name, value, e) == -1)
        return -1;
    if (http2_is_connection_field(name))
        return err_set(e, E_BAD_REQUEST, "HTTP/2 has no field %.*s", STR_ARG(name));
    if (http_may_be_trailer(name))
        http_headers_add(trailers, a, arena_str(a, name), arena_str(a, value));
    return 0;
}
