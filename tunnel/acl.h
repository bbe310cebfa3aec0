/*
 * acl: what a credential may bind (spec section 5.9): rules "*" or "bind:VALUE"; none means all.
 * In authorized_keys the option bind="VALUE" gives the VALUE alone.
 * Thread: any; pure.
 */
#ifndef TUNNEL_ACL_H
#define TUNNEL_ACL_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct url;

enum { ACL_RULES_MAX = 64 };

struct acl {
    char **values; /* owned: normal hosts, "host:port", "*" or "k=v" (which never matches) */
    size_t count;
};

void acl_init(struct acl *a);
void acl_fini(struct acl *a);
/* Adds one VALUE. Returns 0, or -1 with E_SYNTAX, E_PORT_SYNTAX, E_HOST_* or E_LIMIT. */
int acl_add(struct acl *a, struct str value, struct err *e);
/*
 * May this URL be bound? Check it with the final host, after a random name was chosen.
 * Returns 0, or -1 with E_ACL_NAME, E_ACL_ADDRESS or E_ACL_RANDOM_TCP.
 */
int acl_check(const struct acl *a, const struct url *url, struct err *e);

#endif
