/*
 * What a look into a routing table costs: nanoseconds for a host, by how many endpoints there are, each
 * with a name of its own, as wildcards, or all of one pool. Prints a line a case; the figure is that of
 * the fastest batch, so that a busy machine changes it little. Larger tables cost what larger caches
 * cost, and no more.
 */
#include <float.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

enum { BATCHES = 30, LOOKUPS = 20000, HOSTS = 4096, HOST_BYTES = 48 };

enum shape { NAMES, WILDCARDS, ONE_POOL };

static const char *const shape_names[] = {
    [NAMES] = "exact",
    [WILDCARDS] = "wildcard",
    [ONE_POOL] = "pool",
};

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void add(struct routes *r, enum shape shape, size_t number)
{
    struct endpoint *ep = endpoint_new();

    ep->url = (struct url){ .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .port = 443 };
    ep->pooling = true;
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%sh%zu.tunnel.example.com",
                   shape == WILDCARDS ? "*." : "", shape == ONE_POOL ? 0 : number);
    routes_add(r, ep);
    endpoint_unref(ep);
}

/* The hosts that are asked for: any of those that are there. */
static void make_hosts(enum shape shape, size_t endpoints, char hosts[HOSTS][HOST_BYTES])
{
    uint64_t random = 1;

    for (size_t i = 0; i < HOSTS; i++)
        (void)snprintf(hosts[i], HOST_BYTES, "%sh%zu.tunnel.example.com",
                       shape == WILDCARDS ? "app." : "",
                       shape == ONE_POOL ? 0 : (size_t)(rand_next(&random) % endpoints));
}

/* Nanoseconds a lookup, or 0 when one led nowhere. */
static double batch(const struct routes *r, char hosts[HOSTS][HOST_BYTES])
{
    double start = now_ns();

    for (size_t i = 0; i < LOOKUPS; i++) {
        if (routes_find(r, SCHEME_HTTPS, str_from(hosts[i % HOSTS]), 443) == NULL)
            return 0;
    }
    return (now_ns() - start) / LOOKUPS;
}

static bool run(enum shape shape, size_t endpoints)
{
    char(*hosts)[HOST_BYTES] = mem_zalloc_array(HOSTS, HOST_BYTES);
    struct routes *r = routes_new();
    double best = DBL_MAX;

    for (size_t i = 0; i < endpoints; i++)
        add(r, shape, i);
    make_hosts(shape, endpoints, hosts);
    for (size_t i = 0; i < BATCHES; i++) {
        double ns = batch(r, hosts);

        best = ns < best ? ns : best;
    }
    (void)printf("route %-9s %7zu endpoints %8.0f ns\n", shape_names[shape], endpoints, best);
    routes_free(r);
    mem_free(hosts);
    return best > 0;
}

int main(void)
{
    static const size_t counts[] = { 1, 100, 1000, 12000, 100000 };
    bool ok = true;

    for (int shape = NAMES; shape <= ONE_POOL; shape++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
            ok = run((enum shape)shape, counts[i]) && ok;
    }
    return ok ? 0 : 1;
}
