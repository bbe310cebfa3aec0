/*
 * event_queue: what waits for one event destination, in order, and when to try again.
 * The events at the front may be in flight, as one batch; they stay here until it is known to have
 * arrived. A queue that is full drops the oldest one that is not in flight.
 * Owns:   the texts in it.
 * Thread: that of its owner; pure.
 * Limits: `max` events and EVENT_QUEUE_MAX_BYTES of text.
 */
#ifndef GATEWAY_EVENT_QUEUE_H
#define GATEWAY_EVENT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { EVENT_QUEUE_MAX_BYTES = 64 * 1024 * 1024, EVENT_BATCH_MAX_BYTES = 1024 * 1024 };

/* One event in JSON. */
struct event_text {
    struct event_text *next;
    size_t n;
    char p[];
};

struct event_queue {
    struct event_text *first; /* owned list */
    struct event_text **tail;
    struct event_text **behind_flight; /* the link to the first that is not in flight */
    size_t count;
    size_t bytes;
    size_t in_flight; /* events at the front */
    size_t in_flight_bytes;
    size_t max;
};

void event_queue_init(struct event_queue *q, size_t max);
void event_queue_fini(struct event_queue *q);
/* Appends a copy. Returns how many events were dropped for it, itself perhaps. */
size_t event_queue_add(struct event_queue *q, struct str text);
/* With another maximum: returns how many events were dropped for it. */
size_t event_queue_resize(struct event_queue *q, size_t max);
/* Puts the first events in flight, at least one and as many as both limits allow; nothing is in
 * flight yet. Returns how many; they begin at q->first. */
size_t event_queue_send(struct event_queue *q, size_t max, size_t max_bytes);
/* The first n of those in flight have arrived and go; the others are not in flight any more. */
void event_queue_settle(struct event_queue *q, size_t n);

/* ---- trying again ---------------------------------------------------------------------- */

struct event_backoff {
    uint64_t min_ms;
    uint64_t max_ms;
    unsigned failures; /* in a row */
};

/* Counts a failure. Returns how long to wait: twice as long each time, up to max_ms, less a part of up to
 * a half that `random` chooses, so that not all destinations come back at once. */
uint64_t event_backoff_next(struct event_backoff *b, uint32_t random);

#endif
