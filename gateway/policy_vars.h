/*
 * policy_vars: the values of the variables of policies, from what a connection and its exchange know.
 * Owns:   nothing; values borrow from what they are asked of and its arena.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_POLICY_VARS_H
#define GATEWAY_POLICY_VARS_H

#include "policy/cel/value.h"
#include "policy/vars.h"

struct addr;
struct arena;
struct endpoint;
struct exchange;
struct exchange_hop;
struct exchange_origin;
struct gateway;
struct policy_data;

/* What was worked out for a visit, in its arena; made when first asked for. */
struct policy_visit_facts {
    struct geo_record *client;    /* NULL: not yet */
    struct geo_record *server;    /* NULL: not yet */
    struct tls_cert *certificate; /* NULL: not yet; empty without TLS */
};

/* A connection that came to an endpoint, as its policy sees it. All borrowed. */
struct policy_visit {
    struct gateway *gateway;
    const struct exchange_origin *origin;
    const struct addr *client; /* of origin, or behind trusted proxies */
    const struct endpoint *endpoint;
    const struct policy_data *data; /* may be NULL */
    struct arena *arena;
    struct policy_visit_facts *facts;
};

/* The variables conn.* and endpoint.*; others have the zero value of their type. */
struct cel_value policy_vars_visit(const struct policy_visit *v, enum policy_var var);

/* Every variable of vars.def but vars.* and time.now, which the engine keeps itself, as the policy of
 * this endpoint sees it. */
struct cel_value policy_vars_get(struct exchange_hop *hop, enum policy_var var,
                                 struct arena *arena);

/* The target or the host of the request changed. */
void policy_facts_forget_url(struct exchange *x);

#endif
