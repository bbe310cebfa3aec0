/*
 * operator_socket: a Unix socket in state_dir, by which the operator of the machine speaks to the
 * running gateway: HTTP as on the admin listener, but without an API key. `sallyport apikey create`
 * uses it, because the database has one process at a time.
 * Who may connect: the user the gateway runs as, and root (SO_PEERCRED).
 * Thread: any.
 */
#ifndef GATEWAY_OPERATOR_SOCKET_H
#define GATEWAY_OPERATOR_SOCKET_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Binds and listens, non-blocking; what an earlier process left is replaced, so `dir` must be locked
 * (state_dir.h). Returns the descriptor, or -1 with E_SYSTEM.
 */
int operator_socket_open(const char *dir, struct err *e);
/* Connects, blocking. Returns the descriptor, or -1 with E_NOT_FOUND (no gateway runs) or E_SYSTEM. */
int operator_socket_connect(const char *dir, struct err *e);
/* May the peer of this accepted socket speak as the operator? */
bool operator_socket_is_allowed(int fd);

#endif
