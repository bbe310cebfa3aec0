/*
 * api_http: the management API over HTTP: makes an api_request of an HTTP request, has it answered by
 * a thread that may block, and writes the HTTP response. Also the rules of CORS (spec api.md 1.13).
 * Owns:   nothing but itself. Borrows the API and the pool.
 * Thread: new and free on main; all else any worker's.
 * Limits: calls_max calls at once; more are answered 429.
 */
#ifndef GATEWAY_API_HTTP_H
#define GATEWAY_API_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct api;
struct api_http;
struct api_http_call;
struct http_request;
struct job_pool;
struct worker;

/* The largest body of a request; more is answered 413. */
enum { API_HTTP_BODY_MAX_BYTES = 1024 * 1024 };
/* A page of a hundred objects with their policies, and a head. */
enum { API_HTTP_ANSWER_MAX_BYTES = 256 * 1024 * 1024 };

struct api_http_params {
    struct api *api;            /* borrowed: outlives us */
    struct job_pool *jobs;      /* borrowed: outlives us */
    const char *base_url;       /* borrowed: outlives us; NULL: as the request says */
    const char *const *origins; /* borrowed: outlives us; of pages that may use the API */
    size_t origin_count;
    uint64_t calls_max;
};

struct api_http *api_http_new(const struct api_http_params *params);
/* No call may be under way. NULL is fine. */
void api_http_free(struct api_http *a);

/* As api_is_well(). */
bool api_http_is_well(const struct api_http *a);

/* Who stands at the other end. */
enum api_http_peer {
    API_HTTP_NETWORK,  /* whoever shows an API key */
    API_HTTP_OPERATOR, /* the local socket: the operator of this machine, who needs none */
};

/* The answer of a call; appends head and body to `out`. `keep_alive` says what the head shall say. */
typedef void api_http_done_fn(void *arg, struct api_http_call *call);
void api_http_write(const struct api_http_call *call, bool keep_alive, struct buf *out);

/*
 * Starts a call; request and body are copied. done() runs on this worker, never before the return;
 * the call is valid during it only.
 */
struct api_http_call *api_http_start(struct api_http *a, struct worker *w, enum api_http_peer peer,
                                     const struct http_request *request, struct str body,
                                     api_http_done_fn *done, void *arg);
/* done() will not be called. What was begun is finished for nobody. */
void api_http_cancel(struct api_http_call *call);

/* Appends the answer to a request that is refused before a call: unreadable, or too large. */
enum api_http_refusal { API_HTTP_UNREADABLE, API_HTTP_TOO_LARGE };
void api_http_refuse(struct api_http *a, enum api_http_refusal why, const char *msg,
                     struct buf *out);

#endif
