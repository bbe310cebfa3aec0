/*
 * The names are sorted once, which brings those that are equal together, and looked up by halving.
 * A stranger chooses them, and sorting has no worst case that a hash would need a secret against.
 */
#include "policy/pairs_map.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct str name;
    struct cel_value value;
};

struct pairs_map {
    struct cel_map map;           /* first: what values point at */
    struct entry *entries;        /* borrowed: in the arena; in order of appearance */
    const struct entry **by_name; /* borrowed: in the arena; sorted */
    size_t count;
};

/* A pair under sorting. */
struct item {
    const struct pair *pair;
    size_t position;
};

static int compare_names(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    int order = compare_names(a->pair->name, b->pair->name);

    if (order == 0)
        order = (a->pair->rank < b->pair->rank) - (a->pair->rank > b->pair->rank);
    return order != 0 ? order : (a->position > b->position) - (a->position < b->position);
}

/* ---- as a map of expressions ---- */

static size_t map_size(const struct cel_map *map)
{
    return ((const struct pairs_map *)map)->count;
}

static bool map_find(struct cel_run *run, const struct cel_map *map, const struct cel_value *key,
                     struct cel_value *out)
{
    const struct pairs_map *m = (const struct pairs_map *)map;
    size_t low = 0;
    size_t high = m->count;

    (void)run;
    if (key->kind != CEL_STRING)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(cel_str(*key), m->by_name[middle]->name);

        if (order == 0) {
            *out = m->by_name[middle]->value;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static void map_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                      struct cel_value *key, struct cel_value *value)
{
    const struct entry *e = &((const struct pairs_map *)map)->entries[index];

    (void)run;
    *key = cel_string(e->name);
    *value = e->value;
}

static const struct cel_map_ops list_ops = {
    .size = map_size,
    .find = map_find,
    .entry = map_entry,
    .missing_is_empty = true,
};

static const struct cel_map_ops value_ops = {
    .size = map_size,
    .find = map_find,
    .entry = map_entry,
};

/* ---- building ---- */

static struct item *sorted_items(struct arena *a, const struct pair *pairs, size_t count)
{
    struct item *items = arena_alloc(a, count * sizeof(*items));

    for (size_t i = 0; i < count; i++)
        items[i] = (struct item){ &pairs[i], i };
    if (count > 1)
        qsort(items, count, sizeof(*items), compare_items);
    return items;
}

/* How many items from the front have one name. */
static size_t group_length(const struct item *items, size_t count)
{
    size_t n = 1;

    while (n < count && str_eq(items[n].pair->name, items[0].pair->name))
        n++;
    return n;
}

static struct cel_value list_of_group(struct arena *a, const struct item *items, size_t count)
{
    struct cel_list *list = arena_alloc(a, sizeof(*list));
    struct cel_value *values = arena_alloc(a, count * sizeof(*values));

    for (size_t i = 0; i < count; i++)
        values[i] = items[i].pair->value;
    list->items = values;
    list->count = count;
    return cel_list_of(list);
}

static size_t first_position(const struct item *items, size_t count)
{
    size_t first = items[0].position;

    for (size_t i = 1; i < count; i++) {
        if (items[i].position < first)
            first = items[i].position;
    }
    return first;
}

struct group {
    const struct item *items; /* borrowed: neighbours in the sorted ones */
    size_t count;
};

/* Finds the groups, sorted by name; at[i] is the number, from 1, of the one whose first pair is the
 * i-th of all, else 0. */
static size_t find_groups(const struct item *items, size_t count, struct group *groups, size_t *at)
{
    size_t group_count = 0;

    for (size_t i = 0; i < count;) {
        size_t n = group_length(items + i, count - i);

        groups[group_count] = (struct group){ items + i, n };
        at[first_position(items + i, n)] = ++group_count;
        i += n;
    }
    return group_count;
}

static struct cel_value build(struct arena *a, const struct pair *pairs, size_t count,
                              const struct cel_map_ops *ops)
{
    struct pairs_map *m = arena_zalloc(a, sizeof(*m));
    const struct item *items = sorted_items(a, pairs, count);
    struct group *groups = arena_alloc(a, count * sizeof(*groups));
    size_t *at = arena_zalloc(a, count * sizeof(*at));
    size_t group_count = find_groups(items, count, groups, at);

    m->map.ops = ops;
    m->entries = arena_alloc(a, group_count * sizeof(*m->entries));
    m->by_name = arena_alloc(a, group_count * sizeof(*m->by_name));
    for (size_t i = 0; i < count; i++) {
        const struct group *g;
        struct entry *e;

        if (at[i] == 0)
            continue;
        g = &groups[at[i] - 1];
        e = &m->entries[m->count++];
        e->name = g->items[0].pair->name;
        e->value =
            ops == &list_ops ? list_of_group(a, g->items, g->count) : g->items[0].pair->value;
        m->by_name[at[i] - 1] = e;
    }
    return cel_map_of(&m->map);
}

struct cel_value pairs_map_of_lists(struct arena *a, const struct pair *pairs, size_t count)
{
    return build(a, pairs, count, &list_ops);
}

struct cel_value pairs_map_of_values(struct arena *a, const struct pair *pairs, size_t count)
{
    return build(a, pairs, count, &value_ops);
}

struct cel_value pairs_map_error(struct str text)
{
    return (struct cel_value){ .kind = CEL_ERROR, .n = (uint32_t)text.n, .as.p = text.p };
}
