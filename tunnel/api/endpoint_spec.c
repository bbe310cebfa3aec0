#include "tunnel/api/endpoint_spec.h"

#include <string.h>

#include "tunnel/api/call.h"
#include "tunnel/store/store.h"

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

struct loading {
    const struct host_suffixes *suffixes;
    api_endpoint_fn *fn;
    void *arg;
};

static void load_one(void *arg, const struct store_entry *entry)
{
    const struct loading *l = arg;
    const char *slash = strrchr(entry->key, '/');
    struct api_endpoint_spec spec = { .id = slash != NULL ? slash + 1 : entry->key, .account = "" };
    struct err e = { .code = E_OK };
    json_t *object = json_loadb(entry->value, entry->value_bytes, 0, NULL);

    if (object == NULL)
        (void)err_set(&e, E_STORE, "the stored object cannot be read");
    else
        (void)api_endpoint_spec_read(object, l->suffixes, &spec, &e);
    l->fn(l->arg, &spec, &e);
    json_decref(object);
}

int api_endpoints_load(struct store *store, const struct host_suffixes *suffixes,
                       api_endpoint_fn *fn, void *arg, struct err *e)
{
    struct loading l = { .suffixes = suffixes, .fn = fn, .arg = arg };

    return store_each(store, STR("object/endpoint/"), load_one, &l, e);
}
