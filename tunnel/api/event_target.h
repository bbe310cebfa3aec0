/*
 * event_target: where an event destination of the API sends (spec api 3.11.1): the member "target" of its
 * object, as it is given, stored, shown, and as the event sink wants it. A secret in it stands beside
 * it, sealed, and is never shown.
 * Thread: that of the call; api_event_destination_read() any.
 */
#ifndef TUNNEL_API_EVENT_TARGET_H
#define TUNNEL_API_EVENT_TARGET_H

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "tunnel/api/host.h"
#include "tunnel/api/resource.h"
#include "tunnel/event_plan.h"

struct api_call;
struct seal_key;

/*
 * Checks the target of the input and puts it into ch->after, its secret sealed; on update, a secret
 * that is not given stays. Returns 0, or -1 with the error set.
 */
int api_event_target_take(struct api_call *c, struct api_change *ch);

/* The target of a stored object as answers have it: all kinds, those that are not used as null. */
json_t *api_event_target_show(const json_t *object);

/*
 * The destination of a stored object; texts live in the arena, the secret among them. Its name is the id.
 * Returns 0, or -1 with E_STORE: the secret cannot be opened; or E_EVENT_TARGET.
 */
int api_event_destination_read(const json_t *object, const struct seal_key *key,
                               const struct api_event_settings *settings, struct arena *a,
                               struct event_destination *out, struct err *e);

#endif
