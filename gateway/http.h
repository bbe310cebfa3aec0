/*
 * http: the HTTP message as every codec and the exchange see it, whatever version carries it.
 * All strings lie in the arena of the exchange.
 * Thread: that of the exchange; pure.
 * Limits: HTTP_CONNECTION_OPTIONS_MAX; codecs refuse heads past it, so that what walks all fields
 * for each option stays cheap.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum {
    HTTP_HOST_BYTES = 254,            /* a host name or a bracketed IPv6 address, with its NUL */
    HTTP_CONNECTION_OPTIONS_MAX = 64, /* elements of all Connection fields of a message */
};

struct http_header {
    struct str name; /* as received, and sent so by HTTP/1; compared without case */
    struct str value;
};

struct http_headers {
    struct http_header *items; /* in the arena */
    size_t count;
    size_t cap;
};

/* How a body's end is known. */
enum http_body {
    HTTP_BODY_NONE,    /* there is none */
    HTTP_BODY_LENGTH,  /* content_length bytes */
    HTTP_BODY_CHUNKED, /* the codec says when it ends, trailers may follow */
    HTTP_BODY_CLOSE,   /* until the peer closes (responses only) */
};

/* A request head. */
struct http_request {
    struct str method;
    struct str target;    /* origin form: path and query, never empty; or "*" of OPTIONS */
    struct str path;      /* of target */
    struct str query;     /* of target, without "?" */
    struct str authority; /* host[:port] as sent: of an absolute target, else the Host field */
    char host[HTTP_HOST_BYTES];  /* of authority: folded (host_fold), no port */
    uint16_t port;               /* of authority; 0: none */
    unsigned version_major;      /* 1 or 2 */
    unsigned version_minor;      /* 0 of HTTP/2 */
    struct http_headers headers; /* without Host */
    enum http_body body;
    bool has_content_length; /* the field was sent */
    uint64_t content_length; /* 0 without it */
    bool keep_alive;
    bool expect_continue;
    struct str upgrade; /* value of Upgrade when Connection asks for one; empty: none */
};

/* A response head, interim ones (1xx) included. */
struct http_response {
    unsigned status;
    struct str reason;
    unsigned version_minor;
    struct http_headers headers;
    enum http_body body;
    bool has_content_length; /* the field was sent; with HTTP_BODY_NONE (HEAD, 304) too */
    uint64_t content_length; /* 0 without it */
    bool keep_alive;
    struct str upgrade; /* value of Upgrade in a 101; empty in all others */
};

/* Makes room for `cap` fields in all, so that adding up to it takes no further memory. */
void http_headers_reserve(struct http_headers *h, struct arena *a, size_t cap);
/*
 * Appends a field; both strings are borrowed and must live in the same arena or longer. They are
 * written as they are: who makes them up asks http_is_token() and http_is_field_value() first.
 */
void http_headers_add(struct http_headers *h, struct arena *a, struct str name, struct str value);
/* The index-th field of that name (any case), or NULL. */
struct http_header *http_headers_find(const struct http_headers *h, struct str name, size_t index);
/* Removes all fields of that name; returns how many. */
size_t http_headers_remove(struct http_headers *h, struct str name);

/* RFC 9110 token and field value; what may stand in a header. A value may be empty and may have
 * space around it, which is then no part of it. */
bool http_is_token(struct str s);
bool http_is_field_value(struct str s);
/* How many bytes at the front of s may stand in a token, in a field value (controls other than tab
 * may not), and in a request target (printable ASCII without space). */
size_t http_token_span(struct str s);
size_t http_value_span(struct str s);
size_t http_target_span(struct str s);

/* Cuts "host:port" at the colon in front of the port; "[::1]" keeps its brackets. Checks nothing.
 * *port is STR_NONE when there is no colon. */
void http_authority_split(struct str authority, struct str *host, struct str *port);
/*
 * Checks and takes apart the authority of a request: a host name that host_fold() takes or an IPv6
 * address in brackets, and a port of 1 to 65535 if there is a colon (*port is 0 without). User
 * information is refused (RFC 9110 section 4.2.4). Returns 0 or -1.
 */
int http_authority_parse(struct str authority, char host[HTTP_HOST_BYTES], uint16_t *port);

/* "HTTP/1.1", "HTTP/2.0": as policies and logs call it. A head that was never read has none. */
struct str http_request_version(const struct http_request *r);

/* False for fields that would be believed if they were merged into the head (RFC 9110 section 6.5.1):
 * framing, routing, request modifiers, authentication, and how content is to be processed. */
bool http_may_be_trailer(struct str name);

/* GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110 section 9.2.2). */
bool http_method_is_idempotent(struct str method);
/* The standard reason phrase, or "". */
const char *http_reason(unsigned status);

#endif
