/*
 * fn_policy: the functions that traffic policies have beyond the language and that need no request
 * (spec traffic-policy 5), each library in the file of its name, fn_<name>.c.
 * Thread: any; tables are const.
 */
#ifndef POLICY_CEL_FN_POLICY_H
#define POLICY_CEL_FN_POLICY_H

#include "policy/cel/fn.h"

extern const struct cel_library cel_credentials_library; /* base64 of strings, basic_auth */
extern const struct cel_library cel_hash_library;
extern const struct cel_library cel_json_library;
extern const struct cel_library cel_query_library;
extern const struct cel_library cel_random_library;
extern const struct cel_library cel_ranges_library; /* inCidrRange(), isPrivateIp() */
extern const struct cel_library cel_url_library;

/* All of them; ends with NULL. */
extern const struct cel_library *const cel_policy_libraries[];

#endif
