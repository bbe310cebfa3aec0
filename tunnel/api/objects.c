/*
 * Where things stand in the store:
 *   object/<kind>/<id>              the object, as compact JSON
 *   own/<kind>/<account>/<id>       nothing; so an account's list costs no walk over the others'
 *   index/<kind>/<key>              the id of the one object that has this key
 *   count/<kind>/<account>          how many there are
 * Ids sort by time, so a list is a range in reverse. An account has no "/" in its name.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"

enum { KEY_VALUE_MAX_BYTES = 256 };

/* ---- keys ----------------------------------------------------------------------------------- */

struct str api_object_key(struct api_call *c, const struct api_resource *r, struct str id)
{
    return arena_fmt(&c->arena, "object/%s/%.*s", r->kind, STR_ARG(id));
}

static struct str own_key(struct api_call *c, const struct api_resource *r, const char *account,
                          struct str id)
{
    return arena_fmt(&c->arena, "own/%s/%s/%.*s", r->kind, account, STR_ARG(id));
}

static struct str index_key(struct api_call *c, const struct api_resource *r, struct str key)
{
    return arena_fmt(&c->arena, "index/%s/%.*s", r->kind, STR_ARG(key));
}

void api_key_set(struct api_key *key, const char *field, const char *scope, struct str value)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    char text[2 * sizeof(hash) + 1];
    unsigned n = 0;
    int ok;

    if (value.n <= KEY_VALUE_MAX_BYTES) {
        (void)snprintf(key->text, sizeof(key->text), "%s/%s/%.*s", field, scope, STR_ARG(value));
        return;
    }
    ok = EVP_Digest(value.p, value.n, hash, &n, EVP_sha256(), NULL);
    assert(ok == 1); /* fails for want of memory only */
    (void)ok;
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", hash[i]);
    (void)snprintf(key->text, sizeof(key->text), "%s/%s/%s", field, scope, text);
}

/* ---- reading -------------------------------------------------------------------------------- */

bool api_may_see(const struct api_call *c, const char *account)
{
    const struct api_caller *who = api_call_who(c);

    return who->is_admin || strcmp(who->account, account) == 0;
}

static int parse_entry(struct api_call *c, const struct store_entry *entry, json_t **object)
{
    json_error_t problem;

    *object = json_loadb(entry->value, entry->value_bytes, 0, &problem);
    if (*object == NULL)
        return api_fail(c, API_INTERNAL, "The database holds a damaged object.");
    return 1;
}

/* Returns 1, 0, or -1, as api_find(). */
static int load(struct api_call *c, const struct api_resource *r, struct str id, bool expect,
                json_t **object)
{
    struct store_entries found;
    struct str key = api_object_key(c, r, id);
    struct err e = { 0 };
    int rc = store_get(c->api->store, key, &found, &e);

    if (rc == -1)
        return api_fail_store(c, &e);
    if (expect && c->txn != NULL)
        store_txn_expect(c->txn, key, rc == 1 ? found.list[0].modified : 0);
    if (rc == 1)
        rc = parse_entry(c, &found.list[0], object);
    store_entries_fini(&found);
    return rc;
}

int api_find_stored(struct api_call *c, const struct api_resource *r, struct str id,
                    json_t **object)
{
    *object = NULL;
    /* Also keeps what a peer sends out of the keys. */
    return id_is_valid(id, r->prefix) ? load(c, r, id, true, object) : 0;
}

int api_find_any(struct api_call *c, const struct api_resource *r, struct str id, json_t **object)
{
    *object = NULL;
    if (r->provider != NULL)
        return id_is_valid(id, r->prefix) ? r->provider->find(c, r, id, object) : 0;
    return api_find_stored(c, r, id, object);
}

int api_find(struct api_call *c, const struct api_resource *r, struct str id, json_t **object)
{
    int rc = api_find_any(c, r, id, object);

    if (rc == 1 && !api_may_see(c, api_get_text(*object, "account"))) {
        json_decref(*object);
        *object = NULL;
        return 0;
    }
    return rc;
}

static int find_by_key(struct api_call *c, const struct api_resource *r, struct str key,
                       bool expect, json_t **object)
{
    struct store_entries found;
    struct err e = { 0 };
    struct str at = index_key(c, r, key);
    int rc = store_get(c->api->store, at, &found, &e);

    *object = NULL;
    if (rc == -1)
        return api_fail_store(c, &e);
    if (expect && c->txn != NULL)
        store_txn_expect(c->txn, at, rc == 1 ? found.list[0].modified : 0);
    if (rc == 1)
        rc = load(c, r, str_of(found.list[0].value, found.list[0].value_bytes), expect, object);
    store_entries_fini(&found);
    return rc;
}

