/*
 * policy_wait: the one thing that a suspended policy waits for: a job of the pool, the answer to an
 * HTTP request, or a document that is fetched for all.
 * It is told by a record of its own, which outlives the waiter while a thread of the pool still works
 * on a job, since that cannot be stopped.
 * Owns:   what is under way, and what came of it until the next wait or policy_wait_cancel().
 * Thread: that of the policy's connection.
 */
#ifndef GATEWAY_POLICY_WAIT_H
#define GATEWAY_POLICY_WAIT_H

#include "policy/host.h"

struct gateway;
struct policy_wait;

/* Embedded in what runs a policy; zeroed but for the first four. */
struct policy_waiter {
    struct gateway *gateway; /* borrowed: outlives us */
    unsigned hops;           /* requests of policies that led to this one (fetch_hops()) */
    void (*wake)(void *arg); /* it is there: policy_run_resume(), but not from inside this call */
    void *arg;
    struct policy_wait *wait; /* owned; NULL: none */
};

/* As the calls of the same names of struct policy_host. */
enum policy_ready policy_wait_job(struct policy_waiter *waiter, struct policy_job *job);
enum policy_ready policy_wait_fetch(struct policy_waiter *waiter,
                                    const struct policy_fetch *request, struct policy_fetched *out,
                                    struct err *e);
enum policy_ready policy_wait_fetch_shared(struct policy_waiter *waiter,
                                           const struct policy_shared_fetch *request,
                                           struct policy_shared_fetched *out, struct err *e);

/* Nobody waits any more: wake() is not called after this. */
void policy_wait_cancel(struct policy_waiter *waiter);

#endif
