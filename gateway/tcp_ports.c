#include "gateway/tcp_ports.h"

#include <stdint.h>
#include <unistd.h>

#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/gateway_int.h"
#include "gateway/listen_set.h"
#include "gateway/listener.h"

struct tcp_ports {
    struct config_listen addresses;
    struct gateway_peers *peers; /* borrowed: outlives us */
    size_t workers;
    uint32_t open[UINT16_MAX + 1]; /* how many times each is, being closed included */
};

/* What one worker has of a port. */
struct port_part {
    struct port_part *prev; /* of the gateway's list */
    struct port_part *next;
    struct port *port;                             /* borrowed: owns us */
    struct gateway *gateway;                       /* borrowed; NULL: it does not serve */
    struct listener *listeners[CONFIG_LISTEN_MAX]; /* owned */
};

struct port {
    struct tcp_ports *owner; /* borrowed: outlives us */
    uint16_t number;
    struct listen_set sockets;
    struct port_part parts[]; /* one a worker */
};

struct tcp_ports *tcp_ports_new(const struct config_listen *addresses, struct gateway_peers *peers,
                                size_t workers)
{
    struct tcp_ports *t = mem_zalloc(sizeof(*t));

    t->addresses = *addresses;
    t->peers = peers;
    t->workers = workers;
    return t;
}

void tcp_ports_free(struct tcp_ports *t)
{
    mem_free(t);
}

/* ---- on the control thread ------------------------------------------------------------------- */

static struct port *open_port(void *ctx, uint16_t number, struct err *e)
{
    struct tcp_ports *t = ctx;
    struct config_listen wanted = t->addresses;
    enum listen_others others = t->open[number] > 0 ? LISTEN_BESIDE_OURS : LISTEN_ALONE;
    struct port *p = mem_zalloc(sizeof(*p) + t->workers * sizeof(p->parts[0]));
    struct err why;

    for (size_t i = 0; i < wanted.count; i++)
        wanted.addrs[i].port = number;
    if (listen_set_init(&p->sockets, &wanted, t->workers, others, &why) == -1) {
        mem_free(p);
        log_info("tcp.port_refused", LU("port", number), LS("error", why.msg));
        (void)err_set(e, E_TCP_OCCUPIED,
                      "port %u cannot be had on the gateway at the moment; choose another one, or "
                      "use 0 for a random one",
                      (unsigned)number);
        return NULL;
    }
    p->owner = t;
    p->number = number;
    for (size_t i = 0; i < t->workers; i++)
        p->parts[i].port = p;
    t->open[number]++;
    return p;
}

static void close_port(struct port *p)
{
    p->owner->open[p->number]--;
    listen_set_fini(&p->sockets);
    mem_free(p);
}

/* ---- on the workers -------------------------------------------------------------------------- */

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct port_part *part = arg;

    gateway_accept(part->gateway, fd, SCHEME_TCP, part->port->number, peer);
}

static void serve_port(struct port *p, struct worker *w)
{
    struct gateway *g = p->owner->peers->gateways[worker_id(w)];
    struct port_part *part = &p->parts[worker_id(w)];
    int fds[CONFIG_LISTEN_MAX];

    listen_set_take(&p->sockets, worker_id(w), fds);
    if (g == NULL || g->draining) {
        for (size_t i = 0; i < p->sockets.bound.count; i++)
            (void)close(fds[i]); /* nothing is accepted any more */
        return;
    }
    part->gateway = g;
    DL_APPEND(g->ports, part);
    for (size_t i = 0; i < p->sockets.bound.count; i++) {
        part->listeners[i] = listener_new(w, fds[i], on_accept, part);
        listener_start(part->listeners[i]);
    }
}

static void stop_part(struct port_part *part)
{
    if (part->gateway == NULL)
        return;
    DL_DELETE(part->gateway->ports, part);
    part->gateway = NULL;
    for (size_t i = 0; i < part->port->sockets.bound.count; i++)
        listener_free(part->listeners[i]);
}

static void stop_port(struct port *p, struct worker *w)
{
    stop_part(&p->parts[worker_id(w)]);
}

void tcp_ports_stop_all(struct gateway *g)
{
    while (g->ports != NULL)
        stop_part(g->ports);
}

struct port_source tcp_ports_source(struct tcp_ports *t)
{
    static const struct port_ops ops = {
        .open = open_port,
        .serve = serve_port,
        .stop = stop_port,
        .close = close_port,
    };

    return (struct port_source){ .ops = &ops, .ctx = t };
}
