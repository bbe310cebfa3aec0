/*
 * cloud: cloud endpoints, which no session holds: their traffic policy answers everything (spec
 * endpoints 1.2). They come from the store at start and from the management API later; another version
 * takes the place of one while it is in use, and no request meets neither.
 * Owns:   a reference to the version of each that is online.
 * Thread: new, preload, configure, stop and free on main; all else any that may block, never a
 *         worker's loop or the control thread, whose answers are waited for.
 */
#ifndef GATEWAY_CLOUD_H
#define GATEWAY_CLOUD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct api_endpoint_spec;
struct cloud;
struct control;
struct policy_terms;
struct url;

/* `terms` get a reference of their own. */
struct cloud *cloud_new(struct control *control, struct policy_terms *terms);
/* Puts the endpoint online before control_start(). Returns 0, or -1 as cloud_put(). */
int cloud_preload(struct cloud *c, const struct api_endpoint_spec *spec, struct err *e);
/* After a reload; endpoints keep the policies they have. */
void cloud_configure(struct cloud *c, struct policy_terms *terms);
/* Whoever waits for control gets E_DRAINING, now and from now on. Before control_stop(). */
void cloud_stop(struct cloud *c);
/* After control_free(). NULL is fine. */
void cloud_free(struct cloud *c);

/*
 * Is this a policy for a cloud endpoint at this address? Returns 0, or -1 with the code and text of the
 * first error, and all problems, a line each, in `problems`. E_POLICY_UNHANDLED: some traffic meets no action
 * that ends it.
 */
int cloud_check_policy(struct cloud *c, struct str account, const struct url *url,
                       struct str policy, struct buf *problems, struct err *e);

/*
 * Makes the endpoint live, or puts it in the place of the one with its id. Returns 0 when every worker
 * serves it; or -1 with e (of the policy, or of registry_add()) and everything as it was. One that was at
 * another address serves there until cloud_settle(), or is put back.
 */
int cloud_put(struct cloud *c, const struct api_endpoint_spec *spec, struct err *e);
void cloud_settle(struct cloud *c, const char *id);
/* Returns when no worker gives it new requests. Unknown ids are fine. */
void cloud_remove(struct cloud *c, const char *id);

#endif
