/*
 * result: what an action leaves under actions.ngrok.<result>, as a list of fields.
 * A result that the memory of the phase has no room for is an error to whoever reads it: neither the
 * result of an earlier run nor half of this one may be taken for it.
 * Owns:   nothing; names are static, values lie in the arena of the exchange.
 * Thread: that of the exchange.
 */
#ifndef POLICY_RESULT_H
#define POLICY_RESULT_H

#include <stddef.h>

#include "policy/cel/value.h"

struct action_run;

struct result_field {
    const char *name; /* borrowed: outlives the exchange */
    struct cel_value value;
};

/* {name: value, ...}; an error when a value is one or there is no memory left. */
struct cel_value result_map(struct action_run *run, const struct result_field *fields,
                            size_t count);
/* The same as the result of the action. */
void result_set(struct action_run *run, const struct result_field *fields, size_t count);

#endif
