/*
 * A search that fails to find the end of a match may read to the end of the text each time
 * ("x.*y|x" on a long row of x), which no count of matches or bytes shows from outside. So beyond an
 * amount that no honest replacement of a URL reaches, the CPU time of the thread decides: it does
 * not depend on what else runs on the machine, as wall time would.
 */
#include "policy/regex_replace.h"

#include <string.h>
#include <time.h>

#include "base/utf8.h"

enum {
    REMAINING_PER_CHECK = 1024 * 1024, /* sum of the bytes behind the start of each search */
    TURNS_UNTIMED = 16 * 1024,         /* less work is not worth a look at the clock */
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
    GROUP_DIGITS_MAX = 2, /* groups end at 99 */
};

struct replacing {
    struct regex_replace *r; /* borrowed */
    size_t groups;           /* of the pattern, with group 0 */
    size_t used;             /* of them in the replacement */
    size_t copied;           /* bytes of the text that are in the output */
    size_t remaining;        /* summed since the clock was looked at */
    uint64_t end_ns;         /* of the thread's CPU time; 0: it is not looked at */
};

/* The number behind a dollar and its digits; 0 digits if it is no group. */
static size_t read_group(struct str digits, size_t groups, size_t *number)
{
    size_t value = 0;
    size_t n = 0;

    for (size_t i = 0; i < digits.n && i < GROUP_DIGITS_MAX && char_is_digit(digits.p[i]); i++) {
        value = value * 10 + (size_t)(digits.p[i] - '0');
        if (value >= groups)
            break;
        *number = value;
        n = i + 1;
    }
    return n;
}

/* Goes to what stands behind the next dollar; false when there is none. */
static bool next_dollar(struct str *to, struct str *before)
{
    size_t dollar = str_find_char(*to, '$');
    bool found = dollar < to->n;

    *before = str_slice(*to, 0, dollar);
    *to = str_skip(*to, dollar + 1);
    return found;
}

/* So many groups need to be found for the replacement. */
static size_t used_groups(struct str to, size_t groups)
{
    size_t used = 1;
    struct str before;
    size_t number;

    while (next_dollar(&to, &before)) {
        if (str_starts(to, STR("$")))
            to = str_skip(to, 1);
        else if (read_group(to, groups, &number) > 0 && number >= used)
            used = number + 1;
    }
    return used;
}

static void expand(const struct replacing *s, const struct str *groups)
{
    struct buf *out = s->r->out;
    struct str to = s->r->to;
    struct str before;
    size_t number;

    while (next_dollar(&to, &before)) {
        size_t digits = read_group(to, s->groups, &number);

        buf_add_str(out, before);
        if (digits > 0)
            buf_add_str(out, groups[number]);
        else
            buf_add_char(out, '$');
        to = str_skip(to, digits == 0 && str_starts(to, STR("$")) ? 1 : digits);
    }
    buf_add_str(out, before);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == -1)
        return 0; /* cannot happen with this clock */
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t left_ns(const struct regex_replace *r)
{
    const uint64_t max = (uint64_t)REGEX_REPLACE_MS * NS_PER_MS;

    return *r->spent_ns < max ? max - *r->spent_ns : 0;
}

/* False when the time is used up. */
static bool has_time(struct replacing *s, size_t from)
{
    s->remaining += s->r->text.n - from;
    if (s->remaining < REMAINING_PER_CHECK)
        return true;
    s->remaining = 0;
    return s->end_ns == 0 || cpu_ns() < s->end_ns;
}

static size_t step(struct str rest)
{
    size_t n = utf8_length(rest);

    return n > 0 ? n : 1;
}

/* Puts the replacement of a match in the output. */
static void replace(struct replacing *s, const struct str *groups)
{
    struct regex_replace *r = s->r;
    size_t start = (size_t)(groups[0].p - r->text.p);

    if (r->count == 0) {
        r->group_count = s->groups;
        memcpy(r->groups, groups, s->groups * sizeof(*groups));
    }
    r->count++;
    buf_add_str(r->out, str_slice(r->text, s->copied, start));
    expand(s, groups);
    s->copied = start + groups[0].n;
}

static int run(struct replacing *s, struct err *e)
{
    struct regex_replace *r = s->r;
    struct str groups[REGEX_GROUPS_MAX];
    size_t from = 0;

    while (regex_find(r->regex, r->text, from, groups, r->count == 0 ? s->groups : s->used)) {
        size_t end = (size_t)(groups[0].p - r->text.p) + groups[0].n;

        /* A match of nothing right behind the one before it does not count. */
        if (groups[0].n > 0 || r->count == 0 || end > s->copied)
            replace(s, groups);
        from = groups[0].n > 0 ? end : end + step(str_skip(r->text, end));
        if (buf_failed(r->out))
            return err_set(e, E_LIMIT, "the text with all replacements is too long");
        if (!has_time(s, from < r->text.n ? from : r->text.n))
            return err_set(e, E_LIMIT, "replacing all matches takes too long");
    }
    if (r->count > 0)
        buf_add_str(r->out, str_skip(r->text, s->copied));
    if (buf_failed(r->out))
        return err_set(e, E_LIMIT, "the text with all replacements is too long");
    return 0;
}

/* Also if each match looks through the rest of the text. */
static bool is_quick(const struct regex_replace *r, size_t size)
{
    return r->text.n * r->text.n * size < TURNS_UNTIMED;
}

static int run_timed(struct replacing *s, struct err *e)
{
    uint64_t start = cpu_ns();
    int rc;

    if (left_ns(s->r) == 0)
        return err_set(e, E_LIMIT, "all replacements together take too long");
    s->end_ns = start + left_ns(s->r);
    rc = run(s, e);
    *s->r->spent_ns += cpu_ns() - start;
    return rc;
}

int regex_replace(struct regex_replace *r, struct err *e)
{
    size_t size = regex_size(r->regex);
    struct replacing s = { .r = r };

    r->count = 0;
    r->group_count = 0;
    if (r->text.p == NULL)
        r->text = STR(""); /* matches point into it */
    s.groups = regex_group_count(r->regex) + 1;
    if (s.groups > REGEX_GROUPS_MAX)
        s.groups = REGEX_GROUPS_MAX;
    s.used = used_groups(r->to, s.groups);
    if (r->text.n > REGEX_REPLACE_WORK / size)
        return err_set(e, E_LIMIT, "the text is too long for so large a pattern");
    return is_quick(r, size) ? run(&s, e) : run_timed(&s, e);
}
