/*
 * document: a text behind a URL that a command needs before anything of it is public. gateway fetches it;
 * sshd asks, and knows nothing of HTTP.
 * Thread: that of the worker whose front asks.
 */
#ifndef TUNNEL_DOCUMENT_H
#define TUNNEL_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct document; /* one that is fetched; the gateway's */

struct document_request {
    struct str url; /* copied */
    size_t max_bytes;
    uint64_t timeout_ms;
    void (*done)(void *arg); /* once, never before start() has returned */
    void *arg;
};

struct document_ops {
    /* Never fails by itself: what is wrong is told when it is done. */
    struct document *(*start)(void *ctx, const struct document_request *request);
    /* When it is done. Returns 0 with the text, borrowed from it; or -1 with e, which names the flag. */
    int (*read)(const struct document *d, struct str *text, struct err *e);
    /* Cancels it if it is under way. NULL is fine. */
    void (*free)(struct document *d);
};

struct document_source {
    const struct document_ops *ops; /* borrowed: static */
    void *ctx;                      /* borrowed: the ops' own, outlives the front */
};

#endif
