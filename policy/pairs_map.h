/*
 * pairs_map: what a message says as name=value, as the maps that expressions see: parameters of a
 * query, cookies, parameters of a media type. Names are compared byte by byte; entries keep the
 * order in which their names came first.
 * Owns:   nothing; the map lives in the arena and borrows the names.
 * Thread: any; pure.
 */
#ifndef POLICY_PAIRS_MAP_H
#define POLICY_PAIRS_MAP_H

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/value.h"

struct pair {
    struct str name; /* borrowed; valid UTF-8 */
    struct cel_value value;
    size_t rank; /* among the values of one name the highest rank comes first */
};

/* map(string, list): all values of a name, by rank, then in order. A name that is missing reads as
 * an empty list. */
struct cel_value pairs_map_of_lists(struct arena *a, const struct pair *pairs, size_t count);
/* map(string, T): the value of a name that would come first in its list. */
struct cel_value pairs_map_of_values(struct arena *a, const struct pair *pairs, size_t count);
/* What stands for a map that would be too large; `text` is static and says so. */
struct cel_value pairs_map_error(struct str text);

#endif
