/*
 * Two tables. `slots` has one entry for each address that is online, with its pool; its key is host and
 * port without the scheme, because two protocols cannot share a port (https and tls on x:443 conflict).
 * `names` has one entry for each public name in use or held, since the ownership of a name is the
 * same for all its ports: while account A serves https://x, account B cannot have http://x.
 *
 * The held names stand in a list in the order in which their hold began. The moment a hold ends is
 * computed from its beginning, so a reload that changes the duration applies to all at once and the
 * order of the list is the order in which holds end.
 *
 * A random name is a keyed hash of its holder and a running number: nobody without the secret can
 * guess it, and a key that reconnects finds its name again without anything being stored.
 */
#include "tunnel/registry.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <utlist.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tunnel/domains.h"

enum {
    SLOT_KEY_MAX_BYTES = ENDPOINT_ACCOUNT_MAX_BYTES + HOST_MAX_BYTES + 16,
    NAME_KEY_MAX_BYTES = HOST_MAX_BYTES + 16,
    RANDOM_BYTES = REGISTRY_RANDOM_HEX / 2,
};

struct slot {
    struct pool pool; /* never empty; its members are counted */
    char *key;        /* owned */
    UT_hash_handle hh;
};

/* A public name that is online, held, or both (one port gone, another still there). */
struct name {
    char *key;                        /* owned: host, or host:port of a TCP address */
    char *account;                    /* owned */
    char ssh_key[ENDPOINT_KEY_BYTES]; /* of the last endpoint here; random names go by it */
    uint64_t session;                 /* the same endpoint's agent */
    uint32_t forward;
    size_t online;
    bool held;
    uint64_t held_since_ms;
    struct name *prev; /* of the list of held names */
    struct name *next;
    UT_hash_handle hh;
};

struct registry {
    struct slot *slots; /* owned */
    size_t count;       /* of endpoints in them */
    struct name *names; /* owned */
    struct name *held;  /* the names that are held, oldest first */
    size_t held_count;
    char *base_domain; /* owned */
    struct registry_tcp tcp;
    char *tcp_host; /* owned: what tcp.host borrows */
    uint8_t secret[REGISTRY_SECRET_BYTES];
    uint64_t hold_ms;
    const struct domains *domains; /* borrowed: outlives us or the next registry_configure() */
};

struct registry *registry_new(const struct registry_params *params)
{
    struct registry *r = mem_zalloc(sizeof(*r));

    r->base_domain = str_dup(params->base_domain);
    r->tcp = params->tcp;
    r->tcp_host = str_dup(params->tcp.host);
    r->tcp.host = str_from(r->tcp_host);
    memcpy(r->secret, params->secret, sizeof(r->secret));
    registry_configure(r, params->hold_ms, params->domains);
    return r;
}

void registry_configure(struct registry *r, uint64_t hold_ms, const struct domains *domains)
{
    r->hold_ms = hold_ms;
    r->domains = domains;
}

void registry_set_domains(struct registry *r, const struct domains *domains)
{
    r->domains = domains;
}

/* ---- names ----------------------------------------------------------------------------- */

static bool is_public(const struct endpoint *ep)
{
    return ep->url.binding != BINDING_INTERNAL;
}

/* Many accounts share the host of TCP addresses, so there the port belongs to the name. */
static void name_key(const struct url *u, char out[NAME_KEY_MAX_BYTES])
{
    if (u->scheme == SCHEME_TCP)
        (void)snprintf(out, NAME_KEY_MAX_BYTES, "%s:%u", u->host, (unsigned)u->port);
    else
        (void)snprintf(out, NAME_KEY_MAX_BYTES, "%s", u->host);
}

static struct name *name_find(const struct registry *r, const struct url *u)
{
    char key[NAME_KEY_MAX_BYTES];
    struct name *found;

    name_key(u, key);
    HASH_FIND_STR(r->names, key, found);
    return found;
}

static void name_unhold(struct registry *r, struct name *n)
{
    if (!n->held)
        return;
    DL_DELETE(r->held, n);
    r->held_count--;
    n->held = false;
}

/* Forgets a name that is neither online nor held. */
static void name_drop_if_unused(struct registry *r, struct name *n)
{
    if (n->online > 0 || n->held)
        return;
    HASH_DEL(r->names, n);
    mem_free(n->key);
    mem_free(n->account);
    mem_free(n);
}

static void let_go_oldest(struct registry *r)
{
    struct name *oldest = r->held;

    name_unhold(r, oldest);
    name_drop_if_unused(r, oldest);
}

