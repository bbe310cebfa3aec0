/*
 * api_public: the management API at a public name, for who has no way to the admin listener: an endpoint of
 * the gateway's own, whose upstream is a connection of admin.h inside the process.
 * Owns:   nothing; the endpoint is counted.
 * Thread: new on main; streams on the gateway's worker.
 */
#ifndef GATEWAY_API_PUBLIC_H
#define GATEWAY_API_PUBLIC_H

struct endpoint;
struct gateway;
struct url;

/* With one reference. The gateway outlives it. */
struct endpoint *api_public_endpoint(struct gateway *g, const struct url *url);

#endif
