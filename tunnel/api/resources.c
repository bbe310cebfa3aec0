#include "tunnel/api/resource.h"

static const struct api_resource *const resources[] = {
#define RESOURCE(name) &api_resource_##name,
#include "tunnel/api/resources.def"
#undef RESOURCE
};

const struct api_resource *api_resource_at(size_t index)
{
    return index < sizeof(resources) / sizeof(resources[0]) ? resources[index] : NULL;
}

const struct api_resource *api_resource_of_prefix(struct str prefix)
{
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
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
