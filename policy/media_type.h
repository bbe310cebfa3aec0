/*
 * media_type: Content-Type and Content-Encoding as expressions see them (spec traffic-policy 4.7,
 * RFC 9110 sections 8.3 and 8.4).
 * Owns:   nothing; results borrow from what was handed in, and from the arena where text differs.
 *         All text is valid UTF-8.
 * Thread: any; pure.
 * Limits: MEDIA_TYPE_PARAMETERS_MAX and CONTENT_CODINGS_MAX; what is beyond is left out.
 */
#ifndef POLICY_MEDIA_TYPE_H
#define POLICY_MEDIA_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/value.h"

enum { MEDIA_TYPE_PARAMETERS_MAX = 64, CONTENT_CODINGS_MAX = 64 };

/* "application/json" of a Content-Type value, in lower case. */
struct str media_type_essence(struct arena *a, struct str value);
/* True if that is `essence`. */
bool media_type_is(struct str value, struct str essence);
/* Its parameters: map(string, string) with names in lower case; of several with one name the first.
 * */
struct cel_value media_type_parameters(struct arena *a, struct str value);

/* The codings of all Content-Encoding fields, in order and in lower case: list(string). */
struct cel_value content_codings(struct arena *a, const struct str *values, size_t count);

#endif
