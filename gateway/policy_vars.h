/*
 * policy_vars: the values of the variables of policies, from what an exchange knows.
 * Owns:   nothing; values borrow from the exchange and its arena.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_POLICY_VARS_H
#define GATEWAY_POLICY_VARS_H

#include "policy/cel/value.h"
#include "policy/vars.h"

struct arena;
struct exchange;

/* Every variable of vars.def but vars.* and time.now, which the engine keeps itself. */
struct cel_value policy_vars_get(struct exchange *x, enum policy_var var, struct arena *arena);

/* The target or the host of the request changed. */
void policy_facts_forget_url(struct exchange *x);

#endif
