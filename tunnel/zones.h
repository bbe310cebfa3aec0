/*
 * zones: whose domains are whose: "x" and "*.x" are of the zone x, and what is reserved below a zone is
 * counted for each account. So all that a name has to do with others is seen in a probe for each of its
 * labels, however many are reserved.
 * Hosts are normal; whether an account may have one is for the caller to say (tunnel/domains.h).
 * Owns:   copies of names and accounts.
 * Thread: any, one at a time while it changes.
 */
#ifndef TUNNEL_ZONES_H
#define TUNNEL_ZONES_H

#include <stdbool.h>

#include "base/str.h"

struct zones;

struct zones *zones_new(void);
/* NULL is fine. */
void zones_free(struct zones *zs);

/* Enters a host that nobody has, or a wildcard. */
void zones_enter(struct zones *zs, struct str name, struct str account);
/* One that is not there is fine. */
void zones_leave(struct zones *zs, struct str name);

/* The zone of a host: of "*.x" as of "x" it is x. */
struct str zones_of(struct str name);
/* The zone above; empty above the last label. */
struct str zones_above(struct str zone);

/* Who has exactly this host or wildcard, borrowed until it leaves; NULL: nobody. */
const char *zones_owner(const struct zones *zs, struct str name);
/* Who has the zone's own name, or else the wildcard below it; NULL: nobody has either. */
const char *zones_holder(const struct zones *zs, struct str zone);
/* Who has the wildcard below the zone; NULL: nobody. */
const char *zones_wildcard(const struct zones *zs, struct str zone);
/* Is a name below the zone that is not of the account? Names of the zone itself do not count. */
bool zones_has_foreign_below(const struct zones *zs, struct str zone, struct str account);

/* Calls fn with each name and its account, in no order. */
typedef void zones_each_fn(void *arg, struct str name, struct str account);
void zones_each(const struct zones *zs, zones_each_fn *fn, void *arg);

#endif
