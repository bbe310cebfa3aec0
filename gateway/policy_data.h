/*
 * policy_data: what running policies are lent: where addresses are, which categories they are in,
 * secrets, IP policies. What the operator gives is read at start and on reload; a reload reads all anew
 * and swaps it in, or keeps the old. What accounts keep in the store is laid over that; where
 * both have a name, the operator's counts.
 * Owns:   what it read, and a reference to the config.
 * Thread: policy_data_load() blocks on files, so main; all else any. Immutable, counted.
 */
#ifndef GATEWAY_POLICY_DATA_H
#define GATEWAY_POLICY_DATA_H

#include "base/buf.h"
#include "base/str.h"
#include "policy/host.h"

struct config;
struct geo;
struct ip_lists;
struct ip_policies;
struct policy_data;
struct vaults;

/* NULL with every problem as a line "PATH: text". */
struct policy_data *policy_data_load(struct config *config, struct buf *problems);
/* What `d` has of the operator, over other things of the store; both get a reference. */
struct policy_data *policy_data_over(const struct policy_data *d, struct vaults *vaults,
                                     struct ip_policies *ip_policies);
/* NULL is fine for both. */
void policy_data_ref(struct policy_data *d);
void policy_data_unref(struct policy_data *d);

/* Borrowed; NULL: none was configured. `d` may be NULL in all of these: there is nothing. */
const struct geo *policy_data_geo(const struct policy_data *d);
const struct ip_lists *policy_data_lists(const struct policy_data *d);
const struct vaults *policy_data_vaults(const struct policy_data *d); /* of the operator */
/* A secret of the account, or p == NULL. */
struct str policy_data_secret(const struct policy_data *d, struct str account, struct str vault,
                              struct str name);
/* One of the operator, by its name, or of the account, by its id; or NULL. */
const struct policy_ip_rules *policy_data_ip_policy(const struct policy_data *d, struct str account,
                                                    struct str name);

#endif
