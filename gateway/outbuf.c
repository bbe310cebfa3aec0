#include "gateway/outbuf.h"

#include <assert.h>

#include "gateway/http1.h"

enum {
    /* Below this a copy is cheaper than a packet and a record of its own. */
    OUTBUF_DIRECT_BYTES = 4 * 1024,
};

void outbuf_init(struct outbuf *o, size_t head_max_bytes)
{
    *o = (struct outbuf){ 0 };
    buf_init(&o->buf, head_max_bytes + 3 * (size_t)OUTBUF_HIGH_BYTES);
}

void outbuf_fini(struct outbuf *o)
{
    buf_fini(&o->buf);
}

void outbuf_release(struct outbuf *o)
{
    assert(o->buf.len == 0);
    buf_fini(&o->buf);
}

void outbuf_open(struct outbuf *o, struct stream *s)
{
    o->stream = s;
}

bool outbuf_flush(struct outbuf *o)
{
    struct str s = buf_str(&o->buf);

    if (o->stream == NULL)
        return false;
    if (s.n > 0)
        buf_consume(&o->buf, stream_write(o->stream, s.p, s.n));
    o->blocked = o->buf.len > 0;
    if (o->blocked)
        return false;
    if (o->ending) {
        o->ending = false;
        stream_end(o->stream);
    }
    return true;
}

bool outbuf_is_blocked(struct outbuf *o)
{
    if (o->stream != NULL && !o->blocked && o->buf.len >= OUTBUF_HIGH_BYTES)
        (void)outbuf_flush(o); /* says in `blocked` what came of it */
    return o->blocked || o->buf.len >= OUTBUF_HIGH_BYTES;
}

void outbuf_send_body(struct outbuf *o, struct str data)
{
    assert(data.n <= OUTBUF_HIGH_BYTES);
    if (data.n == 0)
        return;
    if (o->framing == OUTBUF_CHUNKED) {
        http1_write_chunk_start(&o->buf, data.n);
        buf_add_str(&o->buf, data);
        http1_write_chunk_end(&o->buf);
        return;
    }
    if (data.n >= OUTBUF_DIRECT_BYTES && outbuf_flush(o)) {
        data = str_skip(data, stream_write(o->stream, data.p, data.n));
        o->blocked = data.n > 0;
    }
    buf_add_str(&o->buf, data);
}

void outbuf_send_end(struct outbuf *o, const struct http_headers *trailers)
{
    if (o->framing == OUTBUF_CHUNKED)
        http1_write_last_chunk(&o->buf, trailers);
    o->framing = OUTBUF_PLAIN;
}

void outbuf_end(struct outbuf *o)
{
    o->ending = true;
}
