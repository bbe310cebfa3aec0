/*
 * fn_lists: methods of lists, join() and lists.range() (spec traffic-policy 5.8). all(), exists(),
 * map(), filter() and sortBy() are macros. A part of a list is not copied.
 */
#include "policy/cel/fn.h"
#include "policy/cel/list.h"
#include "policy/cel/sort.h"
#include "policy/cel/text.h"

static struct cel_value slice(struct cel_run *run, const struct cel_value *args, size_t count)
{
    const struct cel_list *list = args[0].as.list;
    int64_t from = args[1].as.i;
    int64_t to = args[2].as.i;
    struct cel_list *part;

    (void)count;
    if (from < 0 || to < from || (uint64_t)to > list->count)
        return cel_error(run, "the indexes are outside of the list");
    part = cel_alloc(run, sizeof(*part));
    if (part == NULL)
        return cel_spent(run);
    *part = (struct cel_list){ .items = from == 0 ? list->items : list->items + from,
                               .count = (size_t)(to - from) };
    return cel_list_of(part);
}

/* ---- flatten ---- */

struct flattening {
    struct cel_run *run;     /* borrowed */
    struct cel_value *items; /* borrowed: in the arena; NULL while they are only counted */
    size_t count;
    bool failed;
};

/* The items of a list, with lists in it replaced by their items down to `depth` levels. */
static void flatten_list(struct flattening *f, const struct cel_list *list, uint64_t depth,
                         unsigned level)
{
    if (level == f->run->limits->value_depth)
        f->failed = true;
    for (size_t i = 0; i < list->count && !f->failed; i++) {
        const struct cel_value *item = &list->items[i];

        if (!cel_charge(f->run, 1) || f->count > f->run->limits->entries) {
            f->failed = true;
        } else if (item->kind == CEL_LIST && depth > 0) {
            flatten_list(f, item->as.list, depth - 1, level + 1);
        } else {
            if (f->items != NULL)
                f->items[f->count] = *item;
            f->count++;
        }
    }
}

static struct cel_value flatten_to(struct cel_run *run, const struct cel_list *list, uint64_t depth)
{
    struct flattening f = { .run = run };
    struct cel_value result;

    flatten_list(&f, list, depth, 0);
    if (f.failed)
        return cel_spent(run);
    result = cel_list_room(run, f.count, &f.items);
    if (cel_is_error(result))
        return result;
    f.count = 0;
    flatten_list(&f, list, depth, 0);
    return f.failed ? cel_spent(run) : result;
}

static struct cel_value flatten(struct cel_run *run, const struct cel_value *args, size_t count)
{
    if (count == 2 && args[1].as.i < 0)
        return cel_error(run, "the depth is negative");
    return flatten_to(run, args[0].as.list, count == 2 ? (uint64_t)args[1].as.i : 1);
}

/* ---- sort, distinct ---- */

static struct cel_value sort(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_sort(run, args[0].as.list, args[0].as.list->items);
}

/* What can be the key of a map is looked up in one; the rest is compared with what was kept. */
struct distinct {
    struct cel_run *run; /* borrowed */
    struct cel_map_builder *seen;
    struct cel_value *kept;
    size_t count;
};

static bool can_be_key(struct cel_value v)
{
    return v.kind == CEL_STRING || v.kind == CEL_INT || v.kind == CEL_UINT || v.kind == CEL_BOOL;
}

static bool is_kept(struct distinct *d, struct cel_value v)
{
    for (size_t i = 0; i < d->count; i++) {
        struct cel_value same = cel_equal(d->run, d->kept[i], v);

        if (cel_is_error(same) || same.as.b)
            return true;
    }
    return false;
}

/* Doubles are no keys, but one equals an int. */
static bool is_new(struct distinct *d, struct cel_value v, bool has_doubles)
{
    if (!can_be_key(v) || (has_doubles && cel_is_number(v)))
        return !is_kept(d, v);
    return cel_map_put(d->seen, v, cel_null());
}

static bool has_double(const struct cel_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == CEL_DOUBLE)
            return true;
    }
    return false;
}

static struct cel_value distinct(struct cel_run *run, const struct cel_value *args, size_t count)
{
    const struct cel_list *list = args[0].as.list;
    struct distinct d = { .run = run, .seen = cel_map_new(run, list->count) };
    struct cel_value room = cel_list_room(run, list->count, &d.kept);
    bool has_doubles = has_double(list);
    struct cel_list *shorter;

    (void)count;
    if (d.seen == NULL || cel_is_error(room))
        return cel_spent(run);
    for (size_t i = 0; i < list->count; i++) {
        if (!cel_charge(run, 1))
            return cel_spent(run);
        if (is_new(&d, list->items[i], has_doubles))
            d.kept[d.count++] = list->items[i];
    }
    shorter = cel_alloc(run, sizeof(*shorter));
    if (run->spent || shorter == NULL)
        return cel_spent(run);
    *shorter = (struct cel_list){ .items = d.kept, .count = d.count };
    return cel_list_of(shorter);
}

/* ---- lists.range, join ---- */

static struct cel_value range(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value *items;
    struct cel_value list;

    (void)count;
    if (args[0].as.i < 0)
        return cel_error(run, "the length is negative");
    list = cel_list_room(run, (size_t)args[0].as.i, &items);
    if (cel_is_error(list))
        return list;
    for (size_t i = 0; i < list.as.list->count; i++)
        items[i] = cel_int((int64_t)i);
    return list;
}

static struct cel_value join(struct cel_run *run, const struct cel_value *args, size_t count)
{
    const struct cel_list *list = args[0].as.list;
    struct str separator = count == 2 ? cel_str(args[1]) : STR_NONE;
    struct cel_text out;

    cel_text_init(&out, run);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind != CEL_STRING)
            return cel_error(run, "only strings can be joined");
        if (i > 0)
            cel_text_add(&out, separator);
        cel_text_add(&out, cel_str(list->items[i]));
        if (out.failed || !cel_charge(run, 1))
            return cel_spent(run);
    }
    return cel_text_done(&out);
}

static const struct cel_fn_row rows[] = {
    { "list(T).slice(int, int) -> list(T)", slice, CEL_FN_PURE },
    { "list(T).flatten() -> list(dyn)", flatten, CEL_FN_PURE },
    { "list(T).flatten(int) -> list(dyn)", flatten, CEL_FN_PURE },
    { "list(T).sort() -> list(T)", sort, CEL_FN_PURE },
    { "list(T).distinct() -> list(T)", distinct, CEL_FN_PURE },
    { "list(string).join() -> string", join, CEL_FN_PURE },
    { "list(string).join(string) -> string", join, CEL_FN_PURE },
    { "lists.range(int) -> list(int)", range, CEL_FN_PURE },
};

const struct cel_library cel_lists_library = { rows, sizeof(rows) / sizeof(rows[0]) };
