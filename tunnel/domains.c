#include "tunnel/domains.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tunnel/host.h"
#include "tunnel/url.h"
#include "tunnel/zones.h"

enum { ADDRESS_NAME_BYTES = HOST_MAX_BYTES + sizeof(":65535") };

/* A TCP address that is reserved. */
struct address {
    char *account; /* owned */
    UT_hash_handle hh;
    char name[]; /* host:port */
};

struct domains {
    char *base; /* owned */
    bool auto_reserve;
    size_t count;              /* of both below */
    struct zones *zones;       /* owned: of the names */
    struct address *addresses; /* owned */
};

struct domains *domains_new(struct str base, bool auto_reserve)
{
    struct domains *d = mem_zalloc(sizeof(*d));

    d->base = str_dup(base);
    d->auto_reserve = auto_reserve;
    d->zones = zones_new();
    return d;
}

/* Is it the account's? NULL is nobody's. */
static bool is_of(const char *owner, struct str account)
{
    return owner != NULL && str_eq(str_from(owner), account);
}

static bool is_foreign(const char *owner, struct str account)
{
    return owner != NULL && !is_of(owner, account);
}

/* ---- addresses ---- */

static struct str address_name(struct str host, uint16_t port, char out[ADDRESS_NAME_BYTES])
{
    (void)snprintf(out, ADDRESS_NAME_BYTES, "%.*s:%u", STR_ARG(host), (unsigned)port);
    return str_from(out);
}

static struct address *address_find(const struct domains *d, struct str host, uint16_t port)
{
    char text[ADDRESS_NAME_BYTES];
    struct str name = address_name(host, port, text);
    struct address *found;

    HASH_FIND(hh, d->addresses, name.p, name.n, found);
    return found;
}

/* Who has it, or NULL. */
static const char *address_owner(const struct domains *d, struct str host, uint16_t port)
{
    const struct address *a = address_find(d, host, port);

    return a != NULL ? a->account : NULL;
}

static void address_enter(struct domains *d, struct str name, struct str account)
{
    struct address *a = mem_zalloc(sizeof(*a) + name.n + 1);

    a->account = str_dup(account);
    memcpy(a->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, d->addresses, a->name, name.n, a);
}

static void address_leave(struct domains *d, struct address *a)
{
    HASH_DEL(d->addresses, a);
    mem_free(a->account);
    mem_free(a);
}

void domains_free(struct domains *d)
{
    struct address *a;
    struct address *next;

    if (d == NULL)
        return;
    HASH_ITER(hh, d->addresses, a, next)
    {
        address_leave(d, a);
    }
    zones_free(d->zones);
    mem_free(d->base);
    mem_free(d);
}

/* ---- reserving ---- */

/* The zone at or above this one of which another account has a name; empty: there is none. */
static struct str find_foreign_zone(const struct domains *d, struct str zone, struct str account)
{
    while (zone.n > 0 && !is_foreign(zones_holder(d->zones, zone), account))
        zone = zones_above(zone);
    return zone;
}

/* Two accounts must not share a name, nor may one hold a name above or below the other's. */
static enum domains_clash find_domain_clash(const struct domains *d, struct str name,
                                            struct str account)
{
    struct str zone = zones_of(name);

    if (is_of(zones_owner(d->zones, name), account))
        return DOMAINS_OWN;
    if (find_foreign_zone(d, zone, account).n > 0)
        return DOMAINS_OTHER;
    if (zones_has_foreign_below(d->zones, zone, account))
        return host_is_wildcard(name) ? DOMAINS_COVERS : DOMAINS_OTHER;
    return DOMAINS_CLEAR;
}

enum domains_clash domains_find_clash(const struct domains *d, struct str host, uint16_t port,
                                      struct str account)
{
    const char *owner;

    if (port == 0)
        return find_domain_clash(d, host, account);
    owner = address_owner(d, host, port);
    if (owner == NULL)
        return DOMAINS_CLEAR;
    return is_of(owner, account) ? DOMAINS_OWN : DOMAINS_OTHER;
}

