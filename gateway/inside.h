/*
 * inside: connections of users to internal endpoints of their own account, over SSH (tunnel/inside.h).
 * Each has a socketpair: one end is a connection of this worker like any other (conn.h), but that all
 * it carries goes to one address of one account; the other end is the stream that the user's channel
 * is joined to. So nothing that visitors can do, and no rule for them, is written a second time.
 * What a socket cannot say, that one side is over and why, passes beside it; therefore such a
 * connection stays on its worker, and reaches sessions of others through a relay.
 * Owns:   a visit is counted: by its stream, its connection, and a message under way.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_INSIDE_H
#define GATEWAY_INSIDE_H

#include "tunnel/close.h"
#include "tunnel/inside.h"

struct conn;
struct endpoint;
struct exchange_inside;
struct inside_visit;
struct pool;
struct routes;

/* Their ctx is the gateway of the worker. */
extern const struct inside_ops gateway_inside_ops;

/* What is online at this address; borrowed until the table changes, or NULL. */
const struct pool *inside_pool(const struct routes *r, const struct exchange_inside *address);

/* ---- for the connection ---- */

void inside_ref(struct inside_visit *v);
void inside_unref(struct inside_visit *v);
/* Where it goes; its strings live as long as v. */
const struct exchange_inside *inside_address(const struct inside_visit *v);
/* The connection exists, and is over; each comes once. */
void inside_on_opened(struct inside_visit *v, struct conn *c);
void inside_on_closed(struct inside_visit *v, enum close_reason why);

#endif
