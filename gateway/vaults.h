/*
 * vaults: secrets for traffic policies, each of an account, a vault and a name (spec traffic-policy 7.3,
 * D59): those of the operator are files DIR/ACCOUNT/VAULT/NAME, those of the management API are added
 * one by one. All are read ahead, so that no file is read while a request waits. A newline at the end of a file is no part of the secret. Entries that begin with a
 * dot are not looked at (Kubernetes puts such beside the secrets it mounts).
 * Owns:   copies of the secrets, wiped when they are freed.
 * Thread: vaults_load() blocks on files, so at start and on reload; all else any. Counted, and immutable
 *         once others have it.
 * Limits: those below, of files; what is above them is a problem.
 */
#ifndef GATEWAY_VAULTS_H
#define GATEWAY_VAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum { VAULTS_SECRETS_MAX = 10000, VAULTS_NAME_BYTES = 128, VAULTS_SECRET_BYTES = 64 * 1024 };

struct vaults;

/* NULL with every problem as a line "PATH: text". */
struct vaults *vaults_load(const char *folder, struct buf *problems);
/* None yet. */
struct vaults *vaults_new(void);
/* Adds a secret (copied). False if the names are none, or it is there. */
bool vaults_add(struct vaults *v, struct str account, struct str vault, struct str name,
                struct str value);
void vaults_ref(struct vaults *v);
/* NULL is fine. */
void vaults_unref(struct vaults *v);

size_t vaults_count(const struct vaults *v);
/* The secret, borrowed, or p == NULL; `v` may be NULL. Valid UTF-8. */
struct str vaults_find(const struct vaults *v, struct str account, struct str vault,
                       struct str name);

#endif
