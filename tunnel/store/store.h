/*
 * store: what outlives a session: ordered keys with values and revisions, changed by transactions.
 * Callers never learn which backend holds it: memory (tests), SQLite (one gateway); the interface is
 * that of a distributed store (ranges, revisions, compare-and-set, watches, leases), so one of
 * those can be a backend too.
 *
 * Each commit that changes something gets the next revision, and with it all keys it puts. A
 * commit is durable when store_commit() returns: neither a crash of the process nor one of the
 * machine takes it back.
 * Owns:   its files and connections.
 * Thread: any that may block, several at once; so never a worker's loop, which asks by the job
 *         pool. Watches are called on whichever thread commits, one at a time and in order.
 * Limits: STORE_KEY_MAX_BYTES, STORE_VALUE_MAX_BYTES, STORE_TXN_OPS_MAX, STORE_RANGE_MAX,
 *         STORE_RANGE_MAX_BYTES.
 */
#ifndef TUNNEL_STORE_STORE_H
#define TUNNEL_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct store;

enum {
    STORE_KEY_MAX_BYTES = 512,
    STORE_VALUE_MAX_BYTES = 1024 * 1024,
    STORE_TXN_OPS_MAX = 128,                  /* conditions and operations each */
    STORE_RANGE_MAX = 10000,                  /* entries of one answer */
    STORE_RANGE_MAX_BYTES = 16 * 1024 * 1024, /* of their keys and values */
};

/* ---- life ----------------------------------------------------------------------------------- */

/* Nothing is kept when it is freed. */
struct store *store_memory_new(void);
/*
 * Opens or makes the database file `path` (0600), checks all of it, brings an older schema up to date
 * in one transaction, and deletes the keys of leases that an earlier process left. Returns NULL with
 * E_STORE when it cannot be read or written, is no database, is empty, is damaged, is locked by another
 * process, or was made by a newer program; the text says which and what to do. It names the file, as
 * do those of later errors: they are for the operator.
 */
struct store *store_sqlite_open(const char *path, struct err *e);
/* No call may be under way, and every watch must have been ended. NULL is fine. */
void store_free(struct store *s);

/* ---- reading -------------------------------------------------------------------------------- */

struct store_entry {
    char *key;   /* NUL-terminated; no key has a NUL in it */
    char *value; /* any bytes, and a NUL behind them */
    size_t value_bytes;
    uint64_t created;  /* revision that made the key */
    uint64_t modified; /* revision that put this value */
};

/* Entries in the order of the bytes of their keys, or the reverse. Zeroed: none. */
struct store_entries {
    struct store_entry *list; /* owned */
    size_t count;
    bool more;         /* a limit left some out */
    uint64_t revision; /* of the store when it was read */
};

void store_entries_fini(struct store_entries *es);

/* Returns 1 with *out (count 1), 0 when there is no such key (count 0), or -1 with E_STORE. */
int store_get(struct store *s, struct str key, struct store_entries *out, struct err *e);

struct store_range {
    struct str from; /* the first key; empty: from the beginning */
    struct str to;   /* ends before this one; empty: to the end */
    bool reverse;    /* the last first */
    size_t limit;    /* entries, 1 to STORE_RANGE_MAX */
};

/*
 * All entries are of one moment. When there are `more`, the next page begins with the smallest key
 * behind the last entry, which is that key and its NUL: store_next(); the next page of a reverse
 * range has the last entry's key as `to`. Each page has at least one entry, however large.
 * Returns 0, or -1 with E_STORE, or E_LIMIT for a limit out of bounds; *out is then empty.
 */
int store_range(struct store *s, const struct store_range *range, struct store_entries *out,
                struct err *e);
/*
 * The range of all keys that begin with `prefix` (empty: of all keys), of STORE_RANGE_MAX entries;
 * `from` borrows the prefix, `to` lives in `buf`.
 */
