/*
 * engine: the inside of struct policy_engine: environments of expressions for each phase, and the
 * state that outlives policies.
 * Owns:   all of it.
 * Thread: built on main, then read by any; the counters are lock-free (policy/counters.h).
 */
#ifndef POLICY_ENGINE_H
#define POLICY_ENGINE_H

#include "policy/cel/env.h"
#include "policy/policy.h"

struct cel_zones;
struct counters_registry;

struct policy_engine {
    struct cel_env *envs[POLICY_PHASE_COUNT]; /* owned */
    /* Owned: the same with the attempts of http-request, for the phases that have it; else NULL. */
    struct cel_env *retry_envs[POLICY_PHASE_COUNT];
    struct cel_zones *zones;            /* owned; NULL: the system has no database */
    struct counters_registry *counters; /* owned: rate limits and circuit breakers, by account */
};

#endif
