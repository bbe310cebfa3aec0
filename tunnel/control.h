/*
 * control: the control thread, which alone changes the registry.
 * A worker asks for a name by control_claim(); the control thread decides, tells every worker's
 * routing table, waits until all have applied it, and only then answers, so a URL that is printed
 * works on every worker at once.
 * Owns:   the registry, and the thread it runs on.
 * Thread: control_claim(), control_release() and control_configure() on any worker's or main; new,
 *         start and free on main.
 */
#ifndef TUNNEL_CONTROL_H
#define TUNNEL_CONTROL_H

#include <stddef.h>

#include "base/err.h"
#include "base/worker.h"
#include "tunnel/registry.h"
#include "tunnel/routes.h"

struct acl;
struct control;

struct control_params {
    struct registry_params registry;
    struct worker *const *workers; /* borrowed: outlive the control thread */
    struct routes *const *routes;  /* borrowed: one a worker, in the same order */
    size_t worker_count;
};

struct control *control_new(const struct control_params *params);
void control_start(struct control *c);
/* Stops the thread; endpoints still online are dropped. The workers must still run. */
void control_stop(struct control *c);
void control_free(struct control *c);

/*
 * `ep` came online, or, with e->code != E_OK, did not. Runs on the worker that claimed.
 */
typedef void control_claimed_fn(void *arg, struct endpoint *ep, const struct err *e);

/*
 * Asks for ep->url; an empty host asks for a random name, which is then in ep->url.host. The
 * control thread takes its own reference; done(arg, ep, err) is posted to `from` in either case.
 * The acl (copied) is checked against the final host.
 */
void control_claim(struct control *c, struct worker *from, struct endpoint *ep,
                   const struct acl *acl, control_claimed_fn *done, void *arg);

/* Takes ep offline, held for its account or not; harmless if it is offline already. */
void control_release(struct control *c, struct endpoint *ep, enum registry_hold hold);

/* A reload: other limits and other reservations (taken). */
void control_configure(struct control *c, uint64_t hold_ms, struct domains *domains);

#endif
