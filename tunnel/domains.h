/*
 * domains: names and TCP addresses that are reserved for accounts (spec section 3.3).
 * Immutable once built; a reload builds a new one.
 * Thread: any.
 */
#ifndef TUNNEL_DOMAINS_H
#define TUNNEL_DOMAINS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct domains;
struct url;

/* `base` is the base domain; with auto_reserve, one label below it, or any name that nobody has
 * reserved, may be used without a reservation. */
struct domains *domains_new(struct str base, bool auto_reserve);
void domains_free(struct domains *d);

/* Reserves a host, "*.host" or "host:port" (TCP) for an account. -1: E_HOST_TAKEN, E_HOST_*. */
int domains_add(struct domains *d, struct str name, struct str account, struct err *e);

/*
 * May the account put an endpoint at this address? Random names (empty host) always may.
 * Returns 0, or -1 with E_WILDCARD_NOT_RESERVED, E_HOST_NOT_RESERVED, E_HOST_TAKEN,
 * E_WILDCARD_TOO_WIDE, E_NESTED_NAME, E_TCP_NOT_RESERVED.
 */
int domains_check(const struct domains *d, const struct url *url, struct str account,
                  struct err *e);

#endif
