/*
 * ip_policies: the IP policies that accounts keep in the store, for restrict-ips (spec traffic-policy
 * 7.2): each is found by its id, and only by policies of its own account.
 * Owns:   copies of all it is given.
 * Thread: any. Counted, and immutable once others have it.
 */
#ifndef GATEWAY_IP_POLICIES_H
#define GATEWAY_IP_POLICIES_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"
#include "policy/host.h"

struct ip_policies;

/* None yet. */
struct ip_policies *ip_policies_new(void);
void ip_policies_ref(struct ip_policies *p);
/* NULL is fine. */
void ip_policies_unref(struct ip_policies *p);

/* Adds a policy without rules, which admits nobody. False if the id is there. */
bool ip_policies_add(struct ip_policies *p, struct str id, struct str account);
/* Adds a rule; false if there is no policy with this id. */
bool ip_policies_add_rule(struct ip_policies *p, struct str id, const struct cidr *block,
                          bool allows);
/* Removes a policy; an unknown id is fine. */
void ip_policies_remove(struct ip_policies *p, struct str id);

/* The rules of a policy, borrowed; or NULL, also for one of another account. `p` may be NULL. */
const struct policy_ip_rules *ip_policies_find(const struct ip_policies *p, struct str account,
                                               struct str id);

#endif
