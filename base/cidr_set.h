/*
 * cidr_set: a few CIDR blocks that addresses are compared with, shared and never changed: the
 * operator's lists of balancers and of trusted proxies.
 * A lookup goes through all of them. Lists of thousands have policy/ip_table.h.
 * Thread: any.
 */
#ifndef BASE_CIDR_SET_H
#define BASE_CIDR_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

struct cidr_set;

/* A copy of the blocks, with one reference. */
struct cidr_set *cidr_set_new(const struct cidr *items, size_t count);

/* NULL is fine for all of these, and is a set without blocks. */
void cidr_set_ref(struct cidr_set *s);
void cidr_set_unref(struct cidr_set *s);
bool cidr_set_has(const struct cidr_set *s, const struct addr *a);

#endif
