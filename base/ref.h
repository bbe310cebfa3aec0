/*
 * ref: a count of owners for objects shared by threads.
 * Embed a struct ref, start it with ref_init(); whoever makes ref_dec() return true frees the object.
 * Thread: any.
 */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ref {
    atomic_uint count;
};

static inline void ref_init(struct ref *r)
{
    atomic_init(&r->count, 1);
}

static inline void ref_inc(struct ref *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
}

/* Returns true when the last owner let go. */
static inline bool ref_dec(struct ref *r)
{
    unsigned before = atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel);

    assert(before > 0);
    return before == 1;
}

/*
 * A counted object whose kind its holders need not know: embed it as the first member, and any layer
 * may keep and drop references without the header of the one that made it.
 */
struct counted {
    struct ref ref;
    void (*free)(struct counted *self);
};

static inline void counted_ref(struct counted *c)
{
    if (c != NULL)
        ref_inc(&c->ref);
}

static inline void counted_unref(struct counted *c)
{
    if (c != NULL && ref_dec(&c->ref))
        c->free(c);
}

#endif
