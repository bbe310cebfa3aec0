/*
 * policy_data: what the operator lends to running policies: where addresses are, which categories they
 * are in, secrets, IP policies. Read at start and on reload; a reload reads all anew and swaps it in,
 * or keeps the old.
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
struct policy_data;
struct vaults;

/* NULL with every problem as a line "PATH: text". */
struct policy_data *policy_data_load(struct config *config, struct buf *problems);
/* NULL is fine for both. */
void policy_data_ref(struct policy_data *d);
void policy_data_unref(struct policy_data *d);

/* Borrowed; NULL: none was configured. `d` may be NULL in all of these: there is nothing. */
const struct geo *policy_data_geo(const struct policy_data *d);
const struct ip_lists *policy_data_lists(const struct policy_data *d);
const struct vaults *policy_data_vaults(const struct policy_data *d);
const struct policy_ip_rules *policy_data_ip_policy(const struct policy_data *d, struct str name);

#endif
