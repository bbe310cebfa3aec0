/*
 * live: what SSH sessions hold at the moment, as objects of the API (spec 3.1 to 3.3): sessions, their
 * tunnels, and the endpoints of those. They are nowhere stored.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_LIVE_H
#define TUNNEL_API_LIVE_H

#include <jansson.h>

#include "tunnel/api/call.h"

enum api_live_kind { API_LIVE_SESSION, API_LIVE_TUNNEL, API_LIVE_ENDPOINT };

/* Of the objects that the caller may see, the one with this id, a reference for the caller; or NULL. */
json_t *api_live_find(struct api_call *c, enum api_live_kind kind, struct str id);
/* Appends to `list` up to `max` of those whose id sorts before `before` (empty: all), newest first. Only
 * these are made, since the policy of each may be long. */
void api_live_range(struct api_call *c, enum api_live_kind kind, struct str before, size_t max,
                    json_t *list);
/* Puts objects into the order of lists: the newest id first. */
void api_live_sort(json_t *objects);

#endif
