#include "policy/action_type.h"

enum { NEAR_DISTANCE = 4 };

/* clang-format off */
const struct action_type action_types[ACTION_TYPE_COUNT] = {
#define ACTION(symbol, name, result, phases, flags) \
    [ACTION_##symbol] = { (name), (result), (phases), (flags), \
                          symbol##_compile, symbol##_run, symbol##_free },
#include "policy/actions.def"
#undef ACTION
};
/* clang-format on */

const struct action_absent action_absent[ACTION_ABSENT_COUNT] = {
    { "ai-gateway", "ai_gateway", false },
    { "oauth", "oauth", true },
    { "openid-connect", "oidc", true },
    { "oidc", "", true },
    { "owasp-crs-request", "owasp_crs_request", false },
    { "owasp-crs-response", "owasp_crs_response", false },
    { "saml", "", true },
};

/* Names that documents use for another one (spec traffic-policy 1.8). */
static const struct {
    const char *alias;
    const char *name;
} aliases[] = {
    { "webhook-validation", "verify-webhook" },
};

const struct action_type *action_type_find(struct str name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (str_eq(name, str_from(aliases[i].alias)))
            name = str_from(aliases[i].name);
    }
    for (size_t i = 0; i < ACTION_TYPE_COUNT; i++) {
        if (str_eq(name, str_from(action_types[i].name)))
            return &action_types[i];
    }
    return NULL;
}

const struct action_absent *action_absent_find(struct str name)
{
    for (size_t i = 0; i < ACTION_ABSENT_COUNT; i++) {
        if (str_eq(name, str_from(action_absent[i].name)))
            return &action_absent[i];
    }
    return NULL;
}

const char *action_type_nearest(struct str name)
{
    size_t least = NEAR_DISTANCE + 1;
    const char *nearest = NULL;

    for (size_t i = 0; i < ACTION_TYPE_COUNT; i++) {
        size_t distance = str_distance(name, str_from(action_types[i].name));

        if (distance < least) {
            least = distance;
            nearest = action_types[i].name;
        }
    }
    return nearest;
}
