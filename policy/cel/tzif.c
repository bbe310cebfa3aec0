/*
 * The transitions stay in the file's own bytes, checked once: most lookups are about now, which is
 * behind the last transition, and a table in machine form would only cost memory.
 */
#include "policy/cel/tzif.h"

#include <assert.h>
#include <string.h>

#include "policy/cel/time.h"

enum {
    TZIF_HEADER_BYTES = 44,
    TZIF_TYPE_BYTES = 6,
    TZIF_TIME_BYTES = 8,
    TZIF_OFFSET_MIN = -89999, /* RFC 9636 section 3.2 */
    TZIF_OFFSET_MAX = 93599,
    TZ_ZONE_HOURS_MAX = 24,
    TZ_CHANGE_HOURS_MAX = 167,
    SECONDS_PER_DAY = 86400,
    SECONDS_PER_HOUR = 3600,
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* ---- the rule ---- */

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

static bool take_number(struct str *s, unsigned max, unsigned *out)
{
    size_t digits = 0;
    uint64_t value;

    while (digits < s->n && char_is_digit(s->p[digits]))
        digits++;
    if (str_to_u64(str_slice(*s, 0, digits), max, &value) == -1)
        return false;
    *s = str_skip(*s, digits);
    *out = (unsigned)value;
    return true;
}

/* The name of a zone: three or more letters, or anything in <>. Nobody asks for it. */
static bool skip_name(struct str *s)
{
    size_t n = 0;

    if (take_char(s, '<')) {
        n = str_find_char(*s, '>');
        *s = str_skip(*s, n);
        return take_char(s, '>');
    }
    while (n < s->n && char_is_alpha(s->p[n]))
        n++;
    *s = str_skip(*s, n);
    return n >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct str *s, unsigned max_hours, int32_t *seconds)
{
    bool negative = take_char(s, '-');
    unsigned part = 0;
    unsigned total;

    if (!negative)
        (void)take_char(s, '+'); /* may be there */
    if (!take_number(s, max_hours, &part))
        return false;
    total = part * SECONDS_PER_HOUR;
    for (unsigned scale = 60; scale > 0 && take_char(s, ':'); scale /= 60) {
        if (!take_number(s, 59, &part))
            return false;
        total += part * scale;
    }
    *seconds = negative ? -(int32_t)total : (int32_t)total;
    return true;
}

static bool take_weekday(struct str *s, struct tz_change *out)
{
    out->kind = TZ_CHANGE_WEEKDAY;
    return take_number(s, 12, &out->month) && out->month >= 1 && take_char(s, '.') &&
           take_number(s, 5, &out->week) && out->week >= 1 && take_char(s, '.') &&
           take_number(s, 6, &out->day);
}

/* ",M3.2.0/3", ",J60" or ",59" */
static bool take_change(struct str *s, struct tz_change *out)
{
    if (!take_char(s, ','))
        return false;
    if (take_char(s, 'M')) {
        if (!take_weekday(s, out))
            return false;
    } else if (take_char(s, 'J')) {
        out->kind = TZ_CHANGE_JULIAN;
        if (!take_number(s, 365, &out->day) || out->day < 1)
            return false;
    } else {
        out->kind = TZ_CHANGE_DAY;
        if (!take_number(s, 365, &out->day))
            return false;
    }
    out->seconds = 2 * SECONDS_PER_HOUR;
    return !take_char(s, '/') || take_time(s, TZ_CHANGE_HOURS_MAX, &out->seconds);
}

bool tz_rule_parse(struct str text, struct tz_rule *out)
{
    struct str s = text;
    struct tz_rule r = { .known = true };

    /* POSIX counts west of Greenwich. */
    if (!skip_name(&s) || !take_time(&s, TZ_ZONE_HOURS_MAX, &r.standard))
        return false;
    r.standard = -r.standard;
    if (s.n > 0) {
        r.has_dst = true;
        if (!skip_name(&s))
            return false;
        r.dst = r.standard + SECONDS_PER_HOUR;
        if (s.n > 0 && s.p[0] != ',') {
            if (!take_time(&s, TZ_ZONE_HOURS_MAX, &r.dst))
                return false;
            r.dst = -r.dst;
        }
        if (!take_change(&s, &r.start) || !take_change(&s, &r.end) || s.n > 0)
            return false;
    }
    *out = r;
    return true;
}

/* The first day of a month (1..13) of the year, in days since 1970. */
static int64_t first_of_month(int64_t year, unsigned month)
{
    return month > 12 ? cel_days_from_civil(year + 1, 1, 1) : cel_days_from_civil(year, month, 1);
}

static int64_t weekday_day(const struct tz_change *c, int64_t year)
{
    int64_t first = first_of_month(year, c->month);
    int64_t next_month = first_of_month(year, c->month + 1);
    int64_t first_weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = first + ((int64_t)c->day - first_weekday + 7) % 7 + 7 * ((int64_t)c->week - 1);

    return day < next_month ? day : day - 7; /* week 5 is the last, which may be the fourth */
}

/* When clocks that are `offset` ahead of UTC reach the change, in seconds since 1970. */
static int64_t change_time(const struct tz_change *c, int64_t year, int32_t offset)
{
    int64_t new_year = cel_days_from_civil(year, 1, 1);
    int64_t march = cel_days_from_civil(year, 3, 1);
    int64_t day = 0;

    switch (c->kind) {
    case TZ_CHANGE_JULIAN:
        day = c->day >= 60 ? march + c->day - 60 : new_year + c->day - 1;
        break;
    case TZ_CHANGE_DAY:
        day = new_year + c->day;
        break;
    case TZ_CHANGE_WEEKDAY:
        day = weekday_day(c, year);
        break;
    }
    return day * SECONDS_PER_DAY + c->seconds - offset;
}

static int32_t rule_offset(const struct tz_rule *r, int64_t seconds)
{
    struct cel_civil local;
    int64_t start;
    int64_t end;
    bool dst;

    if (!r->has_dst)
        return r->standard;
    cel_civil_from_seconds(seconds + r->standard, &local);
    start = change_time(&r->start, local.year, r->standard);
    end = change_time(&r->end, local.year, r->dst);
    /* South of the equator summer spans the new year. */
    dst = start < end ? seconds >= start && seconds < end : !(seconds >= end && seconds < start);
    return dst ? r->dst : r->standard;
}

/* ---- the file ---- */

struct tzif_header {
    char version;
    size_t ut_marks; /* isutcnt of the RFC, and so on */
    size_t std_marks;
    size_t leaps;
    size_t transitions;
    size_t types;
    size_t name_bytes;
};

/* Reads the header at the front of *s. Counts are below 2^32, so sums of them cannot overflow. */
static bool take_header(struct str *s, struct tzif_header *h)
{
    const uint8_t *p = (const uint8_t *)s->p;

    static_assert(sizeof(size_t) == 8, "counts of a file are multiplied and added unchecked");
    if (s->n < TZIF_HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    h->version = (char)p[4];
    h->ut_marks = be32(p + 20);
    h->std_marks = be32(p + 24);
    h->leaps = be32(p + 28);
    h->transitions = be32(p + 32);
    h->types = be32(p + 36);
    h->name_bytes = be32(p + 40);
    *s = str_skip(*s, TZIF_HEADER_BYTES);
    return true;
}

/* Bytes behind the header when a time has so many bytes. */
static size_t data_bytes(const struct tzif_header *h, size_t time_bytes)
{
    return h->transitions * (time_bytes + 1) + h->types * TZIF_TYPE_BYTES + h->name_bytes +
           h->leaps * (time_bytes + 4) + h->std_marks + h->ut_marks;
}

static int64_t transition_time(const struct tzif *z, size_t i)
{
    return be64(z->times + i * TZIF_TIME_BYTES);
}

static int32_t type_offset(const struct tzif *z, size_t type)
{
    return (int32_t)be32(z->types + type * TZIF_TYPE_BYTES);
}

/* What a lookup takes for granted. */
static bool is_consistent(const struct tzif *z, size_t types)
{
    for (size_t i = 0; i < types; i++) {
        int32_t offset = type_offset(z, i);

        if (offset < TZIF_OFFSET_MIN || offset > TZIF_OFFSET_MAX)
            return false;
    }
    for (size_t i = 0; i < z->transitions; i++) {
        if (z->indexes[i] >= types || (i > 0 && transition_time(z, i) <= transition_time(z, i - 1)))
            return false;
    }
    return types > 0;
}

/* "\n<rule>\n"; an empty rule is none. */
static bool read_footer(struct str s, struct tz_rule *out)
{
    *out = (struct tz_rule){ .known = false };
    if (s.n < 2 || s.p[0] != '\n' || s.p[s.n - 1] != '\n')
        return false;
    s = str_slice(s, 1, s.n - 1);
    return s.n == 0 || tz_rule_parse(s, out);
}

bool tzif_parse(struct str file, struct tzif *out)
{
    struct str s = file;
    struct tzif_header h;

    /* The data of version 1 has 32-bit times; the better data of version 2 follows it. */
    if (!take_header(&s, &h) || h.version < '2' || data_bytes(&h, 4) > s.n)
        return false;
    s = str_skip(s, data_bytes(&h, 4));
    /* With leap seconds times are not those of POSIX, which a timestamp counts. */
    if (!take_header(&s, &h) || h.leaps > 0 || data_bytes(&h, TZIF_TIME_BYTES) > s.n)
        return false;
    out->transitions = h.transitions;
    out->times = (const uint8_t *)s.p;
    out->indexes = out->times + h.transitions * TZIF_TIME_BYTES;
    out->types = out->indexes + h.transitions;
    return is_consistent(out, h.types) &&
           read_footer(str_skip(s, data_bytes(&h, TZIF_TIME_BYTES)), &out->rule);
}

/* How many transitions are at or before the moment. */
static size_t transitions_until(const struct tzif *z, int64_t seconds)
{
    size_t low = 0;
    size_t high = z->transitions;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (transition_time(z, middle) <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t tzif_offset(const struct tzif *z, int64_t seconds)
{
    size_t passed = transitions_until(z, seconds);

    if (passed == z->transitions && z->rule.known)
        return rule_offset(&z->rule, seconds);
    return type_offset(z, passed == 0 ? 0 : z->indexes[passed - 1]);
}
