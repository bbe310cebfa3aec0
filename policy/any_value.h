/*
 * any_value: a value of any shape in a config, with ${} in its strings: those of set-vars and log
 * (spec traffic-policy 6.12, 6.24).
 * Owns:   its templates and keys.
 * Thread: const once read.
 * Limits: policy_vars_depth lists and mappings, one in the other.
 */
#ifndef POLICY_ANY_VALUE_H
#define POLICY_ANY_VALUE_H

#include "base/err.h"
#include "policy/cel/value.h"
#include "policy/doc.h"
#include "policy/fields.h"

struct action_run;
struct template;

struct any_value {
    enum doc_kind kind;
    struct template *text;    /* owned: of a string */
    struct cel_value literal; /* of any other scalar */
    size_t count;
    struct any_value *items; /* owned */
    char **keys;             /* owned; of a map */
};

/* Reads it into *out, which any_value_fini() releases whatever was found. Problems (2224, 2250) are
 * reported to the field. */
void any_value_read(const struct field *f, struct any_value *out);
/* -1 with E_POLICY_FIELD_EVALUATION or E_POLICY_MEMORY. */
int any_value_evaluate(const struct any_value *v, struct action_run *run, struct cel_value *out,
                       struct err *e);
void any_value_fini(struct any_value *v);

#endif
