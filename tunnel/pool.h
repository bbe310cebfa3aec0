/*
 * pool: the endpoints that share one address, its members (spec endpoints 4.3). All have `pooling`, or
 * there is only one.
 * The choice is the less busy one of two random members: that needs no state but each member's own
 * count, spreads as well as looking at all of them does, and workers that see slightly old counts do
 * not all run to the same member.
 * Owns:   its array; references to members are its holder's matter.
 * Thread: its holder's.
 */
#ifndef TUNNEL_POOL_H
#define TUNNEL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

enum { POOL_TRIES_MAX = 3 }; /* members that one request or connection is offered to */

/* Read-only to others: the API lists `members`. Zeroed: empty. */
struct pool {
    struct endpoint **members; /* owned array */
    size_t count;
    size_t room;
    bool keeps; /* members differ in their rules for connections, so a connection keeps to one */
};

/*
 * The members that could not take a request or connection. It counts as outstanding with them until its
 * end, or those that fail would look idle and get it all. Zeroed: none yet.
 */
struct pool_tried {
    struct endpoint *members[POOL_TRIES_MAX - 1]; /* entered (endpoint_enter()) */
    size_t count;
};

void pool_fini(struct pool *p);
void pool_add(struct pool *p, struct endpoint *ep);
/* False if it is no member. */
bool pool_remove(struct pool *p, const struct endpoint *ep);
bool pool_has(const struct pool *p, const struct endpoint *ep);

/*
 * The member for the next request or connection; one that is withdrawn only if all are. `random` is any
 * number, another one each time. NULL if the pool is empty.
 */
struct endpoint *pool_choose(const struct pool *p, uint64_t random);
/*
 * Another member for what `from`, which it has entered, could not take: not withdrawn, with the same
 * rules as `from`, since those have run, and not tried before. `from` is then `tried`'s to leave. NULL:
 * there is none, or POOL_TRIES_MAX were tried; nothing changes.
 */
struct endpoint *pool_choose_other(const struct pool *p, uint64_t random, struct endpoint *from,
                                   struct pool_tried *tried);
/* The request or connection has ended. */
void pool_tried_fini(struct pool_tried *tried);

#endif
