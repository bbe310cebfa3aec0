/*
 * api_int: what the modules of the API share and resources have no use for. Not for other folders.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_API_INT_H
#define TUNNEL_API_API_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "tunnel/api/call.h"
#include "tunnel/api/rate.h"
#include "tunnel/api/refusals.h"

struct api {
    struct store *store;             /* borrowed: outlives us */
    const struct api_host *host;     /* borrowed: outlives us */
    const struct seal_key *seal_key; /* borrowed: outlives us; NULL: none */
    uint8_t secret[API_SECRET_BYTES];
    uint64_t objects_max;
    struct id_source ids;
    struct api_rate *rate;         /* owned; has its own lock */
    struct api_refusals *refusals; /* owned; likewise */
    pthread_mutex_t writing;       /* held by the one call that changes something */
    atomic_bool store_failed;      /* the last time something was written */
};

void api_call_init(struct api_call *c, struct api *a, const struct api_request *request);
void api_call_fini(struct api_call *c);

/* ---- objects.c ------------------------------------------------------------------------------ */

/* May the caller see an object of this account? */
bool api_may_see(const struct api_call *c, const char *account);
/*
 * Adds to the transaction what a change writes: the object, its keys, its place among those of its
 * account, their count. Returns 0, or -1 with the error set: a key is taken, there are too many.
 */
int api_objects_write(struct api_call *c, const struct api_change *ch);

/* ---- commit.c ------------------------------------------------------------------------------- */

/* Commits. Returns 1 when it is done, 0 when what the call looked at has changed, -1 with the error set. */
int api_objects_commit(struct api_call *c);
/* Fails with API_STORE. */
int api_fail_unwritten(struct api_call *c);

/* ---- live.c --------------------------------------------------------------------------------- */

/* NULL is fine. */
void api_call_live_free(struct api_call_live *l);

/* ---- the verbs ------------------------------------------------------------------------------ */

int api_list(struct api_call *c, const struct api_resource *r);
int api_item_get(struct api_call *c, const struct api_resource *r, struct str id);
/*
 * Create, update and delete; return 1 when it is done, 0 when the call must begin anew because what
 * it looked at has changed, -1 with the error set.
 */
int api_item_create(struct api_call *c, const struct api_resource *r);
int api_item_update(struct api_call *c, const struct api_resource *r, struct str id);
int api_item_delete(struct api_call *c, const struct api_resource *r, struct str id);
/* A create with this input, without asking for a body: for `sallyport apikey create`. */
int api_item_create_from(struct api_call *c, const struct api_resource *r, json_t *input);
/* 404 of an item. */
int api_fail_not_found(struct api_call *c, const struct api_resource *r, struct str id);

/* The OpenAPI description of all resources, as JSON. */
json_t *api_openapi(const char *base_url);

#endif
