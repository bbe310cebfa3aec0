/*
 * flag_policy: from the flags that guard or change traffic to policy documents (spec 5.6).
 * Nothing is checked here that an action checks itself: this builds configs, asks the policy
 * engine, and turns its answer into the code and the name of the flag.
 * Owns:   what was collected, until flag_policy_fini().
 * Thread: any; pure.
 */
#ifndef SSHD_FLAG_POLICY_H
#define SSHD_FLAG_POLICY_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct policy_document;
struct policy_engine;

enum flag_side { FLAG_REQUEST, FLAG_RESPONSE };
enum { FLAG_SIDES = FLAG_RESPONSE + 1 };

struct flag_policy {
    json_t *credentials;               /* owned: list of user:password */
    json_t *allow;                     /* owned: list of CIDR */
    json_t *deny;                      /* owned: list of CIDR */
    json_t *agent_allow;               /* owned: list of patterns */
    json_t *agent_deny;                /* owned: list of patterns */
    json_t *header_add[FLAG_SIDES];    /* owned: name to value */
    json_t *header_remove[FLAG_SIDES]; /* owned: list of names */
    json_t *host;                      /* owned: {"host": value}, or empty */
    json_t *webhook;                   /* owned: {"provider": value, "secret": value} */
    json_t *breaker;                   /* owned: {"error_threshold": number}, or empty */
    bool compression;
    bool raw; /* for endpoints whose bytes nobody reads: guards look at the connection */
};

/*
 * What the flags come to: rules that run before those of the user's own document and rules that run
 * behind them. Each NULL when there are none.
 */
struct flag_documents {
    struct policy_document *tls;   /* owned: how TLS ends; in front of the others */
    struct policy_document *front; /* owned: who may come in */
    struct policy_document *back;  /* owned: what changes on the way out */
};

void flag_policy_init(struct flag_policy *p);
void flag_policy_fini(struct flag_policy *p);

/* These only collect; values are valid UTF-8 without NUL. */
void flag_policy_add_credential(struct flag_policy *p, struct str pair);
void flag_policy_add_allow(struct flag_policy *p, struct str cidr);
void flag_policy_add_deny(struct flag_policy *p, struct str cidr);
void flag_policy_add_agent_allow(struct flag_policy *p, struct str pattern);
void flag_policy_add_agent_deny(struct flag_policy *p, struct str pattern);
void flag_policy_remove_header(struct flag_policy *p, enum flag_side side, struct str name);
void flag_policy_set_host(struct flag_policy *p, struct str host);
void flag_policy_set_webhook(struct flag_policy *p, struct str provider);
void flag_policy_set_webhook_secret(struct flag_policy *p, struct str secret);
void flag_policy_set_breaker(struct flag_policy *p, double error_threshold);
void flag_policy_set_compression(struct flag_policy *p, bool on);
/* "name: value". -1 with E_HEADER_ADD_REQUEST, E_HEADER_ADD_RESPONSE or E_HEADER_TWICE. */
int flag_policy_add_header(struct flag_policy *p, enum flag_side side, struct str field,
                           struct err *e);

/*
 * Makes the documents. -1 with the code of the flag's value (E_AUTH_*, E_CIDR, E_CIDR_DENY_ONLY,
 * E_AGENT_PATTERN, E_HEADER_*, E_POLICY_WEBHOOK_*, E_BREAKER_RATIO), or E_POLICY_INVALID; the message begins with the
 * flag. `out` is then empty.
 */
int flag_policy_documents(const struct flag_policy *p, const struct policy_engine *engine,
                          struct flag_documents *out, struct err *e);

/* How TLS ends here by flags; each text is PEM or empty. */
struct flag_tls {
    struct str authorities; /* of visitors' certificates */
    struct str certificate; /* with its key */
};

/* Makes out->tls. -1 with E_MTLS_CAS, E_MTLS_NOT_CA, E_CERTIFICATE_PAIR or E_POLICY_INVALID. */
int flag_policy_end_tls(const struct flag_tls *tls, const struct policy_engine *engine,
                        struct flag_documents *out, struct err *e);
void flag_documents_fini(struct flag_documents *d);

#endif
