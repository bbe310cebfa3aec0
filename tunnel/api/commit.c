/*
 * Commits, and whether the store takes any. While it does not, a change is tried with a word of our own
 * before it takes effect (apply()): else what cannot be stored would come and go with every call.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/api/api_int.h"

/* What is written to see whether anything can be; nobody reads it. */
#define TRIAL_KEY STR("trial")

/* ---- the store's health ---------------------------------------------------------------------- */

bool api_is_well(const struct api *a)
{
    return !atomic_load_explicit(&a->store_failed, memory_order_relaxed);
}

/* Notes what became of a commit; the operator hears of it when that is another than before. */
static void note(struct api *a, int rc, const struct err *e)
{
    bool failed = rc == -1;

    /* Nothing was written then, nor tried. */
    if (rc == 0 || (failed && e->code != E_STORE))
        return;
    if (atomic_exchange(&a->store_failed, failed) == failed)
        return;
    if (failed)
        log_error("store.failed", LERR(e));
    else
        log_info("store.recovered", LNONE);
}

bool api_try_store(struct api *a)
{
    char now[API_TIME_BYTES];
    struct store_txn t;
    struct err e = { 0 };
    int rc;

    if (api_is_well(a))
        return true;
    api_format_time(clock_wall_ms(), now);
    store_txn_init(&t);
    store_txn_put(&t, TRIAL_KEY, str_from(now));
    rc = store_commit(a->store, &t, NULL, &e);
    note(a, rc, &e);
    return rc == 1;
}

int api_fail_unwritten(struct api_call *c)
{
    return api_fail(c, API_STORE, "The database cannot be written; try again later.");
}

/* ---- commits --------------------------------------------------------------------------------- */

/* Puts the counts that changed. */
static void put_counts(struct api_call *c)
{
    const char *key;
    json_t *n;

    json_object_foreach(c->counts, key, n)
    {
        store_txn_put(c->txn, arena_str(&c->arena, str_from(key)),
                      arena_fmt(&c->arena, "%lld", (long long)json_integer_value(n)));
    }
    (void)json_object_clear(c->counts);
}

int api_objects_commit(struct api_call *c)
{
    struct err e = { 0 };
    int rc;

    put_counts(c);
    rc = store_commit(c->api->store, c->txn, NULL, &e);
    note(c->api, rc, &e);
    if (rc == -1 && e.code == E_STORE)
        return api_fail_unwritten(c); /* why is for the operator */
    if (rc == -1)
        return api_fail(c, API_STORE, "The change cannot be stored: %s.", e.msg);
    return rc;
}

int api_commit_piece(struct api_call *c)
{
    int rc = api_objects_commit(c);

    if (rc == 0)
        return api_fail(c, API_STORE, "The objects are being changed by somebody else; try again.");
    store_txn_init(c->txn);
    return rc == 1 ? 0 : -1;
}
