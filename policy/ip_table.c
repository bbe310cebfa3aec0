/*
 * Why not a trie: blocks lie in each other or apart, so sorted by their first address one pass with
 * a stack of the blocks that are open turns them into ranges; and for a million addresses the
 * ranges take 16 MB in two arrays, where a trie takes several times that in nodes.
 */
#include "policy/ip_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "policy/ip_lists.h"

enum { V4_BITS = 32, V6_BITS = 128, FIRST_ROOM = 64 };

/* An address as a number; of IPv4 only `low` is used. */
struct key {
    uint64_t high;
    uint64_t low;
};

struct ip_block {
    struct key first;
    uint16_t list;
    uint8_t family;
    uint8_t bits;
};

/* ---- keys ---- */

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static struct key key_of(uint8_t family, const uint8_t *ip)
{
    if (family == 4)
        return (struct key){ .low = big_endian(ip, 4) };
    return (struct key){ .high = big_endian(ip, 8), .low = big_endian(ip + 8, 8) };
}

static int compare_keys(struct key a, struct key b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return (a.low > b.low) - (a.low < b.low);
}

/* n one-bits at the low end. */
static uint64_t low_ones(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static struct key last_of(const struct ip_block *b)
{
    unsigned host_bits = (b->family == 4 ? V4_BITS : V6_BITS) - (unsigned)b->bits;
    struct key last = b->first;

    last.low |= low_ones(host_bits);
    if (host_bits > 64)
        last.high |= low_ones(host_bits - 64);
    return last;
}

static bool is_last_address(uint8_t family, struct key k)
{
    if (family == 4)
        return k.low == UINT32_MAX;
    return k.high == UINT64_MAX && k.low == UINT64_MAX;
}

static struct key next_key(struct key k)
{
    k.low++;
    if (k.low == 0)
        k.high++;
    return k;
}

/* ---- blocks ---- */

void ip_blocks_add(struct ip_blocks *b, const struct cidr *cidr, uint16_t list)
{
    if (b->count == b->room) {
        b->room = b->room == 0 ? FIRST_ROOM : b->room * 2;
        b->items = mem_realloc(b->items, b->room * sizeof(*b->items));
    }
    b->items[b->count++] = (struct ip_block){
        .first = key_of(cidr->family, cidr->ip),
        .list = list,
        .family = cidr->family,
        .bits = cidr->bits,
    };
}

void ip_blocks_fini(struct ip_blocks *b)
{
    mem_free(b->items);
    *b = (struct ip_blocks){ 0 };
}

/* By family and first address; of those that begin together the widest first. */
static int compare_blocks(const void *left, const void *right)
{
    const struct ip_block *a = left;
    const struct ip_block *b = right;
    int order;

    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    order = compare_keys(a->first, b->first);
    if (order != 0)
        return order;
    if (a->bits != b->bits)
        return a->bits < b->bits ? -1 : 1;
    return (a->list > b->list) - (a->list < b->list);
}

static bool is_same_block(const struct ip_block *a, const struct ip_block *b)
{
    return a->family == b->family && a->bits == b->bits && compare_keys(a->first, b->first) == 0;
}

/* ---- sets ---- */

struct set {
    UT_hash_handle hh; /* by lists */
    uint32_t number;
    uint16_t *lists; /* owned */
    size_t count;
};

/* Where ranges begin, and the set of each; addresses before the first are in set 0. */
struct ranges {
    uint32_t *v4;   /* owned; NULL when these are IPv6 */
    struct key *v6; /* owned; NULL when these are IPv4 */
    uint32_t *sets; /* owned */
    size_t count;
    size_t room;
};

struct ip_table {
    struct ranges v4;
    struct ranges v6;
    struct set *by_lists; /* borrowed from sets: the hash; without the empty one */
    struct set **sets;    /* owned, and what it points at; by number */
    size_t set_count;
    size_t set_room;
    size_t set_items;  /* lists in all sets */
    uint16_t *scratch; /* owned; the lists of a set that may be there already */
};

static struct set *set_new(struct ip_table *t, const uint16_t *lists, size_t count)
{
    struct set *s = mem_zalloc(sizeof(*s));

    if (t->set_count == t->set_room) {
        t->set_room = t->set_room == 0 ? FIRST_ROOM : t->set_room * 2;
        t->sets = mem_realloc(t->sets, t->set_room * sizeof(struct set *));
    }
    s->number = (uint32_t)t->set_count;
    s->lists = mem_zalloc_array(count, sizeof(*s->lists));
    memcpy(s->lists, lists, count * sizeof(*s->lists));
    s->count = count;
    t->sets[t->set_count++] = s;
    t->set_items += count;
    return s;
}

/* The number of the set with these lists, ascending; -1 with E_LIMIT. */
static int find_or_add_set(struct ip_table *t, const uint16_t *lists, size_t count,
                           uint32_t *number, struct err *e)
{
    struct set *s;

    HASH_FIND(hh, t->by_lists, lists, count * sizeof(*lists), s);
    if (s == NULL) {
        if (t->set_count == IP_LISTS_SETS_MAX || t->set_items + count > IP_LISTS_SET_ITEMS_MAX)
            return err_set(e, E_LIMIT, "the lists overlap in too many ways");
        s = set_new(t, lists, count);
        HASH_ADD_KEYPTR(hh, t->by_lists, s->lists, count * sizeof(*s->lists), s);
    }
    *number = s->number;
    return 0;
}

/* The set of `parent` and the lists of the `count` blocks, which are in order. */
static int extend_set(struct ip_table *t, uint32_t parent, const struct ip_block *blocks,
                      size_t count, uint32_t *number, struct err *e)
{
    const struct set *base = t->sets[parent];
    uint16_t *lists = t->scratch;
    size_t n = 0;
    size_t i = 0;
    size_t k = 0;

    while (i < base->count || k < count) {
        bool from_base = k == count || (i < base->count && base->lists[i] <= blocks[k].list);
        uint16_t next = from_base ? base->lists[i++] : blocks[k++].list;

        if (n == 0 || lists[n - 1] != next)
            lists[n++] = next;
    }
    return find_or_add_set(t, lists, n, number, e);
}

/* ---- ranges ---- */

static struct key range_start(const struct ranges *r, size_t i)
{
    return r->v6 != NULL ? r->v6[i] : (struct key){ .low = r->v4[i] };
}

static void range_push(struct ranges *r, uint8_t family, struct key start, uint32_t set)
{
    if (r->count == r->room) {
        r->room = r->room == 0 ? FIRST_ROOM : r->room * 2;
        r->sets = mem_realloc(r->sets, r->room * sizeof(*r->sets));
        if (family == 4)
            r->v4 = mem_realloc(r->v4, r->room * sizeof(*r->v4));
        else
            r->v6 = mem_realloc(r->v6, r->room * sizeof(*r->v6));
    }
    if (family == 4)
        r->v4[r->count] = (uint32_t)start.low;
    else
        r->v6[r->count] = start;
    r->sets[r->count++] = set;
}

/* From `start` on addresses are in the set: a range that would be empty or go on as before is none.
 * */
static void range_begin(struct ranges *r, uint8_t family, struct key start, uint32_t set)
{
    if (r->count > 0 && compare_keys(range_start(r, r->count - 1), start) == 0)
        r->count--;
    if (set != (r->count > 0 ? r->sets[r->count - 1] : 0))
        range_push(r, family, start, set);
}

/* A block that the pass is inside of. */
struct open_block {
    struct key last;
    uint32_t set;
};

struct pass {
    struct ranges *ranges;
    uint8_t family;
    size_t depth;
    struct open_block open[V6_BITS + 1]; /* each is longer by a bit at least */
};

static uint32_t current_set(const struct pass *p)
{
    return p->depth > 0 ? p->open[p->depth - 1].set : 0;
}

static void close_block(struct pass *p)
{
    struct key last = p->open[--p->depth].last;

    if (!is_last_address(p->family, last))
        range_begin(p->ranges, p->family, next_key(last), current_set(p));
}

/* Turns the blocks of one family, in order, into ranges. */
static int flatten(struct ip_table *t, const struct ip_block *blocks, size_t count,
                   struct ranges *out, struct err *e)
{
    struct pass p = { .ranges = out, .family = count > 0 ? blocks[0].family : 4 };

    for (size_t i = 0; i < count;) {
        struct open_block opened = { .last = last_of(&blocks[i]) };
        size_t same = 1;

        while (i + same < count && is_same_block(&blocks[i], &blocks[i + same]))
            same++;
        while (p.depth > 0 && compare_keys(p.open[p.depth - 1].last, blocks[i].first) < 0)
            close_block(&p);
        if (extend_set(t, current_set(&p), &blocks[i], same, &opened.set, e) == -1)
            return -1;
        range_begin(out, p.family, blocks[i].first, opened.set);
        assert(p.depth < sizeof(p.open) / sizeof(p.open[0]));
        p.open[p.depth++] = opened;
        i += same;
    }
    while (p.depth > 0)
        close_block(&p);
    return 0;
}

/* ---- the table ---- */

struct ip_table *ip_table_new(struct ip_blocks *blocks, struct err *e)
{
    struct ip_table *t = mem_zalloc(sizeof(*t));
    size_t v4 = 0;

    t->scratch = mem_zalloc_array(IP_LISTS_FILES_MAX, sizeof(*t->scratch));
    (void)set_new(t, t->scratch, 0);
    if (blocks->count > 1)
        qsort(blocks->items, blocks->count, sizeof(*blocks->items), compare_blocks);
    while (v4 < blocks->count && blocks->items[v4].family == 4)
        v4++;
    if (flatten(t, blocks->items, v4, &t->v4, e) == -1 ||
        (v4 < blocks->count &&
         flatten(t, blocks->items + v4, blocks->count - v4, &t->v6, e) == -1)) {
        ip_table_free(t);
        return NULL;
    }
    return t;
}

static void ranges_fini(struct ranges *r)
{
    mem_free(r->v4);
    mem_free(r->v6);
    mem_free(r->sets);
}

void ip_table_free(struct ip_table *t)
{
    if (t == NULL)
        return;
    HASH_CLEAR(hh, t->by_lists);
    for (size_t i = 0; i < t->set_count; i++) {
        mem_free(t->sets[i]->lists);
        mem_free(t->sets[i]);
    }
    mem_free(t->sets);
    mem_free(t->scratch);
    ranges_fini(&t->v4);
    ranges_fini(&t->v6);
    mem_free(t);
}

size_t ip_table_set_count(const struct ip_table *t)
{
    return t->set_count;
}

struct ip_set ip_table_set(const struct ip_table *t, size_t number)
{
    return (struct ip_set){ t->sets[number]->lists, t->sets[number]->count };
}

size_t ip_table_find(const struct ip_table *t, const struct addr *addr)
{
    const struct ranges *r = addr->family == 4 ? &t->v4 : &t->v6;
    struct key key = key_of(addr->family, addr->ip);
    size_t low = 0;
    size_t high = r->count;

    /* How many ranges begin at or before the address; the last of them holds it. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_keys(range_start(r, middle), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : r->sets[low - 1];
}