static int check_domain_free(const struct domains *d, struct str name, struct str account,
                             struct err *e)
{
    struct str above = find_foreign_zone(d, zones_of(name), account);

    if (zones_owner(d->zones, name) != NULL)
        return err_set(e, E_HOST_TAKEN, "'%.*s' is reserved twice", STR_ARG(name));
    if (above.n > 0)
        return err_set(e, E_HOST_TAKEN,
                       "'%.*s' overlaps names of '%.*s' that are reserved for another account",
                       STR_ARG(name), STR_ARG(above));
    if (zones_has_foreign_below(d->zones, zones_of(name), account))
        return err_set(e, E_HOST_TAKEN,
                       "'%.*s' overlaps names below it that are reserved for another account",
                       STR_ARG(name));
    return 0;
}

static int check_address_free(const struct domains *d, struct str host, uint16_t port,
                              struct err *e)
{
    if (host_is_wildcard(host))
        return err_set(e, E_HOST_CHARACTER, "a TCP address cannot be a wildcard");
    if (address_find(d, host, port) != NULL)
        return err_set(e, E_TCP_TAKEN, "the TCP address '%.*s:%u' is reserved twice", STR_ARG(host),
                       (unsigned)port);
    return 0;
}

int domains_add(struct domains *d, struct str name, struct str account, struct err *e)
{
    char host[HOST_MAX_BYTES + 1];
    char address[ADDRESS_NAME_BYTES];
    uint16_t port;
    int rc;

    if (d->count == DOMAINS_MAX)
        return err_set(e, E_LIMIT, "more than %d names are reserved", DOMAINS_MAX);
    if (host_port_parse(name, host, &port, e) == -1)
        return -1;
    if (port != 0)
        rc = check_address_free(d, str_from(host), port, e);
    else
        rc = check_domain_free(d, str_from(host), account, e);
    if (rc == -1)
        return -1;
    if (port != 0)
        address_enter(d, address_name(str_from(host), port, address), account);
    else
        zones_enter(d->zones, str_from(host), account);
    d->count++;
    return 0;
}

void domains_remove(struct domains *d, struct str host, uint16_t port)
{
    struct address *a = port != 0 ? address_find(d, host, port) : NULL;

    if (a != NULL) {
        address_leave(d, a);
        d->count--;
    } else if (port == 0 && zones_owner(d->zones, host) != NULL) {
        zones_leave(d->zones, host);
        d->count--;
    }
}

static void copy_name(void *arg, struct str name, struct str account)
{
    zones_enter(arg, name, account);
}

struct domains *domains_copy(const struct domains *d)
{
    struct domains *copy = domains_new(str_from(d->base), d->auto_reserve);

    zones_each(d->zones, copy_name, copy->zones);
    for (const struct address *a = d->addresses; a != NULL; a = a->hh.next)
        address_enter(copy, str_from(a->name), str_from(a->account));
    copy->count = d->count;
    return copy;
}

/* ---- checking ---- */

static int check_tcp(const struct domains *d, const struct url *url, struct str account,
                     struct err *e)
{
    const char *owner = address_owner(d, str_from(url->host), url->port);

    if (is_of(owner, account))
        return 0;
    if (owner != NULL)
        return err_set(e, E_TCP_TAKEN, "the TCP address '%s:%u' belongs to another account",
                       url->host, (unsigned)url->port);
    if (d->auto_reserve)
        return 0;
    return err_set(e, E_TCP_NOT_RESERVED,
                   "the TCP address '%s:%u' is not reserved; reserve it, or use a random one",
                   url->host, (unsigned)url->port);
}

enum owner { OWNER_NONE, OWNER_SELF, OWNER_WIDER, OWNER_OTHER, OWNER_OTHER_BELOW };

/*
 * What the reservations say about a name: SELF: the account may use it; WIDER: the name is a
 * wildcard and the account holds only a wider one; OTHER: it is, or is below, another's name;
 * OTHER_BELOW: it is a wildcard that would cover another's name.
 */
