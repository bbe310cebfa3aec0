/*
 * fn: the functions of CEL: libraries of rows, each a signature and what computes it.
 * Signature texts:
 *     "size(string) -> int"                    a global function
 *     "string.contains(string) -> bool"        a method; the receiver's type stands in front
 *     "math.abs(int) -> int"                   a global function with a dotted name ("math" is no type)
 *     "list(T).slice(int, int) -> list(T)"     type parameters
 *     "math.greatest(int...) -> int"           any number (at least one) of the last type
 * Operators are functions with the names of struct-less syntax: "_+_" "_-_" "_*_" "_/_" "_%_" "-_"
 * "!_" "_==_" "_!=_" "_<_" "_<=_" "_>_" "_>=_" "_in_" "_[_]" "_[?_]".
 * To add a function: a row in its library's table. Nothing else names it.
 * Thread: any; tables are const.
 */
#ifndef POLICY_CEL_FN_H
#define POLICY_CEL_FN_H

#include <stddef.h>

#include "policy/cel/run.h"
#include "policy/cel/type.h"
#include "policy/cel/value.h"

/*
 * Computes a result. args[0] is the receiver of a method. No argument is an error, and each has a
 * kind that one overload of this row's name takes at its place when the call was checked; in a call
 * with dyn arguments the evaluator picks the overload by the kinds it sees. The result may be an
 * error (cel_error(), cel_spent()).
 */
typedef struct cel_value cel_fn(struct cel_run *run, const struct cel_value *args, size_t count);

/* What a row is beyond its signature. */
enum {
    CEL_FN_PURE = 0,
    CEL_FN_IMPURE = 1,    /* random, time, secrets: never folded */
    CEL_FN_ARG_REGEX = 2, /* a constant last argument is compiled at load (matches) */
    CEL_FN_ARG_CHECKED =
        4, /* a constant only argument is tried at load: timestamp duration ip cidr */
    CEL_FN_ARG_FORMAT = 8,  /* the receiver is a format string: checked at load when constant */
    CEL_FN_WARN_LIMIT = 16, /* split with a literal limit: the rest stays in the last piece */
};

struct cel_fn_row {
    const char *signature;
    cel_fn *fn;
    unsigned flags;
};

struct cel_library {
    const struct cel_fn_row *rows;
    size_t count;
};

/* The libraries of the language; each in the file of its name, policy/cel/fn_<name>.c. */
extern const struct cel_library cel_operators_library;   /* operators, indexing, size, in */
extern const struct cel_library cel_conversions_library; /* bool() int() ... type() dyn() */
extern const struct cel_library cel_strings_library; /* standard string methods and spec cel 10.1 */
extern const struct cel_library cel_regex_library;   /* matches */
extern const struct cel_library cel_time_library;    /* timestamp() duration() and accessors */
extern const struct cel_library cel_lists_library;
extern const struct cel_library cel_math_library;
extern const struct cel_library cel_network_library;
extern const struct cel_library cel_optionals_library;
extern const struct cel_library cel_encoders_library; /* base64 */

#endif
