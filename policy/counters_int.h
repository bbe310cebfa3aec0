/*
 * counters_int: the tables behind counters, for counters*.c only.
 * A table is a number of sets of COUNTERS_WAYS slots; a key lives in one of the slots of its set. A
 * slot is claimed by writing its tag, 16 bytes at once. What a slot counts carries a piece of the
 * key too, so that a count never lands on what the slot held before.
 * Thread: any.
 */
#ifndef POLICY_COUNTERS_INT_H
#define POLICY_COUNTERS_INT_H

#include <stdalign.h>
#include <stdatomic.h>

#include "policy/counters.h"

enum { COUNTERS_WAYS = 8, COUNTERS_BREAKERS = 4096, BREAKER_BUCKETS = 10 };

/* 16 bytes that change at once. Reading the halves one after the other may see two states; whoever
 * acts on what it read proves it with wide_swap(). */
struct wide {
    alignas(16) _Atomic uint64_t hi;
    _Atomic uint64_t lo;
};

struct wide_value {
    uint64_t hi;
    uint64_t lo;
};

struct rate_slot {
    struct wide tag;   /* a struct counter_key; 0: free */
    struct wide state; /* struct rate_state */
};

struct breaker_slot {
    struct wide tag;
    struct wide buckets[BREAKER_BUCKETS];
    _Atomic uint64_t state;
    _Atomic uint64_t used_ms; /* when it was last asked, for eviction */
};

struct counters {
    struct counters *next;         /* of the registry */
    char *account;                 /* owned */
    const unsigned char *secret;   /* borrowed from the registry */
    struct rate_slot *rates;       /* owned */
    size_t rate_sets;              /* a power of two */
    struct breaker_slot *breakers; /* owned */
};

static inline struct wide_value wide_read(const struct wide *w)
{
    return (struct wide_value){ .hi = atomic_load_explicit(&w->hi, memory_order_acquire),
                                .lo = atomic_load_explicit(&w->lo, memory_order_acquire) };
}

/* Puts `next` in place of `old`, if that is what is there. */
bool wide_swap(struct wide *w, struct wide_value old, struct wide_value next);

/*
 * The slot of a key in a set: `tags` is the tag of the first slot, `stride` the bytes from one slot
 * to the next. `age` says how long ago the index-th slot was used, for choosing which to give up.
 */
typedef uint64_t counters_age_fn(const void *slot);
size_t counters_find_slot(void *slots, size_t stride, struct counter_key key, counters_age_fn *age);

#endif