static enum owner find_owner(const struct domains *d, struct str name, struct str account)
{
    bool wildcard = host_is_wildcard(name);
    struct str zone = zones_of(name);

    if (is_of(zones_owner(d->zones, name), account))
        return OWNER_SELF;
    if (find_foreign_zone(d, zone, account).n > 0)
        return OWNER_OTHER;
    /* So what is held on the way up is the account's own. */
    for (struct str above = zones_above(zone); above.n > 0; above = zones_above(above)) {
        if (zones_wildcard(d->zones, above) != NULL)
            return wildcard ? OWNER_WIDER : OWNER_SELF;
    }
    if (wildcard && zones_has_foreign_below(d->zones, zone, account))
        return OWNER_OTHER_BELOW;
    return OWNER_NONE;
}

bool domains_covers(const struct domains *d, const struct url *url, struct str account)
{
    struct str host = str_from(url->host);

    if (url->scheme != SCHEME_TCP)
        return find_owner(d, host, account) == OWNER_SELF;
    return is_of(address_owner(d, host, url->port), account);
}

static int refuse_nested(struct str host, struct str base, struct err *e)
{
    struct str own = str_slice(host, 0, host.n - base.n - 1);
    char flat[HOST_MAX_BYTES + 1];
    char checked[HOST_MAX_BYTES + 1];

    memcpy(flat, host.p, host.n);
    flat[host.n] = '\0';
    for (size_t i = 0; i < own.n; i++) {
        if (flat[i] == '.')
            flat[i] = '-';
    }
    /* The flattened label may be too long, or be no punycode any more. */
    if (host_normalize(str_from(flat), checked, NULL) == -1)
        return err_set(e, E_NESTED_NAME, "'%.*s' is nested below %.*s, so it must be reserved",
                       STR_ARG(host), STR_ARG(base));
    return err_set(e, E_NESTED_NAME, "'%.*s' is nested below %.*s; reserve it, or use '%s' instead",
                   STR_ARG(host), STR_ARG(base), flat);
}

/* With auto_reserve, what nobody reserved is free to take; only a wildcard over the whole base
 * domain, which would catch everybody's names that are offline, is not. */
static int check_unreserved(const struct domains *d, struct str host, struct err *e)
{
    struct str base = str_from(d->base);

    if (d->auto_reserve &&
        !(host_is_wildcard(host) && host_is_below_or_equal(base, zones_of(host))))
        return 0;
    if (host_is_wildcard(host))
        return err_set(
            e, E_WILDCARD_NOT_RESERVED,
            "the wildcard '%.*s' is not reserved; have it reserved for your account first",
            STR_ARG(host));
    if (host_is_below(host, base) && str_find_char(host, '.') != host.n - base.n - 1)
        return refuse_nested(host, base, e);
    return err_set(e, E_HOST_NOT_RESERVED,
                   "the name '%.*s' is not reserved; have it reserved for your account, or leave "
                   "it out for a random one",
                   STR_ARG(host));
}

int domains_check(const struct domains *d, const struct url *url, struct str account, struct err *e)
{
    struct str host = str_from(url->host);

    if (host.n == 0 || url->binding == BINDING_INTERNAL)
        return 0;
    if (url->scheme == SCHEME_TCP)
        return check_tcp(d, url, account, e);
    switch (find_owner(d, host, account)) {
    case OWNER_SELF:
        return 0;
    case OWNER_OTHER:
        return err_set(e, E_HOST_TAKEN, "the name '%s' belongs to another account", url->host);
    case OWNER_WIDER:
        return err_set(e, E_WILDCARD_TOO_WIDE,
                       "the wildcard '%s' must be reserved itself; a wider one does not cover it",
                       url->host);
    case OWNER_OTHER_BELOW:
        return err_set(e, E_WILDCARD_NOT_RESERVED,
                       "the wildcard '%s' covers a name of another account, so you cannot have it",
                       url->host);
    case OWNER_NONE:
        break;
    }
    return check_unreserved(d, host, e);
}
