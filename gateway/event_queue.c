#include "gateway/event_queue.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum { DOUBLINGS_MAX = 32 }; /* of a number of 32 bits, so that nothing overflows */

void event_queue_init(struct event_queue *q, size_t max)
{
    *q = (struct event_queue){ .max = max };
    q->tail = &q->first;
    q->behind_flight = &q->first;
}

/* Takes out the event that `link` leads to. */
static void drop(struct event_queue *q, struct event_text **link)
{
    struct event_text *t = *link;

    *link = t->next;
    if (q->tail == &t->next)
        q->tail = link;
    q->count--;
    q->bytes -= t->n;
    mem_free(t);
}

void event_queue_fini(struct event_queue *q)
{
    q->behind_flight = &q->first;
    while (q->first != NULL)
        drop(q, &q->first);
    q->in_flight = 0;
    q->in_flight_bytes = 0;
}

/* Drops the oldest that are not in flight until the limits hold. */
static size_t trim(struct event_queue *q)
{
    size_t dropped = 0;

    while ((q->count > q->max || q->bytes > EVENT_QUEUE_MAX_BYTES) && q->count > q->in_flight) {
        drop(q, q->behind_flight);
        dropped++;
    }
    return dropped;
}

size_t event_queue_add(struct event_queue *q, struct str text)
{
    struct event_text *t = mem_alloc(sizeof(*t) + text.n);

    t->next = NULL;
    t->n = text.n;
    memcpy(t->p, text.p, text.n);
    *q->tail = t;
    q->tail = &t->next;
    q->count++;
    q->bytes += t->n;
    return trim(q);
}

size_t event_queue_resize(struct event_queue *q, size_t max)
{
    q->max = max;
    return trim(q);
}

size_t event_queue_send(struct event_queue *q, size_t max, size_t max_bytes)
{
    struct event_text **link = &q->first;

    assert(q->in_flight == 0);
    while (*link != NULL && q->in_flight < max &&
           (q->in_flight == 0 || q->in_flight_bytes + (*link)->n <= max_bytes)) {
        q->in_flight++;
        q->in_flight_bytes += (*link)->n;
        link = &(*link)->next;
    }
    q->behind_flight = link;
    return q->in_flight;
}

void event_queue_settle(struct event_queue *q, size_t n)
{
    assert(n <= q->in_flight);
    q->behind_flight = &q->first;
    q->in_flight = 0;
    q->in_flight_bytes = 0;
    for (size_t i = 0; i < n; i++)
        drop(q, &q->first);
}

uint64_t event_backoff_next(struct event_backoff *b, uint32_t random)
{
    unsigned doublings = b->failures < DOUBLINGS_MAX - 1 ? b->failures : DOUBLINGS_MAX - 1;
    uint64_t full = b->min_ms << doublings;
    uint64_t half;

    b->failures++;
    if (full > b->max_ms)
        full = b->max_ms;
    half = full / 2;
    return full - random % (half + 1);
}
