/*
 * event_hub_int: the inside of the event hub, for event_hub*.c only.
 */
#ifndef GATEWAY_EVENT_HUB_INT_H
#define GATEWAY_EVENT_HUB_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "gateway/event_hub.h"
#include "gateway/event_outlet.h"

struct event_filter;
struct event_trial;

/* A plan, ready to be used: what event_plan has as texts and numbers. */
struct hub_part {
    struct event_plan *plan;       /* counted */
    struct event_filter **filters; /* owned: of all sources of all subscriptions, in their order */
    size_t filter_count;
    struct event_outlet *
        *outlets; /* borrowed: of the plan's destinations; filled when it is taken */
};

struct event_hub {
    struct event_sink sink; /* first: the sink is the hub */
    struct worker *worker;  /* owned */
    bool is_started;
    struct fetcher *fetcher;   /* owned */
    struct event_trial *trial; /* owned */

    /* For those who post. */
    _Atomic uint64_t wanted; /* a bit for each enum event_type */
    _Atomic uint64_t backlog_bytes;
    _Atomic uint64_t backlog_max_bytes;
    _Atomic uint64_t backlog_dropped;
    _Atomic uint64_t filter_failures;

    /* Of the worker. */
    struct hub_part *parts[EVENT_ORIGINS]; /* owned; NULL: nothing is configured */
    pthread_mutex_t lock;         /* held while the list changes, and by who reads it elsewhere */
    struct event_outlet *outlets; /* owned list */
    struct event_hub_limits limits;
    struct buf text;       /* of one event */
    uint64_t backlog_told; /* of backlog_dropped, in the log */
    bool is_draining;
    bool is_closed;             /* what comes now is dropped */
    struct worker_timer *sweep; /* owned: retired outlets that never empty */
};

/* A plan with its filters compiled. NULL with E_EVENT_FILTER. */
struct hub_part *hub_part_new(struct event_plan *plan, struct err *e);
void hub_part_free(struct hub_part *p);
/* The types of events that any subscription of it has. */
uint64_t hub_part_wants(const struct hub_part *p);

#endif
