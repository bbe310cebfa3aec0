/*
 * Why not libc: timegm() and strptime() know neither nanoseconds nor what RFC 3339 refuses, and
 * their range and speed depend on the system. The calendar counts years from March 1, so that the
 * day that leap years add is the last of a year, in eras of 400 years, after which everything
 * repeats.
 */
#include "policy/cel/time.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    SECONDS_PER_MINUTE = 60,
    SECONDS_PER_HOUR = 3600,
    SECONDS_PER_DAY = 86400,
    DAYS_PER_ERA = 146097,       /* 400 years */
    DAYS_ERA_0_TO_1970 = 719468, /* from 0000-03-01 */
    NS_DIGITS = 9,
};

/* ---- the calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_in_month(int64_t year, unsigned month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

int64_t cel_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    /* 153 days are the five months from March to July, and again from August to December. */
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - DAYS_ERA_0_TO_1970;
}

/* The date of a day counted from 1970-01-01. */
static void civil_from_days(int64_t days, struct cel_civil *out)
{
    int64_t z = days + DAYS_ERA_0_TO_1970;
    int64_t era = floor_div(z, DAYS_PER_ERA);
    int64_t day_of_era = z - era * DAYS_PER_ERA;
    /* Without the leap days: one in 4 years (1460 days), none in 100, one in 400. */
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    out->day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out->month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    out->year = era * 400 + year_of_era + (out->month <= 2);
    out->year_day = (unsigned)(days - cel_days_from_civil(out->year, 1, 1));
    out->weekday = (unsigned)(days + 4 - floor_div(days + 4, 7) * 7); /* a Thursday is day 0 */
}

void cel_civil_from_seconds(int64_t seconds, struct cel_civil *out)
{
    int64_t days = floor_div(seconds, SECONDS_PER_DAY);
    unsigned of_day = (unsigned)(seconds - days * SECONDS_PER_DAY);

    civil_from_days(days, out);
    out->hour = of_day / SECONDS_PER_HOUR;
    out->minute = of_day / SECONDS_PER_MINUTE % 60;
    out->second = of_day % SECONDS_PER_MINUTE;
}

bool cel_civil_to_seconds(const struct cel_civil *civil, int64_t *seconds)
{
    if (civil->year < 0 || civil->year > 9999 || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > days_in_month(civil->year, civil->month) ||
        civil->hour > 23 || civil->minute > 59 || civil->second > 59)
        return false;
    *seconds = cel_days_from_civil(civil->year, civil->month, civil->day) * SECONDS_PER_DAY +
               (int64_t)civil->hour * SECONDS_PER_HOUR +
               (int64_t)civil->minute * SECONDS_PER_MINUTE + (int64_t)civil->second;
    return true;
}

/* ---- timestamps: text ---- */

static struct cel_value timestamp_range_error(struct cel_run *run)
{
    return cel_error(run, "timestamp out of range (year 1 to 9999)");
}

static struct cel_value duration_range_error(struct cel_run *run)
{
    return cel_error(run, "duration out of range (64 bits of nanoseconds)");
}

static struct cel_value checked_timestamp(struct cel_run *run, int64_t seconds, uint32_t ns)
{
    if (seconds < CEL_TIMESTAMP_MIN || seconds > CEL_TIMESTAMP_MAX)
        return timestamp_range_error(run);
    return cel_timestamp(seconds, ns);
}

