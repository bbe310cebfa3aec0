/*
 * fake_policy: policies whose rules are C functions of the test, in place of the engine: it stands for
 * policy/run.h, the phases of policy/policy.h and gateway/policy_vars.h.
 * Thread: making and counting is the test's; rules run on the worker of their exchange.
 */
#ifndef TESTS_UNIT_GATEWAY_FAKE_POLICY_H
#define TESTS_UNIT_GATEWAY_FAKE_POLICY_H

#include <stdatomic.h>

#include "base/ref.h"
#include "policy/filter.h"
#include "policy/run.h"

enum { FAKE_PHASES_REQUEST = 1 << POLICY_ON_HTTP_REQUEST };
enum { FAKE_PHASES_RESPONSE = 1 << POLICY_ON_HTTP_RESPONSE };
enum { FAKE_PHASES_CONNECT = 1 << POLICY_ON_TCP_CONNECT };
enum { FAKE_PHASES_STREAM = 1 << POLICY_ON_EVENT_STREAM_MESSAGE };

struct fake_policy;

/* One run; rules may change it. */
struct policy_run {
    const struct fake_policy *policy;
    const struct policy_host *host;
    void *ctx;
    struct arena *arena;
    enum policy_phase phase;
    unsigned calls; /* of the rule in this phase, this one included */
    void *state;    /* the rule's, over its calls; NULL at the start of a phase */
    struct policy_response response;
    struct policy_outcome outcome;
};

/* Is called for each phase, and again when the run is resumed. */
typedef enum policy_verdict fake_rule_fn(struct policy_run *run);

struct fake_policy {
    struct counted counted; /* first */
    unsigned phases;
    fake_rule_fn *rule;
    void *arg; /* the test's */
};

/* With one reference, for endpoint.policy. */
struct counted *fake_policy_new(unsigned phases, fake_rule_fn *rule, void *arg);

/* How many runs are alive, over all policies; how many were made; what upstreams were said to do. */
int fake_policy_runs(void);
unsigned fake_policy_made(void);
unsigned fake_policy_upstream_ok(void);
unsigned fake_policy_upstream_failed(void);
void fake_policy_reset(void);

/* ---- for rules ---- */

/* An answer with a body, which runs the response phase or not. */
enum policy_verdict fake_answer(struct policy_run *run, unsigned status, const char *body,
                                bool rules);
enum policy_verdict fake_fail(struct policy_run *run, enum err_code code, const char *message);

/*
 * What a job waits at until the test lets it go on. It may end with the scene, after the test: so each
 * gate is static.
 */
struct fake_gate {
    atomic_bool go;
    atomic_uint freed;
    atomic_uint started;
    enum policy_verdict after; /* of the rule, once the job is done */
};

/* A rule that waits for a job at the gate that is the policy's `arg`. */
fake_rule_fn fake_gate_rule;
void fake_gate_wait_started(struct fake_gate *gate, unsigned count);
/* Lets all jobs go on, and waits until they are freed. */
void fake_gate_open(struct fake_gate *gate);

/* A filter that makes each byte `factor` bytes in upper case, and ends with "!"; with `hoard` it gives
 * nothing away before it is flushed or finished. */
struct policy_filter *fake_filter_new(size_t factor, bool hoard);
/* One that fails after so many bytes. */
struct policy_filter *fake_filter_failing(size_t bytes);
/* Filters that are alive. */
int fake_filters(void);

#endif
