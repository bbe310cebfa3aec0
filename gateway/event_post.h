/*
 * event_post: events as the body of a POST request to a destination: a JSON list of some, or one each.
 * Thread: that of the fetcher's worker.
 */
#ifndef GATEWAY_EVENT_POST_H
#define GATEWAY_EVENT_POST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "gateway/event_outlet.h"
#include "tunnel/event_plan.h"

struct fetch;
struct fetch_rules;
struct fetcher;

/* Where it may be: that of a user on the public network only. With one reference. */
struct fetch_rules *event_post_rules(const struct event_destination *d);

/* Writes a body: begin, one add for each event in its order, end. */
void event_post_begin(const struct event_destination *d, struct buf *body);
void event_post_add(const struct event_destination *d, struct buf *body, struct str event);
void event_post_end(const struct event_destination *d, struct buf *body);

struct event_post_params {
    struct fetcher *fetcher;
    const struct event_destination *destination; /* copied, as far as it is needed */
    struct fetch_rules *rules;                   /* a reference is taken */
    struct str body;                             /* copied */
    void (*done)(void *arg);                     /* as of fetch_start() */
    void *arg;
};
struct fetch *event_post_start(const struct event_post_params *params);
/* How it went, after done(); `e` is set unless it is EVENT_SENT. */
enum event_sent event_post_result(const struct fetch *f, struct err *e);

#endif
