#include "gateway/prefix_stream.h"

#include <assert.h>

#include "base/buf.h"
#include "base/mem.h"

enum prefix_state {
    PREFIX_OPENING, /* inner is being dialled */
    PREFIX_SENDS,   /* inner has not taken all of the prefix yet */
    PREFIX_OPEN,
    PREFIX_OVER,   /* on_closed was told; the owner has to close */
    PREFIX_CLOSED, /* by the owner */
};

struct prefix_stream {
    struct stream stream; /* first: what the owner holds */
    struct worker *worker;
    struct stream *inner; /* owned; NULL once closed */
    enum prefix_state state;
    struct buf prefix;
    bool inner_waits; /* it offered data too early */
};

static struct prefix_stream *prefix_of(struct stream *s)
{
    return (struct prefix_stream *)(void *)s;
}

/* ---- events of inner ------------------------------------------------------------------------- */

static void send_prefix(struct prefix_stream *s)
{
    struct str left = buf_str(&s->prefix);

    buf_consume(&s->prefix, stream_write(s->inner, left.p, left.n));
    if (s->prefix.len > 0)
        return;
    s->state = PREFIX_OPEN;
    if (s->inner_waits)
        stream_resume(s->inner);
    s->stream.events->on_open(s->stream.arg);
}

static void on_open(void *arg)
{
    struct prefix_stream *s = arg;

    s->state = PREFIX_SENDS;
    send_prefix(s);
}

static size_t on_data(void *arg, struct str data)
{
    struct prefix_stream *s = arg;

    if (s->state == PREFIX_OPEN)
        return s->stream.events->on_data(s->stream.arg, data);
    s->inner_waits = true;
    return s->state == PREFIX_OVER ? data.n : 0;
}

static void on_writable(void *arg)
{
    struct prefix_stream *s = arg;

    if (s->state == PREFIX_SENDS)
        send_prefix(s);
    else if (s->state == PREFIX_OPEN)
        s->stream.events->on_writable(s->stream.arg);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct prefix_stream *s = arg;

    if (s->state == PREFIX_OVER)
        return;
    s->state = PREFIX_OVER;
    s->stream.events->on_closed(s->stream.arg, why);
}

static void on_eof(void *arg)
{
    struct prefix_stream *s = arg;

    /* Whoever ends before it has heard who calls will not answer. */
    if (s->state == PREFIX_OPEN)
        s->stream.events->on_eof(s->stream.arg);
    else
        on_closed(s, CLOSE_RESET);
}

static const struct stream_events inner_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

/* ---- what the owner does --------------------------------------------------------------------- */

static size_t prefix_write(struct stream *st, const char *p, size_t n)
{
    struct prefix_stream *s = prefix_of(st);

    if (s->state == PREFIX_OVER)
        return n;
    return s->state == PREFIX_OPEN ? stream_write(s->inner, p, n) : 0;
}

static void prefix_end(struct stream *st)
{
    struct prefix_stream *s = prefix_of(st);

    assert(s->state >= PREFIX_OPEN); /* nobody ends what has not opened */
    if (s->state == PREFIX_OPEN)
        stream_end(s->inner);
}

static void prefix_resume(struct stream *st)
{
    stream_resume(prefix_of(st)->inner);
}

static void free_stream(struct worker *w, void *arg)
{
    struct prefix_stream *s = arg;

    (void)w;
    buf_fini(&s->prefix);
    mem_free(s);
}

static void prefix_close(struct stream *st, enum close_reason why)
{
    struct prefix_stream *s = prefix_of(st);

    assert(s->state != PREFIX_CLOSED);
    s->state = PREFIX_CLOSED;
    stream_close(s->inner, why);
    s->inner = NULL;
    worker_defer(s->worker, free_stream, s); /* an event of ours may be on the stack */
}

static const struct stream_ops prefix_ops = {
    .name = "prefix",
    .write = prefix_write,
    .end = prefix_end,
    .resume = prefix_resume,
    .close = prefix_close,
};

struct stream *prefix_stream_new(struct worker *w, struct stream *inner, struct str prefix,
                                 const struct stream_events *events, void *arg)
{
    struct prefix_stream *s = mem_zalloc(sizeof(*s));

    s->stream = (struct stream){ .ops = &prefix_ops, .events = events, .arg = arg };
    s->worker = w;
    s->inner = inner;
    buf_init(&s->prefix, prefix.n);
    buf_add_str(&s->prefix, prefix);
    stream_set_events(inner, &inner_events, s);
    return &s->stream;
}
