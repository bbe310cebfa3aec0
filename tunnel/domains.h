/*
 * domains: names and TCP addresses that are reserved for accounts (spec section 3.3).
 * Thread: any, one at a time while it changes.
 * Limits: DOMAINS_MAX reservations; a look costs some probes for each label of a name, however many there are.
 */
#ifndef TUNNEL_DOMAINS_H
#define TUNNEL_DOMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { DOMAINS_MAX = 100000 };

struct domains;
struct url;

/* What stands against a reservation. */
enum domains_clash {
    DOMAINS_CLEAR,
    DOMAINS_OWN,    /* the account has this very one already */
    DOMAINS_OTHER,  /* it is, or is below or above, one of another account */
    DOMAINS_COVERS, /* it is a wildcard over one of another account */
};

/*
 * `base` is the base domain (a normal host, copied). With auto_reserve any name or wildcard may be
 * used that nobody else has reserved (nor a parent of it), but for wildcards over the whole base.
 */
struct domains *domains_new(struct str base, bool auto_reserve);
struct domains *domains_copy(const struct domains *d);
void domains_free(struct domains *d);

/*
 * Reserves a host, "*.host" or "host:port" (TCP) for an account. A host and all names below it
 * belong to one account. Returns 0, or -1 with E_HOST_TAKEN (also when it is reserved twice),
 * E_TCP_TAKEN, E_PORT_SYNTAX, E_HOST_* or E_LIMIT.
 */
int domains_add(struct domains *d, struct str name, struct str account, struct err *e);

/* What domains_add() would say of a normal host or, with port != 0, of a TCP address. */
enum domains_clash domains_find_clash(const struct domains *d, struct str host, uint16_t port,
                                      struct str account);
/* Takes a reservation back; `host` is normal. One that is not there is fine. */
void domains_remove(struct domains *d, struct str host, uint16_t port);
/* Is the address covered by a reservation of the account? */
bool domains_covers(const struct domains *d, const struct url *url, struct str account);

/*
 * May the account put an endpoint at this address? Random names (empty host) and internal ones
 * always may. Returns 0, or -1 with E_WILDCARD_NOT_RESERVED, E_HOST_NOT_RESERVED, E_HOST_TAKEN,
 * E_WILDCARD_TOO_WIDE, E_NESTED_NAME, E_TCP_NOT_RESERVED, E_TCP_TAKEN.
 */
int domains_check(const struct domains *d, const struct url *url, struct str account,
                  struct err *e);

#endif
