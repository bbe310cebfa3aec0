/*
 * forward: the internal endpoint that the action forward-internal names (spec traffic-policy 6.9).
 * This is the one place that looks for it, for requests and for raw connections.
 * Thread: the gateway's worker.
 */
#ifndef GATEWAY_FORWARD_H
#define GATEWAY_FORWARD_H

#include "base/err.h"
#include "base/str.h"
#include "tunnel/url.h"

struct endpoint;
struct gateway;

/* Schemes that a target may have, as bits. */
#define FORWARD_SCHEME(scheme) (1U << (scheme))
enum {
    FORWARD_HTTP = FORWARD_SCHEME(SCHEME_HTTP) | FORWARD_SCHEME(SCHEME_HTTPS),
    FORWARD_TCP = FORWARD_SCHEME(SCHEME_TCP),
    FORWARD_TLS = FORWARD_SCHEME(SCHEME_TLS),
};

/*
 * Finds the endpoint of from's account that `url` names: its scheme must be one of `schemes` and the
 * same as the target's own, of wildcards the most specific one is taken, of a pool one of its members.
 * It is entered; the caller leaves it (endpoint_leave()). NULL with E_ENDPOINT_OFFLINE, and a line in the
 * log; an endpoint of another account is as good as none.
 */
struct endpoint *forward_find(struct gateway *g, const struct endpoint *from, struct str url,
                              unsigned schemes, struct err *e);

#endif
