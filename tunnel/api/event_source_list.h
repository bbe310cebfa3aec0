/*
 * event_source_list: the sources of a subscription (spec 3.11.3), as they are given, stored and shown: a list
 * of {"type", "fields", "filter"}, of which the latter two are there when they say something.
 * Thread: that of the call; api_event_sources_read() any.
 */
#ifndef TUNNEL_API_EVENT_SOURCE_LIST_H
#define TUNNEL_API_EVENT_SOURCE_LIST_H

#include <jansson.h>

#include "base/arena.h"
#include "base/str.h"
#include "tunnel/event_plan.h"

struct api_call;

enum { API_EVENT_FILTER_MAX_BYTES = 4096 };

/* Appends a source in its stored form. Returns 0, or -1 with the error set. */
int api_event_source_add(struct api_call *c, json_t *sources, const json_t *given);

/* Are these sources of one subscription, types, fields and filters? Returns 0, or -1 with the error set. */
int api_event_sources_check(struct api_call *c, const json_t *sources);

/* The place of the source of that type in the list, or the list's size. */
size_t api_event_source_find(const json_t *sources, struct str type);

/* A source as answers have it; the subscription it is of is named by its id. */
json_t *api_event_source_show(struct api_call *c, struct str subscription, const json_t *source);

/* The sources as plans want them, in the arena; texts are borrowed. */
struct event_source_params *api_event_sources_read(const json_t *sources, struct arena *a);

#endif
