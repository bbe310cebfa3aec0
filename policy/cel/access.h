/*
 * access: elements of lists, entries of maps, fields of objects, and all three below an optional
 * (spec cel 4 and 6).
 * Owns:   nothing.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_ACCESS_H
#define POLICY_CEL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/cel/run.h"
#include "policy/cel/value.h"

/* A field by name, and where it is in the type of object that it is expected in. */
struct cel_field {
    struct cel_value name;              /* STRING */
    const struct cel_object_type *type; /* borrowed: static; NULL: not known */
    size_t index;
};

/* The field `name` of a type (NULL: not known at load). */
struct cel_field cel_field_of(struct str name, const struct cel_object_type *type);

/* operand.field and operand.?field. No operand of these calls is an error. */
struct cel_value cel_select(struct cel_run *run, struct cel_value operand,
                            const struct cel_field *field);
struct cel_value cel_select_optional(struct cel_run *run, struct cel_value operand,
                                     const struct cel_field *field);
/* has(operand.field): a BOOL, or an error. */
struct cel_value cel_has(struct cel_run *run, struct cel_value operand,
                         const struct cel_field *field);

/* operand[key], operand[?key] and has(operand[key]). */
struct cel_value cel_index(struct cel_run *run, struct cel_value operand, struct cel_value key);
struct cel_value cel_index_optional(struct cel_run *run, struct cel_value operand,
                                    struct cel_value key);
struct cel_value cel_has_index(struct cel_run *run, struct cel_value operand, struct cel_value key);

/* optional.of(v): v is copied to the arena. */
struct cel_value cel_optional_of(struct cel_run *run, struct cel_value v);

#endif
