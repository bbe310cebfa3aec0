/*
 * Header fields as a map of expressions. A lookup walks the fields as they are and copies nothing;
 * only who iterates over all names makes a list of them, sorted out by policy/pairs_map.h.
 */
#include "gateway/policy_vars_int.h"
#include "policy/message_text.h"
#include "policy/pairs_map.h"

struct header_view {
    struct cel_map map; /* first */
    struct exchange *x; /* borrowed */
    const struct http_headers *headers;
    bool has_host;
    struct cel_value all; /* of names in lower case; CEL_NULL: not made yet */
};

static struct header_view *view_of(const struct cel_map *map)
{
    return (struct header_view *)(uintptr_t)map; /* made by header_view(), never const */
}

static struct cel_value all_of(const struct cel_map *map)
{
    struct header_view *v = view_of(map);
    struct arena *a = &v->x->arena;
    struct pair *pairs;
    size_t n = 0;

    if (v->all.kind != CEL_NULL)
        return v->all;
    pairs = arena_zalloc(a, (v->headers->count + 1) * sizeof(*pairs));
    if (v->has_host)
        pairs[n++] = (struct pair){ .name = STR("host"), .value = policy_vars_text(a, v->x->host) };
    for (size_t i = 0; i < v->headers->count; i++) {
        const struct http_header *h = &v->headers->items[i];

        pairs[n++] = (struct pair){ .name = message_text_lower(a, h->name),
                                    .value = policy_vars_text(a, h->value) };
    }
    v->all = pairs_map_of_lists(a, pairs, n);
    return v->all;
}

static size_t view_size(const struct cel_map *map)
{
    struct cel_value all = all_of(map);

    return all.kind == CEL_MAP ? cel_map_size(all) : 0;
}

static void view_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                       struct cel_value *key, struct cel_value *value)
{
    cel_map_entry(run, all_of(map), index, key, value);
}

static size_t count_fields(const struct header_view *v, struct str name)
{
    size_t n = 0;

    for (size_t i = 0; i < v->headers->count; i++)
        n += str_eq_nocase(v->headers->items[i].name, name);
    return n;
}

static bool view_find(struct cel_run *run, const struct cel_map *map, const struct cel_value *key,
                      struct cel_value *out)
{
    const struct header_view *v = view_of(map);
    struct str name = cel_str(*key);
    struct cel_list *list;
    struct cel_value *items;
    size_t count;

    if (key->kind != CEL_STRING)
        return false;
    count = count_fields(v, name);
    if (v->has_host && str_eq_nocase(name, STR("host")))
        count = 1;
    if (count == 0)
        return false;
    (void)cel_charge(run, v->headers->count / 8); /* a hit limit shows at the next step */
    /* In the memory of the evaluation: an event stream looks fields up for days. */
    list = cel_alloc(run, sizeof(*list) + count * sizeof(*items));
    if (list == NULL)
        return false;
    items = (struct cel_value *)(void *)(list + 1);
    *list = (struct cel_list){ .items = items };
    if (v->has_host && str_eq_nocase(name, STR("host")))
        items[list->count++] = policy_vars_text(run->arena, v->x->host);
    for (size_t i = 0; i < v->headers->count && list->count < count; i++) {
        if (str_eq_nocase(v->headers->items[i].name, name))
            items[list->count++] = policy_vars_text(run->arena, v->headers->items[i].value);
    }
    *out = cel_list_of(list);
    return true;
}

static const struct cel_map_ops view_ops = {
    .size = view_size,
    .find = view_find,
    .entry = view_entry,
    .missing_is_empty = true,
};

struct cel_value header_view(struct exchange *x, const struct http_headers *headers, bool has_host)
{
    struct header_view *v = arena_zalloc(&x->arena, sizeof(*v));

    v->map.ops = &view_ops;
    v->x = x;
    v->headers = headers;
    v->has_host = has_host;
    v->all = cel_null();
    return cel_map_of(&v->map);
}
