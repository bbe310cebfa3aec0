#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum {
    ARENA_BLOCK_BYTES = 4096 - 64, /* header included: stays inside one page of malloc */
    ARENA_SMALL_BYTES = 256 - 16,  /* of the first block of a small one, which doubles */
    ARENA_ALIGN = 16,
};

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    _Alignas(ARENA_ALIGN) char bytes[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

void arena_init_small(struct arena *a)
{
    *a = (struct arena){ .next_bytes = ARENA_SMALL_BYTES };
}

void arena_fini(struct arena *a)
{
    struct arena_block *b = a->head;

    while (b != NULL) {
        struct arena_block *next = b->next;

        mem_free(b);
        b = next;
    }
    *a = (struct arena){ 0 };
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;
    struct arena_block *b = a->head;

    while (b != NULL) {
        struct arena_block *next = b->next;

        if (kept == NULL && b->cap == ARENA_BLOCK_BYTES - sizeof(*b)) {
            kept = b;
            kept->next = NULL;
            kept->used = 0;
        } else {
            mem_free(b);
        }
        b = next;
    }
    *a = (struct arena){ .head = kept };
}

/* What the next block has room for. */
static size_t next_cap(struct arena *a)
{
    size_t bytes = a->next_bytes != 0 ? a->next_bytes : ARENA_BLOCK_BYTES;

    if (a->next_bytes != 0)
        a->next_bytes = bytes < ARENA_BLOCK_BYTES / 2 ? 2 * bytes : 0;
    return bytes - sizeof(struct arena_block);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t need = (n + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct arena_block *b = a->head;
    void *p;

    assert(n <= SIZE_MAX / 2); /* its owner checked a named limit, far below */
    if (b == NULL || b->cap - b->used < need) {
        size_t cap = next_cap(a);

        if (cap < need)
            cap = need;
        b = mem_alloc(sizeof(*b) + cap);
        b->cap = cap;
        b->used = 0;
        b->next = a->head;
        a->head = b;
    }
    p = b->bytes + b->used;
    b->used += need;
    a->used += need;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n);

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return str_of(p, s.n);
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *p;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_of(p, (size_t)n);
}
