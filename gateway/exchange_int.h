/*
 * exchange_int: the body of an exchange, for exchange*.c only.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_EXCHANGE_INT_H
#define GATEWAY_EXCHANGE_INT_H

#include <ev.h>

#include "base/buf.h"
#include "gateway/conn_policy.h"
#include "gateway/exchange.h"
#include "gateway/policy_wait.h"
#include "policy/filter.h"
#include "policy/run.h"
#include "tunnel/pool.h"

struct policy_data;
struct policy_facts;

enum exchange_state {
    EXCHANGE_NEW,      /* the codec fills in the request */
    EXCHANGE_POLICY,   /* the policy waits for something, before the upstream is asked */
    EXCHANGE_WAIT,     /* the upstream was asked; its response head is awaited */
    EXCHANGE_JUDGED,   /* the policy waits for something, before the response may pass */
    EXCHANGE_RESPONSE, /* the response body is passing */
    EXCHANGE_TUNNEL,   /* both directions are raw bytes */
    EXCHANGE_DONE,
};

/* A body that an action wants whole. */
enum gather_state {
    GATHER_NOT,   /* it streams */
    GATHER_RUNS,  /* it is being collected */
    GATHER_WHOLE, /* all of it is in `data` */
    GATHER_TOO_LARGE,
};

struct gather {
    enum gather_state state;
    struct buf data; /* what is not sent on yet */
    size_t max_bytes;
    bool has_trailers;
    struct http_headers trailers; /* in the arena */
};

/* A request as it was, so that it can be that again. */
struct request_copy {
    struct http_request request;
    struct str host;
    bool host_rewritten;
    struct gather body; /* owned; GATHER_NOT: it was not changed since */
};

/* An endpoint that a request has come to (exchange_forward.c). */
struct exchange_hop {
    struct exchange *exchange;   /* borrowed: owns us */
    struct exchange_hop *outer;  /* borrowed: it forwarded here; NULL: the visitor came here */
    unsigned depth;              /* hops in front of it */
    struct endpoint *endpoint;   /* entered (endpoint_enter()); NULL: none found */
    struct pool_tried tried;     /* members of its pool that were given up for it */
    struct policy_run *run;      /* owned; NULL: it has no policy */
    bool upstream_told;          /* its circuit breakers know how the upstream did */
    struct request_copy *before; /* as `outer` sent it, in the arena; NULL with it */
    unsigned status;             /* of the response that left for `outer`; 0: none did */
    unsigned error_number;       /* that went with it */
};

struct exchange {
    struct gateway *gateway;              /* borrowed: outlives us */
    struct downstream *down;              /* borrowed until finished() */
    const struct exchange_origin *origin; /* borrowed until finished() */
    struct arena arena;
    enum exchange_state state;

    /* Where the request went: one endpoint, or a chain of them. */
    struct exchange_hop first;
    struct exchange_hop *hop;  /* whose rules run, or ran last: on the way in the last one */
    struct exchange_hop *last; /* it got furthest */
    struct endpoint *target;   /* entered: a policy is forwarding to it; NULL: none is */
    unsigned forwards;         /* that were tried */

    struct http_request request;
    struct http_response response;
    struct str host;           /* of the Host field that goes upstream; in the arena */
    bool host_rewritten;       /* a policy replaced it */
    bool request_sent;         /* some of its body is with an upstream, and cannot go to another */
    bool request_done;         /* the whole request came; of a tunnel: the visitor half-closed */
    bool response_done;        /* of a tunnel: the upstream half-closed */
    struct upstream *upstream; /* owned */
    unsigned retries;          /* upstreams that were given up for another of the same endpoint */
    struct addr client;        /* the visitor: of the connection, or behind trusted proxies */
    ev_timer timer;

