/*
 * registry: the truth about which endpoints exist, which of them share an address, and which names are
 * held for a session that dropped.
 * Pure: time is passed in and nothing happens by itself; control.h runs it on the control thread.
 * Owns:   one reference to each endpoint that is online.
 * Limits: names held, REGISTRY_HELD_MAX; the oldest is let go first.
 */
#ifndef TUNNEL_REGISTRY_H
#define TUNNEL_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/endpoint.h"
#include "tunnel/pool.h"
#include "tunnel/port.h"

enum {
    REGISTRY_HELD_MAX = 65536,
    REGISTRY_SECRET_BYTES = 32,
    REGISTRY_RANDOM_HEX = 12,
    REGISTRY_RANDOM_MAX = 4096, /* random names tried for one key before it is refused */
    REGISTRY_OPEN_MAX = 64,     /* random ports tried to be opened for one claim */
};

struct registry;
struct domains;

/* The ports of TCP endpoints, ends included; first == 0: none. */
struct registry_range {
    uint16_t first;
    uint16_t last;
};

struct registry_tcp {
    struct str host;             /* of their URLs; copied */
    struct registry_range any;   /* for those who ask for any port */
    struct registry_range fixed; /* for those who name one */
    struct port_source source;   /* what opens them */
};

struct registry_params {
    struct str base_domain; /* of random names; copied */
    struct registry_tcp tcp;
    uint8_t secret[REGISTRY_SECRET_BYTES]; /* keys the random names, so that they are stable */
    uint64_t hold_ms;                      /* how long a dropped name stays its account's */
    const struct domains *domains;         /* borrowed; NULL: any public name is free to take */
};

struct registry *registry_new(const struct registry_params *params);
void registry_free(struct registry *r);
/* Replaces what a reload may change; endpoints that are online stay. */
void registry_configure(struct registry *r, uint64_t hold_ms, const struct domains *domains);
/* The same for the reservations alone. */
void registry_set_domains(struct registry *r, const struct domains *domains);

/*
 * Puts ep online; an empty host gets a random name, and with scheme tcp a random port: the first free one of a sequence that depends
 * on the secret, account and key only, so a reconnecting key finds its name again. Endpoints of one
 * forward (session and forward number are equal) with different schemes share a random name.
 * At an address of its account that is online, ep joins the pool there if all pool and have its scheme
 * (spec section 4.3). A public host:port whose endpoint does not pool is taken over from an older session with the same account and
 * key (ep->key), whatever its scheme: *displaced then gets the old endpoint, with a reference for
 * the caller; else NULL. An endpoint without an agent takes the place of the one with its id. A public TCP endpoint gets its port opened, or that of its pool or of the one it displaces. An account that has a name online or held keeps others from it on every
 * port; internal names are each account's own.
 * Returns 0, or -1 with ep unchanged and E_ENDPOINT_ONLINE (own account: one side does not pool, or
 * the schemes differ), E_TCP_OCCUPIED, E_HOST_TAKEN or E_TCP_TAKEN (another account has it online, held or reserved), E_WILDCARD_NOT_RESERVED,
 * E_HOST_NOT_RESERVED, E_WILDCARD_TOO_WIDE, E_NESTED_NAME, E_TCP_NOT_RESERVED, E_LIMIT,
 * E_HOST_LENGTH (the base domain leaves no room for a random label); never another name instead.
 */
int registry_add(struct registry *r, struct endpoint *ep, uint64_t now_ms,
                 struct endpoint **displaced, struct err *e);

enum registry_hold { REGISTRY_HOLD, REGISTRY_LET_GO };

/*
 * Takes ep offline if it is still the one online; the registry's reference passes to the caller.
 * Returns ep, or NULL when it was not online (displaced before). With REGISTRY_HOLD the name is
 * held for its account. Its port is still open, and of use to the pool if one is left (registry_pool());
 * otherwise who has seen to it that nobody uses it closes it.
 */
struct endpoint *registry_remove(struct registry *r, struct endpoint *ep, enum registry_hold hold,
                                 uint64_t now_ms);

/* Takes some endpoint offline, not held; the reference passes to the caller. NULL when none is left. */
struct endpoint *registry_take(struct registry *r);

/* The public endpoint online at exactly this address, of a pool any member, borrowed, or NULL. */
struct endpoint *registry_find(const struct registry *r, const struct url *url);
/* The endpoints online at the address of ep, borrowed until the next change; NULL: none. */
const struct pool *registry_pool(const struct registry *r, const struct endpoint *ep);
/* Calls fn for each endpoint that is online, borrowed, in no order. */
typedef void registry_each_fn(void *arg, struct endpoint *ep);
void registry_each(const struct registry *r, registry_each_fn *fn, void *arg);
/*
 * Calls fn for each public name that is online or held, with the account it is of: "host", or "host:port" of
 * TCP endpoints; borrowed, in no order.
 */
typedef void registry_each_name_fn(void *arg, struct str name, struct str account);
void registry_each_name(const struct registry *r, uint64_t now_ms, registry_each_name_fn *fn,
                        void *arg);
/* How many endpoints are online. */
size_t registry_count(const struct registry *r);
/* Forgets holds that ended. */
void registry_expire(struct registry *r, uint64_t now_ms);

#endif
