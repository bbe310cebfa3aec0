#include "policy/doc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct doc_node *doc_find(const struct doc_node *map, const char *key)
{
    struct str name = str_from(key);

    if (map == NULL || map->kind != DOC_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++) {
        if (str_eq(map->keys[i]->text, name))
            return map->items[i];
    }
    return NULL;
}

/* ---- making ---------------------------------------------------------------------------------- */

static struct doc_node *new_node(struct arena *a, enum doc_kind kind)
{
    struct doc_node *n = arena_zalloc(a, sizeof(*n));

    n->kind = kind;
    return n;
}

struct doc_node *doc_new_scalar(struct arena *a, struct str text, bool plain)
{
    struct doc_node *n = new_node(a, DOC_SCALAR);

    n->text = arena_str(a, text);
    n->plain = plain;
    return n;
}

struct doc_node *doc_new_list(struct arena *a)
{
    return new_node(a, DOC_LIST);
}

struct doc_node *doc_new_map(struct arena *a)
{
    return new_node(a, DOC_MAP);
}

/* Arrays double: they are full exactly when their count is a power of two, or zero. */
static struct doc_node **grow(struct arena *a, struct doc_node **items, size_t count)
{
    struct doc_node **wider;

    if ((count & (count - 1)) != 0)
        return items;
    wider = arena_alloc(a, (count == 0 ? 1 : 2 * count) * sizeof(struct doc_node *));
    if (count > 0)
        memcpy(wider, items, count * sizeof(struct doc_node *));
    return wider;
}

void doc_list_add(struct arena *a, struct doc_node *list, struct doc_node *item)
{
    assert(list->kind == DOC_LIST);
    list->items = grow(a, list->items, list->count);
    list->items[list->count++] = item;
}

void doc_map_add(struct arena *a, struct doc_node *map, struct doc_node *key,
                 struct doc_node *value)
{
    assert(map->kind == DOC_MAP && key->kind == DOC_SCALAR);
    map->items = grow(a, map->items, map->count);
    map->keys = grow(a, map->keys, map->count);
    map->items[map->count] = value;
    map->keys[map->count++] = key;
}

static struct doc_node *from_json(struct arena *a, const json_t *json, unsigned depth);

static struct doc_node *map_from_json(struct arena *a, const json_t *json, unsigned depth)
{
    struct doc_node *map = doc_new_map(a);
    json_t *object = (json_t *)(uintptr_t)json; /* jansson iterates over no const object */

    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        struct str key = str_of(json_object_iter_key(it), json_object_iter_key_len(it));

        doc_map_add(a, map, doc_new_scalar(a, key, false),
                    from_json(a, json_object_iter_value(it), depth));
    }
    return map;
}

static struct doc_node *list_from_json(struct arena *a, const json_t *json, unsigned depth)
{
    struct doc_node *list = doc_new_list(a);

    for (size_t i = 0; i < json_array_size(json); i++)
        doc_list_add(a, list, from_json(a, json_array_get(json, i), depth));
    return list;
}

static struct doc_node *from_json(struct arena *a, const json_t *json, unsigned depth)
{
    char number[64];

    assert(depth < DOC_DEPTH_MAX); /* JSON comes from our own code: what users write is parsed */
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return map_from_json(a, json, depth + 1);
    case JSON_ARRAY:
        return list_from_json(a, json, depth + 1);
    case JSON_STRING:
        return doc_new_scalar(a, str_of(json_string_value(json), json_string_length(json)), false);
    case JSON_INTEGER:
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        return doc_new_scalar(a, str_from(number), true);
    case JSON_REAL:
        (void)snprintf(number, sizeof(number), "%.17g", json_real_value(json));
        return doc_new_scalar(a, str_from(number), true);
    case JSON_TRUE:
        return doc_new_scalar(a, STR("true"), true);
    case JSON_FALSE:
        return doc_new_scalar(a, STR("false"), true);
    case JSON_NULL:
        return doc_new_scalar(a, STR("null"), true);
    }
    return NULL;
}

struct doc_node *doc_from_json(struct arena *a, const json_t *json)
{
    return from_json(a, json, 0);
}

/* ---- documents that callers build ------------------------------------------------------------ */

struct policy_document *policy_document_new(struct str name)
{
    struct policy_document *d = mem_zalloc(sizeof(*d));

    arena_init(&d->arena);
    d->name = arena_str(&d->arena, name);
    d->root = doc_new_map(&d->arena);
    return d;
}

void policy_document_free(struct policy_document *d)
{
    if (d == NULL)
        return;
    arena_fini(&d->arena);
    mem_free(d);
}

static struct doc_node *phase_of(struct policy_document *d, enum policy_phase phase)
{
    struct str name = str_from(policy_phase_name(phase));
    struct doc_node *rules;

    for (size_t i = 0; i < d->root->count; i++) {
        if (str_eq(d->root->keys[i]->text, name))
            return d->root->items[i];
    }
    rules = doc_new_list(&d->arena);
    doc_map_add(&d->arena, d->root, doc_new_scalar(&d->arena, name, false), rules);
    return rules;
}

static void add_pair(struct arena *a, struct doc_node *map, const char *key, struct doc_node *value)
{
    doc_map_add(a, map, doc_new_scalar(a, str_from(key), false), value);
}

void policy_document_add(struct policy_document *d, enum policy_phase phase, const char *action,
                         json_t *config)
{
    struct arena *a = &d->arena;
    struct doc_node *rule = doc_new_map(a);
    struct doc_node *actions = doc_new_list(a);
    struct doc_node *made = doc_new_map(a);

    add_pair(a, made, "type", doc_new_scalar(a, str_from(action), false));
    if (config != NULL)
        add_pair(a, made, "config", doc_from_json(a, config));
    doc_list_add(a, actions, made);
    add_pair(a, rule, "actions", actions);
    doc_list_add(a, phase_of(d, phase), rule);
    json_decref(config);
}
