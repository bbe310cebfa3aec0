/*
 * preface: what is read of an accepted connection before its protocol begins: the PROXY header of a
 * balancer, which is taken off, and then the ClientHello, which is only looked at: whoever the
 * connection goes to, OpenSSL or an upstream, finds it whole.
 * Owns:   nothing of the connection: its descriptor stays the caller's, and must stay open.
 * Thread: that of the connection.
 * Limits: one timer for each of the two; CLIENT_HELLO_*_MAX_BYTES. The bytes wait in the kernel, so
 *         a slow client costs no memory here.
 */
#ifndef GATEWAY_PREFACE_H
#define GATEWAY_PREFACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/proxy_protocol.h"
#include "base/worker.h"
#include "gateway/tls_ja4.h"
#include "tunnel/close.h"
#include "tunnel/host.h"

struct preface;

struct preface_params {
    struct worker *worker; /* borrowed: outlives the preface */
    int fd;                /* non-blocking; nothing of it was read */
    bool wants_proxy;      /* it must begin with a PROXY header */
    bool wants_hello;
    uint64_t proxy_timeout_ms;
    uint64_t hello_timeout_ms;
};

/* What was read. */
struct preface_facts {
    struct proxy_header proxy; /* local when none was wanted */
    /* Of the ClientHello; both empty when it has no valid name, or is none: TLS will refuse it. */
    char server_name[HOST_MAX_BYTES + 1]; /* folded */
    char ja4[JA4_BYTES];
};

/* Exactly one of the two comes, from the loop and never from preface_new(). It may free the preface. */
struct preface_events {
    void (*on_read)(void *arg, const struct preface_facts *facts);
    /* `why` is CLOSE_PROTOCOL for a missing or malformed PROXY header. */
    void (*on_failed)(void *arg, enum close_reason why, const char *text);
};

/* At least one of the two must be wanted. */
struct preface *preface_new(const struct preface_params *params,
                            const struct preface_events *events, void *arg);
/* In any state; NULL is fine. */
void preface_free(struct preface *p);

/* True while the PROXY header has not come. */
bool preface_awaits_proxy(const struct preface *p);

#endif
