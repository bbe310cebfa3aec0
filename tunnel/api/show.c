/* Objects as answers have them (spec 1.8 and 1.15): every field, always, in the order of its table. */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "tunnel/api/api_int.h"
#include "tunnel/store/seal.h"

/* ---- members -------------------------------------------------------------------------------- */

struct str api_get(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR("");
}

const char *api_get_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

void api_set(json_t *object, const char *name, struct str value)
{
    (void)json_object_set_new(object, name, json_stringn(value.n > 0 ? value.p : "", value.n));
}

int api_seal(struct api_call *c, const struct api_resource *r, const char *id, json_t *object,
             const char *name, struct str value)
{
    struct str key = api_object_key(c, r, str_from(id));
    struct err e = { 0 };
    size_t n = 0;
    char *sealed;
    char *text;

    if (c->api->seal_key == NULL)
        return api_fail(c, API_INTERNAL, "This gateway has no key to keep secrets with.");
    sealed = seal(c->api->seal_key, key, value, &n, &e);
    if (sealed == NULL)
        return api_fail(c, API_INTERNAL, "The value could not be encrypted: %s.", e.msg);
    text = arena_alloc(&c->arena, base64_text_bytes(n));
    base64_encode(str_of(sealed, n), text);
    api_set(object, name, str_of(text, base64_text_bytes(n)));
    mem_free(sealed);
    return 0;
}

/* ---- uris ----------------------------------------------------------------------------------- */

const char *api_uri(struct api_call *c, const char *path, struct str id)
{
    return arena_fmt(&c->arena, "%.*s%s%s%.*s", STR_ARG(c->request->base_url), path,
                     id.n > 0 ? "/" : "", STR_ARG(id))
        .p;
}

json_t *api_ref(struct api_call *c, struct str id)
{
    const struct api_resource *r = api_resource_of_prefix(str_slice(id, 0, str_find_char(id, '_')));
    json_t *ref;

    if (id.n == 0)
        return json_null();
    ref = json_object();
    api_set(ref, "id", id);
    api_set(ref, "uri", r != NULL ? str_from(api_uri(c, r->path, id)) : STR(""));
    return ref;
}

/* ---- fields --------------------------------------------------------------------------------- */

static json_t *unset_value(const struct api_field *f)
{
    if ((f->where & API_NULLABLE) != 0)
        return json_null();
    switch (f->type) {
    case API_STRING:
    case API_TIME:
        return json_string("");
    case API_BOOL:
        return json_false();
    case API_INTEGER:
        return json_integer(0);
    case API_STRINGS:
    case API_OBJECTS:
        return json_array();
    case API_OBJECT:
        return json_object();
    case API_REF:
        return json_null();
    }
    return json_null();
}

static void show_field(struct api_call *c, const struct api_field *f, const json_t *object,
                       json_t *shown)
{
    json_t *v = json_object_get(object, f->name);

    if ((f->where & API_ONCE) != 0) {
        v = json_object_get(c->once, f->name);
        (void)json_object_set_new(shown, f->name, v != NULL ? json_incref(v) : json_null());
    } else if (f->type == API_REF) {
        struct str name = arena_fmt(&c->arena, "%s_id", f->name);

        (void)json_object_set_new(shown, f->name, api_ref(c, api_get(object, name.p)));
    } else if (v != NULL) {
        (void)json_object_set(shown, f->name, v);
    } else if ((f->where & API_OMITTED) == 0) {
        (void)json_object_set_new(shown, f->name, unset_value(f));
    }
}

json_t *api_show(struct api_call *c, const struct api_resource *r, const json_t *object)
{
    struct str id = api_get(object, "id");
    json_t *shown = json_object();

    api_set(shown, "id", id);
    if (!r->no_uri)
        api_set(shown, "uri", str_from(api_uri(c, r->path, id)));
    for (size_t i = 0; i < r->field_count; i++) {
        if ((r->fields[i].where & API_R) != 0)
            show_field(c, &r->fields[i], object, shown);
    }
    if (r->show != NULL && r->show(c, object, shown) == -1) {
        json_decref(shown);
        return NULL;
    }
    return shown;
}
