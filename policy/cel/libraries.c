#include "policy/cel/env.h"

/* Apart from env.c, so that an environment of other tables does not need all of these. */
const struct cel_library *const cel_standard_libraries[] = {
    &cel_operators_library,
    &cel_conversions_library,
    &cel_strings_library,
    &cel_regex_library,
    &cel_time_library,
    &cel_lists_library,
    &cel_math_library,
    &cel_network_library,
    &cel_optionals_library,
    &cel_encoders_library,
    NULL,
};