static void name_hold(struct registry *r, struct name *n, uint64_t now_ms)
{
    name_unhold(r, n);
    n->held = true;
    n->held_since_ms = now_ms;
    DL_APPEND(r->held, n);
    r->held_count++;
    if (r->held_count > REGISTRY_HELD_MAX)
        let_go_oldest(r);
}

static uint64_t hold_left_ms(const struct registry *r, const struct name *n, uint64_t now_ms)
{
    uint64_t gone = now_ms - n->held_since_ms;

    return n->held && gone < r->hold_ms ? r->hold_ms - gone : 0;
}

static bool name_is_free(const struct registry *r, const struct name *n, uint64_t now_ms)
{
    return n == NULL || (n->online == 0 && hold_left_ms(r, n, now_ms) == 0);
}

/* The name of ep, made when it is new, with one more endpoint online. */
static void name_enter(struct registry *r, const struct endpoint *ep)
{
    struct name *n = name_find(r, &ep->url);

    if (n == NULL) {
        char key[NAME_KEY_MAX_BYTES];

        name_key(&ep->url, key);
        n = mem_zalloc(sizeof(*n));
        n->key = mem_strdup(key);
        n->account = mem_strdup("");
        HASH_ADD_KEYPTR(hh, r->names, n->key, strlen(n->key), n);
    }
    mem_free(n->account); /* of the one whose hold ran out, perhaps */
    n->account = mem_strdup(ep->account);
    memcpy(n->ssh_key, ep->key, sizeof(n->ssh_key));
    n->session = ep->agent.session;
    n->forward = ep->agent.forward;
    n->online++;
    name_unhold(r, n);
}

static void name_leave(struct registry *r, const struct endpoint *ep, enum registry_hold hold,
                       uint64_t now_ms)
{
    struct name *n = name_find(r, &ep->url);

    assert(n != NULL && n->online > 0);
    n->online--;
    if (hold == REGISTRY_HOLD && r->hold_ms > 0)
        name_hold(r, n, now_ms);
    name_drop_if_unused(r, n);
}

void registry_expire(struct registry *r, uint64_t now_ms)
{
    while (r->held != NULL && hold_left_ms(r, r->held, now_ms) == 0)
        let_go_oldest(r);
}

/* ---- slots ----------------------------------------------------------------------------- */

static void slot_key(const struct url *u, const char *account, char out[SLOT_KEY_MAX_BYTES])
{
    /* "/" is in no host and no account. */
    (void)snprintf(out, SLOT_KEY_MAX_BYTES, "%s/%s:%u",
                   u->binding == BINDING_INTERNAL ? account : "", u->host, (unsigned)u->port);
}

static struct slot *slot_find(const struct registry *r, const struct url *u, const char *account)
{
    char key[SLOT_KEY_MAX_BYTES];
    struct slot *found;

    assert(strlen(account) <= ENDPOINT_ACCOUNT_MAX_BYTES);
    slot_key(u, account, key);
    HASH_FIND_STR(r->slots, key, found);
    return found;
}

static struct slot *slot_new(struct registry *r, const struct endpoint *ep)
{
    char key[SLOT_KEY_MAX_BYTES];
    struct slot *s = mem_zalloc(sizeof(*s));

    slot_key(&ep->url, ep->account, key);
    s->key = mem_strdup(key);
    HASH_ADD_KEYPTR(hh, r->slots, s->key, strlen(s->key), s);
    return s;
}

/* Its pool is empty. */
static void slot_free(struct registry *r, struct slot *s)
{
    HASH_DEL(r->slots, s);
    pool_fini(&s->pool);
    mem_free(s->key);
    mem_free(s);
}

void registry_free(struct registry *r)
{
    struct endpoint *ep;

    if (r == NULL)
        return;
    while ((ep = registry_take(r)) != NULL) {
        if (ep->port != NULL && registry_pool(r, ep) == NULL)
            r->tcp.source.ops->close(ep->port);
        endpoint_unref(ep);
    }
    while (r->held != NULL)
        let_go_oldest(r);
    mem_wipe(r->secret, sizeof(r->secret));
    mem_free(r->base_domain);
    mem_free(r->tcp_host);
    mem_free(r);
}

/* ---- may it have this name? ------------------------------------------------------------ */

