/*
 * header_rule: which header fields a policy may touch, what their names and values may hold (spec
 * traffic-policy 6.1, 6.18; RFC 9110 section 5), and the mapping "headers: {name: value}" that
 * several actions have.
 * Owns:   a header_rules its names and templates.
 * Thread: any; const once compiled.
 */
#ifndef POLICY_HEADER_RULE_H
#define POLICY_HEADER_RULE_H

#include "base/err.h"
#include "base/str.h"
#include "policy/fields.h"
#include "policy/host.h"

struct action_run;
struct template;

/* Fields in one add-headers, remove-headers and the like. */
enum { HEADER_RULE_FIELDS_MAX = 10 };

/* The fields of one mapping, in its order. */
struct header_rules {
    size_t count;
    struct header_rule {
        char *name;             /* owned; lower case */
        struct template *value; /* owned */
    } fields[HEADER_RULE_FIELDS_MAX];
    size_t value_max_bytes;
};

/* What may be named: what an action puts into the visitor's message, or into one of its own. */
enum header_rule_use { HEADER_RULE_CHANGE, HEADER_RULE_OWN };

/*
 * Reads a mapping of names to values with ${}; problems are reported to the field: E_POLICY_CONFIG,
 * E_POLICY_HEADER_TOO_MANY, E_POLICY_HEADER_NAME(_LENGTH), E_POLICY_HEADER_VALUE(_LENGTH),
 * E_POLICY_NOT_SETTABLE, E_HEADER_TWICE, E_POLICY_HEADER_TEMPLATE (of one's own: E_POLICY_TEMPLATE).
 */
int header_rules_read(const struct field *f, enum header_rule_use use, struct header_rules *out);
void header_rules_fini(struct header_rules *rules);

/* The value of one field, without blanks at its ends. -1 with E_POLICY_FIELD_EVALUATION, or
 * E_POLICY_HEADER_VALUE when it has CR, LF, NUL or another control character. */
int header_rules_value(const struct header_rules *rules, size_t index, struct action_run *run,
                       struct str *out, struct err *e);
/* The values of all fields, in their order, before any of them is used. */
int header_rules_values(const struct header_rules *rules, struct action_run *run,
                        struct str out[HEADER_RULE_FIELDS_MAX], struct err *e);
/* Adds the fields with these values to the response of the action. */
void header_rules_respond(const struct header_rules *rules, struct action_run *run,
                          const struct str values[HEADER_RULE_FIELDS_MAX]);

/* Checks a name that an action changes; the problem is reported to the field. */
int header_rule_check_name(const struct field *f, enum header_rule_use use, struct str name);

#endif
