/*
 * api_plane: objects of the management API take effect: what the operator gives (inputs.h), with what
 * the store has laid under it, is what the workers have. A change of either makes a new whole and
 * posts it to every worker, and is over when all have it (spec api 1.13): so a call of the API is
 * answered, and a reload is told to the log and to systemd, when it counts.
 * Keys, secrets, IP policies and certificates of the operator count before those of the same name in the store.
 * Owns:   references to the operator's inputs, to what was read from the store, and to both in one.
 * Thread: new, live, reload, stop and free on main; api_plane_changed() on threads that may block, one
 *         change at a time; api_plane_applied() on the workers.
 */
#ifndef GATEWAY_API_PLANE_H
#define GATEWAY_API_PLANE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct api_change_event;
struct api_plane;
struct inputs;
struct seal_key;
struct store;

struct api_plane_params {
    struct store *store;             /* borrowed: outlives us */
    const struct seal_key *seal_key; /* likewise */
    size_t worker_count;
    /* Posts `now`, copied, to every worker, which says api_plane_applied() with this round. On main or
     * on the thread of a change; never after api_plane_stop(). */
    void (*post)(void *arg, const struct inputs *now, uint64_t round);
    void *arg;
};

/* Reads the store; NULL with E_STORE. `given` by the operator is copied. */
struct api_plane *api_plane_new(const struct api_plane_params *params, const struct inputs *given,
                                struct err *e);
/* What to start workers with; borrowed until they run. */
const struct inputs *api_plane_live(const struct api_plane *p);

/* The operator gives something else; posts, and returns when all workers have it: in a turn of each. */
void api_plane_reload(struct api_plane *p, const struct inputs *given);
/*
 * An object has changed; posts if that matters to workers, and returns when all have it. Should the
 * store not be readable now, that is logged, and the next change brings it too.
 */
void api_plane_changed(struct api_plane *p, const struct api_change_event *change);
/* On a worker, by its number: it has what was posted with this round. */
void api_plane_applied(struct api_plane *p, size_t worker, uint64_t round);

/* Whoever waits for the workers returns, and nothing is posted any more. While they still run. */
void api_plane_stop(struct api_plane *p);
/* After the workers are gone, and the threads of the API. NULL is fine. */
void api_plane_free(struct api_plane *p);

#endif
