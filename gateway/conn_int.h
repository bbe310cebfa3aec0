/*
 * conn_int: what a connection and its protocol know of each other, for conn*.c only.
 * A protocol takes over when the handshake is done: it directs the events of the sock to itself, has
 * the timer, and owns the exchanges. It ends the connection by conn_close(), which calls lost() once.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_CONN_INT_H
#define GATEWAY_CONN_INT_H

#include <stdint.h>

#include <ev.h>

#include "gateway/conn.h"
#include "gateway/exchange.h"

struct sock;

struct conn_protocol {
    const char *name;
    /* No further request; an idle connection closes now. */
    void (*drain)(void *state);
    /* The timer that conn_arm_timer() has set ran out. */
    void (*on_timer)(void *state);
    /* The connection is ending; its exchanges hear why. */
    void (*lost)(void *state, enum close_reason why);
    /* At the end of the loop turn in which it ended. */
    void (*free)(void *state);
};

enum conn_state {
    CONN_HANDSHAKE, /* TLS */
    CONN_OPEN,      /* the protocol has it */
    CONN_CLOSED,
};

struct conn {
    struct conn *prev; /* of the gateway's list */
    struct conn *next;
    struct gateway *gateway; /* borrowed: outlives us; NULL while on the way to another worker */
    struct gateway_peers *peers; /* borrowed: outlives us */
    struct sock *sock;           /* owned; NULL once closed */
    enum conn_state state;
    struct exchange_origin origin;
    struct exchange_connect *connects;    /* owned: of origin */
    const struct conn_protocol *protocol; /* borrowed: static; NULL during the handshake */
    void *protocol_state;                 /* owned */
    ev_timer timer;
};

/* One timer for whatever is waited for; 0 stops it. */
void conn_arm_timer(struct conn *c, uint64_t ms);

/* On and off the list of a worker's gateway; while it is on none, `gateway` is NULL. */
void conn_join(struct conn *c, struct gateway *g);
void conn_leave(struct conn *c);
/* Ends a connection that is on no list. */
void conn_discard(struct conn *c, enum close_reason why);

/* Each takes over a connection that is ready for its first request. `taken`: what was read of it
 * already, the front of the client preface. */
void conn_start_http1(struct conn *c);
void conn_start_http2(struct conn *c, struct str taken);

#endif
