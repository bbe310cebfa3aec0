/*
 * live: what SSH sessions hold at the moment, as objects of the API (spec 3.1 to 3.3): sessions, their
 * tunnels, and the endpoints of those. They are nowhere stored. A call sees them as they were when it first
 * asked, so the chunks of a long list fit together, and the host is asked once.
 * Owns:   what the host gave, until the call ends.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_LIVE_H
#define TUNNEL_API_LIVE_H

#include <jansson.h>

#include "tunnel/api/call.h"

enum api_live_kind { API_LIVE_SESSION, API_LIVE_TUNNEL, API_LIVE_ENDPOINT };

/* The one with this id, a reference for the caller; NULL: there is none that the caller may see. */
json_t *api_live_find(struct api_call *c, enum api_live_kind kind, struct str id);
/* As api_provider.range(). */
void api_live_range(struct api_call *c, enum api_live_kind kind, struct str before, size_t max,
                    json_t *list);

#endif
