/*
 * store_int: what the common part of the store (store.c, store_lease.c, store_watch.c) and its backends
 * share. The common part checks limits, knows leases and watches, and lets one commit run at a time; a
 * backend keeps entries and revisions.
 * Thread: as store.h says; a backend's `range` may run beside its `commit`, of which there is one.
 */
#ifndef TUNNEL_STORE_STORE_INT_H
#define TUNNEL_STORE_STORE_INT_H

#include <pthread.h>

#include "tunnel/store/store.h"

/* A transaction of any size, whose limits were checked. */
struct store_batch {
    const struct store_condition *conditions;
    size_t condition_count;
    const struct store_op *ops; /* no key twice */
    size_t op_count;
};

struct store_ops {
    /* As store_range(), whose limit is in bounds; *out is zeroed. */
    int (*range)(struct store *s, const struct store_range *range, struct store_entries *out,
                 struct err *e);
    /*
     * Returns as store_commit(), with E_STORE only. created[i] becomes the revision that made the
     * key of ops[i], or 0 when that deleted a key that was not there.
     */
    int (*commit)(struct store *s, const struct store_batch *b, uint64_t *created,
                  uint64_t *revision, struct err *e);
    void (*free)(struct store *s);
};

struct store_lease;
struct store_leased;

/* The first member of each backend's own struct. */
struct store {
    const struct store_ops *ops;
    pthread_mutex_t lock; /* held by a commit until its watches were called; guards what follows */
    struct store_watch *watches; /* list, in the order of their making */
    struct store_lease *leases;  /* owned: by number */
    struct store_leased *leased; /* owned: by key; the keys that have a lease */
    uint64_t last_lease;
};

void store_init(struct store *s, const struct store_ops *ops);
void store_fini(struct store *s);

/* The lock of a commit; the thread that holds it may not ask for it again, which is asserted. */
void store_lock(struct store *s);
void store_unlock(struct store *s);

/* Collects the entries of a range up to its limits. */
struct store_page {
    struct store_entries *out; /* borrowed */
    size_t limit;
    size_t capacity;
    size_t bytes;
};

/* Copies an entry; returns false when the page is full, which then has `more`. */
bool store_page_add(struct store_page *page, struct str key, struct str value, uint64_t created,
                    uint64_t modified);

/* ---- with the lock held --------------------------------------------------------------------- */

/* Commits and tells the watches. Returns as store_commit(). */
int store_commit_batch(struct store *s, const struct store_batch *b, uint64_t *revision,
                       struct err *e);

/* Are the leases of these operations there? Returns 0, or -1 with E_NOT_FOUND. */
int store_leases_check(const struct store *s, const struct store_batch *b, struct err *e);
/* Notes which keys have which lease from now on. */
void store_leases_apply(struct store *s, const struct store_batch *b);
void store_leases_fini(struct store *s);

/* Tells the watches what a commit changed; `created` as of store_ops. */
void store_watches_call(struct store *s, const struct store_batch *b, const uint64_t *created,
                        uint64_t revision);

#endif
