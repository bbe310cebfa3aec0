/*
 * One hash table whose key is scheme, port, account and host: exact hosts and wildcards alike, since
 * a wildcard's host begins with "*" and a request's never does. Public names are the same for
 * everybody, so their account is empty; an internal name without its account is no key at all, and
 * no request from outside can spell one. A wildcard is found by putting "*" in front of each suffix
 * of the request's host, the longest first. A tree of labels would save these probes, but there are
 * as many as the host has dots and none when no wildcard is online.
 */
#include "tunnel/routes.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

enum {
    KEY_HEAD_BYTES = 3, /* scheme, port */
    KEY_MAX_BYTES = KEY_HEAD_BYTES + ENDPOINT_ACCOUNT_MAX_BYTES + 1 + HOST_MAX_BYTES,
};

/* Where a name is looked for: a scheme and port, of everybody or of one account. */
struct space {
    enum scheme scheme;
    uint16_t port;
    struct str account; /* empty: public names */
};

struct key {
    size_t n;
    char bytes[KEY_MAX_BYTES];
};

struct route {
    struct pool pool; /* never empty; its members are counted */
    UT_hash_handle hh;
    size_t key_bytes;
    char key[];
};

struct routes {
    struct route *table;     /* owned */
    size_t count;            /* of endpoints */
    size_t wildcards;        /* of addresses */
    uint64_t *random;        /* owned: what choices draw from; it moves on with each lookup */
    routes_gone_fn *on_gone; /* NULL: nobody wants to know */
    void *on_gone_arg;
};

struct routes *routes_new(void)
{
    struct routes *r = mem_zalloc(sizeof(*r));

    r->random = mem_zalloc(sizeof(*r->random));
    rand_bytes(r->random, sizeof(*r->random));
    return r;
}

static void key_add(struct key *k, struct str s)
{
    assert(k->n + s.n <= sizeof(k->bytes));
    if (s.n > 0)
        memcpy(k->bytes + k->n, s.p, s.n);
    k->n += s.n;
}

/* `prefix` is "*" or empty. */
static void key_set(struct key *k, const struct space *space, struct str prefix, struct str host)
{
    k->bytes[0] = (char)space->scheme;
    k->bytes[1] = (char)(space->port >> 8);
    k->bytes[2] = (char)(space->port & 0xff);
    k->n = KEY_HEAD_BYTES;
    key_add(k, space->account);
    key_add(k, STR("/")); /* in no account and no host */
    key_add(k, prefix);
    key_add(k, host);
}

static void key_of(struct key *k, const struct endpoint *ep)
{
    const struct space space = {
        .scheme = ep->url.scheme,
        .port = ep->url.port,
        .account = ep->url.binding == BINDING_INTERNAL ? str_from(ep->account) : STR_NONE,
    };

    key_set(k, &space, STR_NONE, str_from(ep->url.host));
}

static struct route *probe(const struct routes *r, const struct key *k)
{
    struct route *found;

    HASH_FIND(hh, r->table, k->bytes, k->n, found);
    return found;
}

static bool is_wildcard(const struct endpoint *ep)
{
    return ep->url.host[0] == '*';
}

/* The table's reference to ep goes. */
static void let_go(struct routes *r, struct endpoint *ep)
{
    r->count--;
    if (r->on_gone != NULL)
        r->on_gone(r->on_gone_arg, ep);
    endpoint_unref(ep);
}

static struct route *route_new(struct routes *r, const struct key *k, const struct endpoint *ep)
{
    struct route *route = mem_zalloc(sizeof(*route) + k->n);

    route->key_bytes = k->n;
    memcpy(route->key, k->bytes, k->n);
    HASH_ADD_KEYPTR(hh, r->table, route->key, route->key_bytes, route);
    if (is_wildcard(ep))
        r->wildcards++;
    return route;
}

/* Its pool is empty; `ep` was the last member. */
static void route_free(struct routes *r, struct route *route, const struct endpoint *ep)
{
    HASH_DEL(r->table, route);
    if (is_wildcard(ep))
        r->wildcards--;
    pool_fini(&route->pool);
    mem_free(route);
}

/* `ep` is a member. */
static void leave(struct routes *r, struct route *route, struct endpoint *ep)
{
    (void)pool_remove(&route->pool, ep);
    if (route->pool.count == 0)
        route_free(r, route, ep);
    let_go(r, ep);
}

void routes_free(struct routes *r)
{
    if (r == NULL)
        return;
    while (r->table != NULL)
        leave(r, r->table, r->table->pool.members[0]);
    mem_free(r->random);
    mem_free(r);
}

/* The endpoints that ep takes the place of; they go when ep is there. */
static struct pool take_displaced(struct route *route, const struct endpoint *ep)
{
    struct pool displaced = { 0 };

