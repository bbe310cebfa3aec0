/*
 * exchange_int: the body of an exchange, for exchange*.c only.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_EXCHANGE_INT_H
#define GATEWAY_EXCHANGE_INT_H

#include <ev.h>

#include "gateway/exchange.h"
#include "policy/policy.h"

enum exchange_state {
    EXCHANGE_NEW,      /* the codec fills in the request */
    EXCHANGE_WAIT,     /* the upstream was asked; its response head is awaited */
    EXCHANGE_RESPONSE, /* the response body is passing */
    EXCHANGE_TUNNEL,   /* both directions are raw bytes */
    EXCHANGE_DONE,
};

struct exchange {
    struct gateway *gateway;              /* borrowed: outlives us */
    struct downstream *down;              /* borrowed until finished() */
    const struct exchange_origin *origin; /* borrowed until finished() */
    struct arena arena;
    enum exchange_state state;

    struct http_request request;
    struct http_response response;
    struct str host;           /* of the Host field that goes upstream; in the arena */
    bool host_rewritten;       /* a policy replaced it */
    bool request_done;         /* the whole request came; of a tunnel: the visitor half-closed */
    bool response_done;        /* of a tunnel: the upstream half-closed */
    struct endpoint *endpoint; /* counted; NULL: none found */
    struct upstream *upstream; /* owned */
    struct policy_result policy;
    ev_timer timer;

    /* For the event. */
    uint64_t start_us;
    uint64_t upstream_start_us;
    uint64_t upstream_us;
    uint64_t active_ms; /* when bytes last moved */
    uint64_t request_bytes;
    uint64_t response_bytes;
    unsigned status;
    unsigned error_number;
    enum close_reason why; /* CLOSE_DONE, or why it was cut */
};

/* Runs the request or response phase. Returns the verdict; POLICY_RESPOND leaves its response in
 * x->policy. */
enum policy_verdict exchange_run_policy(struct exchange *x, enum policy_phase phase);

/* Makes the event of a finished exchange and hands it to the access log and the session. */
void exchange_publish(struct exchange *x);

#endif
