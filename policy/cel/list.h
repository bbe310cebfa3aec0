/*
 * list: room for lists that functions make.
 * Owns:   nothing; lists live in the arena of the run.
 * Thread: the one that evaluates.
 * Limits: those of the run.
 */
#ifndef POLICY_CEL_LIST_H
#define POLICY_CEL_LIST_H

#include <stddef.h>

#include "policy/cel/run.h"
#include "policy/cel/value.h"

/* A list of `count` items, which the caller writes to *items; an error when a limit is reached.
 * Charges for making them. */
struct cel_value cel_list_room(struct cel_run *run, size_t count, struct cel_value **items);

#endif
