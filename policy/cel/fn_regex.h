/*
 * fn_regex: matches() for patterns that are compiled already.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_FN_REGEX_H
#define POLICY_CEL_FN_REGEX_H

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"
#include "policy/regex.h"

/* A BOOL: does `regex` match anywhere in `text`? Charges for the text and the size of the pattern, and
 * gives the error of the run when that is too much. */
struct cel_value cel_regex_matches(struct cel_run *run, const struct regex *regex, struct str text);

#endif
