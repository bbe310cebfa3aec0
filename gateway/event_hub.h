/*
 * event_hub: takes events from all threads, chooses by subscriptions which go where, and delivers them: the
 * sink (tunnel/event_sink.h) that the gateway gives to all who make events.
 * It has one worker of its own, so a receiver that is slow or away costs the others nothing: they only
 * post. What they have posted and it has not taken yet is counted, and beyond a limit dropped.
 * Owns:   its worker, the outlets (gateway/event_outlet.h), references to the plans.
 * Thread: event_hub_sink(), its operations and event_hub_add_metrics() any; all else main.
 */
#ifndef GATEWAY_EVENT_HUB_H
#define GATEWAY_EVENT_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "base/worker.h"
#include "tunnel/event_sink.h"

struct buf;
struct event_hub;
struct event_trial;

struct event_hub_limits {
    uint64_t backlog_max_bytes; /* of events that are posted and not taken yet */
    uint64_t retry_min_ms;
    uint64_t retry_max_ms;
};

struct event_hub *event_hub_new(const struct event_hub_limits *limits);
void event_hub_start(struct event_hub *h);
/*
 * Delivers what is queued, for at most max_ms, and ends the worker; what is left is logged and lost. To be
 * called when nobody posts any more; returns when it is over.
 */
void event_hub_drain(struct event_hub *h, uint64_t max_ms);
/* After event_hub_drain(), or when it was never started. NULL is fine. */
void event_hub_free(struct event_hub *h);

struct event_sink *event_hub_sink(struct event_hub *h);
/* For test events; to be stopped before event_hub_drain(). */
struct event_trial *event_hub_trial(struct event_hub *h);
/* The worker, for its metrics. */
struct worker *event_hub_worker(struct event_hub *h);
/* Other limits; retries use them from the next plan on. */
void event_hub_set_limits(struct event_hub *h, const struct event_hub_limits *limits);
/* Files of destinations were moved away: they are opened anew. */
void event_hub_reopen(struct event_hub *h);

/* Appends the metrics of all destinations in Prometheus' text format. */
void event_hub_add_metrics(struct event_hub *h, struct buf *out);

#endif
