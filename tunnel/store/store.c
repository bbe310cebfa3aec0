/*
 * What does not depend on where entries are kept: limits, texts of transactions, the order of commits.
 * A commit holds the lock until its watches were called, so these see commits one at a time and in
 * order; readers do not take it and never wait for the disk behind a commit.
 */
#include "tunnel/store/store.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/store/store_int.h"

enum { EACH_ENTRIES = 256 }; /* a page of store_each() */

/* ---- life ----------------------------------------------------------------------------------- */

void store_init(struct store *s, const struct store_ops *ops)
{
    pthread_mutexattr_t attributes;

    s->ops = ops;
    (void)pthread_mutexattr_init(&attributes); /* these cannot fail on Linux */
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    (void)pthread_mutex_init(&s->lock, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
}

void store_fini(struct store *s)
{
    assert(s->watches == NULL);
    store_leases_fini(s);
    (void)pthread_mutex_destroy(&s->lock); /* nobody holds it */
}

void store_lock(struct store *s)
{
    int rc = pthread_mutex_lock(&s->lock);

    assert(rc == 0); /* else a watch calls the store */
}

void store_unlock(struct store *s)
{
    (void)pthread_mutex_unlock(&s->lock); /* we hold it */
}

void store_free(struct store *s)
{
    if (s != NULL)
        s->ops->free(s);
}

/* ---- reading -------------------------------------------------------------------------------- */

bool store_page_add(struct store_page *page, struct str key, struct str value, uint64_t created,
                    uint64_t modified)
{
    struct store_entries *out = page->out;
    size_t bytes = key.n + value.n;

    if (out->count == page->limit ||
        (out->count > 0 && bytes > STORE_RANGE_MAX_BYTES - page->bytes)) {
        out->more = true;
        return false;
    }
    if (out->count == page->capacity) {
        page->capacity = page->capacity == 0 ? 1 : page->capacity * 2;
        out->list = mem_realloc(out->list, page->capacity * sizeof(*out->list));
    }
    out->list[out->count++] = (struct store_entry){
        .key = str_dup(key),
        .value = str_dup(value),
        .value_bytes = value.n,
        .created = created,
        .modified = modified,
    };
    page->bytes += bytes;
    return true;
}

void store_entries_fini(struct store_entries *es)
{
    for (size_t i = 0; i < es->count; i++) {
        mem_free(es->list[i].key);
        mem_free(es->list[i].value);
    }
    mem_free(es->list);
    *es = (struct store_entries){ .list = NULL };
}

int store_range(struct store *s, const struct store_range *range, struct store_entries *out,
                struct err *e)
{
    *out = (struct store_entries){ .list = NULL };
    if (range->limit < 1 || range->limit > STORE_RANGE_MAX)
        return err_set(e, E_LIMIT, "a page has 1 to %d entries", STORE_RANGE_MAX);
    if (s->ops->range(s, range, out, e) == 0)
        return 0;
    store_entries_fini(out);
    return -1;
}

int store_get(struct store *s, struct str key, struct store_entries *out, struct err *e)
{
    char behind[STORE_KEY_MAX_BYTES + 1] = { 0 }; /* the smallest key that follows */
    struct store_range range = { .from = key, .to = str_of(behind, key.n + 1), .limit = 1 };

    *out = (struct store_entries){ .list = NULL };
    if (key.n == 0 || key.n > STORE_KEY_MAX_BYTES)
        return 0;
    memcpy(behind, key.p, key.n);
    return store_range(s, &range, out, e) == -1 ? -1 : (int)out->count;
}

struct store_range store_prefix(struct str prefix, char buf[STORE_KEY_MAX_BYTES])
{
    struct store_range range = { .from = prefix, .limit = STORE_RANGE_MAX };
    size_t n = prefix.n;

    if (prefix.n > STORE_KEY_MAX_BYTES) {
        range.to = prefix; /* no key is that long */
        return range;
    }
    /* Behind the prefix comes what has its last byte one higher; 255 has no higher one. */
    while (n > 0 && (unsigned char)prefix.p[n - 1] == UINT8_MAX)
        n--;
    if (n > 0) {
        memcpy(buf, prefix.p, n);
        buf[n - 1] = (char)((unsigned char)buf[n - 1] + 1);
        range.to = str_of(buf, n);
    }
    return range;
}

struct str store_next(const struct store_entries *es)
{
    const char *last = es->list[es->count - 1].key;

    return str_of(last, strlen(last) + 1);
}

int store_each(struct store *s, struct str prefix, store_entry_fn *fn, void *arg, struct err *e)
{
    char to[STORE_KEY_MAX_BYTES];
    char from[STORE_KEY_MAX_BYTES + 1];
    struct store_range range = store_prefix(prefix, to);
    bool more;

    range.limit = EACH_ENTRIES;
    do {
        struct store_entries page;

        if (store_range(s, &range, &page, e) == -1)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            fn(arg, &page.list[i]);
        more = page.more;
        if (more) {
            struct str next = store_next(&page);

            memcpy(from, next.p, next.n);
            range.from = str_of(from, next.n);
        }
        store_entries_fini(&page);
    } while (more);
    return 0;
}

/* ---- transactions --------------------------------------------------------------------------- */

void store_txn_init(struct store_txn *t)
{
    t->condition_count = 0;
    t->op_count = 0;
}

void store_txn_expect(struct store_txn *t, struct str key, uint64_t modified)
{
    if (t->condition_count < STORE_TXN_OPS_MAX)
        t->conditions[t->condition_count] =
            (struct store_condition){ .key = key, .modified = modified };
    t->condition_count++;
}

static void add_op(struct store_txn *t, struct store_op op)
{
    if (t->op_count < STORE_TXN_OPS_MAX)
        t->ops[t->op_count] = op;
    t->op_count++;
}

void store_txn_put(struct store_txn *t, struct str key, struct str value)
{
    add_op(t, (struct store_op){ .key = key, .value = value });
}

void store_txn_put_leased(struct store_txn *t, struct str key, struct str value, uint64_t lease)
{
    add_op(t, (struct store_op){ .key = key, .value = value, .lease = lease });
}

void store_txn_delete(struct store_txn *t, struct str key)
{
    add_op(t, (struct store_op){ .key = key, .is_delete = true });
}

static int check_key(struct str key, struct err *e)
{
    if (key.n == 0)
        return err_set(e, E_SYNTAX, "a key is empty");
    if (key.n > STORE_KEY_MAX_BYTES)
        return err_set(e, E_LIMIT, "a key has %zu bytes, at most %d fit", key.n,
                       STORE_KEY_MAX_BYTES);
    if (memchr(key.p, '\0', key.n) != NULL)
        return err_set(e, E_SYNTAX, "a key has a NUL in it");
    return 0;
}

static int check_op(const struct store_txn *t, size_t at, struct err *e)
{
    const struct store_op *op = &t->ops[at];

    if (check_key(op->key, e) == -1)
        return -1;
    if (op->value.n > STORE_VALUE_MAX_BYTES)
        return err_set(e, E_LIMIT, "the value of %.*s has %zu bytes, at most %d fit",
                       STR_ARG(op->key), op->value.n, STORE_VALUE_MAX_BYTES);
    for (size_t i = 0; i < at; i++) {
        if (str_eq(op->key, t->ops[i].key))
            return err_set(e, E_SYNTAX, "%.*s is changed twice in a transaction", STR_ARG(op->key));
    }
    return 0;
}

static int check_txn(const struct store_txn *t, struct err *e)
{
    if (t->condition_count > STORE_TXN_OPS_MAX || t->op_count > STORE_TXN_OPS_MAX)
        return err_set(e, E_LIMIT, "a transaction has at most %d conditions and changes",
                       STORE_TXN_OPS_MAX);
    for (size_t i = 0; i < t->condition_count; i++) {
        if (check_key(t->conditions[i].key, e) == -1)
            return -1;
    }
    for (size_t i = 0; i < t->op_count; i++) {
        if (check_op(t, i, e) == -1)
            return -1;
    }
    return 0;
}

int store_commit_batch(struct store *s, const struct store_batch *b, uint64_t *revision,
                       struct err *e)
{
    uint64_t *created = mem_zalloc_array(b->op_count, sizeof(*created));
    uint64_t now = 0;
    int rc = s->ops->commit(s, b, created, &now, e);

    if (rc == 1) {
        store_watches_call(s, b, created, now);
        store_leases_apply(s, b); /* last, as a lease that ends lends its keys to the batch */
        if (revision != NULL)
            *revision = now;
    }
    mem_free(created);
    return rc;
}

int store_commit(struct store *s, const struct store_txn *t, uint64_t *revision, struct err *e)
{
    struct store_batch b = {
        .conditions = t->conditions,
        .condition_count = t->condition_count,
        .ops = t->ops,
        .op_count = t->op_count,
    };
    int rc;

    if (check_txn(t, e) == -1)
        return -1;
    store_lock(s);
    rc = store_leases_check(s, &b, e);
    if (rc == 0)
        rc = store_commit_batch(s, &b, revision, e);
    store_unlock(s);
    return rc;
}
