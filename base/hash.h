/*
 * hash: uthash's tables on our allocator, so that out of memory ends in base/mem.c as everywhere.
 * Include this and never <uthash.h> itself.
 * Thread: a table is its owner's.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/mem.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#define HASH_NONFATAL_OOM    0

#include <uthash.h>

/*
 * When a table has more buckets: as soon as this many entries share one. Each is a look into cold memory, and
 * uthash would have ten; with three, some bucket of a large table has them so soon that there are fifty buckets
 * for an entry, which are cold memory as well.
 */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

#endif