int api_find_by_key(struct api_call *c, const struct api_resource *r, struct str key,
                    json_t **object)
{
    return find_by_key(c, r, key, true, object);
}

int api_peek_by_key(struct api_call *c, const struct api_resource *r, struct str key,
                    json_t **object)
{
    return find_by_key(c, r, key, false, object);
}

int api_find_ids(struct api_call *c, const struct api_resource *r, struct str key_prefix,
                 size_t max, json_t **ids)
{
    char to[STORE_KEY_MAX_BYTES];
    struct store_range range = store_prefix(index_key(c, r, key_prefix), to);
    struct store_entries found;
    struct err e = { 0 };

    range.limit = max;
    if (store_range(c->api->store, &range, &found, &e) == -1)
        return api_fail_store(c, &e);
    *ids = json_array();
    for (size_t i = 0; i < found.count; i++)
        (void)json_array_append_new(*ids,
                                    json_stringn(found.list[i].value, found.list[i].value_bytes));
    store_entries_fini(&found);
    return 0;
}

int api_find_ref(struct api_call *c, const struct api_resource *r, const char *account,
                 struct str id, enum api_code malformed, enum api_code unknown, json_t **object)
{
    int rc;

    *object = NULL;
    if (!id_is_valid(id, r->prefix))
        return api_fail(c, malformed, "This is not the id of a resource of the kind %s: %.*s.",
                        r->kind, STR_ARG(str_slice(id, 0, ID_BYTES)));
    rc = api_find(c, r, id, object);
    if (rc == 1 && account != NULL && !str_eq(api_get(*object, "account"), str_from(account))) {
        json_decref(*object);
        *object = NULL;
        rc = 0;
    }
    if (rc == 0)
        return api_fail(c, unknown, "There is no %s with the id %.*s.", r->kind, STR_ARG(id));
    return rc == 1 ? 0 : -1;
}

/* ---- ranges --------------------------------------------------------------------------------- */

/* The objects behind the entries of a range over own/. */
static int load_owned(struct api_call *c, const struct api_resource *r,
                      const struct store_entries *found, size_t prefix_bytes, json_t *list)
{
    for (size_t i = 0; i < found->count; i++) {
        json_t *object = NULL;
        int rc = load(c, r, str_from(found->list[i].key + prefix_bytes), false, &object);

        if (rc == -1)
            return -1;
        if (rc == 1) /* else it was deleted since */
            (void)json_array_append_new(list, object);
    }
    return 0;
}

/* The objects of entries over object/. */
static int parse_all(struct api_call *c, const struct store_entries *found, json_t *list)
{
    for (size_t i = 0; i < found->count; i++) {
        json_t *object;

        if (parse_entry(c, &found->list[i], &object) == -1)
            return -1;
        (void)json_array_append_new(list, object);
    }
    return 0;
}

/*
 * What one range of the store gives; the next one ends before *to. Returns 1 when there is more, 0 when
 * there is not, or -1 with the error set.
 */
static int range_once(struct api_call *c, const struct api_resource *r, struct store_range *range,
                      json_t *list)
{
    struct store_entries found;
    struct err e = { 0 };
    bool more;
    int rc;

    if (store_range(c->api->store, range, &found, &e) == -1)
        return api_fail_store(c, &e);
    if (api_call_who(c)->is_admin)
        rc = parse_all(c, &found, list);
    else
        rc = load_owned(c, r, &found, range->from.n, list);
    more = found.more;
    if (more)
        range->to = arena_str(&c->arena, str_from(found.list[found.count - 1].key));
    store_entries_fini(&found);
    return rc == -1 ? -1 : more;
}

int api_range_stored(struct api_call *c, const struct api_resource *r, struct str before,
                     size_t max, json_t *list)
{
    const struct api_caller *who = api_call_who(c);
    struct str prefix =
        who->is_admin ? api_object_key(c, r, STR_NONE) : own_key(c, r, who->account, STR_NONE);
    char to[STORE_KEY_MAX_BYTES];
    struct store_range range = store_prefix(prefix, to);
    size_t end = json_array_size(list) + max;
    int rc = 1;

    if (before.n > 0)
        range.to = arena_fmt(&c->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(before));
    range.reverse = true;
    /* A range may end early for its size, and have objects that are deleted meanwhile. */
    while (rc == 1 && json_array_size(list) < end) {
        range.limit = end - json_array_size(list);
        rc = range_once(c, r, &range, list);
    }
    return rc == -1 ? -1 : 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The key must be free, or be that of `id` itself. */
static int claim_key(struct api_call *c, const struct api_change *ch, const struct api_key *key)
{
    json_t *other;
    int rc = api_find_by_key(c, ch->resource, str_from(key->text), &other);
    bool is_foreign;
    enum api_code code;

    if (rc == -1)
        return -1;
    if (rc == 1) {
        is_foreign = strcmp(api_get_text(other, "account"), ch->account) != 0;
        code = is_foreign && key->elsewhere != API_OK ? key->elsewhere : key->taken;
        json_decref(other);
        return api_fail(c, code, "%s%s%s", api_code_text(code), key->value != NULL ? ": " : "",
                        key->value != NULL ? key->value : "");
    }
    store_txn_put(c->txn, index_key(c, ch->resource, str_from(key->text)),
                  arena_str(&c->arena, str_from(ch->id)));
    return 0;
}

static bool has_key(const struct api_key *keys, size_t count, const struct api_key *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].text, key->text) == 0)
            return true;
    }
    return false;
}