    /* Of endpoints with a policy; all empty without. */
    struct policy_data *data;            /* counted: values borrow from it, also over a reload */
    struct conn_policy_use connect;      /* what the endpoint said to the connection */
    struct policy_waiter waiter;         /* what the policy waits for */
    struct policy_facts *facts;          /* in the arena: what variables were worked out to */
    uint64_t body_received_ms;           /* when the request was whole, wall clock; 0: not yet */
    struct policy_filter *inner_filters; /* owned; of hops that the response has left */
    struct policy_filter *filters;       /* owned; the response body passes them in this order */
    struct gather request_body;
    struct gather response_body;
    struct buf
        pending;  /* response bytes that wait for the visitor; only behind filters and gathering */
    bool flushes; /* filters are flushed after each piece: an event stream */
    bool waking;  /* the run goes on at the end of the loop turn */
    bool response_ended; /* the upstream has sent all; the end waits for `pending` */

    /* For the event. */
    struct http_headers seen; /* the request's as the visitor sent them, if anybody wants them */
    uint64_t head_sent_ms;    /* when the response head was sent, wall clock; 0: it was not */
    uint64_t start_us;
    uint64_t start_wall_ms; /* the same moment */
    uint64_t upstream_start_us;
    uint64_t upstream_us;
    uint64_t active_ms; /* when bytes last moved */
    uint64_t request_bytes;
    uint64_t response_bytes;
    unsigned status;
    unsigned error_number;
    enum close_reason why; /* CLOSE_DONE, or why it was cut */
};

/* ---- exchange.c -------------------------------------------------------------------------------- */

void exchange_set_state(struct exchange *x, enum exchange_state next);
struct metrics *exchange_metrics(const struct exchange *x);
/* The one end of every exchange that was started. */
void exchange_finish(struct exchange *x, enum exchange_end how, enum close_reason why);
/* The policy run goes on at the end of the loop turn. */
void exchange_wake(struct exchange *x);
/* Bytes moved: the timer starts anew. */
void exchange_note_activity(struct exchange *x);
void exchange_arm_timer(struct exchange *x);
/* Asks the upstream for what is there of the request; `fresh`: not over an idle stream. */
void exchange_dial(struct exchange *x, bool fresh);
/* Acts on the verdict of the request phase. */
void exchange_on_request_verdict(struct exchange *x, enum policy_verdict verdict);
/* To be called after it, unless the visitor has just sent something. */
void exchange_after_policy(struct exchange *x);
/* Ends a tunnel when both directions have ended and all bytes are on their way. */
void exchange_end_tunnel(struct exchange *x);
/* True while the visitor still owes bytes of its request. */
bool exchange_is_body_awaited(const struct exchange *x);
/* True when what policies and rewriting made of a head is too much for one: the codecs have room for
 * its limit and EXCHANGE_HEAD_GROWTH_BYTES. */
bool exchange_is_overgrown(const struct http_headers *h, uint64_t start_line_bytes, uint64_t limit);

/* ---- exchange_answer.c -------------------------------------------------------------------------- */

/* The error page, straight to the visitor: no rules see it. */
void exchange_answer_error(struct exchange *x, const struct err *e, enum close_reason why);
/* The same as the answer of the hop where the request is: the rules of those that forwarded to it see
 * it like any response. */
void exchange_answer_rejection(struct exchange *x, const struct err *e, enum close_reason why);
/* With what policy_run_response() says. */
void exchange_answer_policy(struct exchange *x);

/* ---- exchange_response.c ------------------------------------------------------------------------ */

/* The head of a response is known: the rules of x->hop for it run, and then those of the hops in front
 * of it. */
void exchange_judge_response(struct exchange *x);
void exchange_on_response_verdict(struct exchange *x, enum policy_verdict verdict);
/* All policies let the response pass. */
void exchange_deliver_response(struct exchange *x);
/* Circuit breakers of this hop hear how a request that was sent went, once. */
void exchange_tell_breakers(struct exchange_hop *hop, bool failed);
/* The upstream has failed before its response, and is not asked again. */
void exchange_give_up_upstream(struct exchange *x, const struct err *e, enum close_reason why);
/* The whole response is with the visitor's codec. */
void exchange_complete(struct exchange *x);

