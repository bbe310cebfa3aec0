/*
 * Leases live in memory only: they end with the process that granted them, so a backend needs to know
 * no more of a key than whether it has one.
 */
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tunnel/store/store_int.h"

struct store_lease {
    uint64_t number;
    uint64_t ttl_ms;
    uint64_t kept_ms; /* when it was granted or last kept */
    size_t key_count;
    bool ends; /* with the commit that is being made */
    UT_hash_handle hh;
};

/* A key that has a lease. */
struct store_leased {
    char *key; /* owned */
    struct store_lease *lease;
    UT_hash_handle hh;
};

static struct store_lease *lease_find(const struct store *s, uint64_t number)
{
    struct store_lease *found;

    HASH_FIND(hh, s->leases, &number, sizeof(number), found);
    return found;
}

static bool is_over(const struct store_lease *l, uint64_t now_ms)
{
    /* Of two threads, the one that looked at the clock first may come last. */
    return now_ms >= l->kept_ms && now_ms - l->kept_ms >= l->ttl_ms;
}

static int not_found(uint64_t number, struct err *e)
{
    return err_set(e, E_NOT_FOUND, "lease %" PRIu64 " is over", number);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void leased_free(struct store *s, struct store_leased *k)
{
    HASH_DEL(s->leased, k);
    k->lease->key_count--;
    mem_free(k->key);
    mem_free(k);
}

static void leased_new(struct store *s, struct str key, struct store_lease *lease)
{
    struct store_leased *k = mem_zalloc(sizeof(*k));

    k->key = str_dup(key);
    k->lease = lease;
    lease->key_count++;
    HASH_ADD_KEYPTR(hh, s->leased, k->key, key.n, k);
}

int store_leases_check(const struct store *s, const struct store_batch *b, struct err *e)
{
    for (size_t i = 0; i < b->op_count; i++) {
        if (b->ops[i].lease != 0 && lease_find(s, b->ops[i].lease) == NULL)
            return not_found(b->ops[i].lease, e);
    }
    return 0;
}

void store_leases_apply(struct store *s, const struct store_batch *b)
{
    for (size_t i = 0; i < b->op_count; i++) {
        const struct store_op *op = &b->ops[i];
        struct store_leased *k;

        HASH_FIND(hh, s->leased, op->key.p, op->key.n, k);
        if (k != NULL)
            leased_free(s, k);
        if (op->lease != 0)
            leased_new(s, op->key, lease_find(s, op->lease));
    }
}

/* ---- leases --------------------------------------------------------------------------------- */

static void lease_free(struct store *s, struct store_lease *l)
{
    HASH_DEL(s->leases, l);
    mem_free(l);
}

/* Deletes the keys of the leases that end, by one commit. Returns as store_commit(). */
static int delete_keys(struct store *s, size_t count, struct err *e)
{
    struct store_op *ops = mem_zalloc_array(count, sizeof(*ops));
    struct store_batch b = { .ops = ops };
    struct store_leased *k;
    struct store_leased *next;
    int rc;

    HASH_ITER(hh, s->leased, k, next)
    {
        if (k->lease->ends)
            ops[b.op_count++] = (struct store_op){ .key = str_from(k->key), .is_delete = true };
    }
    rc = store_commit_batch(s, &b, NULL, e);
    mem_free(ops);
    return rc;
}

/* Ends what is marked. Returns 0, or -1 with E_STORE and all is as before, without marks. */
static int finish(struct store *s, struct err *e)
{
    struct store_lease *l;
    struct store_lease *next;
    size_t key_count = 0;
    bool done;

    HASH_ITER(hh, s->leases, l, next)
    {
        key_count += l->ends ? l->key_count : 0;
    }
    done = key_count == 0 || delete_keys(s, key_count, e) == 1;
    HASH_ITER(hh, s->leases, l, next)
    {
        if (l->ends && done)
            lease_free(s, l);
        else
            l->ends = false;
    }
    return done ? 0 : -1;
}

int store_lease_new(struct store *s, uint64_t ttl_ms, uint64_t now_ms, uint64_t *lease,
                    struct err *e)
{
    struct store_lease *l = mem_zalloc(sizeof(*l));

    (void)e; /* a distributed backend may fail here */
    l->ttl_ms = ttl_ms;
    l->kept_ms = now_ms;
    store_lock(s);
    l->number = ++s->last_lease;
    *lease = l->number;
    HASH_ADD(hh, s->leases, number, sizeof(l->number), l);
    store_unlock(s);
    return 0;
}

int store_lease_keep(struct store *s, uint64_t lease, uint64_t now_ms, struct err *e)
{
    struct store_lease *l;
    int rc = 0;

    store_lock(s);
    l = lease_find(s, lease);
    if (l == NULL || is_over(l, now_ms))
        rc = not_found(lease, e);
    else if (now_ms > l->kept_ms)
        l->kept_ms = now_ms;
    store_unlock(s);
    return rc;
}

int store_lease_end(struct store *s, uint64_t lease, struct err *e)
{
    struct store_lease *l;
    int rc;

    store_lock(s);
    l = lease_find(s, lease);
    if (l != NULL)
        l->ends = true;
    rc = l != NULL ? finish(s, e) : not_found(lease, e);
    store_unlock(s);
    return rc;
}

int store_expire(struct store *s, uint64_t now_ms, struct err *e)
{
    struct store_lease *l;
    struct store_lease *next;
    int rc;

    store_lock(s);
    HASH_ITER(hh, s->leases, l, next)
    {
        l->ends = is_over(l, now_ms);
    }
    rc = finish(s, e);
    store_unlock(s);
    return rc;
}

void store_leases_fini(struct store *s)
{
    struct store_leased *k;
    struct store_leased *next_key;
    struct store_lease *l;
    struct store_lease *next;

    HASH_ITER(hh, s->leased, k, next_key)
    {
        leased_free(s, k);
    }
    HASH_ITER(hh, s->leases, l, next)
    {
        lease_free(s, l);
    }
}
