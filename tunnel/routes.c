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
    struct endpoint *ep; /* counted */
    UT_hash_handle hh;
    size_t key_bytes;
    char key[];
};

struct routes {
    struct route *table; /* owned */
    size_t wildcards;
    routes_gone_fn *on_gone; /* NULL: nobody wants to know */
    void *on_gone_arg;
};

struct routes *routes_new(void)
{
    return mem_zalloc(sizeof(struct routes));
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
static void let_go(const struct routes *r, struct endpoint *ep)
{
    if (r->on_gone != NULL)
        r->on_gone(r->on_gone_arg, ep);
    endpoint_unref(ep);
}

static void route_free(struct routes *r, struct route *route)
{
    struct endpoint *ep = route->ep;

    HASH_DEL(r->table, route);
    if (is_wildcard(ep))
        r->wildcards--;
    mem_free(route);
    let_go(r, ep);
}

void routes_free(struct routes *r)
{
    if (r == NULL)
        return;
    while (r->table != NULL)
        route_free(r, r->table);
    mem_free(r);
}

void routes_add(struct routes *r, struct endpoint *ep)
{
    struct key k;
    struct route *route;

    key_of(&k, ep);
    endpoint_ref(ep);
    route = probe(r, &k);
    if (route != NULL) {
        struct endpoint *old = route->ep;

        route->ep = ep;
        let_go(r, old);
        return;
    }
    route = mem_zalloc(sizeof(*route) + k.n);
    route->ep = ep;
    route->key_bytes = k.n;
    memcpy(route->key, k.bytes, k.n);
    HASH_ADD_KEYPTR(hh, r->table, route->key, route->key_bytes, route);
    if (is_wildcard(ep))
        r->wildcards++;
}

void routes_remove(struct routes *r, struct endpoint *ep)
{
    struct key k;
    struct route *route;

    key_of(&k, ep);
    route = probe(r, &k);
    if (route != NULL && route->ep == ep)
        route_free(r, route);
}

void routes_on_gone(struct routes *r, routes_gone_fn *fn, void *arg)
{
    r->on_gone = fn;
    r->on_gone_arg = arg;
}

bool routes_has(const struct routes *r, const struct endpoint *ep)
{
    const struct route *route;
    struct key k;

    key_of(&k, ep);
    route = probe(r, &k);
    return route != NULL && route->ep == ep;
}

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

static struct endpoint *find(const struct routes *r, const struct space *space, struct str host)
{
    struct key k;
    struct route *found;

    if (host.n > HOST_MAX_BYTES)
        return NULL;
    key_set(&k, space, STR_NONE, host);
    found = probe(r, &k);
    if (found == NULL && r->wildcards > 0)
        found = find_wildcard(r, space, host);
    return found == NULL ? NULL : found->ep;
}

struct endpoint *routes_find(const struct routes *r, enum scheme scheme, struct str host,
                             uint16_t port)
{
    const struct space space = { .scheme = scheme, .port = port };

    return find(r, &space, host);
}

struct endpoint *routes_find_internal(const struct routes *r, struct str account,
                                      enum scheme scheme, struct str host, uint16_t port)
{
    const struct space space = { .scheme = scheme, .port = port, .account = account };

    return find(r, &space, host);
}

/* Both match one host, so of two wildcards the longer one has the longer suffix. */
static bool is_more_specific(const struct endpoint *a, const struct endpoint *b)
{
    if (is_wildcard(a) != is_wildcard(b))
        return is_wildcard(b);
    return strlen(a->url.host) > strlen(b->url.host);
}

struct endpoint *routes_find_secure(const struct routes *r, struct str host, uint16_t port)
{
    struct endpoint *https = routes_find(r, SCHEME_HTTPS, host, port);
    struct endpoint *tls = routes_find(r, SCHEME_TLS, host, port);

    if (https == NULL || tls == NULL)
        return tls == NULL ? https : tls;
    return is_more_specific(tls, https) ? tls : https;
}

size_t routes_count(const struct routes *r)
{
    return HASH_COUNT(r->table);
}
