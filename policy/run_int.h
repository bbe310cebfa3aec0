/*
 * run_int: the inside of struct policy_run, for the files of the engine and the functions of
 * policies. Actions see policy/action.h only.
 * What expressions make lives in the worker's scratch memory until the next evaluation. What the run
 * keeps (texts of templates, results, variables) is copied into the arena of the exchange, and all of
 * it counts against policy_memory_max_bytes of the phase.
 * Owns:   a reference to the policy; everything else lies in the arena.
 * Thread: that of the exchange.
 */
#ifndef POLICY_RUN_INT_H
#define POLICY_RUN_INT_H

#include "policy/compiled.h"
#include "policy/run.h"

struct policy_secret;
struct policy_watch;
struct sse_message;

enum run_state {
    RUN_IDLE,      /* no phase is running, or the last one ended */
    RUN_SUSPENDED, /* policy_run_resume() goes on */
    RUN_FORWARDED, /* policy_run_forward_failed() may go on */
};

enum { RUN_VAR_WORDS = (POLICY_VAR_COUNT + 63) / 64 };

/* Entries of the log action, as they go to the event. */
struct run_logs {
    char *text; /* in the arena: "[...]" */
    size_t n;
    size_t cap;
    size_t entries;
    bool full;
};

struct policy_run {
    const struct policy *policy; /* counted */
    struct policy_run_params params;
    enum run_state state;

    /* Where the phase is. */
    enum policy_phase phase;
    size_t rule;
    size_t action;
    struct action_run current;
    struct err forward_error;
    uint64_t steps;       /* that it has taken, of policy_phase_steps_max */
    uint64_t replaced_ns; /* CPU time of its replacements, of REGEX_REPLACE_MS */

    struct arena *host_arena;  /* borrowed: for what the host makes, which may keep it too */
    struct cel_run evaluation; /* in scratch memory; reset before each */
    struct cel_run values;     /* in the arena of the exchange; bytes are those of the phase */

    /* Variables of the host that were asked for, until the message changes. */
    uint64_t known[RUN_VAR_WORDS];
    struct cel_value *cache;      /* by enum policy_var; NULL: none yet */
    struct cel_value now;         /* time.now of the phase; CEL_NULL: not asked for */
    struct cel_map_builder *vars; /* of set-vars in this phase; NULL: none */
    struct cel_value *results;    /* by index in action_types; NULL: none yet */
    struct cel_value attempts;    /* of a retry condition */
    struct cel_value last_attempt;

    struct policy_secret *secrets; /* that were read */
    struct policy_watch *watches;
    struct run_logs logs;
    struct sse_message *message; /* of on_event_stream_message */

    struct policy_outcome outcome;
    struct policy_response response;
};

/* Fills a run without taking a reference to its policy. */
void run_init(struct policy_run *run, const struct policy_run_params *params);
/* Evaluates; the value lies in scratch memory until the next call. */
struct cel_value run_evaluate(struct policy_run *run, const struct cel_program *program);
/* The text of a value, also in scratch memory. */
struct cel_value run_text(struct policy_run *run, struct cel_value v);
/* A copy that lives as long as the exchange. */
struct cel_value run_keep(struct policy_run *run, struct cel_value v);
/* The value of a variable, by slot (policy/action_type.h). */
struct cel_value run_var(struct cel_run *cel, unsigned slot);

/* The secret, or an error value. What was read is remembered for action_is_secret(). */
struct cel_value run_secret(struct policy_run *run, struct cel_run *cel, struct str vault,
                            struct str name);

/* The run that an evaluation belongs to. */
static inline struct policy_run *run_of(const struct cel_run *cel)
{
    return cel->ctx;
}

#endif
