/*
 * gateway_int: what the modules of one worker's gateway share. Not for other folders.
 * Thread: the worker's.
 */
#ifndef GATEWAY_GATEWAY_INT_H
#define GATEWAY_GATEWAY_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <ev.h>

#include "base/log.h"
#include "base/worker.h"
#include "gateway/admin.h"
#include "gateway/gateway.h"
#include "tunnel/url.h"

struct admin_conn;
struct api_http;
struct conn;
struct event_sink;
struct fetch_shared;
struct fetcher;
struct idle_pool;
struct job_pool;
struct listener;
struct policy_data;
struct policy_local;
struct port_part;
struct raw_conn;
struct tls_client;
struct tls_profiles;
struct upstream_http2_pool;

enum { GATEWAY_LISTENERS_MAX = 64 };

struct gateway {
    struct worker *worker;                /* borrowed: outlives us */
    struct gateway_peers *peers;          /* borrowed: outlives us */
    struct routes *routes;                /* borrowed: outlives us */
    const struct host_suffixes *suffixes; /* borrowed: outlives us */
    struct config *config;                /* counted */
    struct tls *tls;                      /* counted */
    struct tls_profiles *tls_profiles;    /* owned: of policies that end TLS in their own way */
    struct idle_pool *idle;               /* owned */
    struct upstream_http2_pool *http2;    /* owned */
    struct tls_client *tls_client;        /* owned */
    struct log_limit upstream_log;

    /* For traffic policies. */
    struct job_pool *jobs;             /* borrowed: outlives us */
    struct policy_data *policy_data;   /* counted */
    struct policy_local *policy_local; /* owned; NULL: no policy ran yet */
    struct fetcher *fetcher;           /* owned */
    struct fetch_shared *shared;       /* owned */

    struct listener *listeners[GATEWAY_LISTENERS_MAX]; /* owned; the public ones */
    size_t listener_count;
    struct listener *admin_listeners[GATEWAY_LISTENERS_MAX]; /* owned; they serve while draining */
    size_t admin_listener_count;
    struct port_part *ports; /* list: of TCP endpoints that are served here (tcp_ports.c) */

    struct conn *conns; /* list; each owns itself until it closes */
    size_t conn_count;
    struct raw_conn *raws;     /* list: of conns, those whose bytes go to one endpoint unread */
    struct api_http *api_http; /* borrowed: outlives us; NULL: none */
    struct admin_conn *admin_conns; /* list; each owns itself until it closes */
    size_t admin_counts[ADMIN_PEERS];
    struct log_limit full_log;
    struct log_limit http2_abuse_log;
    struct log_limit proxy_log;   /* connections without a proper PROXY header */
    struct log_limit forward_log; /* targets of forwards that are not there */

    atomic_bool draining;   /* written by the own worker only */
    atomic_size_t arriving; /* connections that other workers have sent and are not here yet */
    ev_timer drain_timer;
    worker_fn *drained; /* NULL once called */
    void *drained_arg;
};

/* False, with a line in the log, when it has all the connections that it may have. */
bool gateway_has_room(struct gateway *g);
/* A connection that a listener accepted (conn.h); closed at once when there are too many. */
void gateway_accept(struct gateway *g, int fd, enum scheme scheme, uint16_t port,
                    const struct addr *peer);
/* A connection was taken off the list; the drain may be over. */
void gateway_on_conn_gone(struct gateway *g);
/*
 * Asks another worker's gateway to expect a connection; any thread. False: it drains. Otherwise its
 * drain waits for the connection, and gateway_on_conn_arrived() must be called there.
 */
bool gateway_expect_conn(struct gateway *g);
/* The connection is on the list now. */
void gateway_on_conn_arrived(struct gateway *g);
/* Where events go; NULL: nowhere but to the log and the sessions. */
struct event_sink *gateway_events(const struct gateway *g);
/* What policies keep for this worker; made when the first one runs. */
struct policy_local *gateway_policy_local(struct gateway *g);
/* May the local CA make a certificate for this host? `arg` is the gateway. */
bool gateway_may_mint(void *arg, struct str host);

#endif
