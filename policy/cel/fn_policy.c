#include "policy/cel/fn_policy.h"

#include <stddef.h>

const struct cel_library *const cel_policy_libraries[] = {
    &cel_credentials_library, &cel_hash_library,   &cel_json_library, &cel_query_library,
    &cel_random_library,      &cel_ranges_library, &cel_url_library,  NULL,
};
