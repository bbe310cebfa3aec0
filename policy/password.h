/*
 * password: password hashes in the form of crypt(5), as htpasswd and mkpasswd make them.
 * Verifying one takes milliseconds by design: never on a worker's loop.
 * Thread: any; pure.
 * Limits: PASSWORD_HASH_MAX_BYTES; a cost beyond a second or so of one CPU is refused.
 */
#ifndef POLICY_PASSWORD_H
#define POLICY_PASSWORD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum { PASSWORD_HASH_MAX_BYTES = 256, PASSWORD_MAX_BYTES = 512 };

/* True if the text looks like a hash rather than a password: "$id$...". */
bool password_is_hash(struct str text);
/* Checks that the hash can be verified here, at a reasonable cost. -1 with E_POLICY_FIELD. */
int password_check_hash(struct str hash, struct err *e);
/* True if the password has this hash. Slow. */
bool password_verify(struct str password, struct str hash);

#endif
