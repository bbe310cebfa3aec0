/*
 * pattern: a regular expression of a config, constant (compiled at load) or with ${} (compiled when
 * it is needed, and cached by the worker).
 * Owns:   its expression. Thread: any, once compiled.
 */
#ifndef POLICY_PATTERN_H
#define POLICY_PATTERN_H

#include "base/err.h"
#include "policy/regex.h"

struct action_run;
struct pattern;

void pattern_free(struct pattern *p);
/* The expression, until the next call on this thread. NULL with E_POLICY_FIELD_EVALUATION when
 * evaluation failed, E_POLICY_REGEX when the text is none. */
const struct regex *pattern_get(const struct pattern *p, struct action_run *run, struct err *e);

#endif
