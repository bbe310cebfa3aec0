/*
 * env_int: how an environment looks to the checker: tables of names.
 * Owns, Thread: see env.h.
 */
#ifndef POLICY_CEL_ENV_INT_H
#define POLICY_CEL_ENV_INT_H

#include "base/arena.h"
#include "base/hash.h"
#include "policy/cel/env.h"

/* A variable, or the name of a type. */
struct cel_env_name {
    struct str name;
    const struct cel_type *type; /* borrowed: of the env's arena, or static */
    struct cel_ref ref;
    UT_hash_handle hh;
};

struct cel_env_function {
    struct str name;
    const struct cel_overload **overloads; /* owned array of borrowed: the env's arena */
    size_t count;
    size_t capacity;
    UT_hash_handle hh;
};

struct cel_env_hint {
    struct str wrong;
    struct str right;
    UT_hash_handle hh;
};

struct cel_env {
    struct arena arena;
    struct str container;
    const struct cel_object_type *const *objects; /* borrowed; may be NULL */
    struct cel_env_name *names;                   /* uthash tables of the arena's */
    struct cel_env_function *functions;
    struct cel_env_hint *hints;
};

/*
 * What `name` means in the container (spec cel 2): A.B.name, A.name, name; a rooted one only name.
 * NULL: nothing. `scratch` takes the names that are tried.
 */
const struct cel_env_name *cel_env_find_name(const struct cel_env *env, struct arena *scratch,
                                             struct str name, bool rooted);
const struct cel_env_function *cel_env_find_function(const struct cel_env *env,
                                                     struct arena *scratch, struct str name,
                                                     bool rooted);
/* The same for methods, which have no container. */
const struct cel_env_function *cel_env_find_method(const struct cel_env *env, struct str name);
/* Empty: the host knows none. */
struct str cel_env_find_hint(const struct cel_env *env, struct str wrong);

#endif
