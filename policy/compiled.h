/*
 * compiled: a policy as it is run: phases, rules, actions.
 * Owns:   all of it; made by policy_compile(), freed with its last reference.
 * Thread: any; immutable.
 */
#ifndef POLICY_COMPILED_H
#define POLICY_COMPILED_H

#include "policy/action_type.h"
#include "policy/cel/cel.h"
#include "policy/policy.h"
#include "policy/regex.h"

struct compiled_action {
    const struct action_type *type; /* borrowed: static */
    void *data;                     /* owned, released by type->free */
};

struct compiled_rule {
    struct cel_program **expressions; /* owned */
    size_t expression_count;
    struct compiled_action *actions; /* owned */
    size_t action_count;
    bool ends;    /* once it matches, an action of it ends the phase */
    size_t index; /* in its document, for messages */
    char *name;   /* owned; NULL: none */
};

struct compiled_phase {
    struct compiled_rule *rules; /* owned */
    size_t count;
    uint64_t digest; /* of what they were compiled from; 0: there are none */
};

struct policy {
    struct counted counted;             /* first, so that holders keep a struct counted */
    const struct policy_engine *engine; /* borrowed: outlives every policy */
    struct policy_limits limits;
    struct cel_limits evaluation; /* of one expression */
    struct cel_limits values;     /* of what one phase keeps */
    enum policy_expression_errors expression_errors;
    size_t programs;              /* expressions, counted while it is made */
    struct regex_budget patterns; /* likewise */
    unsigned lacks;               /* POLICY_LACKS_GEO and so on that were warned about */
    bool ends_tls;                /* it has an action that does (ACTION_TLS) */
    uint64_t results_read;        /* bit i: some expression reads what action_types[i] leaves */
    struct compiled_phase phases[POLICY_PHASE_COUNT];
};

static_assert(ACTION_TYPE_COUNT <= 64, "results_read has a bit for each action");

static inline const struct policy *policy_of(const struct counted *c)
{
    return (const struct policy *)c;
}

#endif
