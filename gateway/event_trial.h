/*
 * event_trial: one event sent to a destination at once, without its queue, for a thread that waits until it
 * has arrived: test events of the management API. One at a time, so that receivers that answer late
 * hold up no more than one thread.
 * Owns:   copies of what is sent.
 * Thread: new and free main, while the worker does not run; run any but the worker; stop main.
 */
#ifndef GATEWAY_EVENT_TRIAL_H
#define GATEWAY_EVENT_TRIAL_H

#include "base/err.h"
#include "base/str.h"

struct event_destination;
struct event_trial;
struct fetcher;
struct worker;

/* The worker runs the fetcher. Both are borrowed and outlive the trial, until its cancel. */
struct event_trial *event_trial_new(struct worker *w, struct fetcher *fetcher);
/*
 * Sends it and waits; at most the destination's timeout_ms, once the worker runs. Returns 0, or -1 with
 * what went wrong, or E_RATE_LIMITED when another runs.
 */
int event_trial_run(struct event_trial *t, const struct event_destination *d, struct str event,
                    struct err *e);
/* Whoever waits returns at once, with an error, and so does who comes later. */
void event_trial_stop(struct event_trial *t);
/* Cancels what is under way, after the worker has ended and before the fetcher goes. */
void event_trial_cancel(struct event_trial *t);
/* After the worker's mailbox was emptied. NULL is fine. */
void event_trial_free(struct event_trial *t);

#endif
