/*
 * tls_stream: TLS, as its client, around a stream: what is spoken to upstreams that want it.
 * It opens when the handshake is done. A peer that goes without close_notify (RFC 8446 section 6.1)
 * is a reset, never an end of data. Half-closing sends close_notify and then half-closes inner.
 * Owns:   the stream it is wrapped around, and the TLS session.
 * Thread: that of the stream.
 * Limits: holds one decrypted record that the owner did not take, and one encrypted one that inner
 *         did not take; the handshake has its time.
 */
#ifndef GATEWAY_TLS_STREAM_H
#define GATEWAY_TLS_STREAM_H

#include <stdint.h>

#include <openssl/types.h>

#include "base/str.h"
#include "base/worker.h"
#include "tunnel/stream.h"

struct endpoint;

/* Hears why TLS failed, for the log and the user; visitors learn no more than the close reason. */
typedef void tls_stream_problem_fn(void *arg, struct endpoint *ep, const char *problem);

struct tls_stream_params {
    struct worker *worker;
    struct stream *inner;  /* taken; it was dialled and has told nothing yet */
    SSL *ssl;              /* taken; set up for a client */
    uint64_t handshake_ms; /* from when inner is open; also for sending the rest after a close */
    struct endpoint *ep;   /* borrowed: the owner holds it as long as the stream */
    tls_stream_problem_fn *on_problem;
    void *arg; /* of on_problem */
};

struct stream *tls_stream_new(const struct tls_stream_params *params,
                              const struct stream_events *events, void *arg);

/* The protocol that ALPN chose, or empty; from on_open on. `s` is a stream of tls_stream_new(). */
struct str tls_stream_alpn(const struct stream *s);

#endif
