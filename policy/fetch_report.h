/*
 * fetch_report: what a gateway's own HTTP request and its answer are to expressions (spec
 * traffic-policy 4.11, 6.10): the results of http-request and `last_attempt` of its retry condition.
 * Header names are in lower case and are found whatever case is asked for; each has a list of values.
 * Owns:   nothing; values lie in the arena of the exchange and count as memory of the phase. What
 *         does not fit any more is an error value.
 * Thread: that of the exchange.
 */
#ifndef POLICY_FETCH_REPORT_H
#define POLICY_FETCH_REPORT_H

#include "base/err.h"
#include "policy/cel/value.h"
#include "policy/host.h"

struct action_run;

/* What is kept of an attempt. */
struct fetch_attempt {
    bool has_response;
    unsigned status;
    struct str resolved_ip;
    uint64_t took_ms;
    struct cel_value headers; /* map; of the response */
    struct str body;          /* valid UTF-8; borrowed from the host until it is kept */
    struct err error;         /* E_OK: none */
};

/* Copies what an attempt brought, but for the body: of all attempts only that of the last is kept,
 * by fetch_report_value(), which must come before the next fetch. */
void fetch_attempt_take(struct action_run *run, const struct policy_fetched *fetched,
                        const struct err *error, struct fetch_attempt *out);

/* {method, header, url, body} */
struct cel_value fetch_request_value(struct action_run *run, const struct policy_fetch *request);
/* {req, res?, error?}: what `last_attempt` is. */
struct cel_value fetch_last_attempt(struct action_run *run, struct cel_value request,
                                    const struct fetch_attempt *attempt);
/* {attempts, req, res, error}: the result of the action. */
struct cel_value fetch_report_value(struct action_run *run, struct cel_value request,
                                    const struct fetch_attempt *attempts, size_t count);

#endif
