/*
 * A merge sort over indexes: stable, n log n compares whatever the keys are (they may be a
 * stranger's), and it moves 4 bytes at a time.
 */
#include "policy/cel/sort.h"

#include <math.h>

#include "policy/cel/list.h"

struct sorter {
    struct cel_run *run;          /* borrowed */
    const struct cel_value *keys; /* borrowed */
    uint32_t *from;               /* borrowed: in the arena */
    uint32_t *to;
};

static bool has_order(enum cel_kind kind)
{
    switch (kind) {
    case CEL_BOOL:
    case CEL_INT:
    case CEL_UINT:
    case CEL_DOUBLE:
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_TIMESTAMP:
    case CEL_DURATION:
        return true;
    case CEL_NULL:
    case CEL_LIST:
    case CEL_MAP:
    case CEL_TYPE:
    case CEL_OPTIONAL:
    case CEL_IP:
    case CEL_CIDR:
    case CEL_OBJECT:
    case CEL_ERROR:
        break;
    }
    return false;
}

static bool is_sortable(const struct cel_value *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].kind != keys[0].kind || !has_order((enum cel_kind)keys[i].kind))
            return false;
    }
    return true;
}

static bool is_greater(const struct sorter *s, uint32_t a, uint32_t b)
{
    enum cel_order order = cel_compare(s->run, s->keys[a], s->keys[b]);

    if (order == CEL_UNORDERED && s->keys[b].kind == CEL_DOUBLE)
        return isnan(s->keys[b].as.d) && !isnan(s->keys[a].as.d);
    return order == CEL_GREATER;
}

/* Merges the runs [start, middle) and [middle, end) of `from` into `to`. */
static void merge(const struct sorter *s, size_t start, size_t middle, size_t end)
{
    size_t left = start;
    size_t right = middle;

    for (size_t i = start; i < end; i++) {
        bool take_right =
            left == middle || (right < end && is_greater(s, s->from[left], s->from[right]));

        s->to[i] = s->from[take_right ? right++ : left++];
    }
}

static bool sort_indexes(struct sorter *s, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        uint32_t *swap = s->from;

        if (!cel_charge(s->run, count))
            return false;
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;

            merge(s, start, middle, end);
        }
        s->from = s->to;
        s->to = swap;
    }
    return !s->run->spent;
}

struct cel_value cel_sort(struct cel_run *run, const struct cel_list *list,
                          const struct cel_value *keys)
{
    size_t count = list->count;
    struct sorter s = { .run = run, .keys = keys };
    struct cel_value *items;
    struct cel_value sorted;

    if (!is_sortable(keys, count))
        return cel_error(run, "only values of one type that has an order can be sorted");
    sorted = cel_list_room(run, count, &items);
    s.from = cel_alloc(run, count * sizeof(*s.from));
    s.to = cel_alloc(run, count * sizeof(*s.to));
    if (cel_is_error(sorted) || s.from == NULL || s.to == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < count; i++)
        s.from[i] = (uint32_t)i;
    if (!sort_indexes(&s, count))
        return cel_spent(run);
    for (size_t i = 0; i < count; i++)
        items[i] = list->items[s.from[i]];
    return sorted;
}