struct store_range store_prefix(struct str prefix, char buf[STORE_KEY_MAX_BYTES]);
/* Where the page behind these entries (at least one) begins; borrows from them. */
struct str store_next(const struct store_entries *es);

/*
 * Calls fn for each entry whose key begins with `prefix`, in order. They are read in pages, so that few are in
 * memory; each page is of a moment of its own. Returns 0, or -1 with an error of store_range().
 */
typedef void store_entry_fn(void *arg, const struct store_entry *entry);
int store_each(struct store *s, struct str prefix, store_entry_fn *fn, void *arg, struct err *e);

/* ---- writing -------------------------------------------------------------------------------- */

/* All of a transaction happens or nothing. Texts are borrowed until store_commit() returns. */
struct store_txn {
    struct store_condition {
        struct str key;
        uint64_t modified; /* what it must be; 0: the key must not exist */
    } conditions[STORE_TXN_OPS_MAX];
    size_t condition_count;
    struct store_op {
        struct str key;
        struct str value;
        uint64_t lease; /* the key goes when this lease ends; 0: it stays */
        bool is_delete; /* of a key that need not exist */
    } ops[STORE_TXN_OPS_MAX];
    size_t op_count;
};

/* Adds to a transaction. What does not fit is counted, and refused by store_commit(). */
void store_txn_init(struct store_txn *t);
void store_txn_expect(struct store_txn *t, struct str key, uint64_t modified);
void store_txn_put(struct store_txn *t, struct str key, struct str value);
void store_txn_put_leased(struct store_txn *t, struct str key, struct str value, uint64_t lease);
void store_txn_delete(struct store_txn *t, struct str key);

/*
 * Returns 1 when it is done, with *revision (may be NULL) of the store behind it; 0 when a condition
 * did not hold and nothing was changed; or -1 and nothing changed, with E_STORE (disk full, file
 * gone, ...), E_LIMIT (key, value or transaction too large), E_SYNTAX (a key that is empty, has a NUL,
 * or is changed twice) or E_NOT_FOUND (a lease that is over).
 */
int store_commit(struct store *s, const struct store_txn *t, uint64_t *revision, struct err *e);

/* ---- leases --------------------------------------------------------------------------------- */

/*
 * What dies with a session: a lease ends `ttl_ms` after it was last kept, or at once by
 * store_lease_end(), or with the store that granted it, and its keys are deleted as by one commit.
 * A key that is put again belongs to the lease of that put, or to none. `now_ms` is the monotonic
 * clock. Return 0, or -1 with E_STORE and nothing changed; keep and end of one that is over return
 * -1 with E_NOT_FOUND.
 */
int store_lease_new(struct store *s, uint64_t ttl_ms, uint64_t now_ms, uint64_t *lease,
                    struct err *e);
int store_lease_keep(struct store *s, uint64_t lease, uint64_t now_ms, struct err *e);
int store_lease_end(struct store *s, uint64_t lease, struct err *e);
/*
 * Ends the leases that are over, by one commit; called now and then. Returns 0, or -1 with E_STORE
 * and they are left to the next call.
 */
int store_expire(struct store *s, uint64_t now_ms, struct err *e);

/* ---- watching ------------------------------------------------------------------------------- */

struct store_change {
    struct store_entry entry; /* of a deletion, only the key and, as `modified`, its revision */
    bool deleted;
};

/*
 * The changes of one commit under the prefix, in the order of their keys; they are borrowed until fn
 * returns. It holds up all commits, so it only hands on, and it may not call the store.
 */
typedef void store_watch_fn(void *arg, const struct store_change *changes, size_t count);

struct store_watch;
/*
 * Calls fn for each commit from now on that changes a key under `prefix` (empty: any key). To follow a
 * range, watch it and then read it: changes up to the revision of that answer are in it.
 */
struct store_watch *store_watch_new(struct store *s, struct str prefix, store_watch_fn *fn,
                                    void *arg);
/* When it returns, fn is not running and will not run again. */
void store_watch_end(struct store_watch *w);

#endif