/* No other account has the name online or held. */
static int check_owner(const struct registry *r, const struct endpoint *ep, uint64_t now_ms,
                       struct err *e)
{
    enum err_code code = ep->url.scheme == SCHEME_TCP ? E_TCP_TAKEN : E_HOST_TAKEN;
    const struct name *n = name_find(r, &ep->url);

    if (name_is_free(r, n, now_ms) || strcmp(n->account, ep->account) == 0)
        return 0;
    if (n->online > 0)
        return err_set(e, code, "%s is in use by another account", n->key);
    return err_set(e, code,
                   "%s was in use by another account a moment ago and stays reserved for it for "
                   "about %llu s",
                   n->key, (unsigned long long)(hold_left_ms(r, n, now_ms) + 999) / 1000);
}

/* True if ep can be one more member of what is online there. */
static bool can_join(const struct endpoint *there, const struct endpoint *ep)
{
    return there->pooling && ep->pooling && there->url.scheme == ep->url.scheme;
}

/* True if ep takes the place of what is online there: a client that reconnects gets its name. */
static bool displaces(const struct endpoint *there, const struct endpoint *ep)
{
    return !there->pooling && strcmp(there->key, ep->key) == 0 &&
           there->agent.session < ep->agent.session;
}

/*
 * The one at the address of s whose place ep takes; NULL: none. An endpoint without an agent follows
 * its own earlier version, also within a pool.
 */
static struct endpoint *predecessor(const struct slot *s, const struct endpoint *ep)
{
    const struct pool *p = &s->pool;

    if (endpoint_has_agent(ep))
        return displaces(p->members[0], ep) ? p->members[0] : NULL;
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->members[i]->id, ep->id) == 0 && (p->count == 1 || ep->pooling))
            return p->members[i];
    }
    return NULL;
}

static int refuse_online(const struct endpoint *there, const struct endpoint *ep, struct err *e)
{
    const char *where = "in a session with another key of this account; to share it, both need "
                        "--pooling-enabled";

    if (there->url.scheme != ep->url.scheme)
        where = "with another protocol, and two cannot share a port";
    else if (there->pooling)
        where = "in a pool, which only --pooling-enabled joins";
    else if (there->agent.session == ep->agent.session)
        where = "in this session";
    else if (strcmp(there->key, ep->key) == 0)
        where = "in a newer session with this key";
    return err_set(e, E_ENDPOINT_ONLINE, "%s:%u is already online %s", ep->url.host,
                   (unsigned)ep->url.port, where);
}

/* The address is free, of a pool that ep may join, or to be taken over. */
static int check_slot(const struct registry *r, const struct endpoint *ep, struct err *e)
{
    const struct slot *s = slot_find(r, &ep->url, ep->account);
    const struct endpoint *there;

    if (s == NULL)
        return 0;
    there = s->pool.members[0]; /* in what matters here they are all alike */
    /* Names of TCP addresses are apart from hosts, so the port may be another account's. */
    if (strcmp(there->account, ep->account) != 0)
        return err_set(e, E_HOST_TAKEN, "%s:%u is in use by another account", ep->url.host,
                       (unsigned)ep->url.port);
    return can_join(there, ep) || predecessor(s, ep) != NULL ? 0 : refuse_online(there, ep, e);
}

/* ---- ports ------------------------------------------------------------------------------ */

static bool has_port(const struct endpoint *ep)
{
    return ep->url.scheme == SCHEME_TCP && is_public(ep);
}

static bool is_in(const struct registry_range *range, uint16_t port)
{
    return range->first != 0 && port >= range->first && port <= range->last;
}

/* Is this an address that users may name? */
static int check_address(const struct registry *r, const struct url *u, struct err *e)
{
    const struct registry_range *fixed = &r->tcp.fixed;

    if (fixed->first == 0)
        return err_set(e, E_TCP_NOT_RESERVED, "ports cannot be chosen here%s",
                       r->tcp.any.first != 0 ? "; use a random one: -R 0:..." : "");
    if (!str_eq(str_from(u->host), r->tcp.host) || !is_in(fixed, u->port))
        return err_set(e, E_TCP_NOT_RESERVED,
                       "'%.*s:%u' is no TCP address of this gateway; ports %u to %u of %.*s are",
                       STR_ARG(str_slice(str_from(u->host), 0, 60)), (unsigned)u->port,
                       (unsigned)fixed->first, (unsigned)fixed->last,
                       STR_ARG(str_slice(r->tcp.host, 0, 60)));
    return 0;
}

