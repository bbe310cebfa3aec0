/*
 * reservations: the reserved domains and addresses of the store, as other resources meet them.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_RESERVATIONS_H
#define TUNNEL_API_RESERVATIONS_H

#include "tunnel/api/call.h"

struct url;

/*
 * What the account has reserved that covers this address: the name itself, or the closest wildcard over it.
 * For answers: a commit demands nothing of it, as a name may have more above it than a transaction takes.
 * Returns 0 with its id in the arena, empty when there is none; or -1 with the error set.
 */
int api_find_reservation(struct api_call *c, const struct url *url, const char *account,
                         struct str *id);
/* The keys by which they are found; as of api_resource.keys(). */
void api_reservation_key(struct api_key *key, const char *field, struct str name);
/* Fails the call for a name that could not be reserved, or not be taken back, because of `answer`. */
int api_fail_reservation(struct api_call *c, enum api_name_answer answer, struct str name,
                         const struct err *e);

#endif
