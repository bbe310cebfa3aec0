/*
 * conn_member: which member of a pool what comes on a connection goes to (spec endpoints 4.3).
 * Each request has a choice of its own, unless members differ in their on_tcp_connect: that is about the
 * connection, so all requests of the connection then keep to the member whose rules it has passed.
 * Owns:   a reference to each member that is kept to.
 * Thread: that of the connection.
 * Limits: CONN_MEMBERS_MAX pools a connection; beyond that the oldest is forgotten, and there is
 *         another choice if a request comes to it again.
 */
#ifndef GATEWAY_CONN_MEMBER_H
#define GATEWAY_CONN_MEMBER_H

struct conn_member;
struct endpoint;
struct pool;
struct routes;

enum { CONN_MEMBERS_MAX = 16 };

/* The member for a request or a handshake, borrowed; NULL for no pool. `list` is the connection's. */
struct endpoint *conn_member_choose(struct conn_member **list, const struct routes *routes,
                                    const struct pool *pool);
void conn_members_free(struct conn_member *list);

#endif
