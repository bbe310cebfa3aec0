/*
 * RFC 6265 section 5.1.1 describes an algorithm rather than a grammar: the text falls into tokens,
 * and the first that looks like a time, a day, a month, a year, each in that order of preference,
 * is it.
 */
#include "policy/cookie_date.h"

#include "policy/cel/time.h"

enum { YEAR_MIN = 1601 };

struct date {
    struct cel_civil civil;
    bool has_time;
    bool has_day;
    bool has_month;
    bool has_year;
};

static bool is_delimiter(char c)
{
    return c == '\t' || (c >= ' ' && c <= '/') || (c >= ';' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static bool next_token(struct str *rest, struct str *token)
{
    size_t n = 0;

    while (rest->n > 0 && is_delimiter(rest->p[0]))
        *rest = str_skip(*rest, 1);
    while (n < rest->n && !is_delimiter(rest->p[n]))
        n++;
    *token = str_slice(*rest, 0, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

/* min to max digits at the front of *s, followed by no further digit. */
static bool take_number(struct str *s, size_t min, size_t max, unsigned *out)
{
    size_t n = 0;
    uint64_t value;

    while (n < s->n && char_is_digit(s->p[n]))
        n++;
    if (n < min || n > max || str_to_u64(str_slice(*s, 0, n), UINT32_MAX, &value) == -1)
        return false;
    *s = str_skip(*s, n);
    *out = (unsigned)value;
    return true;
}

static bool take_colon(struct str *s)
{
    if (s->n == 0 || s->p[0] != ':')
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* 12:34:56, and whatever follows that is no digit. */
static bool read_time(struct str token, struct cel_civil *c)
{
    unsigned hour;
    unsigned minute;
    unsigned second;

    if (!take_number(&token, 1, 2, &hour) || !take_colon(&token) ||
        !take_number(&token, 1, 2, &minute) || !take_colon(&token) ||
        !take_number(&token, 1, 2, &second))
        return false;
    c->hour = hour;
    c->minute = minute;
    c->second = second;
    return true;
}

static bool read_month(struct str token, unsigned *month)
{
    static const struct str names[] = {
        STR_INIT("jan"), STR_INIT("feb"), STR_INIT("mar"), STR_INIT("apr"),
        STR_INIT("may"), STR_INIT("jun"), STR_INIT("jul"), STR_INIT("aug"),
        STR_INIT("sep"), STR_INIT("oct"), STR_INIT("nov"), STR_INIT("dec"),
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_starts_nocase(token, names[i])) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* Two digits are a year from 1970 to 2069. */
static bool read_year(struct str token, int64_t *year)
{
    unsigned number;

    if (!take_number(&token, 2, 4, &number))
        return false;
    *year = number;
    if (number >= 70 && number <= 99)
        *year += 1900;
    else if (number <= 69)
        *year += 2000;
    return true;
}

static void read_token(struct str token, struct date *d)
{
    if (!d->has_time && read_time(token, &d->civil))
        d->has_time = true;
    else if (!d->has_day && take_number(&token, 1, 2, &d->civil.day))
        d->has_day = true;
    else if (!d->has_month && read_month(token, &d->civil.month))
        d->has_month = true;
    else if (!d->has_year && read_year(token, &d->civil.year))
        d->has_year = true;
}

bool cookie_date_parse(struct str text, int64_t *seconds)
{
    struct date d = { 0 };
    struct str token;

    while (next_token(&text, &token))
        read_token(token, &d);
    return d.has_time && d.has_day && d.has_month && d.has_year && d.civil.year >= YEAR_MIN &&
           cel_civil_to_seconds(&d.civil, seconds);
}
