/*
 * vaults: secrets of the operator for traffic policies: files DIR/ACCOUNT/VAULT/NAME (spec
 * traffic-policy 7.3, D59). All are read at start and on reload, so that no file is read while a
 * request waits. A newline at the end of a file is no part of the secret. Entries that begin with a
 * dot are not looked at (Kubernetes puts such beside the secrets it mounts).
 * Owns:   copies of the secrets, wiped when they are freed.
 * Thread: vaults_load() blocks on files, so at start and on reload; all else any. Immutable, counted.
 * Limits: those below; what is above them is a problem.
 */
#ifndef GATEWAY_VAULTS_H
#define GATEWAY_VAULTS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum { VAULTS_SECRETS_MAX = 10000, VAULTS_NAME_BYTES = 128, VAULTS_SECRET_BYTES = 64 * 1024 };

struct vaults;

/* NULL with every problem as a line "PATH: text". */
struct vaults *vaults_load(const char *folder, struct buf *problems);
void vaults_ref(struct vaults *v);
/* NULL is fine. */
void vaults_unref(struct vaults *v);

size_t vaults_count(const struct vaults *v);
/* The secret, borrowed, or p == NULL; `v` may be NULL. Valid UTF-8. */
struct str vaults_find(const struct vaults *v, struct str account, struct str vault,
                       struct str name);

#endif
