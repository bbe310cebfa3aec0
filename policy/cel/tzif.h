/*
 * tzif: one time zone in the form of the system's database (RFC 9636): the transitions that were,
 * and the rule for all time after them. Any bytes may be handed in; what is malformed is refused as
 * a whole.
 * Owns:   nothing; a struct tzif borrows from the bytes that it was parsed from.
 * Thread: any; pure.
 */
#ifndef POLICY_CEL_TZIF_H
#define POLICY_CEL_TZIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* A day of the year and a time of that day, when clocks are changed. */
struct tz_change {
    enum tz_change_kind {
        TZ_CHANGE_JULIAN,  /* day 1..365, February 29 is never counted */
        TZ_CHANGE_DAY,     /* day 0..365 */
        TZ_CHANGE_WEEKDAY, /* the week-th (5: the last) weekday of the month */
    } kind;
    unsigned day; /* of a weekday: 0 is Sunday */
    unsigned week;
    unsigned month;
    int32_t seconds; /* of the local clock before the change; within a week of the day's start */
};

/* The rule of a TZ string (POSIX). */
struct tz_rule {
    bool known;       /* false: there is none */
    bool has_dst;     /* else it is `standard` always */
    int32_t standard; /* seconds ahead of UTC */
    int32_t dst;
    struct tz_change start;
    struct tz_change end;
};

struct tzif {
    const uint8_t *times;   /* `transitions` big-endian 64-bit seconds, ascending */
    const uint8_t *indexes; /* `transitions` numbers of types */
    const uint8_t *types;   /* records of 6 bytes: offset, is it dst, name */
    size_t transitions;
    struct tz_rule rule;
};

/* Reads a file of version 2 or later. False when it is malformed; `out` then means nothing. */
bool tzif_parse(struct str file, struct tzif *out);
/* Seconds that local time is ahead of UTC, `seconds` after 1970 (within +-10^11 years). */
int32_t tzif_offset(const struct tzif *z, int64_t seconds);

/* Reads "CET-1CEST,M3.5.0,M10.5.0/3"; false when it is no such rule. */
bool tz_rule_parse(struct str text, struct tz_rule *out);

#endif
