/*
 * gateway: the HTTP side of one worker: listeners, downstream connections, exchanges, idle upstreams.
 * main.c makes one per worker.
 * Owns:   listening sockets, connections, what policies keep for a worker, and counted references to
 *         the config, the TLS contexts and the data of policies.
 * Thread: the worker's own, except gateway_new() and gateway_free() (main, while it does not run).
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stddef.h>

#include "base/worker.h"

struct api_http;
struct config;
struct endpoint_stats;
struct event_hub;
struct gateway;
struct host_suffixes;
struct job_pool;
struct metrics;
struct policy_data;
struct routes;
struct tls;

/* What the gateways of all workers have in common; outlives them. */
struct gateway_peers {
    struct gateway **gateways; /* one a worker, by worker_id(); filled by gateway_new() */
    const struct metrics *const *metrics; /* one a thread that counts */
    size_t metrics_count;
    struct event_hub *events; /* borrowed: outlives the gateways; NULL: there is none */
    struct endpoint_stats *endpoint_stats; /* borrowed: the same */
};

struct gateway_params {
    struct worker *worker;
    struct gateway_peers *peers;          /* borrowed: outlives us */
    struct routes *routes;                /* borrowed: outlives us; this worker's */
    const struct host_suffixes *suffixes; /* borrowed: outlives us */
    struct config *config;                /* a reference is taken */
    struct tls *tls;                      /* a reference is taken */
    struct policy_data *policy_data;      /* a reference is taken; may be NULL */
    struct job_pool *jobs;                /* borrowed: outlives us */
    /* Bound, listening, non-blocking sockets of this worker; taken. */
    const int *http_fds;
    size_t http_count;
    const int *https_fds;
    size_t https_count;
    const int *admin_fds;
    size_t admin_count;
    const int *operator_fds; /* of the operator's local socket (operator_socket.h) */
    size_t operator_count;
    struct api_http *api_http; /* borrowed: outlives us; NULL: no management API */
};

struct gateway *gateway_new(const struct gateway_params *params);
void gateway_start(struct gateway *g);

/* A reload: new exchanges use the new config, policies the new data, new connections the new TLS
 * contexts. */
void gateway_configure(struct gateway *g, struct config *config, struct tls *tls,
                       struct policy_data *policy_data);

/*
 * Stops accepting, closes idle connections and lets exchanges finish, for at most the config's
 * drain_ms; then the rest is cut. done(w, arg) runs when no connection is left.
 */
void gateway_drain(struct gateway *g, worker_fn *done, void *arg);
void gateway_free(struct gateway *g);

#endif
