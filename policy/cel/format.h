/*
 * format: string.format(): %s %d %f %e %x %X %o %b and %%, with %.N before a verb (spec cel 10.1).
 * Owns:   nothing.
 * Thread: the one that evaluates.
 * Limits: those of the run; CEL_FORMAT_PRECISION_MAX digits behind the point.
 */
#ifndef POLICY_CEL_FORMAT_H
#define POLICY_CEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/type.h"
#include "policy/cel/value.h"

enum { CEL_FORMAT_PRECISION_MAX = 100 };

/* The text, or an error: a bad format, too few values, or one of a type that its verb does not
 * take. Values that are left over do not matter here. */
struct cel_value cel_format(struct cel_run *run, struct str format, const struct cel_list *values);

/*
 * True if the format can be used with so many values (SIZE_MAX: not known) of these types (NULL: not
 * known); values that are left over are a mistake here. False with what is wrong in `message`, which
 * has room for n bytes.
 */
bool cel_format_check(struct str format, size_t count, const struct cel_type *const *types,
                      char *message, size_t n);

#endif
