/*
 * forwarded_for: whose request it is, when trusted proxies have passed it on.
 * Only what trusted proxies have written counts: X-Forwarded-For is read from its end, where the
 * nearest proxy has added the address it was asked from. Anybody can write anything at its beginning.
 * Thread: any; pure.
 * Limits: FORWARDED_FOR_HOPS_MAX addresses are looked at.
 */
#ifndef GATEWAY_FORWARDED_FOR_H
#define GATEWAY_FORWARDED_FOR_H

#include "base/addr.h"

struct cidr_set;
struct http_headers;

enum { FORWARDED_FOR_HOPS_MAX = 32 };

/*
 * The client of a request that came from `peer`: peer itself, unless it is trusted; then the last
 * address in X-Forwarded-For that is not trusted. When all are, or what stands before them is no
 * address, it is the one farthest from the end. Its port is 0 when none was written.
 */
struct addr forwarded_for_client(const struct http_headers *h, const struct cidr_set *trusted,
                                 const struct addr *peer);

#endif
