#include "policy/objects.h"

#include <string.h>

#include "policy/cel/run.h"

/* ---- the empty map --------------------------------------------------------------------------- */

static size_t empty_size(const struct cel_map *map)
{
    (void)map;
    return 0;
}

static bool empty_find(struct cel_run *run, const struct cel_map *map, const struct cel_value *key,
                       struct cel_value *out)
{
    (void)run;
    (void)map;
    (void)key;
    (void)out;
    return false;
}

static void empty_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                        struct cel_value *key, struct cel_value *value)
{
    (void)run;
    (void)map;
    (void)index; /* there is none */
    *key = cel_null();
    *value = cel_null();
}

struct cel_value policy_empty_map(void)
{
    static const struct cel_map_ops ops = { .size = empty_size,
                                            .find = empty_find,
                                            .entry = empty_entry };
    static const struct cel_map map = { .ops = &ops };

    return cel_map_of(&map);
}

/* ---- cookies --------------------------------------------------------------------------------- */

enum cookie_field {
    COOKIE_DOMAIN,
    COOKIE_EXPIRES,
    COOKIE_HTTP_ONLY,
    COOKIE_MAX_AGE,
    COOKIE_NAME,
    COOKIE_PATH,
    COOKIE_SAME_SITE,
    COOKIE_SECURE,
    COOKIE_UNPARSED_ATTRIBUTES,
    COOKIE_VALUE,
};
enum { COOKIE_FIELDS = COOKIE_VALUE + 1 };

static const struct cel_object_field cookie_fields[COOKIE_FIELDS] = {
    [COOKIE_DOMAIN] = { "domain", "string" },
    [COOKIE_EXPIRES] = { "expires", "timestamp" },
    [COOKIE_HTTP_ONLY] = { "http_only", "bool" },
    [COOKIE_MAX_AGE] = { "max_age", "duration" },
    [COOKIE_NAME] = { "name", "string" },
    [COOKIE_PATH] = { "path", "string" },
    [COOKIE_SAME_SITE] = { "same_site", "string" },
    [COOKIE_SECURE] = { "secure", "bool" },
    [COOKIE_UNPARSED_ATTRIBUTES] = { "unparsed_attributes", "map(string, string)" },
    [COOKIE_VALUE] = { "value", "string" },
};

static struct cel_value cookie_get(struct cel_run *run, const void *object, size_t field)
{
    const struct policy_cookie *c = object;

    switch ((enum cookie_field)field) {
    case COOKIE_DOMAIN:
        return cel_string(c->domain);
    case COOKIE_EXPIRES:
        return c->expires.kind != CEL_NULL ? c->expires
                                           : cel_error(run, "the cookie has no expiry");
    case COOKIE_HTTP_ONLY:
        return cel_bool(c->http_only);
    case COOKIE_MAX_AGE:
        return c->max_age.kind != CEL_NULL ? c->max_age : cel_duration(0);
    case COOKIE_NAME:
        return cel_string(c->name);
    case COOKIE_PATH:
        return cel_string(c->path);
    case COOKIE_SAME_SITE:
        return cel_string(c->same_site);
    case COOKIE_SECURE:
        return cel_bool(c->secure);
    case COOKIE_UNPARSED_ATTRIBUTES:
        return c->unparsed_attributes.kind != CEL_NULL ? c->unparsed_attributes
                                                       : policy_empty_map();
    case COOKIE_VALUE:
        return cel_string(c->value);
    }
    return cel_null();
}

static bool cookie_has(const void *object, size_t field)
{
    const struct policy_cookie *c = object;

    switch ((enum cookie_field)field) {
    case COOKIE_DOMAIN:
        return c->domain.n > 0;
    case COOKIE_EXPIRES:
        return c->expires.kind != CEL_NULL;
    case COOKIE_MAX_AGE:
        return c->max_age.kind != CEL_NULL;
    case COOKIE_PATH:
        return c->path.n > 0;
    case COOKIE_SAME_SITE:
        return c->same_site.n > 0;
    case COOKIE_UNPARSED_ATTRIBUTES:
        return c->unparsed_attributes.kind != CEL_NULL;
    case COOKIE_HTTP_ONLY:
        return c->http_only;
    case COOKIE_SECURE:
        return c->secure;
    case COOKIE_NAME:
    case COOKIE_VALUE:
        return true;
    }
    return false;
}

const struct cel_object_type policy_cookie_type = {
    .name = "cookie",
    .fields = cookie_fields,
    .field_count = COOKIE_FIELDS,
    .get = cookie_get,
    .has = cookie_has,
};

/* ---- certificate extensions ------------------------------------------------------------------ */

enum extension_field { EXTENSION_CRITICAL, EXTENSION_ID, EXTENSION_VALUE };
enum { EXTENSION_FIELDS = EXTENSION_VALUE + 1 };

static const struct cel_object_field extension_fields[EXTENSION_FIELDS] = {
    [EXTENSION_CRITICAL] = { "critical", "bool" },
    [EXTENSION_ID] = { "id", "string" },
    [EXTENSION_VALUE] = { "value", "bytes" },
};

static struct cel_value extension_get(struct cel_run *run, const void *object, size_t field)
{
    const struct policy_tls_extension *x = object;

    (void)run;
    switch ((enum extension_field)field) {
    case EXTENSION_CRITICAL:
        return cel_bool(x->critical);
    case EXTENSION_ID:
        return cel_string(x->id);
    case EXTENSION_VALUE:
        return cel_bytes(x->value);
    }
    return cel_null();
}

static bool extension_has(const void *object, size_t field)
{
    (void)object;
    (void)field;
    return true;
}

const struct cel_object_type policy_tls_extension_type = {
    .name = "tls_extension",
    .fields = extension_fields,
    .field_count = EXTENSION_FIELDS,
    .get = extension_get,
    .has = extension_has,
};

