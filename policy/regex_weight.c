/*
 * RE2 writes a{1000} out as a thousand copies before it finds a program too large, and some of its
 * passes are quadratic in what they get: with a program of up to 1 MiB, 400 characters of pattern
 * were measured to take 3.7 s to compile. So a pattern is weighed before RE2 sees it. The reading is
 * a rough one, since being wrong costs nothing but a pattern refused or some time spent: it follows
 * groups, classes, escapes and counted repetitions, and knows no flags.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "policy/regex.h"

enum {
    WEIGHT_DEPTH = 200, /* groups nested deeper than this weigh too much */
    /* What stands for many byte sequences of UTF-8: any character, a negated class, \pL. */
    WEIGHT_WIDE = 8,
    WEIGHT_PROPERTY = 200,
    /* Each copy of a repetition may end it, which takes a branch. */
    WEIGHT_COPY = 2,
    WEIGHT_MANY = 1000000, /* sums and products stay below */
};

struct weigher {
    struct str rest;
    uint32_t sums[WEIGHT_DEPTH + 1]; /* of the groups that are open, outermost first */
    size_t depth;
    uint32_t last; /* what a repetition would multiply */
};

static uint32_t bounded(uint64_t weight)
{
    return weight < WEIGHT_MANY ? (uint32_t)weight : WEIGHT_MANY;
}

static void add(struct weigher *w, uint32_t weight)
{
    w->last = weight;
    w->sums[w->depth] = bounded((uint64_t)w->sums[w->depth] + weight);
}

static void skip(struct weigher *w, size_t n)
{
    w->rest = str_skip(w->rest, n);
}

static bool take(struct weigher *w, char c)
{
    if (w->rest.n == 0 || w->rest.p[0] != c)
        return false;
    skip(w, 1);
    return true;
}

/* Goes behind the next `end`, or to the end of the pattern. */
static void skip_past(struct weigher *w, struct str end)
{
    skip(w, str_find(w->rest, end) + end.n);
}

/* What follows a backslash: \d, \pL, \p{Greek}, \x{2028}, \(. */
static uint32_t read_escape(struct weigher *w)
{
    char c = w->rest.n > 0 ? w->rest.p[0] : '\0';
    bool is_property = c == 'p' || c == 'P';

    skip(w, 1);
    if ((is_property || c == 'x') && take(w, '{'))
        skip_past(w, STR("}"));
    else if (is_property)
        skip(w, 1);
    if (is_property)
        return WEIGHT_PROPERTY;
    return c == 'D' || c == 'S' || c == 'W' ? WEIGHT_WIDE : 1;
}

/* \Q quotes all up to \E. */
static void read_quoted(struct weigher *w)
{
    size_t n = str_find(w->rest, STR("\\E"));

    skip(w, n);
    skip(w, 2);
    add(w, bounded(n));
    w->last = 1;
}

/* A class, up to its bracket; the first character in it is never the end, nor is what stands in
 * [:alpha:]. */
static void read_class(struct weigher *w)
{
    uint32_t weight = take(w, '^') ? WEIGHT_WIDE : 1;

    (void)take(w, ']');
    while (w->rest.n > 0 && !take(w, ']')) {
        if (str_starts(w->rest, STR("[:"))) {
            skip_past(w, STR(":]"));
        } else if (take(w, '\\')) {
            weight += read_escape(w);
        } else {
            skip(w, 1);
        }
    }
    add(w, bounded(weight));
}

/* Also skips what stands between "(?" and the pattern: flags, a name. */
static void open_group(struct weigher *w)
{
    if (take(w, '?')) {
        while (w->rest.n > 0 && strchr(":>)", w->rest.p[0]) == NULL)
            skip(w, 1);
        if (!str_starts(w->rest, STR(")")))
            skip(w, 1);
    }
    w->depth++;
    w->sums[w->depth] = 0;
    w->last = 0;
}

static void close_group(struct weigher *w)
{
    uint32_t inner = w->sums[w->depth];

    if (w->depth == 0)
        return;
    w->depth--;
    add(w, inner > 0 ? inner : 1);
}

/* False when no digit is there. */
static bool read_count(struct weigher *w, uint32_t *count)
{
    size_t before = w->rest.n;

    *count = 0;
    while (w->rest.n > 0 && char_is_digit(w->rest.p[0])) {
        *count = bounded((uint64_t)*count * 10 + (uint64_t)(w->rest.p[0] - '0'));
        skip(w, 1);
    }
    return w->rest.n < before;
}

/* {n} {n,} {n,m}; anything else behind a brace is text. */
static void read_repetition(struct weigher *w)
{
    struct str start = w->rest;
    uint32_t repeated = w->last;
    uint32_t copies;
    uint32_t most = 0;
    bool counted = read_count(w, &copies);

    if (counted && take(w, ','))
        (void)read_count(w, &most);
    if (!counted || !take(w, '}')) {
        w->rest = start;
        add(w, 1);
        return;
    }
    if (copies < most)
        copies = most;
    add(w, bounded((uint64_t)repeated * copies * WEIGHT_COPY));
}

static void read_one(struct weigher *w)
{
    char c = w->rest.p[0];

    skip(w, 1);
    switch (c) {
    case '(':
        open_group(w);
        return;
    case ')':
        close_group(w);
        return;
    case '[':
        read_class(w);
        return;
    case '{':
        read_repetition(w);
        return;
    case '\\':
        if (take(w, 'Q'))
            read_quoted(w);
        else
            add(w, read_escape(w));
        return;
    default:
        add(w, c == '.' ? WEIGHT_WIDE : 1);
    }
}

size_t regex_weight(struct str pattern)
{
    struct weigher w = { .rest = pattern };

    while (w.rest.n > 0) {
        if (w.depth == WEIGHT_DEPTH)
            return WEIGHT_MANY;
        read_one(&w);
    }
    while (w.depth > 0)
        close_group(&w);
    return w.sums[0];
}

struct regex *regex_new_within(struct regex_budget *budget, struct str pattern,
                               char message[REGEX_MESSAGE_BYTES])
{
    if (budget != NULL) {
        budget->used += regex_weight(pattern);
        if (budget->used > budget->max) {
            (void)snprintf(message, REGEX_MESSAGE_BYTES,
                           "with this one, the patterns come to more than %zu characters together "
                           "with their repetitions written out",
                           budget->max);
            return NULL;
        }
    }
    return regex_new(pattern, message);
}
