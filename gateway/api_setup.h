/*
 * api_setup: the database and the management API of one process: opens what stands in state_dir,
 * and gives the gateways what they answer with.
 * Owns:   the store, the API, its threads.
 * Thread: main, while no worker runs.
 */
#ifndef GATEWAY_API_SETUP_H
#define GATEWAY_API_SETUP_H

#include "base/err.h"

struct api;
struct api_host;
struct api_http;
struct api_probe;
struct config;
struct job_pool;
struct seal_key;
struct store;

struct api_setup {
    struct config *config;     /* counted: of the start */
    struct store *store;       /* owned */
    struct seal_key *seal_key; /* owned: what secrets are encrypted with */
    struct api_host *host;     /* owned: what the API gets of us */
    struct api *api;           /* owned */
    struct job_pool *jobs;     /* owned: threads of calls; NULL: of a command, which calls itself */
    struct api_http *http;     /* owned; NULL likewise */
    struct api_probe *probe;   /* owned; NULL likewise */
};

/* What stands in state_dir. */
#define API_SETUP_DATABASE "sallyport.db"

/*
 * Opens the database and makes the keys in state_dir that are missing. Returns 0, or -1 with E_STORE
 * or E_SYSTEM; then api_setup_fini() all the same.
 */
int api_setup_open(struct api_setup *s, struct config *config, struct err *e);
/* Starts the threads that answer calls. */
void api_setup_serve(struct api_setup *s);

/* Ends the threads, after the gateways are gone; the workers must still take posts. */
void api_setup_stop(struct api_setup *s);
/* Frees the rest, after the workers are gone. All NULL is fine. */
void api_setup_fini(struct api_setup *s);

#endif
