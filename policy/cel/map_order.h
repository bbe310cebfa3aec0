/*
 * map_order: the entries of a map in the order of their keys, for text that is made of maps.
 * Owns:   nothing; what is made lives in the arena of the run.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_MAP_ORDER_H
#define POLICY_CEL_MAP_ORDER_H

#include "policy/cel/run.h"
#include "policy/cel/value.h"

/*
 * The numbers of the entries (for cel_map_entry()) as a list of ints, in ascending order of the
 * texts of their keys; and in *names these texts, STRINGs, by number. An error when a limit is
 * reached.
 */
struct cel_value cel_map_order(struct cel_run *run, struct cel_value map, struct cel_value **names);

#endif
