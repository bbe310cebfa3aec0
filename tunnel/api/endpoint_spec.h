/*
 * endpoint_spec: cloud endpoints as the store has them, and as the data plane wants them.
 * Thread: any that may block.
 */
#ifndef TUNNEL_API_ENDPOINT_SPEC_H
#define TUNNEL_API_ENDPOINT_SPEC_H

#include <jansson.h>

#include "base/err.h"
#include "tunnel/api/host.h"

struct host_suffixes;
struct store;

/* Reads "url" and "bindings" of an object. Returns 0, or -1 with E_BINDING or an error of url_parse(). */
int api_endpoint_url_read(const json_t *object, const struct host_suffixes *suffixes,
                          struct url *url, struct err *e);
/* The whole of it; texts are borrowed from the object. Returns 0, or -1 as above. */
int api_endpoint_spec_read(const json_t *object, const struct host_suffixes *suffixes,
                           struct api_endpoint_spec *out, struct err *e);

/*
 * Calls fn for each endpoint of the store, in the order of their ids; `e` is set when the object cannot
 * be read, and `spec` has its id then only. Returns 0, or -1 with E_STORE.
 */
typedef void api_endpoint_fn(void *arg, const struct api_endpoint_spec *spec, const struct err *e);
int api_endpoints_load(struct store *store, const struct host_suffixes *suffixes,
                       api_endpoint_fn *fn, void *arg, struct err *e);

#endif
