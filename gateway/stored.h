/*
 * stored: what objects of the management API mean to sessions and requests, read from the store: keys
 * that may log in, secrets, IP policies, certificates, names.
 * One object that cannot be used is logged and left out, so that it admits nobody, and harms no other.
 * Thread: any that may block.
 */
#ifndef GATEWAY_STORED_H
#define GATEWAY_STORED_H

#include "base/err.h"

struct authkeys;
struct ip_policies;
struct names;
struct seal_key;
struct store;
struct tls_attached;
struct vaults;

/* Each is new, with one reference; NULL with E_STORE. */
struct authkeys *stored_keys(struct store *s, struct err *e);
/* Opens each secret; what held it on the way is wiped. */
struct vaults *stored_vaults(struct store *s, const struct seal_key *k, struct err *e);
struct ip_policies *stored_ip_policies(struct store *s, struct err *e);
/* Those that a reserved domain has; each key is opened. */
struct tls_attached *stored_certificates(struct store *s, const struct seal_key *k, struct err *e);
/* Gives reserved domains and addresses to `n`. Returns 0, or -1 with E_STORE. */
int stored_names(struct store *s, struct names *n, struct err *e);

#endif
