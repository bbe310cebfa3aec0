/*
 * cel: expressions, from source to value. The front door of policy/cel/.
 * A program is immutable and shared by all threads; an evaluation is a struct cel_run.
 *     lexer/parser (parse.c) -> tree (ast.h) -> checker (check.c, env.h) -> program (program.c)
 *     -> evaluation (eval.c) with values (value.h) and functions (fn.h, fn_*.c)
 * Owns:   a program its tree, constants and compiled regular expressions.
 * Thread: any.
 */
#ifndef POLICY_CEL_CEL_H
#define POLICY_CEL_CEL_H

#include <stdbool.h>

#include "base/str.h"
#include "policy/cel/ast.h"
#include "policy/cel/env.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"

struct cel_program;
struct regex_budget;

struct cel_compile_params {
    const struct cel_env *env;             /* borrowed: outlives the program */
    const struct cel_parse_limits *limits; /* NULL: the defaults */
    unsigned parse_flags;                  /* CEL_PARSE_* */
    unsigned check_flags;                  /* CEL_CHECK_* */
    const struct cel_type *want;           /* the type the result must have; NULL: any */
    struct regex_budget *patterns; /* for constant patterns; NULL: no bound on all together */
    cel_warn_fn *warn;             /* NULL: nobody listens */
    void *warn_arg;
};

/* Parses, checks and compiles; `source` is copied. NULL with *issue filled. */
struct cel_program *cel_compile(const struct cel_compile_params *params, struct str source,
                                struct cel_issue *issue);
void cel_program_free(struct cel_program *p);

/* The type of the result that the checker found. */
const struct cel_type *cel_program_type(const struct cel_program *p);
/* True if the value of the variable `slot` may be asked for. */
bool cel_program_uses(const struct cel_program *p, unsigned slot);
/* True and the value, if the expression is a constant. */
bool cel_program_constant(const struct cel_program *p, struct cel_value *out);

/*
 * Evaluates. `run` has arena, limits, var and ctx set by the caller; what it spent before counts,
 * so start each evaluation with steps and bytes 0. The result may be CEL_ERROR.
 */
struct cel_value cel_eval(const struct cel_program *p, struct cel_run *run);

/* Text of a value as interpolation writes it (spec traffic-policy 3.5); an error value if it has
 * none or a limit was hit. */
struct cel_value cel_to_text(struct cel_run *run, struct cel_value v);
/* JSON (compact; map keys in ascending order if `sorted`): an error value when it is too large.
 * Ints beyond 2^53 and bytes (base64), NaN and infinities become strings; spec cel 10. */
struct cel_value cel_to_json(struct cel_run *run, struct cel_value v, bool sorted);
/* From JSON text: numbers become double. An error value when it is none. */
struct cel_value cel_from_json(struct cel_run *run, struct str text);

#endif
