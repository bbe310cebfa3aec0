/*
 * nginx and HAProxy keep such counters under a lock in shared memory. Here workers are threads that
 * must not wait for each other, so a slot is 32 bytes that are changed by compare-and-swap alone. A
 * full set gives up its least recently used slot; what that costs is one forgotten count.
 */
#include "policy/counters.h"

#include <assert.h>
#include <pthread.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "policy/counters_int.h"

enum { SECRET_BYTES = 192, KEY_BUFFER_BYTES = 1024 };
static_assert(SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "what XXH3 asks for");

struct counters_registry {
    pthread_mutex_t lock;  /* for policy_compile() only */
    struct counters *list; /* owned */
    unsigned char secret[SECRET_BYTES];
};

struct counters_registry *counters_registry_new(void)
{
    struct counters_registry *r = mem_zalloc(sizeof(*r));

    (void)pthread_mutex_init(&r->lock, NULL); /* cannot fail without attributes */
    rand_bytes(r->secret, sizeof(r->secret));
    return r;
}

void counters_registry_free(struct counters_registry *r)
{
    if (r == NULL)
        return;
    while (r->list != NULL) {
        struct counters *c = r->list;

        r->list = c->next;
        mem_free(c->account);
        mem_free(c->rates);
        mem_free(c->breakers);
        mem_free(c);
    }
    (void)pthread_mutex_destroy(&r->lock);
    mem_wipe(r->secret, sizeof(r->secret));
    mem_free(r);
}

static size_t sets_for(size_t slots)
{
    size_t sets = 1;

    while (sets * COUNTERS_WAYS < slots)
        sets *= 2;
    return sets;
}

static struct counters *counters_new(const struct counters_registry *r, struct str account,
                                     size_t buckets_max)
{
    struct counters *c = mem_zalloc(sizeof(*c));

    c->account = str_dup(account);
    c->secret = r->secret;
    c->rate_sets = sets_for(buckets_max);
    /* Zero pages cost nothing until a slot in them is used. */
    c->rates = mem_zalloc_array(c->rate_sets * COUNTERS_WAYS, sizeof(*c->rates));
    c->breakers = mem_zalloc_array(COUNTERS_BREAKERS, sizeof(*c->breakers));
    return c;
}

struct counters *counters_of(struct counters_registry *r, struct str account, size_t buckets_max)
{
    struct counters *c;

    (void)pthread_mutex_lock(&r->lock);
    for (c = r->list; c != NULL; c = c->next) {
        if (str_eq(str_from(c->account), account))
            break;
    }
    if (c == NULL) {
        c = counters_new(r, account, buckets_max);
        c->next = r->list;
        r->list = c;
    }
    (void)pthread_mutex_unlock(&r->lock);
    return c;
}

struct counter_key counters_key(const struct counters *c, const struct str *parts, size_t count)
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    (void)XXH3_128bits_reset_withSecret(&state, c->secret, SECRET_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint64_t n = parts[i].n;

        (void)XXH3_128bits_update(&state, &n, sizeof(n));
        (void)XXH3_128bits_update(&state, parts[i].p, parts[i].n);
    }
    hash = XXH3_128bits_digest(&state);
    /* A key of zeros would look like a free slot. */
    return (struct counter_key){ .hi = hash.high64 | 1, .lo = hash.low64 };
}

/* ---- slots ------------------------------------------------------------------------------------ */

__extension__ typedef unsigned __int128 wide_bits;

static wide_bits bits_of(struct wide_value v)
{
    /* The first member is the low half on the little-endian machines there are. */
    return (wide_bits)v.lo << 64 | v.hi;
}

bool wide_swap(struct wide *w, struct wide_value old, struct wide_value next)
{
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bits_of() says so");

    return __sync_bool_compare_and_swap((wide_bits *)(void *)w, bits_of(old), bits_of(next));
}

static struct wide *tag_at(void *slots, size_t stride, size_t i)
{
    return (struct wide *)(void *)((char *)slots + i * stride);
}

static bool is_key(struct wide_value v, struct counter_key key)
{
    return v.hi == key.hi && v.lo == key.lo;
}

/* The slot that holds the key among the first n, or COUNTERS_WAYS. */
static size_t find_key(void *slots, size_t stride, size_t n, struct counter_key key)
{
    for (size_t i = 0; i < n; i++) {
        if (is_key(wide_read(tag_at(slots, stride, i)), key))
            return i;
    }
    return COUNTERS_WAYS;
}

static size_t oldest(void *slots, size_t stride, counters_age_fn *age)
{
    uint64_t best = 0;
    size_t found = 0;

    for (size_t i = 0; i < COUNTERS_WAYS; i++) {
        void *slot = (char *)slots + i * stride;
        struct wide_value tag = wide_read(tag_at(slots, stride, i));
        uint64_t used = tag.hi == 0 ? 0 : age(slot) + 1;

        if (i == 0 || used < best) {
            best = used;
            found = i;
        }
    }
    return found;
}

size_t counters_find_slot(void *slots, size_t stride, struct counter_key key, counters_age_fn *age)
{
    const struct wide_value mine = { .hi = key.hi, .lo = key.lo };

    for (;;) {
        size_t i = find_key(slots, stride, COUNTERS_WAYS, key);
        struct wide *tag;
        size_t twin;

        if (i < COUNTERS_WAYS)
            return i;
        i = oldest(slots, stride, age);
        tag = tag_at(slots, stride, i);
        if (!wide_swap(tag, wide_read(tag), mine))
            continue;
        /* Another thread may have claimed another slot for the same key: the first one counts. */
        twin = find_key(slots, stride, i, key);
        if (twin == COUNTERS_WAYS)
            return i;
        (void)wide_swap(tag, mine, (struct wide_value){ 0 });
        return twin;
    }
}
