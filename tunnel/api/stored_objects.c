#include "tunnel/api/stored_objects.h"

#include "base/log.h"
#include "tunnel/store/store.h"

struct visit {
    api_stored_fn *fn;
    void *arg;
};

static void visit_entry(void *arg, const struct store_entry *entry)
{
    const struct visit *v = arg;
    json_t *object = json_loadb(entry->value, entry->value_bytes, 0, NULL);

    if (json_is_object(object))
        v->fn(v->arg, entry, object);
    else
        api_stored_unusable(entry->key, "it is no JSON object");
    json_decref(object);
}

int api_stored_each(struct store *s, struct str prefix, api_stored_fn *fn, void *arg, struct err *e)
{
    struct visit v = { .fn = fn, .arg = arg };

    return store_each(s, prefix, visit_entry, &v, e);
}

void api_stored_unusable(const char *key, const char *why)
{
    log_error("stored.unusable", LS("object", key), LS("error", why));
}
