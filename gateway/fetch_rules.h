/*
 * fetch_rules: where requests that policies make may go (spec traffic-policy 6.10, D39): the operator's
 * list "http_request.allow". An entry is
 *   - a host name, "*.example.com" for all below it, or "*" for all names: allowed as far as they
 *     resolve to public addresses;
 *   - an address or a CIDR block: allowed whatever name leads there, private ones too.
 * Without an entry that fits, nothing is fetched: a policy belongs to a user of the gateway, and the
 * gateway stands in a network where that user does not.
 * Owns:   its entries; counted, so that a reload never pulls them from under a request.
 * Thread: any; immutable once filled.
 */
#ifndef GATEWAY_FETCH_RULES_H
#define GATEWAY_FETCH_RULES_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/str.h"

struct fetch_rules;

struct fetch_rules *fetch_rules_new(void);
void fetch_rules_ref(struct fetch_rules *r);
/* NULL is fine. */
void fetch_rules_unref(struct fetch_rules *r);
/* Adds an entry, before the rules are shared. -1 with E_CIDR or E_HOST_* when it is none. */
int fetch_rules_add(struct fetch_rules *r, struct str text, struct err *e);

/* What a host (folded) may lead to. */
enum fetch_reach {
    FETCH_NOWHERE, /* no address of it can be allowed */
    FETCH_BLOCKS,  /* addresses that are listed */
    FETCH_PUBLIC,  /* these and all public ones */
};
enum fetch_reach fetch_rules_reach(const struct fetch_rules *r, struct str host);
/* True if a host of that reach may be talked to at this address. */
bool fetch_rules_allow(const struct fetch_rules *r, enum fetch_reach reach, const struct addr *a);

/* False for loopback, private, link-local, documentation, multicast and other addresses that no server
 * of the internet has (IANA's special-purpose registries, RFC 6890). */
bool fetch_is_public(const struct addr *a);

#endif
