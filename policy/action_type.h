/*
 * action_type: the rows of actions.def as a table, and the names of actions that documents may have
 * without this gateway having them.
 * Thread: any; const.
 */
#ifndef POLICY_ACTION_TYPE_H
#define POLICY_ACTION_TYPE_H

#include "policy/action.h"

struct action_type {
    const char *name;   /* "type" in documents */
    const char *result; /* actions.ngrok.<result>; "": none */
    unsigned phases;    /* ACTION_TCP_CONNECT and so on */
    unsigned flags;     /* ACTION_ENDS and so on */
    action_compile_fn *compile;
    action_run_fn *run;
    action_free_fn *free;
};

enum action_symbol {
#define ACTION(symbol, name, result, phases, flags) ACTION_##symbol,
#include "policy/actions.def"
#undef ACTION
    ACTION_TYPE_COUNT
};

extern const struct action_type action_types[ACTION_TYPE_COUNT];

/* An action of the language that this gateway does not have. */
struct action_absent {
    const char *name;
    const char *result; /* its results stay null: policies that read them still load; "": none */
    bool is_login;      /* spec traffic-policy 6.13: of several, each needs its own auth_id */
};

enum { ACTION_ABSENT_COUNT = 7 };
extern const struct action_absent action_absent[ACTION_ABSENT_COUNT];

/* Results of actions as slots of the environments: behind the variables of vars.def. */
enum {
    RESULT_SLOT_FIRST = POLICY_VAR_COUNT,
    RESULT_SLOT_COUNT = ACTION_TYPE_COUNT,
    /* The results of absent actions share one slot that is always null. */
    RESULT_SLOT_ABSENT = RESULT_SLOT_FIRST + RESULT_SLOT_COUNT,
    /* Only in retry conditions (spec traffic-policy 6.10). */
    RETRY_SLOT_ATTEMPTS,
    RETRY_SLOT_LAST_ATTEMPT,
    POLICY_SLOT_COUNT,
};

/* The type of that name or alias, or NULL. */
const struct action_type *action_type_find(struct str name);
const struct action_absent *action_absent_find(struct str name);
/* The name of an action that is spelled nearly like this; NULL: none is. */
const char *action_type_nearest(struct str name);

#endif
