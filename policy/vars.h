/*
 * vars: the variables of traffic policies (spec traffic-policy 4), by number.
 * Rows of vars.def become numbers of enum policy_var, which are the slots of the environments.
 * Thread: any; const.
 */
#ifndef POLICY_VARS_H
#define POLICY_VARS_H

#include "policy/policy.h"

/* Phases a variable exists in. */
enum {
    VAR_T = 1 << POLICY_ON_TCP_CONNECT,
    VAR_Q = 1 << POLICY_ON_HTTP_REQUEST,
    VAR_S = 1 << POLICY_ON_HTTP_RESPONSE | 1 << POLICY_ON_EVENT_STREAM_MESSAGE,
    VAR_TQS = VAR_T | VAR_Q | VAR_S,
    VAR_QS = VAR_Q | VAR_S,
};

enum policy_var {
#define VAR(symbol, name, type, phases) symbol,
#include "policy/vars.def"
#undef VAR
    POLICY_VAR_COUNT
};

struct policy_var_row {
    const char *name;
    const char *type; /* text form of policy/cel/type.h */
    unsigned phases;
};

extern const struct policy_var_row policy_vars[POLICY_VAR_COUNT];

#endif
