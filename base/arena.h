/*
 * arena: memory that is handed out in pieces and freed all at once.
 * Made for one exchange: what lives as long as the exchange is put here and nothing else may
 * point into it. The first block is small, so an exchange with a short head costs one malloc.
 * Limits: arena_used() lets the owner check a named limit before it asks for what a peer sent.
 * Thread: that of its owner.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* owned */
    size_t used;              /* bytes handed out */
    size_t next_bytes;        /* size of the next block; 0: as large as all */
};

void arena_init(struct arena *a);
/* For what lives long and is mostly little: the first blocks are smaller, so less stays unused. */
void arena_init_small(struct arena *a);
void arena_fini(struct arena *a);
/* Takes back all that was handed out and keeps one small block, so that an arena that is filled again
 * and again costs no malloc each time. */
void arena_reset(struct arena *a);

/* n bytes, aligned for any type, undefined content. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
/* n zeroed bytes. */
void *arena_zalloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
/* A copy of s in the arena. */
struct str arena_str(struct arena *a, struct str s);
/* A formatted string in the arena. */
struct str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline size_t arena_used(const struct arena *a)
{
    return a->used;
}

#endif
