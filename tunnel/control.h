/*
 * control: the control thread, which alone changes the registry.
 * A worker asks for a name by control_claim(); the control thread decides, tells every worker's
 * routing table, waits until all have applied it, and only then answers, so a URL that is printed
 * works on every worker at once.
 * Owns:   the registry, and the thread it runs on.
 * Thread: control_claim(), _release(), _remove(), _look(), _reserve() and _configure() on any; new, preload, start and
 *         free on main.
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
struct event_sink;

enum { CONTROL_EXPIRE_MS = 5000 }; /* how often ended holds are forgotten */

struct control_params {
    struct registry_params registry; /* without domains */
    struct domains *domains;         /* taken; NULL: any public name is free to take */
    struct worker *const *workers;   /* borrowed: outlive c; at least one */
    struct routes *const *routes;    /* borrowed: one a worker, in the same order */
    size_t worker_count;
    struct event_sink *events; /* borrowed: outlives c; NULL: nobody listens */
};

struct control *control_new(const struct control_params *params);
void control_start(struct control *c);
/*
 * Stops the thread and waits for it; endpoints still online are dropped, from all routing tables
 * too, and claims that come later are refused with E_DRAINING. The workers must still run.
 */
void control_stop(struct control *c);
/*
 * c must be stopped, and its workers joined, so that none is still posting to it, but not freed:
 * claims and removals still in the mailbox of c are answered to them.
 */
void control_free(struct control *c);

/* The worker of the control thread, for its metrics. */
struct worker *control_worker(struct control *c);

/*
 * `ep` came online, or, with e->code != E_OK, did not. Runs on the worker that claimed.
 */
typedef void control_claimed_fn(void *arg, struct endpoint *ep, const struct err *e);

/*
 * Asks for ep->url; an empty host asks for a random name, which is then in ep->url.host. The
 * control thread takes its own reference; done(arg, ep, err) is posted to `from` in either case,
 * and until then ep may not be looked at. The acl (copied; NULL allows all) is checked against the
 * final host. A release that is posted later comes later, also when it does not wait for done().
 * The session that loses the name to ep gets on_notice(AGENT_TAKEN_OVER), on the control thread,
 * when no worker routes to it any more.
 */
void control_claim(struct control *c, struct worker *from, struct endpoint *ep,
                   const struct acl *acl, control_claimed_fn *done, void *arg);

/* Takes ep offline, held for its account or not; pools choose others from now on
 * (endpoint_withdraw()). Harmless if it is offline already. */
void control_release(struct control *c, struct endpoint *ep, enum registry_hold hold);

/*
 * As control_release(), not held; done(arg, ep, err) is posted to `from` when no worker routes to it any
 * more. E_NOT_FOUND: it was offline already.
 */
void control_remove(struct control *c, struct worker *from, struct endpoint *ep,
                    control_claimed_fn *done, void *arg);

/*
 * Puts an endpoint of no session online before control_start() and before any worker runs. Returns
 * 0, or -1 with an error of registry_add().
 */
int control_preload(struct control *c, struct endpoint *ep, struct err *e);

/* Runs fn on the control thread, where it may look at the registry, behind the messages before it. */
typedef void control_look_fn(void *arg, const struct registry *r);
void control_look(struct control *c, control_look_fn *fn, void *arg);

/*
 * The same, and fn may change the reservations after its look: in one piece, so that nobody claims a name in
 * between. `domains` is NULL when there are none.
 */
typedef void control_reserve_fn(void *arg, const struct registry *r, struct domains *domains);
void control_reserve(struct control *c, control_reserve_fn *fn, void *arg);

/* A reload: other limits and other reservations (taken). */
void control_configure(struct control *c, uint64_t hold_ms, struct domains *domains);

#endif
