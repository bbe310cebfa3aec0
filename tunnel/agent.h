/*
 * agent: how an endpoint reaches the SSH session that holds it.
 * sshd implements the operations; gateway calls them through dial.h and never learns of SSH.
 * Thread: open() on the agent's worker only; notify() on any.
 */
#ifndef TUNNEL_AGENT_H
#define TUNNEL_AGENT_H

#include <stdint.h>

#include "base/addr.h"
#include "tunnel/close.h"
#include "tunnel/stream.h"

struct agent;
struct event;
struct worker;

enum agent_notice {
    AGENT_TAKEN_OVER, /* a newer session of the same key took the name; this one has lost it */
};

struct agent_ops {
    /*
     * Opens a stream to the upstream for the visitor at `client`. Returns NULL with *why when the
     * session is gone or full (CLOSE_SESSION_LOST, CLOSE_BUSY); otherwise on_open or on_closed
     * follows. The caller owns the stream.
     */
    struct stream *(*open)(const struct agent *a, const struct addr *client,
                           const struct stream_events *events, void *arg, enum close_reason *why);
    /* Tells the session that an exchange ended; takes its own reference. */
    void (*on_event)(const struct agent *a, struct event *ev);
    /* Tells the session that its upstream cannot be talked to, and why. May be NULL. */
    void (*on_problem)(const struct agent *a, const char *problem);
    /* Tells the session something about this forward. */
    void (*on_notice)(const struct agent *a, enum agent_notice what);
};

struct agent {
    const struct agent_ops *ops; /* borrowed: static */
    struct worker *worker;       /* borrowed: outlives every endpoint */
    void *ctx;                   /* borrowed: the ops' own, outlives every endpoint */
    uint64_t session;            /* serial number of the session, unique in the process */
    uint32_t forward;            /* number of the forward in its session */
};

#endif
