/*
 * tcp_ports: the listening sockets of TCP endpoints: the gateway's side of tunnel/port.h.
 * Every worker has a socket of its own on each address, as the other listeners do (SO_REUSEPORT).
 * While a port is being closed it may be opened again: the new sockets are bound beside the old ones,
 * which every worker closes before it gets the new.
 * Owns:   the sockets of a port until the worker they are for serves it.
 * Thread: new and free on main, the rest as port.h says; a drain on the worker.
 */
#ifndef GATEWAY_TCP_PORTS_H
#define GATEWAY_TCP_PORTS_H

#include <stddef.h>

#include "tunnel/port.h"

struct config_listen;
struct gateway;
struct gateway_peers;
struct tcp_ports;

/* `addresses` (copied) are without ports; `peers` is borrowed and outlives it. */
struct tcp_ports *tcp_ports_new(const struct config_listen *addresses, struct gateway_peers *peers,
                                size_t workers);
/* All ports must be closed. NULL is fine. */
void tcp_ports_free(struct tcp_ports *t);
struct port_source tcp_ports_source(struct tcp_ports *t);

/* The gateway of one worker serves none of them any more. */
void tcp_ports_stop_all(struct gateway *g);

#endif
