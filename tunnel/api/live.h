/*
 * live: what SSH sessions hold at the moment, as objects of the API (spec 3.1 to 3.3): sessions, their
 * tunnels, and the endpoints of those. They are nowhere stored.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_LIVE_H
#define TUNNEL_API_LIVE_H

#include <jansson.h>

#include "tunnel/api/call.h"

/* The objects that the caller may see, newest first, as an array; empty when nobody knows. */
json_t *api_live_sessions(struct api_call *c);
json_t *api_live_tunnels(struct api_call *c);
json_t *api_live_endpoints(struct api_call *c);

/* Puts objects into the order of lists: the newest id first. */
void api_live_sort(json_t *objects);
/* The one with this id, a reference for the caller; NULL when there is none. Takes the array. */
json_t *api_live_find(json_t *objects, struct str id);
/* Appends to `list` up to `max` of those whose id sorts before `before` (empty: all). Takes the array. */
void api_live_range(json_t *objects, struct str before, size_t max, json_t *list);

#endif
