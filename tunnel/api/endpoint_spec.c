#include "tunnel/api/endpoint_spec.h"

#include <string.h>

#include "tunnel/api/call.h"
#include "tunnel/store/store.h"

/* Of the store at a time: what is read stays in memory while endpoints are made of it. */
enum { LOAD_CHUNK = 256 };

static int read_binding(const json_t *bindings, enum binding *out, struct err *e)
{
    const json_t *first = json_array_get(bindings, 0);
    struct str word = str_from(json_is_string(first) ? json_string_value(first) : "");

    *out = BINDING_UNSET;
    if (json_array_size(bindings) == 0)
        return 0;
    if (json_array_size(bindings) > 1)
        return err_set(e, E_BINDING, "bindings: an endpoint has one, not %zu",
                       json_array_size(bindings));
    return binding_parse(word, out, e) == -1 ? err_prefix(e, "bindings") : 0;
}

int api_endpoint_url_read(const json_t *object, const struct host_suffixes *suffixes,
                          struct url *url, struct err *e)
{
    struct url_context context = { .command = URL_COMMAND_CLOUD, .suffixes = suffixes };

    if (suffixes == NULL)
        return err_set(e, E_NOT_FOUND, "there are no public names here");
    if (read_binding(json_object_get(object, "bindings"), &context.binding, e) == -1)
        return -1;
    return url_parse(api_get(object, "url"), &context, url, e);
}

int api_endpoint_spec_read(const json_t *object, const struct host_suffixes *suffixes,
                           struct api_endpoint_spec *out, struct err *e)
{
    *out = (struct api_endpoint_spec){
        .id = api_get_text(object, "id"),
        .account = api_get_text(object, "account"),
        .policy = api_get(object, "traffic_policy"),
        .name = api_get(object, "name"),
        .description = api_get(object, "description"),
        .metadata = api_get(object, "metadata"),
        .pooling = json_is_true(json_object_get(object, "pooling_enabled")),
    };
    return api_endpoint_url_read(object, suffixes, &out->url, e);
}

static void load_one(const struct store_entry *entry, const struct host_suffixes *suffixes,
                     api_endpoint_fn *fn, void *arg)
{
    const char *slash = strrchr(entry->key, '/');
    struct api_endpoint_spec spec = { .id = slash != NULL ? slash + 1 : entry->key, .account = "" };
    struct err e = { .code = E_OK };
    json_t *object = json_loadb(entry->value, entry->value_bytes, 0, NULL);

    if (object == NULL)
        (void)err_set(&e, E_STORE, "the stored object cannot be read");
    else
        (void)api_endpoint_spec_read(object, suffixes, &spec, &e);
    fn(arg, &spec, &e);
    json_decref(object);
}

int api_endpoints_load(struct store *store, const struct host_suffixes *suffixes,
                       api_endpoint_fn *fn, void *arg, struct err *e)
{
    char end[STORE_KEY_MAX_BYTES];
    struct store_range range = store_prefix(STR("object/endpoint/"), end);
    struct store_entries page;
    struct store_entries next;
    int rc;

    range.limit = LOAD_CHUNK;
    rc = store_range(store, &range, &page, e);
    while (rc == 0) {
        for (size_t i = 0; i < page.count; i++)
            load_one(&page.list[i], suffixes, fn, arg);
        if (!page.more)
            break;
        range.from = store_next(&page);
        rc = store_range(store, &range, &next, e);
        store_entries_fini(&page);
        page = next;
    }
    if (rc == 0)
        store_entries_fini(&page);
    return rc;
}
