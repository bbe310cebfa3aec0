/*
 * event_load: the event destinations and subscriptions of the store as a plan for the event sink.
 * An object that cannot be used is logged and left out, and harms no other.
 * Thread: any that may block.
 */
#ifndef TUNNEL_API_EVENT_LOAD_H
#define TUNNEL_API_EVENT_LOAD_H

#include "base/err.h"

struct api_event_settings;
struct event_plan;
struct event_sink;
struct seal_key;
struct store;

struct api_event_load {
    struct store *store;             /* borrowed */
    const struct seal_key *seal_key; /* borrowed */
    const struct api_event_settings *settings;
    const struct event_sink *sink; /* that knows filters; borrowed */
};

/* A new plan with one reference; NULL with E_STORE. */
struct event_plan *api_event_plan_load(const struct api_event_load *from, struct err *e);

#endif
