/*
 * A breaker counts results in ten buckets of its window. The state word says whether it is closed
 * (0), open since when, or open with one request on trial since when; the low bit tells the latter
 * two apart. A trial that is never reported (its visitor left) is replaced after tripped_ms.
 */
#include <assert.h>

#include "policy/counters_int.h"

/* One bucket. */
struct breaker_bucket {
    uint32_t stamp; /* a piece of the key */
    uint32_t epoch; /* which tenth of a window, counted from the start of the clock */
    uint32_t total;
    uint32_t failed;
};

/* A state word: 20 bits of the key, 43 of the time, and TRIAL. */
enum { TRIAL = 1, TIME_SHIFT = 1, STAMP_SHIFT = 44 };
#define TIME_MASK ((UINT64_C(1) << (STAMP_SHIFT - TIME_SHIFT)) - 1)

static struct breaker_bucket unpack(struct wide_value v)
{
    return (struct breaker_bucket){ .stamp = (uint32_t)(v.hi >> 32),
                                    .epoch = (uint32_t)v.hi,
                                    .total = (uint32_t)(v.lo >> 32),
                                    .failed = (uint32_t)v.lo };
}

static struct wide_value pack(struct breaker_bucket b)
{
    return (struct wide_value){ .hi = (uint64_t)b.stamp << 32 | b.epoch,
                                .lo = (uint64_t)b.total << 32 | b.failed };
}

static uint64_t state_of(struct counter_key key, uint64_t now_ms, unsigned trial)
{
    return key.hi >> STAMP_SHIFT << STAMP_SHIFT | (now_ms & TIME_MASK) << TIME_SHIFT | trial;
}

static uint64_t state_since(uint64_t state)
{
    return state >> TIME_SHIFT & TIME_MASK;
}

/* Closed, or left behind by another key that had the slot. */
static bool is_closed(uint64_t state, struct counter_key key)
{
    return state == 0 || (state ^ key.hi) >> STAMP_SHIFT != 0;
}

static uint64_t age_of(const void *slot)
{
    const struct breaker_slot *s = slot;

    return atomic_load_explicit(&s->used_ms, memory_order_relaxed);
}

static struct breaker_slot *slot_of(struct counters *c, struct counter_key key, uint64_t now_ms)
{
    size_t sets = COUNTERS_BREAKERS / COUNTERS_WAYS;
    struct breaker_slot *set = &c->breakers[key.lo % sets * COUNTERS_WAYS];
    struct breaker_slot *slot = &set[counters_find_slot(set, sizeof(*set), key, age_of)];

    atomic_store_explicit(&slot->used_ms, now_ms, memory_order_relaxed);
    return slot;
}

enum breaker_decision counters_breaker_ask(struct counters *c, struct counter_key key,
                                           const struct breaker_rule *rule, uint64_t now_ms)
{
    struct breaker_slot *slot = slot_of(c, key, now_ms);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

    if (is_closed(state, key))
        return BREAKER_ALLOW;
    if (now_ms - state_since(state) < rule->tripped_ms)
        return BREAKER_BLOCK;
    /* One of those who come at this moment gets through. */
    if (atomic_compare_exchange_strong(&slot->state, &state, state_of(key, now_ms, TRIAL)))
        return BREAKER_TRY;
    return is_closed(state, key) ? BREAKER_ALLOW : BREAKER_BLOCK;
}

static uint32_t epoch_of(const struct breaker_rule *rule, uint64_t now_ms)
{
    return (uint32_t)(now_ms * BREAKER_BUCKETS / rule->window_ms);
}

static void count(struct breaker_slot *slot, uint32_t stamp, uint32_t epoch, bool failed)
{
    struct wide *w = &slot->buckets[epoch % BREAKER_BUCKETS];

    for (;;) {
        struct wide_value old = wide_read(w);
        struct breaker_bucket b = unpack(old);

        if (b.stamp != stamp || b.epoch != epoch)
            b = (struct breaker_bucket){ .stamp = stamp, .epoch = epoch };
        b.total++;
        b.failed += failed;
        if (wide_swap(w, old, pack(b)))
            return;
    }
}

static bool is_over(struct breaker_slot *slot, uint32_t stamp, uint32_t epoch,
                    const struct breaker_rule *rule)
{
    uint64_t total = 0;
    uint64_t failed = 0;

    for (size_t i = 0; i < BREAKER_BUCKETS; i++) {
        struct breaker_bucket b = unpack(wide_read(&slot->buckets[i]));

        if (b.stamp != stamp || epoch - b.epoch >= BREAKER_BUCKETS)
            continue;
        total += b.total;
        failed += b.failed;
    }
    return total >= rule->volume_threshold &&
           (double)failed >= rule->error_threshold * (double)total;
}

static void forget(struct breaker_slot *slot)
{
    for (size_t i = 0; i < BREAKER_BUCKETS; i++) {
        struct wide *w = &slot->buckets[i];

        while (!wide_swap(w, wide_read(w), (struct wide_value){ 0 }))
            continue;
    }
}

void counters_breaker_tell(struct counters *c, struct counter_key key,
                           const struct breaker_rule *rule, bool failed, bool trial,
                           uint64_t now_ms)
{
    struct breaker_slot *slot = slot_of(c, key, now_ms);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    uint32_t stamp = (uint32_t)(key.hi >> 32);
    uint32_t epoch = epoch_of(rule, now_ms);

    if (trial && !is_closed(state, key) && (state & TRIAL) != 0) {
        if (!failed)
            forget(slot);
        /* If this fails, another trial has begun, and it decides. */
        (void)atomic_compare_exchange_strong(&slot->state, &state,
                                             failed ? state_of(key, now_ms, 0) : 0);
        return;
    }
    if (!is_closed(state, key))
        return; /* it was sent before the breaker opened */
    count(slot, stamp, epoch, failed);
    if (is_over(slot, stamp, epoch, rule))
        (void)atomic_compare_exchange_strong(&slot->state, &state, state_of(key, now_ms, 0));
}
