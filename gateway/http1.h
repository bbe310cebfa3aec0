/*
 * http1: HTTP/1.1 message heads and bodies, from bytes and to bytes (RFC 9112).
 * Strict where leniency would let two parsers disagree: bare CR or LF, obs-fold, space before the
 * colon, control characters, repeated or malformed Content-Length, Content-Length together with
 * Transfer-Encoding, codings other than a single final "chunked", bad chunks, invalid Host are
 * refused. http-parser does the tokenising of heads; the strict checks run before it.
 * Thread: any; pure: no I/O, no clock.
 * Limits: HTTP1_*_MAX and HTTP1_*_MAX_BYTES below; the caller limits a head with http1_find_head().
 */
#ifndef GATEWAY_HTTP1_H
#define GATEWAY_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "gateway/http.h"

enum {
    HTTP1_HEADERS_MAX = 1000,
    HTTP1_EMPTY_LINES_MAX = 16, /* in front of a request line */
};

/*
 * Looks for the end of a head at the front of `in`. Returns its length in bytes, the empty line
 * included; 0 when more is needed; -1 when it can be refused already (E_BAD_REQUEST) or no end was
 * found within max_bytes (E_HEAD_TOO_LARGE). *scanned (start it at 0) remembers how far earlier
 * calls looked, so that a slow head costs linear time. Empty lines (CRLF) in front of a request
 * line are counted into the head (RFC 9112 section 2.2). For a response the caller turns the
 * code into E_UPSTREAM_INVALID; the message fits both.
 */
ptrdiff_t http1_find_head(struct str in, size_t max_bytes, size_t *scanned, struct err *e);

/*
 * Parses a request head; all of `head` is copied into the arena first. An absolute target becomes
 * the origin form and its authority wins over Host, which must be there and valid all the same
 * (RFC 9112 section 3.2). An Upgrade that names h2c counts as none. Returns 0, or -1 with
 * E_BAD_REQUEST, E_VERSION, E_METHOD (CONNECT) or E_HEAD_TOO_LARGE (too many fields).
 */
int http1_parse_request(struct str head, struct arena *a, struct http_request *out, struct err *e);

/*
 * Parses a response head to a request with this method. 204, 304, 1xx and answers to HEAD have
 * HTTP_BODY_NONE whatever their fields say (RFC 9112 section 6.3). HTTP/1.0 responses are accepted.
 * A 101 must name its protocol. Returns 0, or -1 with E_UPSTREAM_INVALID.
 */
int http1_parse_response(struct str head, struct str request_method, struct arena *a,
                         struct http_response *out, struct err *e);

/* ---- bodies ---- */

enum { HTTP1_CHUNK_LINE_MAX_BYTES = 256, HTTP1_TRAILERS_MAX_BYTES = 16 * 1024 };

enum { HTTP1_CHUNK_SIZE_MAX_DIGITS = 16 };

/* Where the reader stands; all but DATA and DONE are of chunked bodies. */
enum http1_body_state {
    HTTP1_BODY_SIZE,      /* in the digits of a chunk size */
    HTTP1_BODY_SIZE_PAD,  /* in the space behind them, which only an extension may follow */
    HTTP1_BODY_EXTENSION, /* in a chunk extension */
    HTTP1_BODY_SIZE_LF,   /* behind the CR of the chunk line */
    HTTP1_BODY_DATA,      /* in content */
    HTTP1_BODY_DATA_CR,   /* behind the content of a chunk */
    HTTP1_BODY_DATA_LF,   /* behind the CR after it */
    HTTP1_BODY_TRAILERS,  /* behind the last chunk */
    HTTP1_BODY_END_LF,    /* behind the CR of the empty line at the very end */
    HTTP1_BODY_DONE,
};

/* Reads one body; start with http1_body_init(). */
struct http1_body {
    enum http_body kind;
    enum http1_body_state state;
    uint64_t left;           /* bytes of the body or chunk still to come */
    unsigned digits;         /* of the chunk size */
    size_t line_bytes;       /* of the chunk line so far */
    struct buf trailer_text; /* owned: trailer lines with their CRLF */
};

void http1_body_init(struct http1_body *b, enum http_body kind, uint64_t content_length);
void http1_body_fini(struct http1_body *b);

/*
 * Takes framing and content from the front of `in`. *data gets the next run of content (may be
 * empty), which lies inside `in`; *used how many bytes of `in` were taken, data included. Call it
 * again with the rest until it uses nothing. Returns 0, or -1 (E_BAD_REQUEST) on a bad chunk, a bad
 * trailer, or one past the limits.
 */
int http1_body_read(struct http1_body *b, struct str in, struct str *data, size_t *used,
                    struct err *e);
/* True when the whole body was read, trailers included; never for HTTP_BODY_CLOSE. */
bool http1_body_is_done(const struct http1_body *b);
/*
 * The trailers of a chunked body that is done, into `out`; fields that must not stand in a trailer
 * (framing, routing, authentication: RFC 9110 section 6.5.1) are left out. They are copied into
 * the arena. Returns 0, or -1 with E_BAD_REQUEST when the body is not done.
 */
int http1_body_trailers(struct http1_body *b, struct arena *a, struct http_headers *out,
                        struct err *e);

/* ---- writing: `out` must be asked for failure by the caller ---- */

void http1_write_request_line(struct buf *out, struct str method, struct str target);
void http1_write_status_line(struct buf *out, unsigned status, struct str reason);
/* "name: value" CRLF, of one field and of all. */
void http1_write_header(struct buf *out, struct str name, struct str value);
void http1_write_headers(struct buf *out, const struct http_headers *h);
void http1_write_head_end(struct buf *out);
/* The line in front of a chunk of n > 0 bytes; behind the bytes goes CRLF. */
void http1_write_chunk_start(struct buf *out, size_t n);
void http1_write_chunk_end(struct buf *out);
/* The last chunk, trailers (may be NULL) and the final CRLF. */
void http1_write_last_chunk(struct buf *out, const struct http_headers *trailers);

#endif
