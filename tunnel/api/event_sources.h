/*
 * event_sources: the sources of a subscription one by one (spec 3.11.3): actions of event_subscriptions.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_EVENT_SOURCES_H
#define TUNNEL_API_EVENT_SOURCES_H

#include <jansson.h>

#include "base/str.h"

struct api_call;
struct api_resource;

#define API_EVENT_SOURCES_NAME "sources"

/* As struct api_action's run(): `object` is the subscription, `item` the type. */
int api_event_sources_create(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item);
int api_event_sources_list(struct api_call *c, const struct api_resource *r, json_t *object,
                           struct str item);
int api_event_sources_get(struct api_call *c, const struct api_resource *r, json_t *object,
                          struct str item);
int api_event_sources_update(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item);
int api_event_sources_delete(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item);

#endif
