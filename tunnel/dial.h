/*
 * dial: a stream to an endpoint, whichever worker holds its SSH session.
 * The one implementation that crosses workers is gateway/relay.c; it stands behind this interface
 * so that a later one can cross nodes.
 */
#ifndef TUNNEL_DIAL_H
#define TUNNEL_DIAL_H

#include "tunnel/endpoint.h"
#include "tunnel/stream.h"

/*
 * Opens a stream to ep for the visitor at `client`, on the calling worker. Returns NULL with *why
 * when that is known to fail at once; otherwise on_open or on_closed follows. The caller owns the
 * stream; ep is borrowed for the call.
 */
typedef struct stream *dial_fn(struct endpoint *ep, const struct addr *client,
                               const struct stream_events *events, void *arg,
                               enum close_reason *why);

#endif
