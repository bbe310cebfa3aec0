/*
 * http2_request: a request from the fields of an HTTP/2 header list (RFC 9113 section 8.3), one at a
 * time as they are decoded, and request trailers.
 * As strict as http1.h, with the same errors: whatever an upstream that speaks HTTP/1.1 could read
 * in another way is refused. nghttp2 refuses most of it before, as a stream error.
 * Thread: any; pure.
 * Limits: what the caller gives http2_head_init(), HTTP1_HEADERS_MAX fields, and for trailers
 *         HTTP1_TRAILERS_MAX_BYTES. What is past a limit is decoded but not kept.
 */
#ifndef GATEWAY_HTTP2_REQUEST_H
#define GATEWAY_HTTP2_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "gateway/http.h"

/* A header list that comes in. All strings are copied into the arena. */
struct http2_head {
    struct arena *arena; /* borrowed: outlives us */
    size_t max_bytes;
    size_t bytes; /* of the list so far (RFC 9113 section 6.5.2) */
    struct str method;
    struct str scheme;
    struct str authority;
    struct str path;
    struct str protocol; /* of an extended CONNECT (RFC 8441) */
    struct str host;     /* p NULL: not sent, as of those above */
    struct http_headers headers;
    size_t cookies; /* Cookie fields among them */
    bool has_length;
    uint64_t length;
    bool expect_continue;
    struct err first; /* what was wrong first; E_OK: nothing */
};

/* How a header list goes on. */
enum http2_list {
    HTTP2_LIST_OK,
    HTTP2_LIST_BOMB, /* it went on to twice its limit: a peer that means no request */
};

void http2_head_init(struct http2_head *h, struct arena *a, size_t max_bytes);
/* The next field; mistakes are kept for the end. */
enum http2_list http2_head_add(struct http2_head *h, struct str name, struct str value);

/* What the list asks for. */
enum http2_ask {
    HTTP2_ASK_REQUEST,
    HTTP2_ASK_WEBSOCKET, /* an upgrade that lacks its Sec-WebSocket-Key */
};

/*
 * The request of a whole list; `ended`: nothing follows it. Cookie fields become one (section
 * 8.2.3), :authority overrules a Host that names the same. Returns 0, or -1 with E_BAD_REQUEST,
 * E_METHOD (CONNECT), E_PROTOCOL_UNKNOWN (an extended CONNECT for something else) or
 * E_HEAD_TOO_LARGE; *out then has what is known of it, for the log and the error page.
 */
int http2_head_finish(struct http2_head *h, const char *scheme, bool ended,
                      struct http_request *out, enum http2_ask *ask, struct err *e);

/*
 * Adds a field to trailers; those that must not stand in a trailer (http_may_be_trailer()) are left
 * out. *bytes (start it at 0) counts. Returns 0, or -1 with E_BAD_REQUEST.
 */
int http2_trailer_add(struct http_headers *trailers, struct arena *a, size_t *bytes,
                      struct str name, struct str value, struct err *e);

#endif
