#include "tunnel/splice.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/mem.h"

struct splice;

struct splice_end {
    struct splice *splice;
    struct stream *stream; /* owned; NULL once closed */
    struct splice_end *other;
    bool ended; /* its peer sends no more */
};

struct splice {
    struct worker *worker; /* borrowed: outlives us */
    struct splice_end a;
    struct splice_end b;
    struct splice_stats stats;
    splice_done_fn *done;
    void *arg;
    bool ends_behind_b;
    bool closed;
};

static void free_splice(struct worker *w, void *arg)
{
    (void)w;
    mem_free(arg);
}

static void close_ends(struct splice *s, enum close_reason why)
{
    s->closed = true;
    stream_close(s->a.stream, why);
    stream_close(s->b.stream, why);
    s->a.stream = NULL;
    s->b.stream = NULL;
    worker_defer(s->worker, free_splice, s); /* an event of ours may be on the stack */
}

static void finish(struct splice *s, enum close_reason why)
{
    close_ends(s, why);
    s->done(s->arg, why);
}

static size_t on_data(void *arg, struct str data)
{
    struct splice_end *from = arg;
    struct splice *s = from->splice;
    size_t taken;

    if (s->closed)
        return data.n;
    taken = stream_write(from->other->stream, data.p, data.n);
    *(from == &s->a ? &s->stats.from_a : &s->stats.from_b) += taken;
    s->stats.active_ms = clock_mono_ms();
    return taken;
}

static void on_writable(void *arg)
{
    struct splice_end *to = arg;

    if (!to->splice->closed)
        stream_resume(to->other->stream);
}

/* Nothing that comes behind its end is waited for. */
static bool is_last(const struct splice_end *end)
{
    return end->splice->ends_behind_b && end == &end->splice->b;
}

static void on_eof(void *arg)
{
    struct splice_end *from = arg;

    if (from->splice->closed || from->ended)
        return;
    from->ended = true;
    stream_end(from->other->stream);
    if (from->other->ended || is_last(from))
        finish(from->splice, CLOSE_DONE);
}

static void on_closed(void *arg, enum close_reason why)
{
    struct splice_end *end = arg;

    if (!end->splice->closed)
        finish(end->splice, is_last(end) ? CLOSE_DONE : why);
}

static const struct stream_events splice_events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

struct splice *splice_new(struct worker *w, struct stream *a, struct stream *b,
                          splice_done_fn *done, void *arg)
{
    struct splice *s = mem_zalloc(sizeof(*s));

    s->worker = w;
    s->stats.active_ms = clock_mono_ms();
    s->done = done;
    s->arg = arg;
    s->a = (struct splice_end){ .splice = s, .stream = a, .other = &s->b };
    s->b = (struct splice_end){ .splice = s, .stream = b, .other = &s->a };
    stream_set_events(a, &splice_events, &s->a);
    stream_set_events(b, &splice_events, &s->b);
    stream_resume(a);
    stream_resume(b);
    return s;
}

const struct splice_stats *splice_stats(const struct splice *s)
{
    return &s->stats;
}

void splice_end_behind_b(struct splice *s)
{
    if (s->closed)
        return;
    s->ends_behind_b = true;
    if (s->b.ended)
        finish(s, CLOSE_DONE);
}

void splice_close(struct splice *s, enum close_reason why)
{
    if (!s->closed)
        close_ends(s, why);
}
