/*
 * fake_host: a policy_host over messages in memory, and short ways to compile and run policies.
 *     struct fake_host h;
 *     fake_host_init(&h, "192.0.2.1");
 *     fake_host_add(&h, "X-Tier", "old");
 *     fake_run(&h, "{on_http_request: [{actions: [{type: deny}]}]}", POLICY_ON_HTTP_REQUEST);
 *     assert_int_equal(h.response->status, 403);
 *     fake_host_fini(&h);
 * Documents are YAML. What takes time (bodies, fetches, jobs) is pending once and then there, and
 * the run is resumed until it has a verdict; h.suspended counts. Results of actions are always made.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_FAKE_HOST_H
#define TESTS_UNIT_POLICY_FAKE_HOST_H

#include "base/addr.h"
#include "base/arena.h"
#include "policy/action.h"
#include "policy/policy.h"
#include "policy/run.h"

enum {
    FAKE_HOST_FIELDS_MAX = 64,
    FAKE_HOST_ENTRIES_MAX = 16,
    FAKE_HOST_FILTERS_MAX = 8,
};

struct fake_message {
    struct policy_header fields[FAKE_HOST_FIELDS_MAX]; /* strs live in the arena */
    size_t count;
    struct str body;
    bool no_body; /* an upgrade: has_body() is false */
    bool body_set;
};

/* What fetch() and fetch_shared() give for a URL. */
struct fake_fetch {
    const char *url;
    enum err_code error; /* E_OK: the rest */
    struct policy_fetched fetched;
    uint64_t version; /* of fetch_shared(); 0 counts as 1 */
};

struct fake_secret {
    const char *vault;
    const char *name;
    const char *value;
};

struct fake_ip_policy {
    const char *name;
    struct policy_ip_rules rules;
};

struct fake_host {
    struct addr client;
    struct fake_message messages[2]; /* by enum policy_message */
    struct str method;               /* "GET" */
    struct str target;               /* "/" */
    int status;                      /* of the response: 200 */
    bool target_set;

    /* What the host has, set by the test before it runs; ends with a NULL name. */
    struct fake_fetch fetches[FAKE_HOST_ENTRIES_MAX];
    struct fake_secret secrets[FAKE_HOST_ENTRIES_MAX];
    struct fake_ip_policy ip_policies[FAKE_HOST_ENTRIES_MAX];
    struct err tls_error;     /* of terminate_tls(); E_OK: the handshake succeeds, and is TLS 1.3 */
    struct err forward_error; /* of forward(); E_OK: it finds every endpoint */
    enum err_code body_error; /* of body(); E_OK: none */
    bool no_pending;          /* nothing is ever pending */

    /* What was asked for. */
    size_t fetch_count;
    struct policy_fetch last_fetch; /* copied to the arena */
    size_t shared_count;
    size_t var_count; /* calls of var() */
    struct str forwarded;
    size_t tls_count;      /* handshakes */
    struct policy_tls tls; /* of the last one; copied to the arena */
    struct policy_filter *filters[FAKE_HOST_FILTERS_MAX];
    size_t filter_count;

    /* Of the run, valid until the next one or fini. */
    struct policy_run *run;
    const struct policy_response *response;
    const struct policy_outcome *outcome;
    size_t suspended; /* how often */

    struct arena arena;
    struct policy_local *local;
    struct cel_value *vars; /* what fake_host_set_var() set */
    bool *var_is_set;
    struct policy_job *job; /* under way */
    bool pending;           /* the next question is answered */
};

void fake_host_init(struct fake_host *h, const char *client_ip);
void fake_host_fini(struct fake_host *h);
/* Adds a header of the request / of the response. */
void fake_host_add(struct fake_host *h, const char *name, const char *value);
void fake_host_add_response(struct fake_host *h, const char *name, const char *value);
/* All values of a name joined with ",", or NULL when there is none; lives in the arena. */
const char *fake_host_values(struct fake_host *h, const char *name);
const char *fake_host_response_values(struct fake_host *h, const char *name);
/* The same of the response that an action made. */
const char *fake_host_answer(struct fake_host *h, const char *name);
/* A variable of the host, in place of what it would say. */
void fake_host_set_var(struct fake_host *h, enum policy_var var, struct cel_value value);

/* The engine that all tests of a program share. */
struct policy_engine *fake_host_engine(void);

/* Compiles; fails the test with all problems when it is refused. The caller drops the policy. */
struct counted *fake_host_compile(const char *document);
/* Expects the text to be refused with an error of that code that holds `needle`. */
void fake_host_expect_refused(const char *document, enum err_code code, const char *needle);
/* Expects it to compile with a warning that holds `needle`. */
void fake_host_expect_warning(const char *document, const char *needle);
/* The same for one action of a phase: "{headers: ...}" stands for its config. */
struct counted *fake_host_compile_action(enum policy_phase phase, const char *action,
                                         const char *config);
void fake_host_expect_config_refused(enum policy_phase phase, const char *action,
                                     const char *config, enum err_code code, const char *needle);
void fake_host_expect_config_warning(enum policy_phase phase, const char *action,
                                     const char *config, const char *needle);

/* Runs a phase to its verdict, in a new run; fake_host_next() goes on with another phase of it. */
enum policy_verdict fake_host_run(struct fake_host *h, const struct counted *policy,
                                  enum policy_phase phase);
enum policy_verdict fake_host_next(struct fake_host *h, enum policy_phase phase);
/* Begins a phase and does not resume it. */
enum policy_verdict fake_host_start(struct fake_host *h, const struct counted *policy,
                                    enum policy_phase phase);
/* Tells the run that the forward failed. */
enum policy_verdict fake_host_forward_failed(struct fake_host *h, enum err_code code,
                                             const char *text);
/* Compiles and runs. */
enum policy_verdict fake_run(struct fake_host *h, const char *document, enum policy_phase phase);
/* Compiles and runs one action. */
enum policy_verdict fake_run_action(struct fake_host *h, enum policy_phase phase,
                                    const char *action, const char *config);
/* The text of an expression after a phase, in that phase: "actions.ngrok.deny == null". An error is
 * "error: TEXT". Lives in the arena. */
const char *fake_host_eval(struct fake_host *h, enum policy_phase phase, const char *expression);
/* Sends a response body through the filters that were added, `piece` bytes at a time, and frees them;
 * fails the test when it is cut. Lives in the arena. */
struct str fake_host_filter(struct fake_host *h, struct str body, size_t piece);

#endif
