/*
 * regex_replace: every match of a pattern replaced by a text with its groups (spec traffic-policy
 * D48): what redirect, url-rewrite and the find-replace actions do.
 * In the replacement $0 is the whole match, $1 to $99 are groups (the longest number that is one),
 * $$ is a dollar; any other dollar stands for itself. A group that did not take part is empty.
 * Owns:   nothing.
 * Thread: any.
 * Limits: the maximum of the output buffer; REGEX_REPLACE_WORK; REGEX_REPLACE_MS of CPU.
 */
#ifndef POLICY_REGEX_REPLACE_H
#define POLICY_REGEX_REPLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "policy/regex.h"

enum {
    /* Bytes of text times instructions of the pattern: what one search can take at worst. */
    REGEX_REPLACE_WORK = 128 * 1024 * 1024,
    /* CPU time of all calls that share a sum. Patterns that look through the rest of the text at each
     * match take quadratic time. */
    REGEX_REPLACE_MS = 500,
};

struct regex_replace {
    const struct regex *regex; /* borrowed */
    struct str text;           /* searched; if not UTF-8, it is still searched safely */
    struct str to;
    struct buf *out;    /* borrowed: the new text is appended, nothing when there is no match */
    uint64_t *spent_ns; /* borrowed: CPU time of the calls so far, to which this one is added */

    /* Filled in. */
    size_t count;                        /* of matches */
    struct str groups[REGEX_GROUPS_MAX]; /* of the first match, in `text`; p is NULL if unmatched */
    size_t group_count;                  /* with group 0 */
};

/* -1 with E_LIMIT: the result does not fit, or a limit above was reached; `out` is then failed or
 * incomplete. */
int regex_replace(struct regex_replace *r, struct err *e);

#endif
