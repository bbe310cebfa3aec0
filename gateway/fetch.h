/*
 * fetch: HTTP requests of the gateway itself, by libcurl on the worker's loop: for traffic policies, and
 * to event destinations.
 * http and https only; no proxies of the environment, no cookies. Redirects are followed here, so that
 * each target meets the rules (gateway/fetch_rules.h): its name before it is looked up, its address
 * before a byte is sent. Names are resolved on threads of libcurl.
 * Owns:   a fetcher its connections, which are kept for further requests; a fetch copies of what it
 *         was given, and its result.
 * Thread: that of its worker.
 * Limits: those of the request; FETCH_HEADERS_MAX fields and FETCH_HEADER_BYTES of response headers;
 *         as many fetches as the fetcher was told.
 */
#ifndef GATEWAY_FETCH_H
#define GATEWAY_FETCH_H

#include <stddef.h>

#include "base/err.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "policy/host.h"

struct fetch;
struct fetch_rules;
struct fetcher;
struct http_headers;

enum {
    FETCH_HEADERS_MAX = 200,
    FETCH_HEADER_BYTES = 64 * 1024,
    FETCH_KEPT_MAX = 32, /* connections */
    FETCH_HOPS_MAX = 3,
};

/*
 * A policy may fetch from an endpoint of this gateway whose policy fetches again, and so on: each fetch
 * says in a field how many were before it. How many that were for the request with these fields.
 */
unsigned fetch_hops(const struct http_headers *h);

/* What the requests of a fetcher are for: how errors begin, and what they are counted as. */
struct fetch_purpose {
    const char *name;
    enum metric running;
    enum metric total;
};
extern const struct fetch_purpose fetch_for_policies;
extern const struct fetch_purpose fetch_for_events;

struct fetcher *fetcher_new(struct worker *w, const struct fetch_purpose *purpose);
/* Every fetch of it must be gone. NULL is fine. */
void fetcher_free(struct fetcher *f);
struct worker *fetcher_worker(const struct fetcher *f);

struct fetch_params {
    const char *name;                   /* how errors begin, static; NULL: as the purpose has it */
    const struct policy_fetch *request; /* copied; gateway headers included */
    struct fetch_rules *rules;          /* a reference is taken */
    size_t max;                         /* fetches under way; more fail */
    unsigned hops;                      /* fetch_hops() of the request that this one is for */
    void (*done)(void *arg);            /* once, never before fetch_start() returned */
    void *arg;
};

/* Never fails by itself: whatever is wrong is told by done(). */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_params *params);
/* Cancels it if it is under way. NULL is fine. */
void fetch_free(struct fetch *f);

/* After done(). E_OK, or E_FETCH_FAILED, E_FETCH_TIMEOUT, E_FETCH_REDIRECTS, E_FETCH_TOO_LARGE,
 * E_FETCH_LOOP. */
const struct err *fetch_error(const struct fetch *f);
/* As far as it is known; lives as long as the fetch. */
const struct policy_fetched *fetch_result(const struct fetch *f);

#endif
