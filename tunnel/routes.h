/*
 * routes: one worker's table from the address of a request to the endpoint that serves it.
 * Owns:   one reference to each endpoint in it.
 * Thread: its worker's only; control.c changes it by messages.
 */
#ifndef TUNNEL_ROUTES_H
#define TUNNEL_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "tunnel/endpoint.h"

struct routes;

struct routes *routes_new(void);
void routes_free(struct routes *r);

/* Adds ep, in place of any other at the same scheme, host and port. */
void routes_add(struct routes *r, struct endpoint *ep);
/* Removes ep; nothing happens if another endpoint took its place. */
void routes_remove(struct routes *r, struct endpoint *ep);

/* Told of each endpoint that leaves the table, removed or replaced; one receiver, NULL for none. */
typedef void routes_gone_fn(void *arg, struct endpoint *ep);
void routes_on_gone(struct routes *r, routes_gone_fn *fn, void *arg);

/* True while requests are routed to exactly this endpoint. */
bool routes_has(const struct routes *r, const struct endpoint *ep);

/*
 * The endpoint for a public request, borrowed: the exact host first, then wildcards from the
 * longest suffix to the shortest (spec section 4.2). `host` is folded (host_fold()). NULL: none.
 */
struct endpoint *routes_find(const struct routes *r, enum scheme scheme, struct str host,
                             uint16_t port);
/*
 * The same for an internal endpoint of this account, whose name nobody else's is. `account` is not
 * empty and has at most ENDPOINT_ACCOUNT_MAX_BYTES.
 */
struct endpoint *routes_find_internal(const struct routes *r, struct str account,
                                      enum scheme scheme, struct str host, uint16_t port);
/*
 * The public ones for the name of a TLS connection, which https and tls endpoints share: of what either
 * scheme gives, the more specific one. Both never have the same host (tunnel/registry.h).
 */
struct endpoint *routes_find_secure(const struct routes *r, struct str host, uint16_t port);
size_t routes_count(const struct routes *r);

#endif
