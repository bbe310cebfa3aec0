/*
 * listener: a bound socket that accepts, one a worker on each address (SO_REUSEPORT).
 * Accepts a bounded number of connections a loop turn. When descriptors run out it pauses for a
 * moment instead of spinning.
 * Owns:   its descriptor.
 * Thread: listener_bind() and listener_probe() any; all else its worker's.
 * Limits: LISTENER_ACCEPT_MAX connections a turn.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "base/addr.h"
#include "base/err.h"
#include "base/worker.h"

struct listener;

enum { LISTENER_ACCEPT_MAX = 64 };

/* Takes the accepted, non-blocking, close-on-exec socket; it has TCP_NODELAY and keepalive on. May
 * stop the listener, but not free it. */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);

/*
 * Opens, binds and listens, so that any number of sockets of this user can share the address.
 * Returns the descriptor, or -1 with E_SYSTEM naming the address and, for a privileged port or one
 * in use, what to do.
 */
int listener_bind(const struct addr *a, struct err *e);

/*
 * Asks, before the first listener_bind(), whether any other program listens there: sharing hides
 * that, and connections would go to either. Returns 0, or -1 with E_SYSTEM.
 */
int listener_probe(const struct addr *a, struct err *e);

/* Takes fd. */
struct listener *listener_new(struct worker *w, int fd, listener_accept_fn *fn, void *arg);
void listener_start(struct listener *l);
void listener_stop(struct listener *l);
void listener_free(struct listener *l);

#endif
