/*
 * refusals: a line in the log for each call that the API refuses, so that attempts leave a trail.
 * Owns:   an entry for each account that was refused something; only the operator makes accounts.
 * Thread: any; it has its own lock.
 * Limits: API_REFUSALS_PER_SECOND lines for each account, so that nobody's flood hides what another
 *         does; those who are not logged in share one such limit.
 */
#ifndef TUNNEL_API_REFUSALS_H
#define TUNNEL_API_REFUSALS_H

#include "tunnel/api/api.h"

enum { API_REFUSALS_PER_SECOND = 50 };

struct api_refusals;

struct api_refusals *api_refusals_new(void);
/* NULL is fine. */
void api_refusals_free(struct api_refusals *r);
/*
 * Writes the line "api.refused" of a request, with what it was answered; never its query, its body or
 * a credential. Failures of the gateway itself (status 500 and above) are no refusals: nothing is written.
 */
void api_refusals_log(struct api_refusals *r, const struct api_request *request, enum api_code code,
                      const char *operation_id);

#endif
