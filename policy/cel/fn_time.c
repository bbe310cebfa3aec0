/*
 * fn_time: timestamp(), duration() and what reads their parts (spec cel 8, traffic-policy 5.14).
 */
#include "policy/cel/fn.h"
#include "policy/cel/time.h"
#include "policy/cel/zone.h"

/* ---- conversions ---- */

static struct cel_value same(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return args[0];
}

static struct cel_value timestamp_of_string(struct cel_run *run, const struct cel_value *args,
                                            size_t count)
{
    (void)count;
    return cel_timestamp_parse(run, cel_str(args[0]));
}

static struct cel_value timestamp_of_int(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    (void)count;
    return cel_timestamp_from_seconds(run, args[0].as.i);
}

static struct cel_value duration_of_string(struct cel_run *run, const struct cel_value *args,
                                           size_t count)
{
    (void)count;
    return cel_duration_parse(run, cel_str(args[0]));
}

/* ---- parts of a timestamp ---- */

enum part {
    PART_YEAR,
    PART_MONTH,
    PART_DATE,
    PART_DAY_OF_MONTH,
    PART_DAY_OF_YEAR,
    PART_DAY_OF_WEEK,
    PART_HOURS,
    PART_MINUTES,
    PART_SECONDS,
};

static int64_t part_of(const struct cel_civil *c, enum part part)
{
    switch (part) {
    case PART_YEAR:
        return c->year;
    case PART_MONTH:
        return (int64_t)c->month - 1;
    case PART_DATE:
        return c->day;
    case PART_DAY_OF_MONTH:
        return (int64_t)c->day - 1;
    case PART_DAY_OF_YEAR:
        return c->year_day;
    case PART_DAY_OF_WEEK:
        return c->weekday;
    case PART_HOURS:
        return c->hour;
    case PART_MINUTES:
        return c->minute;
    case PART_SECONDS:
        break;
    }
    return c->second;
}

/* What a clock in the zone args[1], or in UTC, shows. An offset can lead out of the years 1 to
 * 9999; the calendar goes on there. */
static struct cel_value timestamp_part(struct cel_run *run, const struct cel_value *args,
                                       size_t count, enum part part)
{
    int64_t seconds = args[0].as.i;
    struct cel_civil c;
    int32_t offset = 0;

    if (count > 1 && !cel_zone_offset(run->zones, cel_str(args[1]), seconds, &offset))
        return cel_error(run, "unknown time zone");
    cel_civil_from_seconds(seconds + offset, &c);
    return cel_int(part_of(&c, part));
}

/* clang-format off */
#define TIMESTAMP_PART(function, part)                                                      \
    static struct cel_value function(struct cel_run *run, const struct cel_value *args,     \
                                     size_t count)                                          \
    {                                                                                       \
        return timestamp_part(run, args, count, part);                                      \
    }
/* clang-format on */

TIMESTAMP_PART(timestamp_year, PART_YEAR)
TIMESTAMP_PART(timestamp_month, PART_MONTH)
TIMESTAMP_PART(timestamp_date, PART_DATE)
TIMESTAMP_PART(timestamp_day_of_month, PART_DAY_OF_MONTH)
TIMESTAMP_PART(timestamp_day_of_year, PART_DAY_OF_YEAR)
TIMESTAMP_PART(timestamp_day_of_week, PART_DAY_OF_WEEK)
TIMESTAMP_PART(timestamp_hours, PART_HOURS)
TIMESTAMP_PART(timestamp_minutes, PART_MINUTES)
TIMESTAMP_PART(timestamp_seconds, PART_SECONDS)

/* No zone is a part of a second away from UTC, but its name has to be one. */
static struct cel_value timestamp_milliseconds(struct cel_run *run, const struct cel_value *args,
                                               size_t count)
{
    int32_t offset;

    if (count > 1 && !cel_zone_offset(run->zones, cel_str(args[1]), args[0].as.i, &offset))
        return cel_error(run, "unknown time zone");
    return cel_int(args[0].n / 1000000);
}

