/*
 * env: what an expression may name: variables, functions, the host's object types, a container.
 * Built once for each phase of a policy, then only read. The names of the language's types (int,
 * google.protobuf.Timestamp) are there from the start; a variable of the same name hides one.
 * Owns:   its declarations; texts handed in are borrowed and static, or live as long as the env.
 * Thread: any, once built.
 */
#ifndef POLICY_CEL_ENV_H
#define POLICY_CEL_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "policy/cel/ast.h"
#include "policy/cel/fn.h"
#include "policy/cel/type.h"

struct cel_env;
struct regex_budget;

/* One signature of a function. */
struct cel_overload {
    struct str name;
    bool method;   /* params[0] is the receiver */
    bool variadic; /* the last parameter repeats */
    const struct cel_type *const *params;
    size_t count;
    const struct cel_type *result;
    const struct cel_fn_row *row; /* NULL: declared without implementation */
};

struct cel_env_params {
    const struct cel_library *const *libraries;   /* ends with NULL */
    const struct cel_object_type *const *objects; /* ends with NULL; NULL: none */
    struct str container;                         /* "" is the root */
};

/* All libraries of the language, for cel_env_params; ends with NULL. */
extern const struct cel_library *const cel_standard_libraries[];

struct cel_env *cel_env_new(const struct cel_env_params *params);
void cel_env_free(struct cel_env *env);

/* Declares a variable, which may have a dotted name; `slot` is what cel_run.var() is asked for.
 * -1 when `type` (text form) is no type. */
int cel_env_add_var(struct cel_env *env, struct str name, const char *type, unsigned slot);
/* The same with a type at hand. */
void cel_env_add_var_type(struct cel_env *env, struct str name, const struct cel_type *type,
                          unsigned slot);
/* Declares an overload without implementation (tests); copied. Names, params and types live as long
 * as the env. */
void cel_env_add_overload(struct cel_env *env, const struct cel_overload *overload);
/* For types that live as long as the env. */
struct arena *cel_env_arena(struct cel_env *env);

/* A word that a message can offer instead of an unknown name: a hint the host knows ("includes" ->
 * "contains"). Both static. `wrong` is a function, or a variable or the beginning of its name. */
void cel_env_add_hint(struct cel_env *env, const char *wrong, const char *right);

enum {
    CEL_CHECK_OFF = 1,       /* resolve names only; what is unknown is an error when evaluated */
    CEL_CHECK_HAS_INDEX = 2, /* accept has(m['k']) and has(l[i]) (policies) */
};

typedef void cel_warn_fn(void *arg, uint32_t at, const char *text);

struct cel_check_params {
    const struct cel_env *env;
    struct arena *arena; /* for types and candidates; lives as long as the tree */
    unsigned flags;
    const struct cel_type *want;   /* NULL: any; dyn satisfies it */
    struct regex_budget *patterns; /* for constant patterns; NULL: no bound on all together */
    cel_warn_fn *warn;             /* NULL: nobody listens */
    void *warn_arg;
};

/*
 * Checks the tree and completes it in place (SELECT chains that name a variable become IDENT).
 * *locals_out is how many cel_run.locals the program needs. -1 with *issue.
 */
int cel_check(struct cel_node *root, const struct cel_check_params *params, unsigned *locals_out,
              struct cel_issue *issue);

#endif
