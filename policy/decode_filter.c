#include "policy/decode_filter.h"

#include "base/mem.h"

struct decode_filter {
    struct policy_filter filter; /* first */
    struct decoder *decoder;     /* owned */
};

static struct decoder *decoder_of(struct policy_filter *f)
{
    return ((struct decode_filter *)f)->decoder;
}

static int push(struct policy_filter *f, struct str in, struct buf *out, struct err *e)
{
    return decoder_push(decoder_of(f), in, out, e);
}

static int finish(struct policy_filter *f, struct buf *out, struct err *e)
{
    (void)out;
    return decoder_is_complete(decoder_of(f))
               ? 0
               : err_set(e, E_POLICY_BODY, "the encoded body is incomplete");
}

static void free_filter(struct policy_filter *f)
{
    decoder_free(decoder_of(f));
    mem_free(f);
}

static const struct policy_filter_ops decode_filter_ops = {
    .name = "decode",
    .push = push,
    .flush = NULL, /* what is pushed comes out at once */
    .finish = finish,
    .free = free_filter,
};

struct policy_filter *decode_filter_new(enum coding c)
{
    struct decode_filter *f = mem_zalloc(sizeof(*f));

    f->filter.ops = &decode_filter_ops;
    f->decoder = decoder_new(c);
    if (f->decoder != NULL)
        return &f->filter;
    mem_free(f);
    return NULL;
}
