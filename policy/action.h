/*
 * action: what every action of a traffic policy is to the engine: three functions and a row.
 * To add one: policy/actions/<name>.c with <symbol>_compile, _run and _free, and a row in
 * actions.def. Nothing else names it.
 * compile() turns a config into whatever the action wants to have at hand per request; run() reads
 * and changes the message through the host and returns a verdict; free() releases compiled data.
 * Compiled data is immutable and shared by all threads.
 * Thread: any.
 */
#ifndef POLICY_ACTION_H
#define POLICY_ACTION_H

#include "policy/fields.h"
#include "policy/policy.h"

/* One run of a phase, as an action sees it. All borrowed. */
struct action_run {
    enum policy_phase phase;
    const struct policy_host *host;
    void *ctx; /* for the host's calls */
    struct arena *arena;
    struct policy_result *result;
};

/* Returns compiled data (never NULL on success), or NULL with the error and place set in `c`. */
typedef void *action_compile_fn(struct fields *c);
typedef enum policy_verdict action_run_fn(const void *compiled, const struct action_run *run);
/* NULL is fine. */
typedef void action_free_fn(void *compiled);

/* The phases of a row in actions.def. */
#define ACTION_TCP_CONNECT   (1U << POLICY_ON_TCP_CONNECT)
#define ACTION_HTTP_REQUEST  (1U << POLICY_ON_HTTP_REQUEST)
#define ACTION_HTTP_RESPONSE (1U << POLICY_ON_HTTP_RESPONSE)

#define ACTION(symbol, name, phases)                                                               \
    action_compile_fn symbol##_compile;                                                            \
    action_run_fn symbol##_run;                                                                    \
    action_free_fn symbol##_free;
#include "policy/actions.def"
#undef ACTION

#endif
