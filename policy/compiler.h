/*
 * compiler: what is known while a document is compiled: where the compiler stands, what it may use
 * and where problems go. policy.c and compile*.c keep it; fields.c, template.c and pattern.c read it.
 * Owns:   nothing.
 * Thread: that of policy_compile(); no I/O.
 */
#ifndef POLICY_COMPILER_H
#define POLICY_COMPILER_H

#include "policy/doc.h"
#include "policy/policy.h"

struct cel_env;
struct cel_program;
struct cel_type;
struct policy;
struct regex_budget;

/* How deep in the document: says which of phase, rule and action a problem names. */
enum compiler_depth {
    COMPILER_DOCUMENT,
    COMPILER_PHASE,
    COMPILER_RULE,
    COMPILER_ACTION,
    COMPILER_CONFIG,
    COMPILER_BARE, /* policy_check_action(): the caller names a place of its own */
};

enum { COMPILER_PLACE_BYTES = 64 };

struct policy_compiler {
    const struct policy_params *params; /* borrowed; for policy_check_action() made up */
    struct policy_problems *problems;   /* borrowed */
    struct policy *policy; /* borrowed: notes what it uses there; NULL: for the check only */
    struct str document;   /* name */
    enum compiler_depth depth;
    enum policy_phase phase;
    size_t rule;   /* in its document */
    size_t action; /* in its rule */
    struct str rule_name;
    char place[COMPILER_PLACE_BYTES]; /* of fields_place() */
};

/* A problem where the compiler stands, with `field` ("" is none) below it. Returns -1. A NULL hint is
 * none. */
int compiler_problem(const struct policy_compiler *c, struct doc_place at, const char *field,
                     enum err_code code, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void compiler_warn(const struct policy_compiler *c, struct doc_place at, const char *field,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* An expression in a document: a whole scalar or a part of one. */
struct compiler_expression {
    struct str text;
    const struct doc_node *node; /* the scalar that it stands in */
    size_t at;                   /* and at which byte of the scalar's value */
    const char *field;           /* for problems; "" outside of a config */
    enum err_code code;          /* of problems */
    const struct cel_env *env;   /* NULL: that of the phase */
    const struct cel_type *want; /* NULL: any */
};

/* Compiles it and notes what it uses. NULL with problems. The caller frees it. */
struct cel_program *compiler_program(struct policy_compiler *c,
                                     const struct compiler_expression *expression);

/* What its regular expressions may come to; NULL while a single action is checked. */
struct regex_budget *compiler_patterns(const struct policy_compiler *c);

/* Where byte `at` of a scalar's value stands. */
struct doc_place compiler_place(const struct doc_node *scalar, size_t at);

#endif
