/*
 * cookies: Cookie and Set-Cookie fields as expressions see them (spec traffic-policy 4.7, 4.8, D24;
 * RFC 6265): map(string, list(cookie)), of the objects of policy/objects.h.
 * Owns:   nothing; results borrow from what was handed in, and from the arena where text differs.
 *         All text is valid UTF-8.
 * Thread: any; pure.
 * Limits: COOKIES_MAX of one message, COOKIE_ATTRIBUTES_MAX unknown attributes of one cookie.
 */
#ifndef POLICY_COOKIES_H
#define POLICY_COOKIES_H

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/value.h"

enum { COOKIES_MAX = 3000, COOKIE_ATTRIBUTES_MAX = 32 };

/* From the values of all Cookie fields; cookies of one name in their order. What has no name is
 * left out. An error value when there are too many. */
struct cel_value cookies_of_request(struct arena *a, const struct str *values, size_t count);
/* From the values of all Set-Cookie fields; cookies of one name by the length of their path, the
 * longest first. What a browser would ignore is left out. */
struct cel_value cookies_of_response(struct arena *a, const struct str *values, size_t count);

#endif