/* A number of exactly `digits` digits at the front of *s. */
static bool take_digits(struct str *s, size_t digits, unsigned *out)
{
    uint64_t number;

    if (s->n < digits || str_to_u64(str_slice(*s, 0, digits), UINT32_MAX, &number) == -1)
        return false;
    *s = str_skip(*s, digits);
    *out = (unsigned)number;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* ".25" and the like, at least one digit; nothing is no nanoseconds. */
static bool take_fraction(struct str *s, uint32_t *ns)
{
    uint32_t value = 0;
    size_t digits = 0;

    *ns = 0;
    if (!take_char(s, '.'))
        return true;
    for (; digits < s->n && char_is_digit(s->p[digits]); digits++) {
        if (digits < NS_DIGITS)
            value = value * 10 + (uint32_t)(s->p[digits] - '0');
    }
    for (size_t i = digits; i < NS_DIGITS; i++)
        value *= 10;
    *s = str_skip(*s, digits);
    *ns = value;
    return digits > 0;
}

/* "Z", "+hh:mm" or "-hh:mm". */
static bool take_offset(struct str *s, int64_t *seconds)
{
    unsigned hours;
    unsigned minutes;
    bool west;

    *seconds = 0;
    if (take_char(s, 'Z'))
        return true;
    west = take_char(s, '-');
    if ((!west && !take_char(s, '+')) || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (int64_t)hours * SECONDS_PER_HOUR + (int64_t)minutes * SECONDS_PER_MINUTE;
    if (west)
        *seconds = -*seconds;
    return true;
}

struct cel_value cel_timestamp_parse(struct cel_run *run, struct str text)
{
    struct cel_civil c = { 0 };
    struct str s = text;
    unsigned year;
    uint32_t ns;
    int64_t seconds;
    int64_t offset;

    if (!cel_charge_bytes(run, text.n))
        return cel_spent(run);
    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &c.month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &c.day) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &c.hour) || !take_char(&s, ':') || !take_digits(&s, 2, &c.minute) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &c.second) || !take_fraction(&s, &ns) ||
        !take_offset(&s, &offset) || s.n > 0)
        return cel_error(run, "not an RFC 3339 timestamp such as 2024-01-31T12:00:00Z");
    c.year = year;
    if (!cel_civil_to_seconds(&c, &seconds))
        return cel_error(run, "no such date or time of day");
    return checked_timestamp(run, seconds - offset, ns);
}

/* Writes ".5" for 500,000,000 and nothing for 0, with a NUL; returns how many characters. */
static size_t format_fraction(uint32_t ns, char out[NS_DIGITS + 2])
{
    size_t n = NS_DIGITS + 1;

    out[0] = '.';
    for (size_t i = NS_DIGITS; i > 0; i--) {
        out[i] = (char)('0' + ns % 10);
        ns /= 10;
    }
    while (n > 1 && out[n - 1] == '0')
        n--;
    if (n == 1)
        n = 0;
    out[n] = '\0';
    return n;
}

static struct cel_value text_value(struct cel_run *run, const char *text)
{
    return cel_copy(run, CEL_STRING, str_from(text));
}

struct cel_value cel_timestamp_format(struct cel_run *run, struct cel_value timestamp)
{
    char fraction[NS_DIGITS + 2];
    char text[64];
    struct cel_civil c;

    assert(timestamp.kind == CEL_TIMESTAMP);
    cel_civil_from_seconds(timestamp.as.i, &c);
    (void)format_fraction(timestamp.n, fraction);
    (void)snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)c.year,
                   c.month, c.day, c.hour, c.minute, c.second, fraction);
    return text_value(run, text);
}

/* ---- durations: text ---- */

struct duration_unit {
    struct str name;
    uint64_t ns;
};

/* A name comes before its own beginnings; both micro signs are in use (U+00B5 and U+03BC). */
static const struct duration_unit duration_units[] = {
    { STR_INIT("ns"), 1 },
    { STR_INIT("us"), 1000 },
    { STR_INIT("\xc2\xb5s"), 1000 },
    { STR_INIT("\xce\xbcs"), 1000 },
    { STR_INIT("ms"), 1000000 },
    { STR_INIT("s"), UINT64_C(1000000000) },
    { STR_INIT("m"), UINT64_C(60000000000) },
    { STR_INIT("h"), UINT64_C(3600000000000) },
};

static const struct duration_unit *take_unit(struct str *s)
{
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
        if (str_starts(*s, duration_units[i].name)) {
            *s = str_skip(*s, duration_units[i].name.n);
            return &duration_units[i];
        }
    }
    return NULL;
}

static struct str take_digit_run(struct str *s)
{
    struct str digits = *s;

    digits.n = 0;
    while (digits.n < s->n && char_is_digit(s->p[digits.n]))
        digits.n++;
    *s = str_skip(*s, digits.n);
    return digits;
}

