/*
 * port: the public TCP ports of endpoints, as the registry and the control thread ask for them.
 * tunnel/ knows no sockets; the gateway implements the operations (gateway/tcp_ports.h).
 * A port is opened for all workers at once, before anything is promised, so that a claim can be refused
 * when it cannot be had; each worker then serves it on its own, as part of the change that brings its
 * endpoint, and stops with the change that takes it away.
 * Thread: open() and close() on the control thread; serve() and stop() on the worker given.
 */
#ifndef TUNNEL_PORT_H
#define TUNNEL_PORT_H

#include <stdint.h>

#include "base/err.h"

struct port;
struct worker;

struct port_ops {
    /* Binds it for every worker. NULL with E_TCP_OCCUPIED when another program has it. A port that
     * the same process is about to close is no reason. */
    struct port *(*open)(void *ctx, uint16_t number, struct err *e);
    /* Accepts on it from now on; routes lead to its endpoint. */
    void (*serve)(struct port *p, struct worker *w);
    void (*stop)(struct port *p, struct worker *w);
    /* No worker serves it any more, or none ever did. */
    void (*close)(struct port *p);
};

struct port_source {
    const struct port_ops *ops; /* borrowed: static; NULL: there are none */
    void *ctx;                  /* borrowed: outlives every port */
};

#endif
