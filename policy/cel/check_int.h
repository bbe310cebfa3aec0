/*
 * check_int: the parts of the checker.
 *     check.c        a node: literals, lists, maps, selections, logic; the front door
 *     check_name.c   what dotted names mean, and what to offer instead of unknown ones
 *     check_call.c   calls: which overloads fit, messages when none does
 *     check_const.c  constant arguments that are tried at load
 *     check_macro.c  macros and their variables
 *     check_unify.c  types with variables
 * In unchecked mode the same walk gives every node the type dyn, so that nothing is refused but
 * what has no meaning at all; unknown names then become nodes that are errors when evaluated.
 * Thread: that of cel_check().
 */
#ifndef POLICY_CEL_CHECK_INT_H
#define POLICY_CEL_CHECK_INT_H

#include "policy/cel/env_int.h"

enum {
    CHECK_WORK_MAX = 1000 * 1000, /* steps over types in one expression */
    CHECK_WORK_NODE = 8,          /* steps for a node that is made */
    CHECK_HINT_DISTANCE = 3,      /* edits between an unknown name and the one that is offered */
};

/*
 * Type variables: which types they stand for, and what has to be undone when an overload does not
 * fit. Types are made in `arena` while they may still change.
 */
struct unifier {
    struct arena *arena;           /* borrowed */
    const struct cel_type **bound; /* owned array, by variable; NULL: free */
    size_t count;
    size_t capacity;
    struct unify_change *trail; /* owned */
    size_t trail_count;
    size_t trail_capacity;
    size_t work; /* done so far, up to CHECK_WORK_MAX: then nothing fits any more */
};

struct unify_mark {
    size_t variables;
    size_t trail;
};

void unifier_init(struct unifier *u, struct arena *arena);
void unifier_fini(struct unifier *u);
static inline bool unify_is_spent(const struct unifier *u)
{
    return u->work >= CHECK_WORK_MAX;
}

const struct cel_type *unify_fresh(struct unifier *u);
/* What a type stands for at its top; a variable that is free stays one. */
const struct cel_type *unify_shallow(const struct unifier *u, const struct cel_type *t);
/* The same all the way down, made in `into`; free variables from `from` on become dyn. */
const struct cel_type *unify_deep(struct unifier *u, struct arena *into, const struct cel_type *t,
                                  size_t from);
/* Makes two types compatible (spec cel 11), if they can be. What they had bound stays on failure:
 * use a mark. */
bool unify(struct unifier *u, const struct cel_type *a, const struct cel_type *b);
/* The more general of two types that unify() has accepted. */
const struct cel_type *unify_general(struct unifier *u, const struct cel_type *a,
                                     const struct cel_type *b);
/* unify() and the more general type; or NULL, and nothing is bound. */
const struct cel_type *unify_join(struct unifier *u, const struct cel_type *a,
                                  const struct cel_type *b);
struct unify_mark unify_mark(const struct unifier *u);
void unify_undo(struct unifier *u, struct unify_mark mark);

/* A variable of a macro, innermost first. */
struct scope {
    const struct scope *outer; /* borrowed */
    struct str name;
    const struct cel_type *type;
    unsigned local;
};

struct checker {
    const struct cel_check_params *params; /* borrowed */
    struct cel_issue *issue;               /* borrowed */
    struct arena scratch;
    struct unifier unifier;
    const struct scope *scope; /* borrowed: on the stack of check_macro(), or scratch */
    unsigned locals;           /* in use here */
    unsigned locals_max;
    struct cel_node **nodes; /* owned array of borrowed: all with a type, to settle it at the end */
    size_t node_count;
    size_t node_capacity;
};

static inline bool check_is_off(const struct checker *c)
{
    return (c->params->flags & CEL_CHECK_OFF) != 0;
}

/* Reports the problem; returns NULL. */
const struct cel_type *check_fail(struct checker *c, uint32_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A type as text, for messages. */
struct str check_text(struct checker *c, const struct cel_type *t);
/* The type of a node, which is completed; NULL after check_fail(). */
const struct cel_type *check_node(struct checker *c, struct cel_node *n);
/* The same for one that must be a bool; `what` begins the message. */
bool check_bool(struct checker *c, struct cel_node *n, const char *what);
/* The type an optional holds; dyn for dyn; NULL when it is something else. */
const struct cel_type *check_held(struct checker *c, const struct cel_type *t);
/* The types of [x] or {k: x}: of x, or what it holds when it is optional. */
const struct cel_type *check_item(struct checker *c, const struct cel_item *item);

/* The type of a field of a value of type `t`; NULL after check_fail(). `n` is what is selected on. */
const struct cel_type *check_field(struct checker *c, const struct cel_node *n,
                                   const struct cel_type *t, struct str field, uint32_t at);

/* ---- check_name.c: chains are IDENT, or SELECT of a chain, that begin with no macro variable ---- */

/*
 * Gives a chain its meaning: the longest variable at its front becomes an IDENT that refers to it.
 * Other nodes are left alone. False after check_fail(); in unchecked mode an unknown name becomes
 * an ERROR instead.
 */
bool check_resolve(struct checker *c, struct cel_node *n);
/* Makes `n` the variable with the name of the chain `n`.`field`, if there is one. */
bool check_resolve_field(struct checker *c, struct cel_node *n, struct str field);
/* The variable of a macro that `n` names; NULL: none. */
const struct scope *check_find_local(const struct checker *c, const struct cel_node *n);
/* The dotted text of a chain and the node it begins with; empty when it is none. */
struct str check_chain(struct checker *c, struct cel_node *n, struct cel_node **root);
/* True if a chain's text, or the front of it, is the name of a variable. */
bool check_is_known(struct checker *c, struct str chain, bool rooted);
/* Fails: there is no variable `name`. */
const struct cel_type *check_unknown(struct checker *c, uint32_t at, struct str name);
/* True if variables have names that begin with `name` and a dot. */
bool check_is_namespace(const struct checker *c, struct str name);
/* True if a function has a name that begins with the first word of `name` and a dot. */
bool check_is_function_namespace(const struct checker *c, struct str name);
/* "; did you mean x?" or "": the hint of the host, or the nearest function or method. */
struct str check_offer_function(struct checker *c, struct str name, bool method);

/* ---- check_call.c, check_const.c, check_macro.c ---- */

/* A type of a declaration with its parameters (T) replaced by variables. */
const struct cel_type *check_instance(struct checker *c, const struct cel_type *t);
const struct cel_type *check_call(struct checker *c, struct cel_node *n);
/* Tries constant arguments of a call whose overload is known. False after check_fail(). */
bool check_constants(struct checker *c, const struct cel_node *n);
const struct cel_type *check_macro(struct checker *c, struct cel_node *n);

#endif