/* 0.<digits> times `unit`, cut. Dividing digit by digit from the last is exact: what each division
 * drops is less than one in the next digit's place. */
static uint64_t scaled_fraction(struct str digits, uint64_t unit)
{
    uint64_t value = 0;

    for (size_t i = digits.n; i > 0; i--)
        value = (value + (uint64_t)(digits.p[i - 1] - '0') * unit) / 10;
    return value;
}

enum duration_error { DURATION_OK, DURATION_SYNTAX, DURATION_RANGE };

/* The largest magnitude: that of INT64_MIN. */
#define DURATION_MAGNITUDE_MAX (UINT64_C(1) << 63)

/* One number with its unit at the front of *s; *ns is at most the largest magnitude and a unit. */
static enum duration_error take_duration_part(struct str *s, uint64_t *ns)
{
    struct str whole = take_digit_run(s);
    struct str fraction = STR_NONE;
    const struct duration_unit *unit;
    uint64_t value = 0;

    if (take_char(s, '.'))
        fraction = take_digit_run(s);
    if (whole.n + fraction.n == 0)
        return DURATION_SYNTAX;
    unit = take_unit(s);
    if (unit == NULL)
        return DURATION_SYNTAX;
    if (whole.n > 0 && str_to_u64(whole, DURATION_MAGNITUDE_MAX / unit->ns, &value) == -1)
        return DURATION_RANGE;
    *ns = value * unit->ns + scaled_fraction(fraction, unit->ns);
    return DURATION_OK;
}

/* What follows the sign. */
static enum duration_error read_magnitude(struct str s, uint64_t *total)
{
    *total = 0;
    if (str_eq(s, STR("0")))
        return DURATION_OK;
    if (s.n == 0)
        return DURATION_SYNTAX;
    while (s.n > 0) {
        uint64_t part = 0;
        enum duration_error error = take_duration_part(&s, &part);

        if (error != DURATION_OK)
            return error;
        if (__builtin_add_overflow(*total, part, total) || *total > DURATION_MAGNITUDE_MAX)
            return DURATION_RANGE;
    }
    return DURATION_OK;
}

struct cel_value cel_duration_parse(struct cel_run *run, struct str text)
{
    struct str s = text;
    uint64_t magnitude;
    bool negative;

    if (!cel_charge_bytes(run, text.n))
        return cel_spent(run);
    negative = take_char(&s, '-');
    if (!negative)
        (void)take_char(&s, '+'); /* may be there */
    switch (read_magnitude(s, &magnitude)) {
    case DURATION_OK:
        break;
    case DURATION_SYNTAX:
        return cel_error(run, "not a duration such as 1h30m or 1.5s");
    case DURATION_RANGE:
        return duration_range_error(run);
    }
    if (negative)
        return cel_duration((int64_t)(0 - magnitude));
    if (magnitude == DURATION_MAGNITUDE_MAX)
        return duration_range_error(run);
    return cel_duration((int64_t)magnitude);
}

static uint64_t magnitude_of(int64_t ns)
{
    return ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
}

struct cel_value cel_duration_format(struct cel_run *run, struct cel_value duration)
{
    uint64_t ns = magnitude_of(duration.as.i);
    char fraction[NS_DIGITS + 2];
    char text[64];

    assert(duration.kind == CEL_DURATION);
    (void)format_fraction((uint32_t)(ns % CEL_NS_PER_SECOND), fraction);
    (void)snprintf(text, sizeof(text), "%s%llu%ss", duration.as.i < 0 ? "-" : "",
                   (unsigned long long)(ns / CEL_NS_PER_SECOND), fraction);
    return text_value(run, text);
}

