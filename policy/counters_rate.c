/*
 * A sliding window out of two fixed ones: what was counted in the window before this one weighs as
 * much as the last `rate` still reaches into it (spec traffic-policy D47).
 */
#include <assert.h>

#include "policy/counters_int.h"

/* What a slot counts. */
struct rate_state {
    uint32_t stamp;   /* a piece of the key: whose counts these are */
    uint32_t start_s; /* when the present window began, seconds */
    uint32_t now;     /* events in it */
    uint32_t before;  /* events in the window before it */
};

static struct rate_state unpack(struct wide_value v)
{
    return (struct rate_state){ .stamp = (uint32_t)(v.hi >> 32),
                                .start_s = (uint32_t)v.hi,
                                .now = (uint32_t)(v.lo >> 32),
                                .before = (uint32_t)v.lo };
}

static struct wide_value pack(struct rate_state s)
{
    return (struct wide_value){ .hi = (uint64_t)s.stamp << 32 | s.start_s,
                                .lo = (uint64_t)s.now << 32 | s.before };
}

static uint64_t age_of(const void *slot)
{
    const struct rate_slot *s = slot;

    return unpack(wide_read(&s->state)).start_s;
}

/* The state as it is in the window that begins at start_s. */
static struct rate_state move_on(struct rate_state s, uint32_t stamp, uint32_t start_s,
                                 uint32_t rate_s)
{
    if (s.stamp != stamp)
        return (struct rate_state){ .stamp = stamp, .start_s = start_s };
    if (s.start_s == start_s)
        return s;
    /* A thread that read its clock a little earlier must not turn the window back. */
    if ((int32_t)(start_s - s.start_s) < 0)
        return s;
    return (struct rate_state){ .stamp = stamp,
                                .start_s = start_s,
                                .before = start_s - s.start_s == rate_s ? s.now : 0 };
}

/* How long until the count of the last `rate` is below the capacity; elapsed: of the window. */
static uint64_t wait_ms(struct rate_state s, const struct rate_limit_rule *rule, uint64_t elapsed)
{
    uint64_t capacity = rule->capacity;
    uint64_t rate = rule->rate_ms;

    assert(s.now >= capacity || s.before > 0); /* or it would not be full */
    if (s.now >= capacity && s.now > 0)
        return rate - elapsed + (rate - rate * capacity / s.now) + 1;
    return rate - rate * (capacity - s.now) / s.before + 1 - elapsed;
}

static bool is_full(struct rate_state s, const struct rate_limit_rule *rule, uint64_t elapsed)
{
    uint64_t weighted = (uint64_t)s.before * (rule->rate_ms - elapsed);

    return s.now * rule->rate_ms + weighted >= rule->capacity * rule->rate_ms;
}

uint64_t counters_rate_limit(struct counters *c, struct counter_key key,
                             const struct rate_limit_rule *rule, uint64_t now_ms)
{
    struct rate_slot *set = &c->rates[(key.lo & (c->rate_sets - 1)) * COUNTERS_WAYS];
    uint32_t rate_s = (uint32_t)(rule->rate_ms / 1000);
    uint32_t start_s = (uint32_t)(now_ms / rule->rate_ms * rate_s);
    uint64_t elapsed = now_ms % rule->rate_ms;
    uint32_t stamp = (uint32_t)(key.hi >> 32);

    assert(rate_s > 0 && rule->rate_ms % 1000 == 0 && rule->capacity > 0);
    for (;;) {
        struct rate_slot *slot = &set[counters_find_slot(set, sizeof(*set), key, age_of)];
        struct wide_value old = wide_read(&slot->state);
        struct rate_state s = move_on(unpack(old), stamp, start_s, rate_s);
        bool full;

        full = is_full(s, rule, elapsed);
        if (!full)
            s.now++;
        if (wide_swap(&slot->state, old, pack(s)))
            return full ? wait_ms(s, rule, elapsed) : 0;
    }
}