/* Puts the keys that are new and deletes those that are gone. */
static int write_keys(struct api_call *c, const struct api_change *ch)
{
    struct api_key before[API_KEYS_MAX] = { 0 };
    struct api_key after[API_KEYS_MAX] = { 0 };
    size_t old = ch->before != NULL ? ch->resource->keys(ch->before, before) : 0;
    size_t new = ch->after != NULL ? ch->resource->keys(ch->after, after) : 0;

    for (size_t i = 0; i < old; i++) {
        if (!has_key(after, new, &before[i]))
            store_txn_delete(c->txn, index_key(c, ch->resource, str_from(before[i].text)));
    }
    for (size_t i = 0; i < new; i++) {
        if (!has_key(before, old, &after[i]) && claim_key(c, ch, &after[i]) == -1)
            return -1;
    }
    return 0;
}

/* How many objects there are with this key of a count, changes of this transaction included. */
static int read_count(struct api_call *c, struct str key, uint64_t *n)
{
    const json_t *pending = json_object_get(c->counts, key.p);
    struct store_entries found;
    struct err e = { 0 };
    int rc;

    *n = (uint64_t)json_integer_value(pending);
    if (pending != NULL)
        return 0;
    rc = store_get(c->api->store, key, &found, &e);
    if (rc == -1)
        return api_fail_store(c, &e);
    store_txn_expect(c->txn, key, rc == 1 ? found.list[0].modified : 0);
    if (rc == 1 &&
        str_to_u64(str_of(found.list[0].value, found.list[0].value_bytes), INT64_MAX - 1, n) == -1)
        *n = 0;
    store_entries_fini(&found);
    return 0;
}

static uint64_t objects_max(const struct api_call *c, const struct api_resource *r)
{
    return r->is_of_events ? api_call_host(c)->events.objects_max : c->api->objects_max;
}

/* Changes how many objects of this kind the account has. */
static int write_count(struct api_call *c, const struct api_change *ch)
{
    struct str key = arena_fmt(&c->arena, "count/%s/%s", ch->resource->kind, ch->account);
    uint64_t n;

    if (read_count(c, key, &n) == -1)
        return -1;
    if (ch->op == API_CREATE && n >= objects_max(c, ch->resource))
        return api_fail(
            c, ch->resource->too_many != API_OK ? ch->resource->too_many : API_OBJECT_LIMIT,
            "The account has %llu objects of the kind %s, as many as it may.",
            (unsigned long long)n, ch->resource->kind);
    if (ch->op == API_CREATE)
        n++;
    else if (n > 0)
        n--;
    (void)json_object_set_new(c->counts, key.p, json_integer((json_int_t)n));
    return 0;
}

static int write_object(struct api_call *c, const struct api_change *ch)
{
    struct str id = str_from(ch->id);
    char *text;

    if (ch->after == NULL) {
        store_txn_delete(c->txn, api_object_key(c, ch->resource, id));
        store_txn_delete(c->txn, own_key(c, ch->resource, ch->account, id));
        return 0;
    }
    text = json_dumps(ch->after, JSON_COMPACT);
    store_txn_put(c->txn, api_object_key(c, ch->resource, id),
                  arena_str(&c->arena, str_from(text)));
    free(text);
    if (ch->op == API_CREATE)
        store_txn_put(c->txn, own_key(c, ch->resource, ch->account, id), STR(""));
    return 0;
}

int api_objects_write(struct api_call *c, const struct api_change *ch)
{
    if (ch->resource->keys != NULL && write_keys(c, ch) == -1)
        return -1;
    if (ch->op != API_UPDATE && write_count(c, ch) == -1)
        return -1;
    return write_object(c, ch);
}

/* ---- deleting many -------------------------------------------------------------------------- */

int api_delete_child(struct api_call *c, const struct api_resource *r, const json_t *object)
{
    struct api_change ch = {
        .resource = r,
        .op = API_DELETE,
        .id = api_get_text(object, "id"),
        .account = api_get_text(object, "account"),
        .before = object,
    };

    return api_objects_write(c, &ch);
}
