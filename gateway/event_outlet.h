/*
 * event_outlet: the running side of one event destination: a queue, and a target that takes batches of it.
 * One batch is under way at a time, so events arrive in order. When the target fails, the batch is sent
 * again after a while (struct event_backoff), for as long as it takes: only a full queue loses events.
 * Owns:   its queue, its target, a reference to the plan its settings are in.
 * Thread: that of its worker, but for event_outlet_counts.
 */
#ifndef GATEWAY_EVENT_OUTLET_H
#define GATEWAY_EVENT_OUTLET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/worker.h"
#include "gateway/event_queue.h"
#include "tunnel/event_plan.h"
#include "tunnel/event_sink.h"

struct event_outlet;
struct fetcher;

/* How a batch went. */
enum event_sent {
    EVENT_SENT,    /* all of it */
    EVENT_PENDING, /* event_outlet_on_sent() follows */
    EVENT_FAILED,
    EVENT_TOO_LARGE, /* it would be taken if it were smaller */
};

/* A kind of target. */
struct event_target_ops {
    const char *name;
    void *(*open)(struct event_outlet *o);
    /* Takes the batch in flight. When it fails, *arrived is how many of its events did arrive. */
    enum event_sent (*send)(struct event_outlet *o, size_t *arrived, struct err *e);
    /* Its file was moved away, or the settings are others. */
    void (*reopen)(struct event_outlet *o);
    /* Cancels what is under way and frees the target. */
    void (*close)(struct event_outlet *o);
};

extern const struct event_target_ops event_file_target;
extern const struct event_target_ops event_http_target;

/* Written by the outlet's thread, read by any. */
struct event_outlet_counts {
    atomic_size_t queued;
    _Atomic uint64_t delivered;
    _Atomic uint64_t dropped;  /* because the queue was full */
    _Atomic uint64_t refused;  /* because the target does not take one as large */
    _Atomic uint64_t failures; /* batches that have to be sent again */
};

enum event_outlet_state {
    EVENT_OUTLET_IDLE,  /* nothing waits, or it is taken up at the end of the loop turn */
    EVENT_OUTLET_SENDS, /* a batch is under way */
    EVENT_OUTLET_WAITS, /* until it may be sent again */
};

struct event_outlet {
    struct event_outlet *prev;
    struct event_outlet *next;
    struct worker *worker;   /* borrowed: outlives us */
    struct fetcher *fetcher; /* borrowed: outlives us */
    enum event_origin origin;
    char *name;              /* owned */
    struct event_plan *plan; /* counted: the settings are in it */
    const struct event_destination *settings;
    const struct event_target_ops *ops; /* borrowed: static */
    void *target;                       /* owned */
    enum event_outlet_state state;
    struct event_queue queue;
    struct event_backoff backoff;
    size_t batch_max;            /* less than the settings' after EVENT_TOO_LARGE */
    struct worker_timer *retry;  /* owned */
    bool is_kicked;              /* it is looked at at the end of the loop turn */
    bool is_closed;              /* freed at the end of the loop turn */
    bool is_retired;             /* no plan has it any more; it goes when it is empty */
    uint64_t retired_ms;         /* when that was */
    void (*on_empty)(void *arg); /* everything has arrived */
    void *arg;
    struct log_limit drop_log;
    struct event_outlet_counts counts;
};

struct event_outlet_params {
    struct worker *worker;
    struct fetcher *fetcher;
    enum event_origin origin;
    struct event_plan *plan; /* a reference is taken */
    const struct event_destination *settings;
    uint64_t retry_min_ms;
    uint64_t retry_max_ms;
    void (*on_empty)(void *arg); /* never from inside a call of the outlet */
    void *arg;
};

struct event_outlet *event_outlet_new(const struct event_outlet_params *params);
/* Drops what is queued; not from inside one of its own callbacks but on_empty. */
void event_outlet_close(struct event_outlet *o);
/* Takes other settings of the same name and target. */
void event_outlet_configure(struct event_outlet *o, const struct event_outlet_params *params);
void event_outlet_reopen(struct event_outlet *o);
/* Queues a copy. */
void event_outlet_add(struct event_outlet *o, struct str text);
/* Tries at once, and again after `ms` at most from now on: the process is about to end. */
void event_outlet_hurry(struct event_outlet *o, uint64_t ms);

/* ---- for targets ---- */

/* How the batch that was PENDING went. */
void event_outlet_on_sent(struct event_outlet *o, enum event_sent how, const struct err *e);

#endif