static int open_port(const struct registry *r, struct endpoint *ep, struct err *e)
{
    ep->port = r->tcp.source.ops->open(r->tcp.source.ctx, ep->url.port, e);
    return ep->port == NULL ? -1 : 0;
}

static int check_named(const struct registry *r, const struct endpoint *ep, uint64_t now_ms,
                       struct err *e)
{
    if (!is_public(ep))
        return check_slot(r, ep, e);
    if (has_port(ep) && check_address(r, &ep->url, e) == -1)
        return -1;
    if (r->domains != NULL && domains_check(r->domains, &ep->url, str_from(ep->account), e) == -1)
        return -1;
    if (check_owner(r, ep, now_ms, e) == -1)
        return -1;
    return check_slot(r, ep, e);
}

/* ---- random names ---------------------------------------------------------------------- */

/* A number that nobody can foresee without the secret: the first bytes of HMAC-SHA256(secret, holder,
 * running number and what it is for). */
static void random_bytes(const struct registry *r, const struct endpoint *ep, unsigned number,
                         const char *purpose, unsigned char out[RANDOM_BYTES])
{
    char text[ENDPOINT_ACCOUNT_MAX_BYTES + ENDPOINT_KEY_BYTES + 32];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_bytes = 0;
    int n = snprintf(text, sizeof(text), "%s/%s/%u%s", ep->account, ep->key, number, purpose);

    assert(n > 0 && (size_t)n < sizeof(text));
    if (HMAC(EVP_sha256(), r->secret, (int)sizeof(r->secret), (const unsigned char *)text,
             (size_t)n, mac, &mac_bytes) == NULL)
        mac_bytes = 0;
    assert(mac_bytes >= RANDOM_BYTES); /* fails for want of memory only */
    memcpy(out, mac, RANDOM_BYTES);
}

