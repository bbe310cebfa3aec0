/*
 * run: a policy at work on one connection or exchange, over all of its phases.
 * It takes no lock, does no I/O and never acts by itself: it returns a verdict, and reads or changes
 * the message through policy/host.h.
 *     r = policy_run_new(...); v = policy_run_phase(r, POLICY_ON_HTTP_REQUEST);
 *     while v is POLICY_SUSPEND: wait for what the host was asked for; v = policy_run_resume(r);
 * Owns:   its results and variables; text in them lives in the arena of the exchange.
 * Thread: that of the exchange.
 */
#ifndef POLICY_RUN_H
#define POLICY_RUN_H

#include "base/arena.h"
#include "policy/host.h"
#include "policy/policy.h"

struct policy_filter;
struct policy_local;
struct policy_run;

enum policy_verdict {
    POLICY_CONTINUE, /* go on with the exchange */
    POLICY_RESPOND,  /* answer with policy_run_response() */
    POLICY_CLOSE,    /* reset the connection without an answer */
    POLICY_FORWARD,  /* to the internal endpoint that the host found */
    POLICY_SUSPEND,  /* call policy_run_resume() when the host has what it was asked for */
};

enum {
    POLICY_RESPONSE_HEADERS_MAX = 16,
    POLICY_RESPONSE_MESSAGE_BYTES = ERR_MSG_BYTES,
};

/* The answer of an action. Text is in the arena or static. */
struct policy_response {
    enum err_code error; /* the gateway's error page for it; E_OK: the response below */
    char message[POLICY_RESPONSE_MESSAGE_BYTES]; /* of the error page */
    unsigned status; /* 0 with an error: the page has that of its code */
    struct policy_header headers[POLICY_RESPONSE_HEADERS_MAX]; /* also of the page */
    size_t header_count;
    struct str body;
    bool runs_response_phase; /* custom-response and redirect (spec traffic-policy 1.6) */
};

/* Fields of the event that policies fill (spec traffic-policy appendix C); empty: did not run. */
struct policy_outcome {
    struct str basic_auth_decision; /* "allow" or "block" */
    struct str basic_auth_username;
    struct str ip_policy_decision;
    struct str circuit_breaker_decision; /* and "allow_while_open" */
    struct str webhook_decision;
    struct str compression_algorithm; /* "gzip" ..., "none" */
    uint64_t compression_saved_bytes; /* kept up to date by the filter */
    struct str logs;                  /* JSON list of what the log action collected; empty: none */
};

/* What the engine keeps for a worker: compiled run-time patterns, key sets, checked passwords. */
struct policy_local *policy_local_new(void);
void policy_local_free(struct policy_local *local);

struct policy_run_params {
    const struct counted *policy;   /* counted: the run takes a reference of its own */
    const struct policy_host *host; /* borrowed: static */
    void *ctx;
    struct arena *arena;        /* borrowed: of the exchange */
    struct policy_local *local; /* borrowed: of the worker */
    struct str endpoint;        /* borrowed: its host, for the log */
    /* Borrowed: the run of on_tcp_connect on this connection, whose results can be read if it ran the
     * same policy (D25). NULL: there was none. */
    const struct policy_run *connection;
};

/* Cheap: a policy that only has literals makes nothing but the run itself. */
struct policy_run *policy_run_new(const struct policy_run_params *params);
/* Frees it at any time, also while it is suspended (the host cancels what is under way). NULL is
 * fine. */
void policy_run_free(struct policy_run *run);

/* Runs the rules of one phase in order until a verdict other than POLICY_CONTINUE. */
enum policy_verdict policy_run_phase(struct policy_run *run, enum policy_phase phase);
enum policy_verdict policy_run_resume(struct policy_run *run);
/* The forward that POLICY_FORWARD announced failed before a byte of its response: goes on behind it
 * with on_error continue, else POLICY_RESPOND. */
enum policy_verdict policy_run_forward_failed(struct policy_run *run, const struct err *why);

/* Valid after POLICY_RESPOND, until the next phase. */
const struct policy_response *policy_run_response(const struct policy_run *run);
const struct policy_outcome *policy_run_outcome(const struct policy_run *run);

/* How the upstream did, for circuit breakers: once for each request that was sent to it. */
void policy_run_upstream_result(struct policy_run *run, bool failed);

/* The filter that runs on_event_stream_message over a text/event-stream body, or NULL when the
 * policy has no such rules. The caller frees it; it must not outlive the run. */
struct policy_filter *policy_run_event_stream_filter(struct policy_run *run);

#endif
