/*
 * fetch_loop: transfers of libcurl on a worker's loop, by its multi interface.
 * Owns:   the connections, which are kept for further transfers; no handle.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_FETCH_LOOP_H
#define GATEWAY_FETCH_LOOP_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/worker.h"

struct fetch_loop;

/* A transfer has ended; it is still in the loop, and may be freed once it has been removed. `arg` is that of
 * fetch_loop_add(). */
typedef void fetch_loop_end_fn(void *arg, CURLcode code);

/* `kept_max`: connections without a transfer. */
struct fetch_loop *fetch_loop_new(struct worker *w, long kept_max, fetch_loop_end_fn *end);
/* Every transfer must have been removed. NULL is fine. */
void fetch_loop_free(struct fetch_loop *l);

/* Begins the transfer of this handle, whose CURLOPT_PRIVATE is ours meanwhile. False: libcurl refuses it. */
bool fetch_loop_add(struct fetch_loop *l, CURL *easy, void *arg);
/* Takes back what was added, at its end or earlier. */
void fetch_loop_remove(struct fetch_loop *l, CURL *easy);

#endif