/* ---- exchange_body.c ---------------------------------------------------------------------------- */

/* Takes a piece of a body that is collected. */
void gather_add(struct exchange *x, struct gather *g, struct str data);
void gather_end(struct exchange *x, struct gather *g, const struct http_headers *trailers);
void gather_fini(struct gather *g);

/* Sends on what was collected of the request, as far as the upstream takes it; true when nothing is
 * left. */
bool exchange_pump_request(struct exchange *x);
/* Gives the upstream, which is not blocked, a piece of the body. */
void exchange_send_body(struct exchange *x, struct str data);
/* Takes response bytes on their way to the visitor, through the filters. */
void exchange_pass_response(struct exchange *x, struct str data);
/* The response has ended; completes the exchange when all bytes are with the visitor's codec. */
void exchange_end_response(struct exchange *x);
/* Sends what waits; false if the exchange is over then or the visitor is slow. */
bool exchange_pump_response(struct exchange *x);
/* The response as the policy left it: framing for what the body has become. */
void exchange_frame_response(struct exchange *x);
void exchange_frame_request(struct exchange *x);
void exchange_free_filters(struct exchange *x);
/* Adds a filter behind those of a list. */
void exchange_add_filter(struct policy_filter **list, struct policy_filter *filter);
/* A response leaves a hop: what its filters make of the body comes before those of the next. */
void exchange_leave_filters(struct exchange *x);
/* Sends a body that was collected through the filters of hops it has left; -1 with `e`. */
int exchange_apply_inner_filters(struct exchange *x, size_t max_bytes, struct err *e);

/* ---- exchange_policy.c -------------------------------------------------------------------------- */

/*
 * Runs on_tcp_connect, unless this connection has been through it for this endpoint: POLICY_CONTINUE,
 * POLICY_CLOSE, or POLICY_SUSPEND when done(x, verdict) follows.
 */
enum policy_verdict exchange_ask_connect(struct exchange *x, conn_policy_done_fn *done);
/* Makes the run of the later phases of x->hop, if its endpoint has a policy. */
void exchange_start_policy(struct exchange *x);
/* Runs a phase of x->hop; POLICY_CONTINUE if it has none. */
enum policy_verdict exchange_run_phase(struct exchange *x, enum policy_phase phase);
/* on_event_stream_message of x->hop, for a response that is one. */
void exchange_add_event_stream_filter(struct exchange *x);
/* What is under way for the policy is of no use any more. */
void exchange_cancel_waits(struct exchange *x);

/* ---- exchange_forward.c ------------------------------------------------------------------------- */

/* Finds where the policy of this hop forwards to, and keeps it for exchange_step_in(). -1 with
 * E_ENDPOINT_OFFLINE or E_FORWARD_HOPS. */
int exchange_find_target(struct exchange_hop *hop, struct str url, struct err *e);
/* The request goes there: returns the verdict of the target's rules. */
enum policy_verdict exchange_step_in(struct exchange *x);
/* The response goes to the hop that forwarded; false: the visitor is next. */
bool exchange_step_out(struct exchange *x);
/* The last hop got no answer: the policy that forwarded to it goes on, or its error is the answer. */
void exchange_step_back(struct exchange *x, const struct err *e, enum close_reason why);
/* The body of the request, `was`, is about to be replaced. True if it is kept for later. */
bool exchange_keep_body(struct exchange_hop *hop, const struct gather *was);
void exchange_free_hops(struct exchange *x);

/* ---- exchange_event.c --------------------------------------------------------------------------- */

/* The request is as it came: what the event will tell of it is kept. */
void exchange_note_request(struct exchange *x);
/* The head in x->response is about to be sent, the final one. */
void exchange_note_head(struct exchange *x);
/* Counts a finished exchange, makes its event and hands that to the access log, the session and event
 * destinations; sessions of internal endpoints get their own. */
void exchange_publish(struct exchange *x);
/* The session of x->last, an internal endpoint that the exchange goes on without, gets its event. */
void exchange_publish_last(struct exchange *x);

#endif
