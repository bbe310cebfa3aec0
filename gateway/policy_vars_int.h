/*
 * policy_vars_int: the groups of policy_vars, for policy_vars*.c only. Each answers for its own
 * variables, and for no others.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_POLICY_VARS_INT_H
#define GATEWAY_POLICY_VARS_INT_H

#include "gateway/exchange_int.h"
#include "gateway/policy_vars.h"

/* What was worked out for one exchange; made when first asked for. */
struct policy_facts {
    struct request_url *url;  /* NULL: not yet, or the target changed */
    struct user_agent *agent; /* NULL: not yet; of `agent_text` */
    struct str agent_text;
    struct policy_visit_facts visit;
};

struct policy_facts *policy_facts_of(struct exchange *x);

struct cel_value policy_vars_conn(const struct policy_visit *v, enum policy_var var);
struct cel_value policy_vars_tls(const struct policy_visit *v, enum policy_var var);
struct cel_value policy_vars_req(struct exchange *x, enum policy_var var, struct arena *arena);
struct cel_value policy_vars_res(struct exchange *x, enum policy_var var, struct arena *arena);

/* The zero value of a variable's type: what is absent reads as that. */
struct cel_value policy_vars_zero(enum policy_var var);
/* Text of a message, made fit for expressions. */
struct cel_value policy_vars_text(struct arena *arena, struct str s);
/* A wall clock time, in milliseconds since 1970. */
struct cel_value policy_vars_time(uint64_t wall_ms);

/* Fields of a message as map(string, list(string)): looked up in any case, without a copy. */
struct cel_value header_view(struct exchange *x, const struct http_headers *headers, bool has_host);
/* The first value of a field, or empty. */
struct str header_value(const struct http_headers *headers, const char *name);
/* All values of a field, in the arena. */
struct str *header_values(struct arena *arena, const struct http_headers *headers, const char *name,
                          size_t *count);

#endif
