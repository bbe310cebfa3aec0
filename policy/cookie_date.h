/*
 * cookie_date: the date of a cookie's Expires attribute (RFC 6265 section 5.1.1), which takes all
 * the forms that servers ever sent.
 * Thread: any; pure.
 */
#ifndef POLICY_COOKIE_DATE_H
#define POLICY_COOKIE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* In seconds since 1970; false when it is no date from 1601 on. */
bool cookie_date_parse(struct str text, int64_t *seconds);

#endif
