/*
 * action: what every action of a traffic policy is to the engine: three functions and a row.
 * To add one: policy/actions/<symbol>.c with <symbol>_compile, _run and _free, and a row in
 * actions.def. Nothing else names it.
 * compile() turns a config into whatever the action wants to have at hand per request; run() reads
 * and changes the message through the host and returns a verdict; free() releases compiled data.
 * An action that has to wait returns POLICY_SUSPEND and is called again, from the start but with
 * what it put into `state`.
 * Compiled data is immutable and shared by all threads.
 * Thread: any.
 */
#ifndef POLICY_ACTION_H
#define POLICY_ACTION_H

#include "policy/cel/cel.h"
#include "policy/fields.h"
#include "policy/host.h"
#include "policy/pattern.h"
#include "policy/run.h"
#include "policy/template.h"

/* One run of an action. All borrowed. */
struct action_run {
    struct policy_run *run;
    enum policy_phase phase;
    const struct policy_host *host;
    void *ctx;           /* for the host's calls */
    struct arena *arena; /* of the exchange */
    struct policy_local *local;
    struct policy_outcome *outcome;
    struct policy_response *response; /* to be filled before POLICY_RESPOND; zeroed */
    /* NULL at the first call; what the action keeps over POLICY_SUSPEND (in the arena). An action that
     * returned POLICY_FORWARD is called once more when that failed, with the struct err here. */
    void *state;
};

/* Returns compiled data; NULL only when a problem was reported. With problems reported the engine
 * frees what comes back. */
typedef void *action_compile_fn(const struct fields *c);
typedef enum policy_verdict action_run_fn(const void *compiled, struct action_run *run);
/* NULL is fine. */
typedef void action_free_fn(void *compiled);

/* ---- for run() ---- */

/* An error page with the status and number of the code: returns POLICY_RESPOND. */
enum policy_verdict action_fail(struct action_run *run, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum policy_verdict action_fail_err(struct action_run *run, const struct err *e);
/* Adds a field to the response; both are borrowed and live as long as the arena. */
void action_respond_header(struct action_run *run, struct str name, struct str value);

/* False when no expression of the policy reads this action's results: do not make them then. */
bool action_wants_result(const struct action_run *run);
/* Sets actions.ngrok.<result>, in place of what an earlier run left. */
void action_set_result(struct action_run *run, struct cel_value result);
/* For making values (cel_map_new() and so on) that live as long as the exchange. */
struct cel_run *action_values(struct action_run *run);
/* {"code": "ERR_NGROK_n", "message": text}, or both empty for NULL: what many results have under
 * "error". */
struct cel_value action_error_value(struct action_run *run, const struct err *e);

/* Evaluates a program of this action (bucket_key, retry_condition) within the run's limits. */
struct cel_value action_evaluate(struct action_run *run, const struct cel_program *program);

/* Charges the phase for a search with patterns of regex_size() `size` in so many bytes. False: it has used
 * up policy_phase_steps_max. */
bool action_charge_regex(struct action_run *run, size_t bytes, size_t size);
/* Where the CPU time is summed that replacements of the phase take (regex_replace.h). */
uint64_t *action_replaced_ns(struct action_run *run);

/* vars.<name> of set-vars. -1 with E_POLICY_MEMORY or E_POLICY_TOO_MANY. */
int action_set_var(struct action_run *run, struct str name, struct cel_value value, struct err *e);

/* Logs that the action met something odd and went on; within the rate of the worker. */
void action_warn(struct action_run *run, const char *text);

/* True if `text` equals a secret that the run has read: it must not be shown. */
bool action_is_secret(const struct action_run *run, struct str text);
/* Appends an entry (JSON) to the logs of the event, within its limits. */
void action_log(struct action_run *run, struct str json);

/* What `attempts` and `last_attempt` are in a retry condition (field_retry_condition()). */
void action_set_attempts(struct action_run *run, uint64_t attempts, struct cel_value last_attempt);

/* Registers the action for policy_run_upstream_result(): fn(compiled, run, failed), where run->state
 * is what it is now. */
typedef void action_upstream_fn(const void *compiled, struct action_run *run, bool failed);
void action_watch_upstream(struct action_run *run, const void *compiled, action_upstream_fn *fn);

/* ---- the rows ---- */

/* The phases of a row in actions.def. */
#define ACTION_TCP_CONNECT   (1U << POLICY_ON_TCP_CONNECT)
#define ACTION_HTTP_REQUEST  (1U << POLICY_ON_HTTP_REQUEST)
#define ACTION_HTTP_RESPONSE (1U << POLICY_ON_HTTP_RESPONSE)
#define ACTION_EVENT_STREAM  (1U << POLICY_ON_EVENT_STREAM_MESSAGE)

/* More about a row. */
enum {
    ACTION_ENDS = 1,    /* always ends the phase: what stands behind it in a rule never runs; with
                           config.on_error "continue" it may go on */
    ACTION_CHANGES = 2, /* changes the message or reads its body: variables are asked for again */
    ACTION_TLS = 4,     /* ends TLS of the connection, in place of the gateway: not for endpoints
                           that only speak plain http */
    ACTION_ANSWERS = 8, /* may go on, but stands for an end where a policy has to have one */
};

#define ACTION(symbol, name, result, phases, flags)                                                \
    action_compile_fn symbol##_compile;                                                            \
    action_run_fn symbol##_run;                                                                    \
    action_free_fn symbol##_free;
#include "policy/actions.def"
#undef ACTION

#endif