static void random_label(const struct registry *r, const struct endpoint *ep, unsigned number,
                         char out[REGISTRY_RANDOM_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[RANDOM_BYTES];

    random_bytes(r, ep, number, "", bytes);
    for (size_t i = 0; i < REGISTRY_RANDOM_HEX; i++)
        out[i] = digits[(bytes[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 0xf];
    out[REGISTRY_RANDOM_HEX] = '\0';
}

static uint16_t random_port(const struct registry *r, const struct endpoint *ep, unsigned number)
{
    const struct registry_range *any = &r->tcp.any;
    unsigned char bytes[RANDOM_BYTES];
    uint32_t n;

    random_bytes(r, ep, number, "/tcp", bytes);
    memcpy(&n, bytes, sizeof(n));
    return (uint16_t)(any->first + n % ((uint32_t)any->last - any->first + 1));
}

/*
 * May ep's random name be this one? Reservations are not asked: a random name needs none, and that
 * it is just one that somebody has reserved will not happen.
 */
static bool random_fits(const struct registry *r, const struct endpoint *ep, uint64_t now_ms)
{
    const struct name *n = name_find(r, &ep->url);

    if (name_is_free(r, n, now_ms))
        return true;
    if (strcmp(n->account, ep->account) != 0 || strcmp(n->ssh_key, ep->key) != 0)
        return false;
    if (n->online == 0)
        return true;
    return n->session == ep->agent.session && n->forward == ep->agent.forward &&
           slot_find(r, &ep->url, ep->account) == NULL;
}

static int choose_host(const struct registry *r, struct endpoint *ep, uint64_t now_ms,
                       struct err *e)
{
    if (!is_public(ep))
        return err_set(e, E_INTERNAL_NO_HOST, "an internal endpoint needs a name");
    if (strlen(r->base_domain) + 1 + REGISTRY_RANDOM_HEX > HOST_MAX_BYTES)
        return err_set(e, E_HOST_LENGTH, "the base domain leaves no room for random names");
    for (unsigned i = 0; i < REGISTRY_RANDOM_MAX; i++) {
        char label[REGISTRY_RANDOM_HEX + 1];

        random_label(r, ep, i, label);
        (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s.%s", label, r->base_domain);
        if (random_fits(r, ep, now_ms))
            return 0;
    }
    ep->url.host[0] = '\0';
    return err_set(e, E_LIMIT, "this key has too many random names online");
}

/* A port that is free here may still be another program's, so it is opened at once. */
static int choose_address(const struct registry *r, struct endpoint *ep, uint64_t now_ms,
                          struct err *e)
{
    unsigned refused = 0;
    struct err why;

    if (r->tcp.any.first == 0)
        return err_set(e, E_TCP_NOT_RESERVED, "random TCP addresses are not offered here");
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", r->tcp_host);
    for (unsigned i = 0; i < REGISTRY_RANDOM_MAX && refused < REGISTRY_OPEN_MAX; i++) {
        ep->url.port = random_port(r, ep, i);
        if (!random_fits(r, ep, now_ms))
            continue;
        if (open_port(r, ep, &why) == 0)
            return 0;
        refused++;
    }
    ep->url.host[0] = '\0';
    ep->url.port = 0;
    return err_set(e, E_LIMIT, "no random TCP address is free");
}

static int choose(const struct registry *r, struct endpoint *ep, uint64_t now_ms, struct err *e)
{
    return has_port(ep) ? choose_address(r, ep, now_ms, e) : choose_host(r, ep, now_ms, e);
}

/* ---- online and offline ---------------------------------------------------------------- */

/* A port is opened with the first endpoint at its address. */
static int take_port(const struct registry *r, const struct slot *s, struct endpoint *ep,
                     struct err *e)
{
    if (!has_port(ep) || ep->port != NULL)
        return 0;
    if (s != NULL)
        ep->port = s->pool.members[0]->port;
    return ep->port != NULL ? 0 : open_port(r, ep, e);
}

/* `old` leaves its address, with its reference. */
static struct endpoint *displace(struct registry *r, struct slot *s, struct endpoint *old,
                                 uint64_t now_ms)
{
    (void)pool_remove(&s->pool, old);
    r->count--;
    if (is_public(old))
        name_leave(r, old, REGISTRY_LET_GO, now_ms);
    return old;
}

int registry_add(struct registry *r, struct endpoint *ep, uint64_t now_ms,
                 struct endpoint **displaced, struct err *e)
{
    struct endpoint *old;
    struct slot *s;

    *displaced = NULL;
    if (ep->url.host[0] == '\0') {
        if (choose(r, ep, now_ms, e) == -1)
            return -1;
    } else if (check_named(r, ep, now_ms, e) == -1) {
        return -1;
    }
    s = slot_find(r, &ep->url, ep->account);
    old = s != NULL ? predecessor(s, ep) : NULL;
    if (take_port(r, s, ep, e) == -1)
        return -1;
    endpoint_ref(ep);
    if (is_public(ep))
        name_enter(r, ep);
    if (s == NULL)
        s = slot_new(r, ep);
    else if (old != NULL)
        *displaced = displace(r, s, old, now_ms);
    pool_add(&s->pool, ep);
    r->count++;
    return 0;
}

struct endpoint *registry_remove(struct registry *r, struct endpoint *ep, enum registry_hold hold,
                                 uint64_t now_ms)
{
    struct slot *s = slot_find(r, &ep->url, ep->account);

    if (s == NULL || !pool_remove(&s->pool, ep))
        return NULL;
    r->count--;
    if (is_public(ep))
        name_leave(r, ep, hold, now_ms);
    if (s->pool.count == 0)
        slot_free(r, s);
    return ep;
}

struct endpoint *registry_take(struct registry *r)
{
    struct slot *s = r->slots;

    return s == NULL ? NULL : registry_remove(r, s->pool.members[0], REGISTRY_LET_GO, 0);
}

struct endpoint *registry_find(const struct registry *r, const struct url *url)
{
    const struct slot *s;

    if (url->binding == BINDING_INTERNAL)
        return NULL;
    s = slot_find(r, url, "");
    return s != NULL && s->pool.members[0]->url.scheme == url->scheme ? s->pool.members[0] : NULL;
}

const struct pool *registry_pool(const struct registry *r, const struct endpoint *ep)
{
    const struct slot *s = slot_find(r, &ep->url, ep->account);

    return s == NULL ? NULL : &s->pool;
}

void registry_each(const struct registry *r, registry_each_fn *fn, void *arg)
{
    for (const struct slot *s = r->slots; s != NULL; s = s->hh.next) {
        for (size_t i = 0; i < s->pool.count; i++)
            fn(arg, s->pool.members[i]);
    }
}

void registry_each_name(const struct registry *r, uint64_t now_ms, registry_each_name_fn *fn,
                        void *arg)
{
    for (const struct name *n = r->names; n != NULL; n = n->hh.next) {
        if (!name_is_free(r, n, now_ms))
            fn(arg, str_from(n->key), str_from(n->account));
    }
}

size_t registry_count(const struct registry *r)
{
    return r->count;
}
