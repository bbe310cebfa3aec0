/*
 * counters: what rate limits and circuit breakers count, shared by all workers, exact, and without
 * a lock on the way of a request: fixed tables of slots that are claimed and counted by
 * compare-and-swap. Kept by account, so that nobody's flood pushes out another's buckets, and kept
 * over policies, so that a reload or a new session finds them again.
 * Owns:   its tables.
 * Thread: counters_of() takes a lock and is for policy_compile(); the rest on any, lock-free.
 * Limits: rate_limit_buckets_max slots an account.
 */
#ifndef POLICY_COUNTERS_H
#define POLICY_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct counters;
struct counters_registry;

struct counters_registry *counters_registry_new(void);
void counters_registry_free(struct counters_registry *r);

/* The counters of an account, made at the first call; they live as long as the registry. */
struct counters *counters_of(struct counters_registry *r, struct str account, size_t buckets_max);

/* What is counted, as a keyed hash of the texts that name it. */
struct counter_key {
    uint64_t hi;
    uint64_t lo;
};
/* Parts are separated by their lengths: ("ab","c") is not ("a","bc"). */
struct counter_key counters_key(const struct counters *c, const struct str *parts, size_t count);

struct rate_limit_rule {
    uint32_t capacity; /* events */
    uint64_t rate_ms;  /* in the last so many */
};
/* Counts an event and returns 0, or returns after how many ms the next one may come (spec
 * traffic-policy 6.16, D47); a refused one is not counted. */
uint64_t counters_rate_limit(struct counters *c, struct counter_key key,
                             const struct rate_limit_rule *rule, uint64_t now_ms);

struct breaker_rule {
    double error_threshold; /* 0.0 to 1.0 */
    uint32_t volume_threshold;
    uint64_t window_ms;
    uint64_t tripped_ms;
};
enum breaker_decision { BREAKER_ALLOW, BREAKER_BLOCK, BREAKER_TRY /* the one while it is open */ };
enum breaker_decision counters_breaker_ask(struct counters *c, struct counter_key key,
                                           const struct breaker_rule *rule, uint64_t now_ms);
/* How a request that was allowed went; `trial`: it was a BREAKER_TRY. */
void counters_breaker_tell(struct counters *c, struct counter_key key,
                           const struct breaker_rule *rule, bool failed, bool trial,
                           uint64_t now_ms);

#endif
