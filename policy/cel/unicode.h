/*
 * unicode: properties of code points that text functions need, free of the locale.
 * Thread: any; pure.
 */
#ifndef POLICY_CEL_UNICODE_H
#define POLICY_CEL_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

/* The one-to-one case mapping; most code points are their own. */
uint32_t unicode_lower(uint32_t c);
uint32_t unicode_upper(uint32_t c);

/* The White_Space property. */
bool unicode_is_space(uint32_t c);

#endif
