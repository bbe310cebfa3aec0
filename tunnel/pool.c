#include "tunnel/pool.h"

#include <assert.h>

#include "base/mem.h"
#include "tunnel/endpoint.h"

void pool_fini(struct pool *p)
{
    mem_free(p->members);
    *p = (struct pool){ 0 };
}

static bool differs(const struct pool *p)
{
    for (size_t i = 1; i < p->count; i++) {
        if (!endpoint_has_same_connect_rules(p->members[0], p->members[i]))
            return true;
    }
    return false;
}

void pool_add(struct pool *p, struct endpoint *ep)
{
    if (p->count == p->room) {
        p->room = p->room == 0 ? 1 : 2 * p->room;
        p->members = mem_realloc(p->members, p->room * sizeof(struct endpoint *));
    }
    p->members[p->count++] = ep;
    p->keeps = p->keeps || !endpoint_has_same_connect_rules(p->members[0], ep);
}

static size_t find(const struct pool *p, const struct endpoint *ep)
{
    size_t i = 0;

    while (i < p->count && p->members[i] != ep)
        i++;
    return i;
}

bool pool_remove(struct pool *p, const struct endpoint *ep)
{
    size_t i = find(p, ep);

    if (i == p->count)
        return false;
    p->members[i] = p->members[--p->count];
    p->keeps = p->keeps && differs(p);
    return true;
}

bool pool_has(const struct pool *p, const struct endpoint *ep)
{
    return find(p, ep) < p->count;
}

/* ---- choosing ---------------------------------------------------------------------------------- */

/* Who may be chosen; NULL for `tried`: for the first time. */
struct choice {
    const struct endpoint *from;
    const struct pool_tried *tried;
};

static bool was_tried(const struct pool_tried *tried, const struct endpoint *ep)
{
    for (size_t i = 0; i < tried->count; i++) {
        if (tried->members[i] == ep)
            return true;
    }
    return false;
}

static bool fits(const struct choice *c, const struct endpoint *ep)
{
    if (endpoint_is_withdrawn(ep))
        return false;
    return c->tried == NULL ||
           (ep != c->from && endpoint_has_same_rules(c->from, ep) && !was_tried(c->tried, ep));
}

/* A number below n, from 32 random bits. */
static size_t below(uint32_t random, size_t n)
{
    assert(n <= UINT32_MAX);
    return (size_t)(((uint64_t)random * n) >> 32);
}

/* The first one that fits, from a place on and around. */
static struct endpoint *first_from(const struct pool *p, size_t start, const struct choice *c)
{
    for (size_t i = 0; i < p->count; i++) {
        struct endpoint *ep = p->members[(start + i) % p->count];

        if (fits(c, ep))
            return ep;
    }
    return NULL;
}

static struct endpoint *choose(const struct pool *p, uint64_t random, const struct choice *c)
{
    size_t i = below((uint32_t)random, p->count);
    size_t j = below((uint32_t)(random >> 32), p->count - 1);
    struct endpoint *a;
    struct endpoint *b;

    if (j >= i)
        j++; /* two different ones */
    a = p->members[i];
    b = p->members[j];
    if (!fits(c, a) || !fits(c, b))
        return fits(c, b) ? b : first_from(p, i, c);
    return endpoint_outstanding(b) < endpoint_outstanding(a) ? b : a;
}

struct endpoint *pool_choose(const struct pool *p, uint64_t random)
{
    const struct choice first_time = { 0 };
    struct endpoint *ep;

    if (p->count < 2)
        return p->count == 0 ? NULL : p->members[0];
    ep = choose(p, random, &first_time);
    return ep != NULL ? ep : p->members[0];
}

struct endpoint *pool_choose_other(const struct pool *p, uint64_t random, struct endpoint *from,
                                   struct pool_tried *tried)
{
    const struct choice again = { .from = from, .tried = tried };
    struct endpoint *other;

    if (tried->count == POOL_TRIES_MAX - 1 || p->count == 0)
        return NULL;
    other = p->count == 1 ? first_from(p, 0, &again) : choose(p, random, &again);
    if (other != NULL)
        tried->members[tried->count++] = from;
    return other;
}

void pool_tried_fini(struct pool_tried *tried)
{
    while (tried->count > 0)
        endpoint_leave(tried->members[--tried->count]);
}
