/*
 * inside: how a user reaches the internal endpoints of its own account, without an endpoint of its own:
 * `ssh -L`, `-W`, `-J` and `-D`. gateway implements the operations; sshd calls them for each channel
 * that a client opens, and never learns what stands behind.
 * Thread: that of the worker whose front asks.
 */
#ifndef TUNNEL_INSIDE_H
#define TUNNEL_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "tunnel/close.h"
#include "tunnel/stream.h"

/* Where to, and for whom. */
struct inside_target {
    struct str account; /* whose endpoints; no other account's is ever found */
    struct str host;    /* folded (host_fold()) */
    uint16_t port;
    struct addr client; /* the user */
    struct addr server; /* where the user came to the gateway */
};

struct inside_ops {
    /* Is anything of this account online there? Looks at tables only. */
    bool (*has)(void *ctx, struct str account, struct str host, uint16_t port);
    /*
     * Opens a stream to what is online there; its first event is on_data. Its policy is still to be
     * asked and its upstream to be reached: when either fails, on_closed tells. Returns NULL with *why
     * when nothing is online any more, or when the gateway is full or drains. The caller owns the
     * stream. The events may be NULL when stream_set_events() follows at once.
     */
    struct stream *(*open)(void *ctx, const struct inside_target *to,
                           const struct stream_events *events, void *arg, enum close_reason *why);
};

struct inside {
    const struct inside_ops *ops; /* borrowed: static */
    void *ctx;                    /* borrowed: the ops' own, outlives the front */
};

#endif