/* "1.5ms": less than a second in the largest unit that leaves a whole number in front. */
static void format_small_duration(uint64_t ns, const char *sign, char *out, size_t size)
{
    static const struct {
        uint32_t ns;
        const char *name;
    } units[] = { { 1000000, "ms" }, { 1000, "\xc2\xb5s" }, { 1, "ns" } };
    char fraction[NS_DIGITS + 2];
    size_t i = 0;

    while (ns < units[i].ns)
        i++;
    (void)format_fraction((uint32_t)(ns % units[i].ns * (CEL_NS_PER_SECOND / units[i].ns)),
                          fraction);
    (void)snprintf(out, size, "%s%u%s%s", sign, (unsigned)(ns / units[i].ns), fraction,
                   units[i].name);
}

static void format_large_duration(uint64_t ns, const char *sign, char *out, size_t size)
{
    uint64_t seconds = ns / CEL_NS_PER_SECOND;
    unsigned long long hours = seconds / SECONDS_PER_HOUR;
    unsigned minutes = (unsigned)(seconds / SECONDS_PER_MINUTE % 60);
    char fraction[NS_DIGITS + 2];
    char front[48] = "";

    (void)format_fraction((uint32_t)(ns % CEL_NS_PER_SECOND), fraction);
    if (hours > 0)
        (void)snprintf(front, sizeof(front), "%lluh%um", hours, minutes);
    else if (minutes > 0)
        (void)snprintf(front, sizeof(front), "%um", minutes);
    (void)snprintf(out, size, "%s%s%u%ss", sign, front, (unsigned)(seconds % SECONDS_PER_MINUTE),
                   fraction);
}

struct cel_value cel_duration_format_go(struct cel_run *run, struct cel_value duration)
{
    uint64_t ns = magnitude_of(duration.as.i);
    const char *sign = duration.as.i < 0 ? "-" : "";
    char text[96];

    assert(duration.kind == CEL_DURATION);
    if (ns > 0 && ns < CEL_NS_PER_SECOND)
        format_small_duration(ns, sign, text, sizeof(text));
    else
        format_large_duration(ns, sign, text, sizeof(text));
    return text_value(run, text);
}

/* ---- arithmetic ---- */

struct cel_value cel_timestamp_from_seconds(struct cel_run *run, int64_t seconds)
{
    return checked_timestamp(run, seconds, 0);
}

/* t plus (sign 1) or minus (sign -1) d. Neither overflows: a timestamp is below 2^38 seconds and a
 * duration below 2^34. */
static struct cel_value timestamp_move(struct cel_run *run, struct cel_value t, struct cel_value d,
                                       int sign)
{
    int64_t seconds;
    int64_t ns;

    assert(t.kind == CEL_TIMESTAMP && d.kind == CEL_DURATION);
    seconds = t.as.i + sign * (d.as.i / CEL_NS_PER_SECOND);
    ns = (int64_t)t.n + sign * (d.as.i % CEL_NS_PER_SECOND);
    if (ns < 0) {
        seconds--;
        ns += CEL_NS_PER_SECOND;
    } else if (ns >= CEL_NS_PER_SECOND) {
        seconds++;
        ns -= CEL_NS_PER_SECOND;
    }
    return checked_timestamp(run, seconds, (uint32_t)ns);
}

struct cel_value cel_timestamp_add(struct cel_run *run, struct cel_value t, struct cel_value d)
{
    return timestamp_move(run, t, d, 1);
}

struct cel_value cel_timestamp_sub_duration(struct cel_run *run, struct cel_value t,
                                            struct cel_value d)
{
    return timestamp_move(run, t, d, -1);
}

struct cel_value cel_timestamp_diff(struct cel_run *run, struct cel_value a, struct cel_value b)
{
    int64_t seconds;
    int64_t ns;
    int64_t total;

    assert(a.kind == CEL_TIMESTAMP && b.kind == CEL_TIMESTAMP);
    seconds = a.as.i - b.as.i;
    ns = (int64_t)a.n - (int64_t)b.n;
    /* Both with the same sign, so that a sum that fits has no part that does not. */
    if (seconds < 0 && ns > 0) {
        seconds++;
        ns -= CEL_NS_PER_SECOND;
    }
    if (__builtin_mul_overflow(seconds, CEL_NS_PER_SECOND, &total) ||
        __builtin_add_overflow(total, ns, &total))
        return duration_range_error(run);
    return cel_duration(total);
}
