#include "tests/unit/tunnel/fake_stream.h"

static struct fake_stream *fake_of(struct stream *s)
{
    return (struct fake_stream *)(void *)s;
}

static size_t fake_write(struct stream *s, const char *p, size_t n)
{
    struct fake_stream *f = fake_of(s);

    if (n > f->room)
        n = f->room;
    f->room -= n;
    buf_add(&f->written, p, n);
    return n;
}

static void fake_end(struct stream *s)
{
    fake_of(s)->ended = true;
}

static void fake_resume(struct stream *s)
{
    fake_of(s)->resumed++;
}

static void fake_close(struct stream *s, enum close_reason why)
{
    fake_of(s)->closed = true;
    fake_of(s)->why = why;
}

static const struct stream_ops fake_ops = {
    .name = "fake",
    .write = fake_write,
    .end = fake_end,
    .resume = fake_resume,
    .close = fake_close,
};

void fake_stream_init(struct fake_stream *f, size_t room)
{
    *f = (struct fake_stream){ .stream = { .ops = &fake_ops }, .room = room };
    buf_init(&f->written, 1024 * 1024);
}

void fake_stream_fini(struct fake_stream *f)
{
    buf_fini(&f->written);
}
