#include "tunnel/api/resource.h"

static const struct api_resource *const resources[] = {
#define RESOURCE(name) &api_resource_##name,
#define NESTED(name)
#include "tunnel/api/resources.def"
#undef NESTED
#undef RESOURCE
};

static const struct api_resource *const nested[] = {
#define RESOURCE(name)
#define NESTED(name) &api_resource_##name,
#include "tunnel/api/resources.def"
#undef NESTED
#undef RESOURCE
};

enum {
    RESOURCES = sizeof(resources) / sizeof(resources[0]),
    NESTED_RESOURCES = sizeof(nested) / sizeof(nested[0]),
};

const struct api_resource *api_resource_at(size_t index)
{
    return index < RESOURCES ? resources[index] : NULL;
}

const struct api_resource *api_resource_group_at(size_t index)
{
    if (index < RESOURCES)
        return resources[index];
    return index < RESOURCES + NESTED_RESOURCES ? nested[index - RESOURCES] : NULL;
}

const struct api_resource *api_resource_of_prefix(struct str prefix)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        if (str_eq(prefix, str_from(resources[i]->prefix)))
            return resources[i];
    }
    return NULL;
}

const struct api_field *api_field_find(const struct api_resource *r, struct str name)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (str_eq(name, str_from(r->fields[i].name)))
            return &r->fields[i];
    }
    return NULL;
}
