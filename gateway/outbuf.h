/*
 * outbuf: bytes on their way into a stream, and HTTP/1 body framing around them.
 * Heads and small pieces gather here so that they leave in one write; large pieces go past the
 * buffer straight into the stream. What is buffered is bounded: whoever feeds it stops while
 * outbuf_is_blocked(), so it holds one head and at most two pieces of OUTBUF_HIGH_BYTES. When it is
 * blocked, the stream has taken less than it was offered: its on_writable is on the way.
 * Owns:   its buffer. Borrows the stream.
 * Thread: that of the stream.
 */
#ifndef GATEWAY_OUTBUF_H
#define GATEWAY_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "gateway/http.h"
#include "tunnel/stream.h"

enum { OUTBUF_HIGH_BYTES = 64 * 1024 };

/* How a body is marked off on the wire. */
enum outbuf_framing {
    OUTBUF_PLAIN,   /* as it is: Content-Length, until close, or a tunnel */
    OUTBUF_CHUNKED, /* chunks and trailers */
};

struct outbuf {
    struct stream *stream; /* borrowed; NULL until outbuf_open() */
    struct buf buf;
    enum outbuf_framing framing; /* of the body that is being sent */
    bool ending;                 /* half-close once the buffer is empty */
    bool blocked;                /* the stream took less than it was offered */
};

/* `head_max_bytes` is the size of the largest head that will be written. */
void outbuf_init(struct outbuf *o, size_t head_max_bytes);
void outbuf_fini(struct outbuf *o);
/* Gives the memory of an empty buffer back. */
void outbuf_release(struct outbuf *o);
/* The stream takes bytes from now on. */
void outbuf_open(struct outbuf *o, struct stream *s);

/* Takes body bytes, at most OUTBUF_HIGH_BYTES of them; not to be called while blocked. */
void outbuf_send_body(struct outbuf *o, struct str data);
/* The end of a body: the last chunk and trailers (may be NULL) if chunked. */
void outbuf_send_end(struct outbuf *o, const struct http_headers *trailers);
/* Half-closes the stream once all is out. */
void outbuf_end(struct outbuf *o);

/* Writes what the stream takes; returns true when nothing is left. */
bool outbuf_flush(struct outbuf *o);

/*
 * True when the feeder must wait: for outbuf_flush() in on_writable to return true, or for the stream
 * to open. A full buffer that the stream was not offered yet is offered now, so that nobody waits for
 * an event that will not come.
 */
bool outbuf_is_blocked(struct outbuf *o);

#endif
