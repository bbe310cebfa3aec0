/*
 * conn_int: what a connection and its protocol know of each other, for conn*.c only.
 * A protocol takes over when the handshake is done: it directs the events of the sock to itself, has
 * the timer, and owns the exchanges. It ends the connection by conn_close(), which calls lost() once.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_CONN_INT_H
#define GATEWAY_CONN_INT_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "gateway/conn.h"
#include "gateway/conn_policy.h"
#include "gateway/exchange.h"
#include "gateway/tls_ja4.h"

struct conn_member;
struct endpoint;
struct inside_visit;
struct policy_tls;
struct preface;
struct sock;
struct worker;

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
    CONN_PREFACE,   /* a PROXY header or the ClientHello is to come; there is no sock yet */
    CONN_HANDSHAKE, /* TLS, or what on_tcp_connect does before it */
    CONN_OPEN,      /* the protocol has it */
    CONN_CLOSED,
};

struct conn {
    struct conn *prev; /* of the gateway's list */
    struct conn *next;
    struct gateway *gateway; /* borrowed: outlives us; NULL while on the way to another worker */
    struct gateway_peers *peers; /* borrowed: outlives us */
    struct sock *sock;           /* owned; NULL before it is made, once closed, or with a splice */
    int fd;                      /* owned until the sock takes it; -1 then */
    struct preface *preface;     /* owned; NULL when it is over */
    enum conn_state state;
    struct exchange_origin origin;
    struct endpoint *tls_endpoint;  /* counted: of origin */
    struct conn_policy_use connect; /* of on_tcp_connect before the handshake */
    void (*secured)(void *arg);     /* of conn_terminate_tls() */
    void *secured_arg;
    struct endpoint *endpoint;    /* counted: of the first request; NULL: none came to one */
    char *server_name;            /* owned: of the ClientHello; NULL: none was read */
    char ja4[JA4_BYTES];          /* of the same; "" */
    uint16_t port;                /* of the endpoints of its listener */
    struct inside_visit *inside;  /* counted; NULL: it came from outside */
    struct conn_policy *connects; /* owned: of origin */
    struct conn_member *members;  /* the same */
    const struct conn_protocol *protocol; /* borrowed: static; NULL before it begins */
    void *protocol_state;                 /* owned */
    void (*arrived)(void *state);         /* of conn_move() */
    ev_timer timer;
};

/* True while it may go to another worker. */
bool conn_can_move(const struct conn *c);

/* One timer for whatever is waited for; 0 stops it. */
void conn_arm_timer(struct conn *c, uint64_t ms);

/* On and off the list of a worker's gateway; while it is on none, `gateway` is NULL. */
void conn_join(struct conn *c, struct gateway *g);
void conn_leave(struct conn *c);
/* Ends a connection that is on no list. */
void conn_discard(struct conn *c, enum close_reason why);

/* The other worker to which a connection with no other request should go for this one, or NULL. */
struct worker *conn_worker_for(const struct conn *c, struct exchange *x);
/*
 * Sends it to another worker, where arrived(protocol_state) goes on; false: it has to stay. Not from
 * inside an event of its sock, and without a timer.
 */
bool conn_move(struct conn *c, struct worker *to, void (*arrived)(void *state));

/* ---- conn.c ---- */

/* TLS has ended, or there was none: the protocol begins. */
void conn_begin(struct conn *c);
/* The descriptor becomes a sock, on which nothing happens by itself but what `tls` (taken, may be
 * NULL) does. */
void conn_open_sock(struct conn *c, struct tls_session *tls);

/* ---- conn_tls.c ---- */

/* TLS begins, for a name that `ep` (may be NULL) serves over https. */
void conn_start_tls(struct conn *c, struct endpoint *ep);
/*
 * Does the handshake of a connection that was read nothing of, with the settings of a policy of `ep`;
 * secured(arg) follows, or the connection ends. -1 with what is wrong with the settings.
 */
int conn_terminate_tls(struct conn *c, struct endpoint *ep, const struct policy_tls *settings,
                       void (*secured)(void *arg), void *arg, struct err *e);
/* Why its handshake failed goes to the log. */
void conn_log_tls_failure(const struct conn *c, const char *reason);

/* ---- the protocols ---- */

/* Each takes over a connection that is ready for its first request. `taken`: what was read of it
 * already, the front of the client preface. */
void conn_start_http1(struct conn *c);
void conn_start_http2(struct conn *c, struct str taken);

/*
 * Takes over a connection of which nothing was taken yet, and whose bytes go to one endpoint unread:
 * on_tcp_connect runs, then the endpoint is dialled, then both are joined. What its sock has read
 * already goes first; until then it reads nothing (sock_hold()). ep is borrowed for the call. `ep` may
 * be found and the connection be started from inside an event of its sock.
 */
void conn_start_raw(struct conn *c, struct endpoint *ep);

#endif
