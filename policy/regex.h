/*
 * regex: regular expressions by RE2 (linear time), behind C functions. regex.cc is the only C++.
 * Linear is not the same as fast: a byte of text can cost up to regex_size() turns, which is what
 * callers bound or charge for (policy/regex_replace.h, policy/cel/fn_regex.h).
 * Thread: a compiled one may be used by any number of threads at once.
 * Limits: REGEX_MEMORY_BYTES and REGEX_WEIGHT_MAX for each compiled pattern, REGEX_RUNTIME_BYTES for
 *         a pattern that is made at run time.
 */
#ifndef POLICY_REGEX_H
#define POLICY_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;
struct regex_cache;

/* What patterns that belong together, such as those of one policy, may come to by regex_weight(). */
struct regex_budget {
    size_t max;
    size_t used;
};

enum {
    REGEX_MEMORY_BYTES = 1024 * 1024,
    REGEX_RUNTIME_BYTES = 1024,
    REGEX_WEIGHT_MAX = 10000, /* compiled within 0.1 s whatever the pattern is */
    REGEX_GROUPS_MAX = 100,   /* groups 0 to 99 */
    REGEX_TURNS_PER_STEP = 128,
    REGEX_MESSAGE_BYTES = 160,
};

/*
 * About how many characters a pattern has once its counted repetitions are written out; what takes
 * time to compile grows with it. Of a pattern that is none, any number.
 */
size_t regex_weight(struct str pattern);

/* Compiles; NULL with RE2's own words in `message` (cut). In a text that is searched, bytes that are
 * not UTF-8 match nothing but \C. */
struct regex *regex_new(struct str pattern, char message[REGEX_MESSAGE_BYTES]);
/* The same within a budget, which it adds to; NULL is none. */
struct regex *regex_new_within(struct regex_budget *budget, struct str pattern,
                               char message[REGEX_MESSAGE_BYTES]);
void regex_free(struct regex *r);

/* Instructions of its program. */
size_t regex_size(const struct regex *r);
/* What looking through so many bytes with a program of this size is charged, as steps of an expression:
 * REGEX_TURNS_PER_STEP turns are one. */
static inline size_t regex_steps(size_t bytes, size_t size)
{
    return bytes * size / REGEX_TURNS_PER_STEP;
}
/* True if it matches anywhere in `text`. */
bool regex_matches(const struct regex *r, struct str text);
/* How many groups the pattern has, without group 0. */
size_t regex_group_count(const struct regex *r);
/*
 * The first match at or after byte `from`: fills groups[0] (the match) and up to count-1 groups; an
 * unmatched group has p == NULL. False when there is none.
 */
bool regex_find(const struct regex *r, struct str text, size_t from, struct str *groups,
                size_t count);

/*
 * A bounded cache of patterns that were made at run time, least recently used goes first; one for
 * each thread. regex_cache_find() returns NULL when the pattern is not there. regex_cache_get()
 * compiles it then, and returns NULL with the message when the pattern is bad or longer than
 * REGEX_RUNTIME_BYTES. What they return stays valid until the next regex_cache_get().
 */
struct regex_cache *regex_cache_new(size_t patterns);
void regex_cache_free(struct regex_cache *c);
const struct regex *regex_cache_find(struct regex_cache *c, struct str pattern);
const struct regex *regex_cache_get(struct regex_cache *c, struct str pattern,
                                    char message[REGEX_MESSAGE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
