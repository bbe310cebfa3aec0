/*
 * sort: lists in the order of <, for sort() and sortBy() (spec traffic-policy 5.8).
 * Owns:   nothing; the result lives in the arena of the run.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_SORT_H
#define POLICY_CEL_SORT_H

#include "policy/cel/run.h"
#include "policy/cel/value.h"

/*
 * The items of a list in ascending order of their keys: keys[i] is the key of item i, so sort()
 * gives the items themselves. Items with equal keys keep their order; NaN comes first. An error
 * when the keys are not all of one type that has an order, or when a limit of the run was hit.
 */
struct cel_value cel_sort(struct cel_run *run, const struct cel_list *list,
                          const struct cel_value *keys);

#endif
