/*
 * body_replace: find and replace in a whole body: what request- and response-body-find-replace have
 * in common (spec traffic-policy 6.20, D50).
 * Owns:   its replacements.
 * Thread: const once compiled.
 * Limits: policy_body_max_bytes, before and after decoding and replacing.
 */
#ifndef POLICY_BODY_REPLACE_H
#define POLICY_BODY_REPLACE_H

#include "policy/action.h"

struct body_replace;

struct body_replace *body_replace_compile(const struct fields *c);
enum policy_verdict body_replace_run(const struct body_replace *b, struct action_run *run,
                                     enum policy_message m);
void body_replace_free(struct body_replace *b);

#endif
