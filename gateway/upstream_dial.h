/*
 * upstream_dial: the one way to a stream to an endpoint's upstream, for every protocol: dialled
 * through the agent, then the header of the PROXY protocol, then TLS, as the endpoint asks for them.
 * Thread: the gateway's worker.
 */
#ifndef GATEWAY_UPSTREAM_DIAL_H
#define GATEWAY_UPSTREAM_DIAL_H

#include <stdbool.h>

#include "base/addr.h"
#include "tunnel/close.h"
#include "tunnel/stream.h"

struct endpoint;
struct gateway;

/* What will be spoken; TLS offers it by ALPN. */
enum upstream_dial_protocol {
    UPSTREAM_DIAL_RAW,
    UPSTREAM_DIAL_HTTP1,
    UPSTREAM_DIAL_HTTP2, /* with TLS or HTTP/1.1, see upstream_dial_is_http2() */
};

struct upstream_dial_params {
    struct gateway *gateway;
    struct endpoint *ep;       /* the caller holds it as long as the stream */
    const struct addr *client; /* ends of the visitor's connection; family 0: not known */
    const struct addr *server;
    enum upstream_dial_protocol protocol;
};

/*
 * Returns a stream that will open, or NULL with *why when it is known at once that it cannot. It is
 * closed with CLOSE_TLS_ERROR or CLOSE_TLS_UNVERIFIED when TLS fails; the log and the agent's user
 * hear the details.
 */
struct stream *upstream_dial(const struct upstream_dial_params *params,
                             const struct stream_events *events, void *arg, enum close_reason *why);

/* From on_open on: whether a stream that was dialled for HTTP/2 speaks it. */
bool upstream_dial_is_http2(const struct endpoint *ep, const struct stream *s);

#endif
