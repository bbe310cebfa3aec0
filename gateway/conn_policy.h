/*
 * conn_policy: on_tcp_connect of an endpoint on one connection, outside of any exchange.
 * It runs once for each endpoint that a connection comes to (spec traffic-policy 2.4, D8), of a pool once
 * for members with the same rules, and for each client whose requests come on it, when a trusted proxy passes on those of many: when the
 * endpoint is known, which is at once for a TCP port, with the ClientHello for TLS, and with the first
 * request otherwise. The run is kept with the connection (exchange_origin.connects), since later
 * phases may read its results (D25): whoever asks first runs it, all others find it.
 *
 * A run may be suspended like any other. What an action asks of the connection itself, such as a TLS
 * handshake, is a call of struct policy_host that conn_policy.c answers with POLICY_PENDING until it is
 * done; wake() there goes on with the run.
 * Owns:   its arena, its run, a reference to the endpoint, and what is under way for it.
 * Thread: that of the connection; it runs before the connection moves or after, never meanwhile.
 * Limits: CONN_POLICIES_MAX of these a connection; beyond that the oldest is forgotten, and runs
 *         again if it is needed.
 */
#ifndef GATEWAY_CONN_POLICY_H
#define GATEWAY_CONN_POLICY_H

#include <stdbool.h>

#include "policy/run.h"

struct addr;
struct conn_policy;
struct endpoint;
struct exchange_origin;
struct gateway;

enum { CONN_POLICIES_MAX = 16 };

/* The verdict of a run that was suspended: POLICY_CONTINUE or POLICY_CLOSE. */
typedef void conn_policy_done_fn(void *arg, enum policy_verdict verdict);

/* True if what on_tcp_connect of `ran` said of a connection holds for `ep` too: they are one, or of a
 * pool with the same rules. */
bool conn_policy_covers(const struct endpoint *ran, const struct endpoint *ep);

/* Who asks for a run, and holds it from then on; embedded, zeroed but for done, arg and has_event. */
struct conn_policy_use {
    conn_policy_done_fn *done;
    void *arg;
    bool has_event;               /* set by who asks: it has one, which can tell what came of it */
    bool is_first;                /* it is the first such one, and is to tell */
    struct conn_policy *policy;   /* counted; NULL: the endpoint has no such phase */
    struct conn_policy_use *prev; /* of those who wait */
    struct conn_policy_use *next;
    bool waits;
};

/*
 * Runs on_tcp_connect of ep, unless this connection has been through it for this client: that is
 * origin->client, but for requests that a trusted proxy has passed on. POLICY_CONTINUE: the
 * connection may go on; POLICY_CLOSE: it is to be reset (close reason CLOSE_POLICY); POLICY_SUSPEND:
 * use->done() follows, never from inside this call.
 */
enum policy_verdict conn_policy_ask(struct gateway *g, const struct exchange_origin *origin,
                                    const struct addr *client, struct endpoint *ep,
                                    struct conn_policy_use *use);
/* done() is not called any more; the run goes on for others. */
void conn_policy_forget(struct conn_policy_use *use);
/* The same, and lets go of the run. Harmless on one that asked for nothing. */
void conn_policy_leave(struct conn_policy_use *use);
/* The run, for later phases and for its outcome; NULL: the endpoint has no such phase. */
const struct policy_run *conn_policy_run(const struct conn_policy_use *use);

/* The connection is closing: what is suspended never goes on. */
void conn_policies_cancel(struct conn_policy *list);
/* The connection is over. */
void conn_policies_free(struct conn_policy *list);

#endif
