/*
 * job: a pool of threads for what blocks (files, signatures, databases).
 * work(arg) runs on a pool thread, then done(w, arg) on the worker that submitted it; between the
 * two the pool owns arg. Each submitted job gets its done call, also while the pool stops.
 * Thread: job_submit() and job_pool_queued() on any worker's; new and free on the main thread.
 */
#ifndef BASE_JOB_H
#define BASE_JOB_H

#include <stddef.h>

#include "base/worker.h"

struct job_pool;

typedef void job_fn(void *arg);

struct job_pool *job_pool_new(unsigned threads);
/* Finishes what is queued, then ends the threads. The workers must still take posts. */
void job_pool_free(struct job_pool *p);

/* Jobs that no thread has begun yet. */
size_t job_pool_queued(struct job_pool *p);

/* Never blocks and never fails. */
void job_submit(struct job_pool *p, struct worker *w, job_fn *work, worker_fn *done, void *arg);

#endif
