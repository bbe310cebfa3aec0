/*
 * api_host: what the management API gets of this process (tunnel/api/host.h): cloud endpoints go live,
 * names are reserved, certificates read, events of its subscriptions delivered, and what is live is told.
 * Owns:   the parts that it makes; borrows control.
 * Thread: all on main; the calls that it fills in come from the API's threads.
 */
#ifndef GATEWAY_API_HOST_H
#define GATEWAY_API_HOST_H

#include <stddef.h>

#include "tunnel/api/host.h"

struct census;
struct census_source;
struct cloud;
struct config;
struct control;
struct event_hub;
struct gateway;
struct host_suffixes;
struct names;
struct policy_terms;
struct seal_key;
struct store;

/* Hears of each change that is durable (tunnel/api/host.h). */
typedef void api_host_changed_fn(void *arg, const struct api_change_event *change);

struct api_host_parts {
    struct cloud *cloud;             /* owned */
    struct census *census;           /* owned */
    const struct api_host *host;     /* borrowed: what was filled in */
    struct names *names;             /* borrowed: outlives the API */
    struct config *config;           /* counted: of the start, for what no reload changes */
    struct event_hub *events;        /* borrowed */
    struct store *store;             /* borrowed */
    const struct seal_key *seal_key; /* borrowed */
    api_host_changed_fn *changed;
    void *arg;
};

struct api_host_params {
    struct control *control;              /* borrowed: outlives all but api_host_fini() */
    const struct host_suffixes *suffixes; /* borrowed: outlives the API */
    struct names *names;                  /* borrowed: likewise */
    struct config *config;                /* of the start; gets a reference */
    struct policy_terms *terms;           /* of cloud endpoints; gets a reference */
    struct event_hub *events;             /* borrowed: outlives the API's threads */
    struct store *store;                  /* borrowed: outlives the API */
    const struct seal_key *seal_key;      /* likewise */
    struct api_event_settings event_settings;
    const struct census_source *sources; /* copied */
    size_t source_count;
    api_host_changed_fn *changed;
    void *arg; /* of it */
};

/* Makes the parts and fills `host`, before the API is called. */
void api_host_init(struct api_host_parts *parts, struct api_host *host,
                   const struct api_host_params *params);
/*
 * Puts the API itself online at its public name, if it shall have one, before api_host_load(). The gateway
 * serves it, and outlives control's endpoints. Returns 0, or -1 with an error of url_parse() or registry_add().
 */
int api_host_publish(const struct api_host_parts *parts, struct control *control, struct gateway *g,
                     struct err *e);
/*
 * Puts the cloud endpoints of the store online and its event destinations to work, before control_start().
 * What is refused stays in the store, and the log says why.
 */
void api_host_load(struct api_host_parts *parts);
/* Calls that wait for other threads end. Before control_stop(). */
void api_host_stop(struct api_host_parts *parts);
/* After control_free(). */
void api_host_fini(struct api_host_parts *parts);

#endif
