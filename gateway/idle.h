/*
 * idle: upstream streams that wait for their next request, by endpoint.
 * Bounded by upstream_idle_max per endpoint and upstream_idle_ms of age; a stream that gets data or
 * ends while it waits is closed.
 * Owns:   the streams in it, and a reference to each endpoint that has some.
 * Thread: its worker's.
 */
#ifndef GATEWAY_IDLE_H
#define GATEWAY_IDLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/worker.h"
#include "tunnel/endpoint.h"
#include "tunnel/stream.h"

struct idle_pool;

struct idle_pool *idle_new(struct worker *w);
void idle_free(struct idle_pool *p);

/* Takes the stream; closes one that waits longer when there are `max` already. */
void idle_put(struct idle_pool *p, struct endpoint *ep, struct stream *s, size_t max,
              uint64_t idle_ms);
/* The stream that came last, now the caller's, or NULL. */
struct stream *idle_take(struct idle_pool *p, struct endpoint *ep);
/* Closes those of one endpoint. */
void idle_drop(struct idle_pool *p, struct endpoint *ep);
/* Closes all. */
void idle_clear(struct idle_pool *p);

#endif