/* ---- parts of a duration: all of it in one unit, but for the milliseconds ---- */

#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_MINUTE (INT64_C(60) * CEL_NS_PER_SECOND)

static struct cel_value duration_hours(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i / (60 * NS_PER_MINUTE));
}

static struct cel_value duration_minutes(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i / NS_PER_MINUTE);
}

static struct cel_value duration_seconds(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i / CEL_NS_PER_SECOND);
}

static struct cel_value duration_milliseconds(struct cel_run *run, const struct cel_value *args,
                                              size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.i % CEL_NS_PER_SECOND / NS_PER_MS);
}

/* What a zone is, the run says: nothing with a zone is computed before there is one. */
static const struct cel_fn_row rows[] = {
    { "timestamp(timestamp) -> timestamp", same, CEL_FN_PURE },
    { "timestamp(string) -> timestamp", timestamp_of_string, CEL_FN_ARG_CHECKED },
    { "timestamp(int) -> timestamp", timestamp_of_int, CEL_FN_ARG_CHECKED },
    { "duration(duration) -> duration", same, CEL_FN_PURE },
    { "duration(string) -> duration", duration_of_string, CEL_FN_ARG_CHECKED },
    { "timestamp.getFullYear() -> int", timestamp_year, CEL_FN_PURE },
    { "timestamp.getFullYear(string) -> int", timestamp_year, CEL_FN_IMPURE },
    { "timestamp.getMonth() -> int", timestamp_month, CEL_FN_PURE },
    { "timestamp.getMonth(string) -> int", timestamp_month, CEL_FN_IMPURE },
    { "timestamp.getDate() -> int", timestamp_date, CEL_FN_PURE },
    { "timestamp.getDate(string) -> int", timestamp_date, CEL_FN_IMPURE },
    { "timestamp.getDayOfMonth() -> int", timestamp_day_of_month, CEL_FN_PURE },
    { "timestamp.getDayOfMonth(string) -> int", timestamp_day_of_month, CEL_FN_IMPURE },
    { "timestamp.getDayOfYear() -> int", timestamp_day_of_year, CEL_FN_PURE },
    { "timestamp.getDayOfYear(string) -> int", timestamp_day_of_year, CEL_FN_IMPURE },
    { "timestamp.getDayOfWeek() -> int", timestamp_day_of_week, CEL_FN_PURE },
    { "timestamp.getDayOfWeek(string) -> int", timestamp_day_of_week, CEL_FN_IMPURE },
    { "timestamp.getHours() -> int", timestamp_hours, CEL_FN_PURE },
    { "timestamp.getHours(string) -> int", timestamp_hours, CEL_FN_IMPURE },
    { "timestamp.getMinutes() -> int", timestamp_minutes, CEL_FN_PURE },
    { "timestamp.getMinutes(string) -> int", timestamp_minutes, CEL_FN_IMPURE },
    { "timestamp.getSeconds() -> int", timestamp_seconds, CEL_FN_PURE },
    { "timestamp.getSeconds(string) -> int", timestamp_seconds, CEL_FN_IMPURE },
    { "timestamp.getMilliseconds() -> int", timestamp_milliseconds, CEL_FN_PURE },
    { "timestamp.getMilliseconds(string) -> int", timestamp_milliseconds, CEL_FN_IMPURE },
    { "duration.getHours() -> int", duration_hours, CEL_FN_PURE },
    { "duration.getMinutes() -> int", duration_minutes, CEL_FN_PURE },
    { "duration.getSeconds() -> int", duration_seconds, CEL_FN_PURE },
    { "duration.getMilliseconds() -> int", duration_milliseconds, CEL_FN_PURE },
};

const struct cel_library cel_time_library = { rows, sizeof(rows) / sizeof(rows[0]) };
