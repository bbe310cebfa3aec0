#include "gateway/api_public.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/admin.h"
#include "gateway/api_http.h"
#include "gateway/gateway_int.h"
#include "gateway/sock.h"
#include "tunnel/endpoint.h"

static struct stream *open_stream(const struct agent *a, const struct addr *client,
                                  const struct stream_events *events, void *arg,
                                  enum close_reason *why)
{
    struct gateway *g = a->ctx;
    struct sock *s;
    int fds[2];

    (void)client;
    *why = CLOSE_BUSY;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
        return NULL;
    if (!admin_open(g, fds[0], ADMIN_PEER_PUBLIC)) {
        (void)close(fds[1]); /* nothing was written */
        return NULL;
    }
    s = sock_new(g->worker, fds[1], NULL, events, arg);
    sock_tell_open(s);
    return sock_stream(s);
}

/* There is no session to be told of anything. */
static const struct agent_ops public_ops = {
    .open = open_stream,
};

struct endpoint *api_public_endpoint(struct gateway *g, const struct url *url)
{
    struct endpoint *ep = endpoint_new();

    ep->url = *url;
    ep->created_wall_ms = clock_wall_ms();
    id_new("ep", ep->created_wall_ms, ep->id);
    endpoint_set(&ep->account, STR("(gateway)")); /* as no user can be called */
    endpoint_set(&ep->description, STR("the management API"));
    ep->agent = (struct agent){ .ops = &public_ops, .worker = g->worker, .ctx = g };
    return ep;
}
