/*
 * operators: the operators that also work across types when these are not known at load.
 * Thread: any; const.
 */
#ifndef POLICY_CEL_OPERATORS_H
#define POLICY_CEL_OPERATORS_H

#include "base/str.h"
#include "policy/cel/fn.h"

/* What == != < <= > >= in [] [?] compute for operands of any kind but CEL_ERROR; NULL for the other
 * names: those have no meaning beyond their overloads. */
cel_fn *cel_operator_any(struct str name);

#endif
