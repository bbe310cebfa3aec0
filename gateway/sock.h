/*
 * sock: a stream over a non-blocking socket, with or without TLS on it.
 * Used for downstream connections and for both ends of a relay. Reads up to 64 KiB a turn; writes go
 * straight to the socket and what it does not take stays with the caller (on_writable tells).
 * Owns:   the descriptor, and the TLS session if any.
 * Thread: that of its worker; between sock_detach() and sock_attach() nobody's.
 */
#ifndef GATEWAY_SOCK_H
#define GATEWAY_SOCK_H

#include <stdbool.h>

#include "base/worker.h"
#include "tunnel/stream.h"

struct sock;
struct tls_session;

/*
 * Takes fd (a connected, non-blocking stream socket) and tls (may be NULL). Events start with the
 * next loop turn. With tls, the handshake comes first: sock_params.on_secure tells its end.
 */
struct sock *sock_new(struct worker *w, int fd, struct tls_session *tls,
                      const struct stream_events *events, void *arg);

/* The stream inside; the sock ends with it. */
struct stream *sock_stream(struct sock *s);

/* Called once when the TLS handshake is done; a failed one is on_closed(CLOSE_TLS_ERROR). */
typedef void sock_secure_fn(void *arg);
void sock_on_secure(struct sock *s, sock_secure_fn *fn);
/* The TLS session, or NULL. */
struct tls_session *sock_tls(struct sock *s);

/* The descriptor, for getsockname() and the like. */
int sock_fd(const struct sock *s);

/*
 * Moves the sock, with data it holds, to another worker: detach on the old one, hand the pointer
 * over by message, attach on the new one. No event comes in between.
 */
void sock_detach(struct sock *s);
void sock_attach(struct sock *s, struct worker *w);

#endif
