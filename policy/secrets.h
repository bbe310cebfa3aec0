/*
 * secrets: secrets that an expression names by literals are looked for when the policy loads (spec
 * traffic-policy 5.12, D29).
 * Thread: that of policy_compile(); no I/O but what has_secret() does.
 */
#ifndef POLICY_SECRETS_H
#define POLICY_SECRETS_H

struct compiler_expression;
struct policy_compiler;

/* -1 with a problem for each secrets.get('vault', 'name') that the account does not have. */
int secrets_check(const struct policy_compiler *c, const struct compiler_expression *x);

#endif