/* ---- copies ---------------------------------------------------------------------------------- */

static struct cel_value copy(struct cel_run *run, struct cel_value v, unsigned depth);

/* Never NULL with room for it: an empty text stays a text. */
static bool copy_str(struct cel_run *run, struct str *s)
{
    char *p = cel_alloc(run, s->n);

    if (p == NULL)
        return false;
    if (s->n > 0)
        memcpy(p, s->p, s->n);
    s->p = p;
    return true;
}

static struct cel_value copy_text(struct cel_run *run, struct cel_value v)
{
    struct str s = cel_str(v);

    if (!copy_str(run, &s))
        return cel_spent(run);
    v.as.p = s.p;
    return v;
}

static struct cel_value copy_list(struct cel_run *run, const struct cel_list *from, unsigned depth)
{
    struct cel_list *list = cel_alloc(run, sizeof(*list));
    struct cel_value *items =
        list == NULL ? NULL : cel_alloc(run, from->count * sizeof(struct cel_value));

    if (items == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < from->count; i++) {
        items[i] = copy(run, from->items[i], depth);
        if (cel_is_error(items[i]))
            return items[i];
    }
    *list = (struct cel_list){ .items = items, .count = from->count };
    return cel_list_of(list);
}

static struct cel_value copy_map(struct cel_run *run, struct cel_value from, unsigned depth)
{
    size_t count = cel_map_size(from);
    struct cel_map_builder *map = cel_map_new(run, count);

    for (size_t i = 0; map != NULL && i < count; i++) {
        struct cel_value key;
        struct cel_value value;

        cel_map_entry(run, from, i, &key, &value);
        key = copy(run, key, depth);
        value = copy(run, value, depth);
        if (cel_is_error(key) || cel_is_error(value))
            return cel_is_error(key) ? key : value;
        if (!cel_map_put(map, key, value))
            return cel_spent(run);
    }
    return map == NULL ? cel_spent(run) : cel_map_value(map);
}

static struct cel_value copy_cookie(struct cel_run *run, const struct policy_cookie *from,
                                    unsigned depth)
{
    struct policy_cookie *c = cel_alloc(run, sizeof(*c));

    if (c == NULL)
        return cel_spent(run);
    *c = *from;
    if (!copy_str(run, &c->name) || !copy_str(run, &c->value) || !copy_str(run, &c->domain) ||
        !copy_str(run, &c->path) || !copy_str(run, &c->same_site))
        return cel_spent(run);
    c->unparsed_attributes = copy(run, from->unparsed_attributes, depth);
    return cel_is_error(c->unparsed_attributes) ? c->unparsed_attributes
                                                : cel_object_of(&c->object);
}

static struct cel_value copy_extension(struct cel_run *run, const struct policy_tls_extension *from)
{
    struct policy_tls_extension *x = cel_alloc(run, sizeof(*x));

    if (x == NULL)
        return cel_spent(run);
    *x = *from;
    return copy_str(run, &x->id) && copy_str(run, &x->value) ? cel_object_of(&x->object)
                                                             : cel_spent(run);
}

static struct cel_value copy_object(struct cel_run *run, const struct cel_object *from,
                                    unsigned depth)
{
    if (from->type == &policy_cookie_type)
        return copy_cookie(run, (const struct policy_cookie *)from, depth);
    assert(from->type == &policy_tls_extension_type); /* there are no others */
    return copy_extension(run, (const struct policy_tls_extension *)from);
}

/* Copies what an OPTIONAL, IP or CIDR points to. */
static struct cel_value copy_held(struct cel_run *run, struct cel_value v, unsigned depth)
{
    struct cel_value *held;

    if (v.as.held == NULL)
        return v;
    held = cel_alloc(run, sizeof(*held));
    if (held == NULL)
        return cel_spent(run);
    *held = copy(run, *v.as.held, depth);
    return cel_is_error(*held) ? *held : cel_optional(held);
}

static struct cel_value copy_ip(struct cel_run *run, struct cel_value v)
{
    struct addr *ip = cel_alloc(run, sizeof(*ip));

    if (ip == NULL)
        return cel_spent(run);
    *ip = *v.as.ip;
    v.as.ip = ip;
    return v;
}

static struct cel_value copy_cidr(struct cel_run *run, struct cel_value v)
{
    struct cel_cidr *cidr = cel_alloc(run, sizeof(*cidr));

    if (cidr == NULL)
        return cel_spent(run);
    *cidr = *v.as.cidr;
    v.as.cidr = cidr;
    return v;
}

static struct cel_value copy(struct cel_run *run, struct cel_value v, unsigned depth)
{
    if (depth == 0)
        return cel_spent(run);
    switch ((enum cel_kind)v.kind) {
    case CEL_NULL:
    case CEL_BOOL:
    case CEL_INT:
    case CEL_UINT:
    case CEL_DOUBLE:
    case CEL_TIMESTAMP:
    case CEL_DURATION:
    case CEL_TYPE: /* its name is static */
        return v;
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_ERROR:
        return copy_text(run, v);
    case CEL_LIST:
        return copy_list(run, v.as.list, depth - 1);
    case CEL_MAP:
        return copy_map(run, v, depth - 1);
    case CEL_OPTIONAL:
        return copy_held(run, v, depth - 1);
    case CEL_IP:
        return copy_ip(run, v);
    case CEL_CIDR:
        return copy_cidr(run, v);
    case CEL_OBJECT:
        return copy_object(run, v.as.object, depth - 1);
    }
    return v;
}

struct cel_value policy_value_copy(struct cel_run *run, struct cel_value v)
{
    return copy(run, v, run->limits->value_depth);
}
