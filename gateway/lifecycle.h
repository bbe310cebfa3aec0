/*
 * lifecycle: from signals to the phases of the process: serve, drain, close, end.
 * SIGHUP asks for a reload; SIGUSR1 for files that were moved away to be opened anew, and so does SIGHUP.
 * SIGTERM or SIGINT begins the end: every worker drains, then every worker
 * closes what is left, and a phase that lasts too long is not waited for. A second signal while
 * draining cuts the wait short.
 * Owns:   its watchers on the main loop.
 * Thread: main, but for the two functions that workers call.
 */
#ifndef GATEWAY_LIFECYCLE_H
#define GATEWAY_LIFECYCLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/worker.h"

struct ev_loop;
struct lifecycle;

struct lifecycle_params {
    struct ev_loop *loop;          /* borrowed: outlives us; libev's default one */
    struct worker *const *workers; /* borrowed: outlive us */
    size_t worker_count;
    worker_fn *drain; /* runs on each worker; its end is lifecycle_on_drained(w, l) */
    worker_fn *close; /* runs on each worker; its end is lifecycle_on_closed(w, l) */
    void (*reload)(void *arg);
    void (*reopen)(void *arg);
    uint64_t (*drain_max_ms)(void *arg); /* how long the workers may take to drain */
    void *arg;                           /* of all five */
};

struct lifecycle *lifecycle_new(const struct lifecycle_params *params);
/* Serves until the process has been asked to end and has done so. */
void lifecycle_run(struct lifecycle *l);
void lifecycle_free(struct lifecycle *l);

/* A worker reports that it has drained, closed; `arg` is the lifecycle. On any thread. */
void lifecycle_on_drained(struct worker *w, void *arg);
void lifecycle_on_closed(struct worker *w, void *arg);

#endif
