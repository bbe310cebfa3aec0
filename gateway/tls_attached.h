/*
 * tls_attached: certificates of the management API, found by the reserved domain that each is attached to,
 * whatever names they have themselves. The domain itself goes before a wildcard over it, and a close wildcard
 * before a wide one.
 * Owns:   certificates and keys. Counted; changes only while it is made.
 * Thread: any.
 */
#ifndef GATEWAY_TLS_ATTACHED_H
#define GATEWAY_TLS_ATTACHED_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct tls_attached;
struct tls_pair;

struct tls_attached *tls_attached_new(void);
void tls_attached_ref(struct tls_attached *a);
/* NULL is fine. */
void tls_attached_unref(struct tls_attached *a);

/* A certificate by its id. Returns 0, or -1 with E_CERTIFICATE_PEM. */
int tls_attached_add(struct tls_attached *a, struct str id, struct str certificate_pem,
                     struct str key_pem, struct err *e);
/* Serves the domain with the certificate of this id. False: there is none, or the domain has one. */
bool tls_attached_attach(struct tls_attached *a, struct str domain, struct str id);

/* Is the domain served with the certificate of this id (empty: with none)? */
bool tls_attached_is(const struct tls_attached *a, struct str domain, struct str id);

/* The pair for a folded host, borrowed, or NULL. */
const struct tls_pair *tls_attached_find(const struct tls_attached *a, struct str host);

#endif
