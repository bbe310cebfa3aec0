/*
 * key_source: looking through key sets at URLs for the key of a token (spec traffic-policy 6.11,
 * D41). The documents are fetched through the host, which keeps them for a worker; what they are
 * parsed to is kept in the worker's cache (policy/local.h), so that a token costs no parsing of keys.
 * A set is good for KEY_SOURCE_FRESH_MS. When it cannot be renewed, or what came is no key set, the
 * last good one serves until it is KEY_SOURCE_STALE_MS old. A token with a key that no set has makes
 * each set be fetched early, at most once in KEY_SOURCE_REFETCH_MS.
 * Owns:   nothing; a search lies in the arena of the exchange.
 * Thread: that of the exchange.
 * Limits: KEY_SOURCE_TRIES_MAX signatures are checked for a token; a search waits for documents for
 *         at most KEY_SOURCE_WAIT_MS in all.
 */
#ifndef POLICY_KEY_SOURCE_H
#define POLICY_KEY_SOURCE_H

#include "base/err.h"
#include "base/str.h"
#include "policy/host.h"

struct action_run;
struct jwt;

enum {
    KEY_SOURCE_FRESH_MS = 15 * 60 * 1000,
    KEY_SOURCE_STALE_MS = 24 * 60 * 60 * 1000,
    KEY_SOURCE_REFETCH_MS = 60 * 1000,
    KEY_SOURCE_TIMEOUT_MS = 5 * 1000, /* of one fetch */
    KEY_SOURCE_WAIT_MS = 10 * 1000,
    KEY_SOURCE_RETRY_MS = 10 * 1000, /* a source that failed is left alone for so long */
    KEY_SOURCE_TRIES_MAX = 16,
};

/* The search for the key of one token; zeroed at its start. */
struct key_search {
    bool is_started;
    bool is_second;  /* pass: no set had the key, so newer ones are asked for */
    bool is_pending; /* `fetch` is under way */
    bool has_wrong;  /* some key fits the token, but did not sign it */
    bool has_failed; /* some source had no keys to give */
    size_t index;    /* of the URL */
    unsigned tries;  /* that are left */
    uint64_t deadline_ms;
    struct policy_shared_fetch fetch;
};

/*
 * POLICY_READY: the signature is good. POLICY_FAILED with E_CREDENTIALS, or E_TOKEN_KEYS when the key
 * may be in a set that cannot be had. After POLICY_PENDING call it again with the same arguments.
 */
enum policy_ready key_source_verify(struct action_run *run, const struct str *urls, size_t count,
                                    const struct jwt *t, struct key_search *s, struct err *e);

#endif
