/*
 * fetch_shared: documents that many requests need, such as key sets (policy/host.h): fetched once for a
 * worker, kept by URL, asked for again when they are old. Whoever asks while a fetch is under way
 * waits for that one. When a fetch fails, what is there serves on for a while. A fresh document that
 * does not help is fetched early, at most once in refetch_ms, whoever asks (D41).
 * Owns:   the documents, and the fetches that are under way.
 * Thread: that of its worker.
 * Limits: FETCH_SHARED_MAX documents, of which the least recently used goes first.
 */
#ifndef GATEWAY_FETCH_SHARED_H
#define GATEWAY_FETCH_SHARED_H

#include <stdbool.h>

#include "base/err.h"
#include "policy/host.h"

struct fetch_rules;
struct fetch_shared;
struct fetcher;

enum {
    FETCH_SHARED_MAX = 256,
    FETCH_SHARED_RETRY_MS = 1000, /* what failed is left alone for so long */
    FETCH_SHARED_REDIRECTS = 3,
};

/* One that waits; zeroed before the first question. */
struct fetch_shared_wait {
    struct fetch_shared_wait *prev;
    struct fetch_shared_wait *next;
    struct fetch_shared_wait **list; /* borrowed: the head of the list it is in; NULL: none */
    bool is_told;                    /* the fetch it waited for is over */
    void (*done)(void *arg);
    void *arg;
};

/* The fetcher is borrowed: it outlives us. */
struct fetch_shared *fetch_shared_new(struct fetcher *f);
/* Nobody may wait any more. NULL is fine. */
void fetch_shared_free(struct fetch_shared *s);

struct fetch_shared_params {
    const struct policy_shared_fetch *request;
    struct fetch_rules *rules;
    size_t max; /* of the fetcher */
};

/*
 * As policy_host.fetch_shared(). POLICY_PENDING: wait->done(wait->arg) is called once, on a later turn;
 * then ask again with the same wait.
 */
enum policy_ready fetch_shared_ask(struct fetch_shared *s, const struct fetch_shared_params *params,
                                   struct fetch_shared_wait *wait,
                                   struct policy_shared_fetched *out, struct err *e);
/* Waits no longer; harmless when it does not. */
void fetch_shared_leave(struct fetch_shared_wait *wait);

#endif
