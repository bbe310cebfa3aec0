/*
 * tls_client: TLS towards upstreams, by OpenSSL: client contexts and how a handshake is set up.
 * A context for each set of authorities is kept, since reading them is the expensive part. TLS 1.2
 * and 1.3; no renegotiation, no resumption.
 * Owns:   its contexts; sessions keep the one they were made with.
 * Thread: its worker's.
 * Limits: TLS_CLIENT_CONTEXTS_MAX contexts; the one that was not used for longest goes.
 */
#ifndef GATEWAY_TLS_CLIENT_H
#define GATEWAY_TLS_CLIENT_H

#include <openssl/types.h>

#include "base/err.h"
#include "base/str.h"

struct endpoint;
struct tls_client;

enum { TLS_CLIENT_CONTEXTS_MAX = 32 };

/* What is offered by ALPN. */
enum tls_client_alpn { TLS_CLIENT_NO_ALPN, TLS_CLIENT_HTTP1, TLS_CLIENT_HTTP2 /* or HTTP/1.1 */ };

struct tls_client *tls_client_new(void);
void tls_client_free(struct tls_client *c);

/*
 * A session for the upstream of ep: SNI and the name to be verified are its tls_host, of which an IP
 * address has no SNI (RFC 6066 section 3). The authorities of the system are read from its certificate
 * folder as they are needed. NULL with E_UPSTREAM_TLS when the authorities cannot be used.
 */
SSL *tls_client_session(struct tls_client *c, const struct endpoint *ep, enum tls_client_alpn alpn,
                        struct err *e);
/* Of a session that was given to nobody. */
void tls_client_session_free(SSL *ssl);

#endif
