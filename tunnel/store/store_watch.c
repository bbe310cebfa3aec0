/*
 * Who is told of changes. All is done under the store's lock, which is why a watch that has been ended
 * is not running, and why a watch may not call the store.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/mem.h"
#include "tunnel/store/store_int.h"

struct store_watch {
    struct store *store; /* borrowed: outlives us */
    char *prefix;        /* owned */
    size_t prefix_bytes;
    store_watch_fn *fn;
    void *arg; /* borrowed */
    struct store_watch *prev;
    struct store_watch *next;
};

struct store_watch *store_watch_new(struct store *s, struct str prefix, store_watch_fn *fn,
                                    void *arg)
{
    struct store_watch *w = mem_zalloc(sizeof(*w));

    w->store = s;
    w->prefix = str_dup(prefix);
    w->prefix_bytes = prefix.n;
    w->fn = fn;
    w->arg = arg;
    store_lock(s);
    DL_APPEND(s->watches, w);
    store_unlock(s);
    return w;
}

void store_watch_end(struct store_watch *w)
{
    struct store *s = w->store;

    store_lock(s);
    DL_DELETE(s->watches, w);
    store_unlock(s);
    mem_free(w->prefix);
    mem_free(w);
}

static int compare_changes(const void *a, const void *b)
{
    const struct store_change *left = a;
    const struct store_change *right = b;

    return strcmp(left->entry.key, right->entry.key);
}

/* Copies of what changed, in the order of keys. Returns how many of `out` were filled. */
static size_t list_changes(const struct store_batch *b, const uint64_t *created, uint64_t revision,
                           struct store_change *out)
{
    size_t count = 0;

    for (size_t i = 0; i < b->op_count; i++) {
        const struct store_op *op = &b->ops[i];
        struct store_change *change = &out[count];

        if (created[i] == 0)
            continue;
        *change = (struct store_change){ .deleted = op->is_delete };
        change->entry.key = str_dup(op->key);
        change->entry.modified = revision;
        if (!op->is_delete) {
            change->entry.value = str_dup(op->value);
            change->entry.value_bytes = op->value.n;
            change->entry.created = created[i];
        }
        count++;
    }
    qsort(out, count, sizeof(*out), compare_changes);
    return count;
}

/* What has the prefix stands together, since the changes are in order. */
static void call_watch(const struct store_watch *w, const struct store_change *changes,
                       size_t count)
{
    struct str prefix = str_of(w->prefix, w->prefix_bytes);
    size_t first = 0;
    size_t end;

    while (first < count && !str_starts(str_from(changes[first].entry.key), prefix))
        first++;
    end = first;
    while (end < count && str_starts(str_from(changes[end].entry.key), prefix))
        end++;
    if (end > first)
        w->fn(w->arg, changes + first, end - first);
}

void store_watches_call(struct store *s, const struct store_batch *b, const uint64_t *created,
                        uint64_t revision)
{
    struct store_change *changes;
    struct store_watch *w;
    size_t count;

    if (s->watches == NULL)
        return;
    changes = mem_zalloc_array(b->op_count, sizeof(*changes));
    count = list_changes(b, created, revision, changes);
    DL_FOREACH(s->watches, w)
    {
        call_watch(w, changes, count);
    }
    for (size_t i = 0; i < count; i++) {
        mem_free(changes[i].entry.key);
        mem_free(changes[i].entry.value);
    }
    mem_free(changes);
}
