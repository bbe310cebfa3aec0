/*
 * http: the HTTP message as every codec and the exchange see it, whatever version carries it.
 * All strings lie in the arena of the exchange.
 * Thread: that of the exchange; pure.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct http_header {
    struct str name; /* as received; compared without case, sent in lower case upstream */
    struct str value;
};

struct http_headers {
    struct http_header *items; /* in the arena */
    size_t count;
    size_t cap;
};

/* How a body's end is known. */
enum http_body {
    HTTP_BODY_NONE,   /* there is none */
    HTTP_BODY_LENGTH, /* content_length bytes */
    HTTP_BODY_CHUNKED, /* the codec says when it ends, trailers may follow */
    HTTP_BODY_CLOSE,  /* until the peer closes (responses only) */
};

/* A request head. */
struct http_request {
    struct str method;
    struct str target;    /* origin form: path and query, never empty */
    struct str path;      /* of target */
    struct str query;     /* of target, without "?" */
    struct str authority; /* host[:port] as sent: of an absolute target, else the Host field */
    char host[254];       /* folded (host_fold), no port; "" when none was sent */
    uint16_t port;        /* of authority; 0: none */
    unsigned version_minor; /* HTTP/1.x */
    struct http_headers headers; /* without Host */
    enum http_body body;
    uint64_t content_length; /* with HTTP_BODY_LENGTH */
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
    uint64_t content_length;
    bool keep_alive;
};

/* Appends a field; both strings are borrowed and must live in the same arena or longer. */
void http_headers_add(struct http_headers *h, struct arena *a, struct str name, struct str value);
/* The index-th field of that name (any case), or NULL. */
struct http_header *http_headers_find(const struct http_headers *h, struct str name, size_t index);
/* Removes all fields of that name; returns how many. */
size_t http_headers_remove(struct http_headers *h, struct str name);
/* True if the comma-separated list in any field of that name has this token (any case). */
bool http_headers_has_token(const struct http_headers *h, struct str name, struct str token);

/* RFC 9110 token and field value; what may stand in a header. */
bool http_is_token(struct str s);
bool http_is_field_value(struct str s);

/* GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110 section 9.2.2). */
bool http_method_is_idempotent(struct str method);
/* The standard reason phrase, or "". */
const char *http_reason(unsigned status);

#endif
