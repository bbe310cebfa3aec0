/*
 * template_int: how fields.c makes templates and patterns.
 * Thread: that of policy_compile().
 */
#ifndef POLICY_TEMPLATE_INT_H
#define POLICY_TEMPLATE_INT_H

#include "policy/fields.h"

/* Of a field that is a scalar; NULL with problems of the code. */
struct template *template_compile(const struct field *f, enum err_code code);
/* Takes the template over; NULL with E_POLICY_REGEX. */
struct pattern *pattern_compile(const struct field *f, struct template *text);

#endif
