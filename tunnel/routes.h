/*
 * routes: one worker's table from the address of a request to the pool of endpoints that serve it, and
 * the choice among its members.
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
#include "tunnel/pool.h"

struct routes;

struct routes *routes_new(void);
void routes_free(struct routes *r);

/* Adds ep: to the pool at its address if all pool, else in place of what is there. */
void routes_add(struct routes *r, struct endpoint *ep);
/* Removes ep; nothing happens if another endpoint took its place. */
void routes_remove(struct routes *r, struct endpoint *ep);

/* Told of each endpoint that leaves the table, removed or replaced; one receiver, NULL for none. */
typedef void routes_gone_fn(void *arg, struct endpoint *ep);
void routes_on_gone(struct routes *r, routes_gone_fn *fn, void *arg);

/*
 * The pool for a public request, borrowed until the table changes: that of the exact host first, then
 * those of wildcards from the longest suffix to the shortest (spec section 4.2). `host` is folded
 * (host_fold()). NULL: none.
 */
const struct pool *routes_pool(const struct routes *r, enum scheme scheme, struct str host,
                               uint16_t port);
/*
 * The same of internal endpoints of this account, whose name nobody else's is. `account` is not
 * empty and has at most ENDPOINT_ACCOUNT_MAX_BYTES.
 */
const struct pool *routes_pool_internal(const struct routes *r, struct str account,
                                        enum scheme scheme, struct str host, uint16_t port);
/*
 * The public ones for the name of a TLS connection, which https and tls endpoints share: of what either
 * scheme gives, the more specific one. Both never have the same host (tunnel/registry.h).
 */
const struct pool *routes_pool_secure(const struct routes *r, struct str host, uint16_t port);
/* The pool at exactly the address of ep, whether ep is still a member or not. NULL: none. */
const struct pool *routes_pool_of(const struct routes *r, const struct endpoint *ep);

/* The member for the next request or connection, borrowed (pool_choose()); NULL for no pool. */
struct endpoint *routes_choose(const struct routes *r, const struct pool *pool);
/* Another member in place of `from`, borrowed (pool_choose_other()), or NULL. */
struct endpoint *routes_choose_other(const struct routes *r, struct endpoint *from,
                                     struct pool_tried *tried);

/* The same pools, with the choice made: an endpoint, borrowed, or NULL. */
struct endpoint *routes_find(const struct routes *r, enum scheme scheme, struct str host,
                             uint16_t port);
struct endpoint *routes_find_internal(const struct routes *r, struct str account,
                                      enum scheme scheme, struct str host, uint16_t port);
/* How many endpoints are in it. */
size_t routes_count(const struct routes *r);

#endif
