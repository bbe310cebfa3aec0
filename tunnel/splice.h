/*
 * splice: joins two open streams, so that what comes from one goes into the other.
 * Back-pressure and half-close pass through in both directions. It ends when both directions have
 * ended or either stream closed; then both streams are closed and done() is told why.
 * Owns:   both streams, from splice_new() on; frees itself after done().
 * Thread: that of both streams.
 */
#ifndef TUNNEL_SPLICE_H
#define TUNNEL_SPLICE_H

#include <stdint.h>

#include "base/worker.h"
#include "tunnel/close.h"
#include "tunnel/stream.h"

struct splice;

struct splice_stats {
    uint64_t from_a; /* bytes that the other stream took */
    uint64_t from_b;
    uint64_t active_ms; /* when the last of them was, monotonic */
};

/* Both streams are closed when this runs; the splice is gone after it, but for its stats until then. */
typedef void splice_done_fn(void *arg, enum close_reason why);

struct splice *splice_new(struct worker *w, struct stream *a, struct stream *b,
                          splice_done_fn *done, void *arg);
const struct splice_stats *splice_stats(const struct splice *s);
/* The peer of b is gone: passes on what came from it before, then ends with CLOSE_DONE. */
void splice_end_behind_b(struct splice *s);
/* Ends it from outside; done() is not called. */
void splice_close(struct splice *s, enum close_reason why);

#endif
