/*
 * The store in plain memory, for tests and for gateways that keep nothing: an array in the order of
 * keys. To insert moves what stands behind, which for ten thousand entries is 80 KB, less than the
 * cost of a tree is worth.
 */
#include <string.h>

#include "base/mem.h"
#include "tunnel/store/store_int.h"

struct memory_store {
    struct store base;
    pthread_mutex_t lock;      /* guards what follows against readers */
    struct store_entry **list; /* owned, in the order of keys */
    size_t count;
    size_t capacity;
    uint64_t revision;
};

static struct memory_store *memory_of(struct store *s)
{
    return (struct memory_store *)s; /* base is its first member */
}

/* ---- the array ------------------------------------------------------------------------------ */

/* Place of the first entry whose key is `key` or behind it; m->count when there is none. */
static size_t place_of(const struct memory_store *m, struct str key)
{
    size_t low = 0;
    size_t high = m->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (str_compare(str_from(m->list[middle]->key), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct memory_store *m, size_t place, struct str key)
{
    return place < m->count && str_eq(str_from(m->list[place]->key), key);
}

static struct store_entry *insert(struct memory_store *m, size_t place, struct str key,
                                  uint64_t revision)
{
    struct store_entry *entry = mem_zalloc(sizeof(*entry));

    if (m->count == m->capacity) {
        m->capacity = m->capacity == 0 ? 16 : m->capacity * 2;
        m->list = mem_realloc(m->list, m->capacity * sizeof(*m->list));
    }
    memmove(m->list + place + 1, m->list + place, (m->count - place) * sizeof(*m->list));
    entry->key = str_dup(key);
    entry->created = revision;
    m->list[place] = entry;
    m->count++;
    return entry;
}

static void entry_free(struct store_entry *entry)
{
    mem_free(entry->key);
    mem_free(entry->value);
    mem_free(entry);
}

static void cut(struct memory_store *m, size_t place)
{
    entry_free(m->list[place]);
    m->count--;
    memmove(m->list + place, m->list + place + 1, (m->count - place) * sizeof(*m->list));
}

/* ---- the backend ---------------------------------------------------------------------------- */

static int memory_range(struct store *s, const struct store_range *range, struct store_entries *out,
                        struct err *e)
{
    struct memory_store *m = memory_of(s);
    struct store_page page = { .out = out, .limit = range->limit };
    size_t first;
    size_t end;
    bool has_room = true;

    (void)e;                            /* reading memory does not fail */
    (void)pthread_mutex_lock(&m->lock); /* fails only on misuse */
    first = place_of(m, range->from);
    end = range->to.n == 0 ? m->count : place_of(m, range->to);
    while (first < end && has_room) {
        const struct store_entry *entry = range->reverse ? m->list[--end] : m->list[first++];

        has_room =
            store_page_add(&page, str_from(entry->key), str_of(entry->value, entry->value_bytes),
                           entry->created, entry->modified);
    }
    out->revision = m->revision;
    (void)pthread_mutex_unlock(&m->lock); /* fails only on misuse */
    return 0;
}

static bool conditions_hold(const struct memory_store *m, const struct store_batch *b)
{
    for (size_t i = 0; i < b->condition_count; i++) {
        const struct store_condition *c = &b->conditions[i];
        size_t place = place_of(m, c->key);

        if (c->modified != (is_at(m, place, c->key) ? m->list[place]->modified : 0))
            return false;
    }
    return true;
}

/* Returns what store_ops wants in `created`. */
static uint64_t apply(struct memory_store *m, const struct store_op *op, uint64_t revision)
{
    size_t place = place_of(m, op->key);
    bool exists = is_at(m, place, op->key);
    uint64_t created = exists ? m->list[place]->created : 0;
    struct store_entry *entry;

    if (op->is_delete) {
        if (exists)
            cut(m, place);
        return created;
    }
    entry = exists ? m->list[place] : insert(m, place, op->key, revision);
    mem_free(entry->value);
    entry->value = str_dup(op->value);
    entry->value_bytes = op->value.n;
    entry->modified = revision;
    return entry->created;
}

static int memory_commit(struct store *s, const struct store_batch *b, uint64_t *created,
                         uint64_t *revision, struct err *e)
{
    struct memory_store *m = memory_of(s);
    bool changed = false;
    int rc = 0;

    (void)e;                            /* changing memory does not fail */
    (void)pthread_mutex_lock(&m->lock); /* fails only on misuse */
    if (conditions_hold(m, b)) {
        for (size_t i = 0; i < b->op_count; i++) {
            created[i] = apply(m, &b->ops[i], m->revision + 1);
            changed |= created[i] != 0;
        }
        m->revision += changed;
        *revision = m->revision;
        rc = 1;
    }
    (void)pthread_mutex_unlock(&m->lock); /* fails only on misuse */
    return rc;
}

static void memory_free(struct store *s)
{
    struct memory_store *m = memory_of(s);

    store_fini(s);
    for (size_t i = 0; i < m->count; i++)
        entry_free(m->list[i]);
    mem_free(m->list);
    (void)pthread_mutex_destroy(&m->lock); /* nobody holds it */
    mem_free(m);
}

static const struct store_ops memory_ops = {
    .range = memory_range,
    .commit = memory_commit,
    .free = memory_free,
};

struct store *store_memory_new(void)
{
    struct memory_store *m = mem_zalloc(sizeof(*m));

    store_init(&m->base, &memory_ops);
    (void)pthread_mutex_init(&m->lock, NULL); /* cannot fail without attributes */
    return &m->base;
}
