/*
 * time: timestamps and durations of CEL as text and in arithmetic, and the calendar below them
 * (spec cel 8). A timestamp is seconds since 1970 and nanoseconds, from year 1 to year 9999; a
 * duration is one int64 of nanoseconds. Whatever leaves these ranges is an error value.
 * Thread: any; pure.
 */
#ifndef POLICY_CEL_TIME_H
#define POLICY_CEL_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds since 1970. */
#define CEL_TIMESTAMP_MIN INT64_C(-62135596800)
#define CEL_TIMESTAMP_MAX INT64_C(253402300799)
enum { CEL_NS_PER_SECOND = 1000000000 };

/* ---- text; the results are a value or an error value ---- */

/* RFC 3339, with upper-case T and Z; digits behind the nanoseconds are cut. */
struct cel_value cel_timestamp_parse(struct cel_run *run, struct str text);
/* "1h30m", "-1.5s", "0": Go's syntax (spec cel 8). */
struct cel_value cel_duration_parse(struct cel_run *run, struct str text);
/* RFC 3339 in UTC with as many digits of a second as are needed. */
struct cel_value cel_timestamp_format(struct cel_run *run, struct cel_value timestamp);
/* Seconds as an exact decimal number and "s": "5400s", "0.25s". */
struct cel_value cel_duration_format(struct cel_run *run, struct cel_value duration);
/* Go's form, which interpolation writes (spec traffic-policy 3.5): "1h30m0s", "250ms". */
struct cel_value cel_duration_format_go(struct cel_run *run, struct cel_value duration);

/* ---- arithmetic; t are timestamps, d is a duration ---- */

struct cel_value cel_timestamp_from_seconds(struct cel_run *run, int64_t seconds);
struct cel_value cel_timestamp_add(struct cel_run *run, struct cel_value t, struct cel_value d);
struct cel_value cel_timestamp_sub_duration(struct cel_run *run, struct cel_value t,
                                            struct cel_value d);
/* a - b, a duration. */
struct cel_value cel_timestamp_diff(struct cel_run *run, struct cel_value a, struct cel_value b);

/* ---- the calendar (proleptic Gregorian) ---- */

struct cel_civil {
    int64_t year;
    unsigned month;    /* 1..12 */
    unsigned day;      /* 1..31 */
    unsigned hour;     /* 0..23 */
    unsigned minute;   /* 0..59 */
    unsigned second;   /* 0..59 */
    unsigned weekday;  /* 0 is Sunday */
    unsigned year_day; /* 0 is January 1 */
};

/* What a clock shows, `seconds` after 1970 (years within +-10^11 of it). */
void cel_civil_from_seconds(int64_t seconds, struct cel_civil *out);
/* True if year (0..9999), month, day, hour, minute and second name a moment that exists; then in
 * *seconds. weekday and year_day are not looked at. */
bool cel_civil_to_seconds(const struct cel_civil *civil, int64_t *seconds);
/* Days from 1970-01-01 to the given day, which has to exist. */
int64_t cel_days_from_civil(int64_t year, unsigned month, unsigned day);

#endif
