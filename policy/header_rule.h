/*
 * header_rule: which header fields a policy may touch, and what their names and values may hold
 * (spec traffic-policy 6.1, 6.18; RFC 9110 section 5).
 * Thread: any; pure.
 */
#ifndef POLICY_HEADER_RULE_H
#define POLICY_HEADER_RULE_H

#include "base/err.h"
#include "base/str.h"
#include "policy/fields.h"

enum { HEADER_RULE_NAME_MAX_BYTES = 256, HEADER_RULE_VALUE_MAX_BYTES = 8 * 1024 };
/* Fields in one add-headers, remove-headers and the like. */
enum { HEADER_RULE_FIELDS_MAX = 10 };

/*
 * Checks a name that an action adds or removes. -1 with E_POLICY_HEADER_NAME,
 * E_POLICY_HEADER_NAME_LENGTH, or E_POLICY_NOT_SETTABLE for fields that frame the message or
 * belong to the gateway.
 */
int header_rule_check_name(struct fields *c, struct str name);

/* Checks a value, without blanks at its ends. -1 with E_POLICY_HEADER_VALUE or _VALUE_LENGTH. */
int header_rule_check_value(struct fields *c, struct str name, struct str value);

#endif
