/*
 * program_int: the compiled form of an expression: a tree of operations, each with the function
 * that computes it. What is known at load is settled in it: variables are slots, fields are
 * indexes, calls whose types are known have one function, constants are values, constant patterns
 * are compiled, constant lists on the right of `in` are hashed.
 *     program.c     cel_compile() and what belongs to a program
 *     lower.c       from the checked tree to operations
 *     lower_call.c  calls: overloads, operators, constant operands
 *     eval.c        operations, eval_call.c calls, eval_macro.c macros
 * Owns:   a program owns all of it, in its arena.
 * Thread: any, once compiled.
 */
#ifndef POLICY_CEL_PROGRAM_INT_H
#define POLICY_CEL_PROGRAM_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/cel/access.h"
#include "policy/cel/ast.h"
#include "policy/cel/cel.h"
#include "policy/cel/fn.h"

struct regex;
struct cel_op;

typedef struct cel_value cel_op_fn(struct cel_run *run, const struct cel_op *op);

/* Sets of kinds of values. */
typedef uint32_t cel_kinds;

static inline cel_kinds cel_kinds_of(enum cel_kind kind)
{
    return (cel_kinds)1 << kind;
}

static inline bool cel_kinds_have(cel_kinds kinds, struct cel_value v)
{
    return (kinds >> v.kind & 1) != 0;
}

/* One overload that a call can come to. */
struct cel_candidate {
    cel_fn *fn;
    const cel_kinds *kinds; /* of each parameter */
    /* The type of object of each, or NULL; itself NULL when no parameter is one. */
    const struct cel_object_type *const *objects;
    size_t count;  /* of parameters */
    bool variadic; /* the last one repeats */
};

/* An element of a list or an entry of a map. */
struct cel_op_item {
    const struct cel_op *key; /* NULL in a list */
    const struct cel_op *value;
    bool optional;
};

struct cel_op_call {
    const struct cel_op *const *args;
    size_t count;
    const struct cel_candidate *candidates;
    size_t candidate_count;
    struct cel_value mismatch; /* the error when none fits */
};

struct cel_op_macro {
    const struct cel_op *range;
    const struct cel_op *filter; /* NULL: everything */
    const struct cel_op *body;
    const struct cel_op_item *items; /* BLOCK */
    size_t item_count;
    unsigned local1;
    unsigned local2;
    bool has_two; /* two variables: (index, value) of lists, (key, value) of maps */
};

/* All pointers are borrowed: of the program's arena, or static. */
struct cel_op {
    cel_op_fn *eval;
    union {
        struct cel_value value; /* constant */
        unsigned index;         /* slot or local */
        struct {
            const struct cel_op *operand;
            const struct cel_field *field;
        } select; /* select, has */
        struct {
            const struct cel_op *left;
            const struct cel_op *right;
        } pair; /* index, has(l[i]) */
        struct {
            const struct cel_op *operand;
            struct cel_value value;
            bool negated;
        } compare; /* == and != with a constant; index by a constant */
        struct {
            const struct cel_op *operand;
            struct cel_value list;
            struct cel_value set; /* MAP with its elements as keys */
        } in;
        struct {
            const struct cel_op *operand;
            const struct regex *regex; /* borrowed: of the program */
            struct cel_value mismatch;
        } matches;
        struct {
            const struct cel_op *const *items;
            size_t count;
        } operands; /* and, or, conditional */
        struct {
            const struct cel_op_item *items;
            size_t count;
        } entries; /* list, map */
        struct {
            cel_fn *fn;
            const struct cel_op *args[2];
            cel_kinds kinds[2];
            const struct cel_value *mismatch;
        } direct; /* a call of one or two arguments with one candidate */
        const struct cel_op_call *call;
        const struct cel_op_macro *macro;
    } as;
};

/* ---- evaluation ---- */

/* Every operation costs one step. A run that is spent has none left, so it ends here at once. */
static inline struct cel_value cel_op_eval(struct cel_run *run, const struct cel_op *op)
{
    if (run->steps >= run->limits->steps)
        return cel_spent(run);
    run->steps++;
    return op->eval(run, op);
}

/* eval.c */
cel_op_fn cel_op_constant;
cel_op_fn cel_op_slot;
cel_op_fn cel_op_local;
cel_op_fn cel_op_select;
cel_op_fn cel_op_select_optional;
cel_op_fn cel_op_select_below; /* inside has(): an absent value has absent fields */
cel_op_fn cel_op_index_below;
cel_op_fn cel_op_has;
cel_op_fn cel_op_has_index;
cel_op_fn cel_op_has_slot;
cel_op_fn cel_op_and;
cel_op_fn cel_op_or;
cel_op_fn cel_op_conditional;
cel_op_fn cel_op_list;
cel_op_fn cel_op_map;
/* eval_call.c */
cel_op_fn cel_op_call;
cel_op_fn cel_op_call_1;
cel_op_fn cel_op_call_2;
cel_op_fn cel_op_index;
cel_op_fn cel_op_index_constant;
cel_op_fn cel_op_equal_string;
cel_op_fn cel_op_equal_int;
cel_op_fn cel_op_in_set;
cel_op_fn cel_op_matches;
/* eval_macro.c */
cel_op_fn cel_op_all;
cel_op_fn cel_op_exists;
cel_op_fn cel_op_exists_one;
cel_op_fn cel_op_filter;
cel_op_fn cel_op_map_list;      /* map() and transformList() */
cel_op_fn cel_op_transform_map; /* transformMap() */
cel_op_fn cel_op_sort_by;
cel_op_fn cel_op_bind;
cel_op_fn cel_op_block;
cel_op_fn cel_op_opt_map;
cel_op_fn cel_op_opt_flat_map;
cel_op_fn cel_op_optional_or;
cel_op_fn cel_op_optional_or_value;

/* ---- compiling ---- */

struct cel_program_regex {
    struct cel_program_regex *next;
    struct regex *regex; /* owned */
};

struct cel_program_slot {
    struct cel_program_slot *next;
    unsigned slot;
};

struct cel_program {
    struct arena arena;
    const struct cel_op *root;
    const struct cel_type *type;
    unsigned locals;
    struct cel_program_slot *slots;    /* of the variables it uses */
    struct cel_program_regex *regexes; /* owned */
};

struct lowering {
    struct cel_program *program; /* borrowed */
    struct str source;           /* in the program's arena */
    struct cel_run run;          /* folds constants, into the program's arena */
};

/* The operations of a checked tree, in the program's arena. */
const struct cel_op *lower_node(struct lowering *l, const struct cel_node *n);
const struct cel_op *lower_call(struct lowering *l, const struct cel_node *n);

struct cel_op *lower_op(struct lowering *l, cel_op_fn *eval);
const struct cel_op *lower_constant(struct lowering *l, struct cel_value v);
/* `op`, or what it evaluates to if that is no error; all it needs must be constant. */
const struct cel_op *lower_fold(struct lowering *l, const struct cel_op *op);
bool lower_is_constant(const struct cel_op *op);

#endif
