/*
 * http2: what the HTTP/2 codecs of both sides share: fields as nghttp2 takes them, and the rules for
 * fields that HTTP/1.1 does not have (RFC 9113 section 8).
 * Thread: any; pure.
 */
#ifndef GATEWAY_HTTP2_H
#define GATEWAY_HTTP2_H

#include <stdbool.h>
#include <stddef.h>

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "base/str.h"
#include "gateway/http.h"

/* The first half of the client preface: the head of a request that HTTP/1.1 does not have. */
#define HTTP2_PREFACE_HEAD "PRI * HTTP/2.0\r\n\r\n"

enum {
    HTTP2_FIELD_OVERHEAD_BYTES = 32, /* of a field in a header list (RFC 9113 section 6.5.2) */
};

/* True for the fields that speak of an HTTP/1.1 connection (RFC 9113 section 8.2.2), te apart. */
bool http2_is_connection_field(struct str name);

/*
 * The fields of a message for nghttp2, in the arena: room for `spare` more in front, then those of
 * `h` without the connection's. Strings are borrowed; nghttp2 copies them, in lower case, when they
 * are submitted. *count gets how many there are behind the spare ones.
 */
nghttp2_nv *http2_fields(struct arena *a, const struct http_headers *h, size_t spare,
                         size_t *count);
/* One field for nghttp2; strings are borrowed. */
nghttp2_nv http2_field(struct str name, struct str value);

#endif
