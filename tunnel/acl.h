/*
 * acl: what a credential may bind and connect to (spec section 5.9): rules "*", "bind:VALUE" and
 * "connect:VALUE"; none means all. In authorized_keys the options bind="VALUE" and connect="VALUE"
 * give the VALUE alone: a host, "*.host" for all below it, "host:port" for a TCP endpoint, "*" for
 * everything, or of bind "name=value", which permits nothing here. No scheme: a host permits all.
 * Rules are permissions, so once there is one, what no rule permits is refused: a key with bind rules
 * only connects to nothing, and one with connect rules only publishes nothing.
 * Thread: any; pure.
 */
#ifndef TUNNEL_ACL_H
#define TUNNEL_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct url;

enum { ACL_RULES_MAX = 64 }; /* of each kind */

/* Rules of one kind. */
struct acl_rules {
    char **values; /* owned: normal hosts, "host:port", "*" or "k=v" (which never matches) */
    size_t count;
};

struct acl {
    struct acl_rules bind;
    struct acl_rules connect;
};

void acl_init(struct acl *a);
void acl_fini(struct acl *a);
/* `to` becomes a copy; it held nothing before. */
void acl_copy(struct acl *to, const struct acl *from);
/* Adds the VALUE of a bind rule. Returns 0, or -1 with E_SYNTAX, E_PORT_SYNTAX, E_HOST_* or E_LIMIT. */
int acl_add(struct acl *a, struct str value, struct err *e);
/* The same of a connect rule, whose names lie below .internal. */
int acl_add_connect(struct acl *a, struct str value, struct err *e);
/*
 * Adds a whole rule: "bind:VALUE", "connect:VALUE", or "*", which permits everything. Returns 0, or -1
 * as the two above.
 */
int acl_add_rule(struct acl *a, struct str rule, struct err *e);
/*
 * May this URL be bound? Check it with the final host, after a random name was chosen.
 * Returns 0, or -1 with E_ACL_NAME, E_ACL_ADDRESS or E_ACL_RANDOM_TCP.
 */
int acl_check(const struct acl *a, const struct url *url, struct err *e);
/*
 * May this internal name (folded) be connected to? Whether anything is there plays no part in the
 * answer. Returns 0, or -1 with E_ACL_CONNECT.
 */
int acl_check_connect(const struct acl *a, struct str host, uint16_t port, struct err *e);
/* Is there anything that may not be bound, or not be connected to? */
bool acl_restricts(const struct acl *a);
/* May anything be connected to? */
bool acl_may_connect(const struct acl *a);

#endif
