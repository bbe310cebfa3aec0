/*
 * sock: a stream over a non-blocking socket, with or without TLS on it.
 * Used for downstream connections and for both ends of a relay. Reads up to SOCK_READ_BYTES at once;
 * writes go straight to the socket and what it does not take stays with the caller (on_writable
 * tells). stream_close(CLOSE_DONE) lets the peer read all of it first (gateway/linger.h).
 * Owns:   the descriptor, and the TLS session if any.
 * Thread: that of its worker; between sock_detach() and sock_attach() nobody's.
 * Limits: what a receiver leaves is kept, at most SOCK_READ_BYTES; with TLS, at most
 *         TLS_HELD_MAX_BYTES more wait encrypted for the socket.
 */
#ifndef GATEWAY_SOCK_H
#define GATEWAY_SOCK_H

#include <stdbool.h>

#include "base/worker.h"
#include "tunnel/stream.h"

struct sock;
struct tls_session;

/* One on_data is at most this: two of the largest SSH data packets that libssh makes. */
enum { SOCK_READ_BYTES = 2 * 32758 };

/*
 * Takes fd (a connected, non-blocking stream socket) and tls (may be NULL). Events start with the
 * next loop turn. With tls, the handshake comes first and sock_on_secure() tells its end; what is
 * written before is not taken, and on_writable comes after it.
 */
struct sock *sock_new(struct worker *w, int fd, struct tls_session *tls,
                      const struct stream_events *events, void *arg);

/* The stream inside; the sock ends with it. */
struct stream *sock_stream(struct sock *s);
/* For a sock without TLS that is given away as a dialled stream: on_open comes first, in the next turn. */
void sock_tell_open(struct sock *s);

/* Called once, when the TLS handshake is done; a failed one is on_closed(CLOSE_TLS_ERROR). */
typedef void sock_secure_fn(void *arg);
void sock_on_secure(struct sock *s, sock_secure_fn *fn, void *arg);
/*
 * Puts TLS (taken) on a plain sock that has moved no byte yet and reads none (sock_hold()): the
 * handshake begins, sock_on_secure() tells its end, and the sock goes on holding.
 */
void sock_secure(struct sock *s, struct tls_session *tls);
/* Its descriptor, borrowed. */
int sock_fd(const struct sock *s);
/*
 * Reads nothing from now on, until stream_resume(), so that what the peer sends stays in the kernel.
 * What comes of the peer meanwhile, a reset included, is noticed after that. Not for a sock whose
 * handshake is under way.
 */
void sock_hold(struct sock *s);
/* The TLS session, or NULL. */
struct tls_session *sock_tls(struct sock *s);

/*
 * Moves the sock, with data it holds, to another worker: detach on the old one, hand the pointer
 * over by message, attach on the new one. No event comes in between; what the receiver left is
 * delivered again after the attach. Not from inside an event of this sock (use worker_defer()):
 * the code that called the event still works on it.
 */
void sock_detach(struct sock *s);
void sock_attach(struct sock *s, struct worker *w);

#endif
