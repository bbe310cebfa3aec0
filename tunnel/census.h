/*
 * census: what is live at one moment: the sessions of all workers, and the endpoints of the registry, for
 * the management API. Also ends a session by its id.
 * Owns:   nothing but itself; what a census gives is a copy.
 * Thread: new, stop and free on main; taking one on any that may block, never a worker's loop or the
 *         control thread, which are waited for.
 */
#ifndef TUNNEL_CENSUS_H
#define TUNNEL_CENSUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/worker.h"

struct api_live;
struct api_session;
struct census;
struct census_roll;
struct control;

/* Who has sessions: the SSH front of one worker. Called on that worker. */
struct census_source {
    struct worker *worker; /* borrowed: outlives the census */
    void *ctx;             /* borrowed: likewise */
    /* Calls census_add_session() for each. */
    void (*sessions)(void *ctx, struct census_roll *roll);
    /* Ends the one with this id, soon. False: there is none. */
    bool (*end)(void *ctx, const char *id);
};

/* The sources are copied. */
struct census *census_new(struct control *control, const struct census_source *sources,
                          size_t count);
/* Whoever waits gets what has come in so far, now and from now on. Before control_stop(). */
void census_stop(struct census *c);
/* When no message of it is under way: after the workers and control are freed. NULL is fine. */
void census_free(struct census *c);

/* For a source: copies the session. */
void census_add_session(struct census_roll *roll, const struct api_session *session);

/* What is live, in no order; its release() frees it. */
struct api_live *census_take(struct census *c);
/* Ends a session, and returns when its names are free. -1: E_NOT_FOUND, or E_LIMIT when that takes too
 * long. */
int census_end(struct census *c, const char *id, struct err *e);

#endif
