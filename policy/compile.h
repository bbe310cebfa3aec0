/*
 * compile: from a document to the rules of a policy.
 * Thread: that of policy_compile().
 */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "policy/compiled.h"
#include "policy/compiler.h"

struct policy_compile_state {
    struct policy *policy;              /* borrowed: being made */
    const struct policy_params *params; /* borrowed */
    struct policy_problems *problems;   /* borrowed */
    size_t document;                    /* index of the present one */
    size_t rules;                       /* of all documents so far */
    const struct doc_node **logins;     /* owned: their auth_id, NULL for none */
    size_t login_count;
};

/* Appends the rules of a document to the policy; problems go to the list. */
void compile_document(struct policy_compile_state *s, const struct policy_document *document);

/* Compiles the config of one action where `c` stands; `config` may be NULL. -1 with problems. */
int compile_action_config(struct policy_compiler *c, const struct action_type *type,
                          const struct doc_node *config, struct doc_place at, void **out);

#endif
