/*
 * flag_policy: from the flags that guard or change traffic to a compiled policy (spec 5.6).
 * Nothing is checked here that an action checks itself: this builds configs, asks the policy
 * engine, and turns its answer into the code and the name of the flag.
 * Owns:   what was collected, until flag_policy_fini().
 * Thread: any; pure.
 */
#ifndef SSHD_FLAG_POLICY_H
#define SSHD_FLAG_POLICY_H

#include <jansson.h>

#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"

enum flag_side { FLAG_REQUEST, FLAG_RESPONSE };
enum { FLAG_SIDES = FLAG_RESPONSE + 1 };

struct flag_policy {
    json_t *credentials;               /* owned: list of user:password */
    json_t *allow;                     /* owned: list of CIDR */
    json_t *deny;                      /* owned: list of CIDR */
    json_t *header_add[FLAG_SIDES];    /* owned: name to value */
    json_t *header_remove[FLAG_SIDES]; /* owned: list of names */
    json_t *host;                      /* owned: {"host": value}, or empty */
};

void flag_policy_init(struct flag_policy *p);
void flag_policy_fini(struct flag_policy *p);

/* These only collect; values are valid UTF-8 without NUL. */
void flag_policy_add_credential(struct flag_policy *p, struct str pair);
void flag_policy_add_allow(struct flag_policy *p, struct str cidr);
void flag_policy_add_deny(struct flag_policy *p, struct str cidr);
void flag_policy_remove_header(struct flag_policy *p, enum flag_side side, struct str name);
void flag_policy_set_host(struct flag_policy *p, struct str host);
/* "name: value". -1 with E_HEADER_ADD_REQUEST, E_HEADER_ADD_RESPONSE or E_HEADER_TWICE. */
int flag_policy_add_header(struct flag_policy *p, enum flag_side side, struct str field,
                           struct err *e);

/*
 * Compiles what was collected; *out is NULL when that is nothing. -1 with the code of the flag's
 * value (E_AUTH_*, E_CIDR, E_CIDR_DENY_ONLY, E_HEADER_*), E_FLAG_UNSUPPORTED for expressions, or
 * E_POLICY_INVALID; the message begins with the flag.
 */
int flag_policy_compile(const struct flag_policy *p, struct counted **out, struct err *e);

#endif
