/*
 * domains: names and TCP addresses that are reserved for accounts (spec section 3.3).
 * Immutable once built; a reload builds a new one.
 * Thread: any.
 * Limits: DOMAINS_MAX reservations; a check is a walk over all, once per claim.
 */
#ifndef TUNNEL_DOMAINS_H
#define TUNNEL_DOMAINS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum { DOMAINS_MAX = 100000 };

struct domains;
struct url;

/*
 * `base` is the base domain (a normal host, copied). With auto_reserve any name or wildcard may be
 * used that nobody else has reserved (nor a parent of it), but for the wildcard over the whole base.
 */
struct domains *domains_new(struct str base, bool auto_reserve);
void domains_free(struct domains *d);

/*
 * Reserves a host, "*.host" or "host:port" (TCP) for an account. A host and all names below it
 * belong to one account. Returns 0, or -1 with E_HOST_TAKEN (also when it is reserved twice),
 * E_TCP_TAKEN, E_PORT_SYNTAX, E_HOST_* or E_LIMIT.
 */
int domains_add(struct domains *d, struct str name, struct str account, struct err *e);

/*
 * May the account put an endpoint at this address? Random names (empty host) and internal ones
 * always may. Returns 0, or -1 with E_WILDCARD_NOT_RESERVED, E_HOST_NOT_RESERVED, E_HOST_TAKEN,
 * E_WILDCARD_TOO_WIDE, E_NESTED_NAME, E_TCP_NOT_RESERVED, E_TCP_TAKEN.
 */
int domains_check(const struct domains *d, const struct url *url, struct str account,
                  struct err *e);

#endif