    if (route->pool.count == 0 || (ep->pooling && route->pool.members[0]->pooling))
        return displaced;
    displaced = route->pool;
    route->pool = (struct pool){ 0 };
    return displaced;
}

void routes_add(struct routes *r, struct endpoint *ep)
{
    struct key k;
    struct route *route;
    struct pool displaced;

    key_of(&k, ep);
    endpoint_ref(ep);
    route = probe(r, &k);
    if (route == NULL)
        route = route_new(r, &k, ep);
    displaced = take_displaced(route, ep);
    pool_add(&route->pool, ep);
    r->count++;
    for (size_t i = 0; i < displaced.count; i++)
        let_go(r, displaced.members[i]);
    pool_fini(&displaced);
}

static struct route *route_of(const struct routes *r, const struct endpoint *ep)
{
    struct key k;

    key_of(&k, ep);
    return probe(r, &k);
}

void routes_remove(struct routes *r, struct endpoint *ep)
{
    struct route *route = route_of(r, ep);

    if (route != NULL && pool_has(&route->pool, ep))
        leave(r, route, ep);
}

void routes_on_gone(struct routes *r, routes_gone_fn *fn, void *arg)
{
    r->on_gone = fn;
    r->on_gone_arg = arg;
}

/* ---- finding ----------------------------------------------------------------------------------- */

static struct route *find_wildcard(const struct routes *r, const struct space *space,
                                   struct str host)
{
    struct key k;
    size_t dot;

    while ((dot = str_find_char(host, '.')) != host.n) {
        struct route *found;

        host = str_skip(host, dot);
        /* A leading dot leaves no label for "*" to stand for, and its key would not fit. */
        if (dot > 0) {
            key_set(&k, space, STR("*"), host);
            found = probe(r, &k);
            if (found != NULL)
                return found;
        }
        host = str_skip(host, 1);
    }
    return NULL;
}

static const struct pool *find(const struct routes *r, const struct space *space, struct str host)
{
    struct key k;
    struct route *found;

    if (host.n > HOST_MAX_BYTES)
        return NULL;
    key_set(&k, space, STR_NONE, host);
    found = probe(r, &k);
    if (found == NULL && r->wildcards > 0)
        found = find_wildcard(r, space, host);
    return found == NULL ? NULL : &found->pool;
}

const struct pool *routes_pool(const struct routes *r, enum scheme scheme, struct str host,
                               uint16_t port)
{
    const struct space space = { .scheme = scheme, .port = port };

    return find(r, &space, host);
}

const struct pool *routes_pool_internal(const struct routes *r, struct str account,
                                        enum scheme scheme, struct str host, uint16_t port)
{
    const struct space space = { .scheme = scheme, .port = port, .account = account };

    return find(r, &space, host);
}

/* Both match one host, so of two wildcards the longer one has the longer suffix. */
static bool is_more_specific(const struct pool *a, const struct pool *b)
{
    const struct endpoint *of_a = a->members[0];
    const struct endpoint *of_b = b->members[0];

    if (is_wildcard(of_a) != is_wildcard(of_b))
        return is_wildcard(of_b);
    return strlen(of_a->url.host) > strlen(of_b->url.host);
}

const struct pool *routes_pool_secure(const struct routes *r, struct str host, uint16_t port)
{
    const struct pool *https = routes_pool(r, SCHEME_HTTPS, host, port);
    const struct pool *tls = routes_pool(r, SCHEME_TLS, host, port);

    if (https == NULL || tls == NULL)
        return tls == NULL ? https : tls;
    return is_more_specific(tls, https) ? tls : https;
}

const struct pool *routes_pool_of(const struct routes *r, const struct endpoint *ep)
{
    const struct route *route = route_of(r, ep);

    return route == NULL ? NULL : &route->pool;
}

/* ---- choosing ---------------------------------------------------------------------------------- */

struct endpoint *routes_choose(const struct routes *r, const struct pool *pool)
{
    return pool == NULL ? NULL : pool_choose(pool, rand_next(r->random));
}

struct endpoint *routes_choose_other(const struct routes *r, struct endpoint *from,
                                     struct pool_tried *tried)
{
    static const struct pool nobody = { 0 };
    const struct pool *pool = routes_pool_of(r, from);

    return pool_choose_other(pool != NULL ? pool : &nobody, rand_next(r->random), from, tried);
}

struct endpoint *routes_find(const struct routes *r, enum scheme scheme, struct str host,
                             uint16_t port)
{
    return routes_choose(r, routes_pool(r, scheme, host, port));
}

struct endpoint *routes_find_internal(const struct routes *r, struct str account,
                                      enum scheme scheme, struct str host, uint16_t port)
{
    return routes_choose(r, routes_pool_internal(r, account, scheme, host, port));
}

size_t routes_count(const struct routes *r)
{
    return r->count;
}
