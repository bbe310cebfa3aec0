/*
 * stored_objects: the objects of the API, read from the store outside any call: at start, and when what is made of
 * them is made anew.
 * Thread: any that may block.
 */
#ifndef TUNNEL_API_STORED_OBJECTS_H
#define TUNNEL_API_STORED_OBJECTS_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct store;
struct store_entry;

/* Calls fn for each object below the prefix; what is none is logged. Returns 0, or -1 with E_STORE. */
typedef void api_stored_fn(void *arg, const struct store_entry *entry, const json_t *object);
int api_stored_each(struct store *s, struct str prefix, api_stored_fn *fn, void *arg,
                    struct err *e);

/* Says in the log why an object counts for nothing. */
void api_stored_unusable(const char *key, const char *why);

#endif
