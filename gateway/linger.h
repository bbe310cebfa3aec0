/*
 * linger: the end of a connection whose owner is done with it.
 * A close() while bytes of the peer are unread makes the kernel send a reset, which can destroy the
 * answer before the peer has read it (RFC 9112 section 9.6). So the sending side is shut down first,
 * what still comes is thrown away, and the descriptor is closed when the peer has closed too.
 * Owns:   the descriptors and TLS sessions it was given, until they are closed; what is left when
 *         the worker is freed is closed then.
 * Thread: that of the worker.
 * Limits: LINGER_MAX connections a worker, then they are closed at once; LINGER_DISCARD_MAX_BYTES,
 *         LINGER_FLUSH_MS and LINGER_MS each.
 */
#ifndef GATEWAY_LINGER_H
#define GATEWAY_LINGER_H

#include "base/worker.h"

struct tls_session;

enum {
    LINGER_MAX = 1000,
    LINGER_DISCARD_MAX_BYTES = 8 * 1024 * 1024, /* more than both sockets buffer of an upload */
    LINGER_TURN_BYTES = 64 * 1024,              /* then other connections get their turn */
    LINGER_FLUSH_MS = 30000, /* for TLS bytes that the socket has not taken yet */
    LINGER_MS = 2000,        /* for the peer to close, after that */
};

/*
 * Takes a connected, non-blocking socket that no watcher uses any more. `tls` (taken, may be NULL)
 * is a session that has sent its close_notify and may still hold bytes for the socket.
 */
void linger_close(struct worker *w, int fd, struct tls_session *tls);

#endif
