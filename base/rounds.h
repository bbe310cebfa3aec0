/*
 * rounds: waiting until several workers have done what was posted to each of them. Who posts numbers
 * its rounds upwards; each worker says how far it is.
 * Thread: rounds_done() on the worker, rounds_wait() on a thread that may block; all else any, but new
 *         and free while nobody uses it.
 */
#ifndef BASE_ROUNDS_H
#define BASE_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rounds;

/* All workers have done round 0. */
struct rounds *rounds_new(size_t workers);
/* NULL is fine. */
void rounds_free(struct rounds *r);

/* This worker, of those below `workers`, has done all rounds up to this one. */
void rounds_done(struct rounds *r, size_t worker, uint64_t round);
/* Returns true once all have done the round; or false, once stopped. */
bool rounds_wait(struct rounds *r, uint64_t round);
/* Nobody waits any more: the workers are about to end. */
void rounds_stop(struct rounds *r);

#endif
