#include "tunnel/domains.h"

#include <string.h>

#include "base/mem.h"
#include "tunnel/host.h"
#include "tunnel/url.h"

struct reservation {
    char *name;    /* owned: a normal host, perhaps a wildcard */
    char *account; /* owned */
    uint16_t port; /* 0: a domain, else a TCP address */
};

struct domains {
    char *base; /* owned */
    bool auto_reserve;
    struct reservation *rows; /* owned */
    size_t count;
    size_t cap;
};

struct domains *domains_new(struct str base, bool auto_reserve)
{
    struct domains *d = mem_zalloc(sizeof(*d));

    d->base = str_dup(base);
    d->auto_reserve = auto_reserve;
    return d;
}

void domains_free(struct domains *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->count; i++) {
        mem_free(d->rows[i].name);
        mem_free(d->rows[i].account);
    }
    mem_free(d->rows);
    mem_free(d->base);
    mem_free(d);
}

/* The domain whose names belong to the holder of `name`: of "*.x" as of "x" it is x. */
static struct str zone_of(struct str name)
{
    return host_is_wildcard(name) ? str_skip(name, 2) : name;
}

static bool is_of(const struct reservation *r, struct str account)
{
    return str_eq(str_from(r->account), account);
}

/* ---- reserving ---- */

/* Two accounts must not share a name, nor may one hold a name above or below the other's. `with` gets
 * the reservation that is in the way. */
static enum domains_clash find_domain_clash(const struct domains *d, struct str name,
                                            struct str account, const struct reservation **with)
{
    struct str zone = zone_of(name);

    for (size_t i = 0; i < d->count; i++) {
        const struct reservation *r = &d->rows[i];
        struct str other = str_from(r->name);

        if (r->port != 0)
            continue;
        *with = r;
        if (str_eq(other, name))
            return is_of(r, account) ? DOMAINS_OWN : DOMAINS_OTHER;
        if (is_of(r, account))
            continue;
        if (host_is_below_or_equal(zone, zone_of(other)))
            return DOMAINS_OTHER;
        if (host_is_below(zone_of(other), zone))
            return host_is_wildcard(name) ? DOMAINS_COVERS : DOMAINS_OTHER;
    }
    return DOMAINS_CLEAR;
}

static const struct reservation *find_address(const struct domains *d, struct str host,
                                              uint16_t port)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->rows[i].port == port && str_eq(str_from(d->rows[i].name), host))
            return &d->rows[i];
    }
    return NULL;
}

enum domains_clash domains_find_clash(const struct domains *d, struct str host, uint16_t port,
                                      struct str account)
{
    const struct reservation *r;

    if (port == 0)
        return find_domain_clash(d, host, account, &r);
    r = find_address(d, host, port);
    if (r == NULL)
        return DOMAINS_CLEAR;
    return is_of(r, account) ? DOMAINS_OWN : DOMAINS_OTHER;
}

static int check_domain_free(const struct domains *d, struct str name, struct str account,
                             struct err *e)
{
    const struct reservation *with;

    if (find_domain_clash(d, name, account, &with) == DOMAINS_CLEAR)
        return 0;
    if (str_eq(str_from(with->name), name))
        return err_set(e, E_HOST_TAKEN, "'%.*s' is reserved twice", STR_ARG(name));
    return err_set(e, E_HOST_TAKEN, "'%.*s' overlaps '%s', which is reserved for another account",
                   STR_ARG(name), with->name);
}

static int check_address_free(const struct domains *d, struct str host, uint16_t port,
                              struct err *e)
{
    if (host_is_wildcard(host))
        return err_set(e, E_HOST_CHARACTER, "a TCP address cannot be a wildcard");
    if (find_address(d, host, port) != NULL)
        return err_set(e, E_TCP_TAKEN, "the TCP address '%.*s:%u' is reserved twice", STR_ARG(host),
                       (unsigned)port);
    return 0;
}

static void append_row(struct domains *d, const struct reservation *row)
{
    enum { FIRST_ROWS = 16 };

    if (d->count == d->cap) {
        d->cap = d->cap == 0 ? FIRST_ROWS : d->cap * 2;
        d->rows = mem_realloc(d->rows, d->cap * sizeof(*d->rows));
    }
    d->rows[d->count++] = *row;
}

int domains_add(struct domains *d, struct str name, struct str account, struct err *e)
{
    char host[HOST_MAX_BYTES + 1];
    struct reservation row = { 0 };
    int rc;

    if (d->count == DOMAINS_MAX)
        return err_set(e, E_LIMIT, "more than %d names are reserved", DOMAINS_MAX);
    if (host_port_parse(name, host, &row.port, e) == -1)
        return -1;
    if (row.port != 0)
        rc = check_address_free(d, str_from(host), row.port, e);
    else
        rc = check_domain_free(d, str_from(host), account, e);
    if (rc == -1)
        return -1;
    row.name = mem_strdup(host);
    row.account = str_dup(account);
    append_row(d, &row);
    return 0;
}

void domains_remove(struct domains *d, struct str host, uint16_t port)
{
    for (size_t i = 0; i < d->count; i++) {
        struct reservation *r = &d->rows[i];

        if (r->port != port || !str_eq(str_from(r->name), host))
            continue;
        mem_free(r->name);
        mem_free(r->account);
        memmove(r, r + 1, (d->count - i - 1) * sizeof(*r));
        d->count--;
        return;
    }
}

struct domains *domains_copy(const struct domains *d)
{
    struct domains *copy = domains_new(str_from(d->base), d->auto_reserve);

    for (size_t i = 0; i < d->count; i++) {
        struct reservation row = {
            .name = mem_strdup(d->rows[i].name),
            .account = mem_strdup(d->rows[i].account),
            .port = d->rows[i].port,
        };

        append_row(copy, &row);
    }
    return copy;
}

/* ---- checking ---- */

static int check_tcp(const struct domains *d, const struct url *url, struct str account,
                     struct err *e)
{
    const struct reservation *r = find_address(d, str_from(url->host), url->port);

    if (r != NULL && is_of(r, account))
        return 0;
    if (r != NULL)
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
    enum owner found = OWNER_NONE;

    for (size_t i = 0; i < d->count; i++) {
        const struct reservation *r = &d->rows[i];
        struct str held = str_from(r->name);

        if (r->port != 0)
            continue;
        if (is_of(r, account)) {
            if (str_eq(held, name) || (!wildcard && host_matches(held, name)))
                return OWNER_SELF;
            if (host_matches(held, name))
                found = OWNER_WIDER;
        } else if (host_is_below_or_equal(zone_of(name), zone_of(held))) {
            return OWNER_OTHER;
        } else if (wildcard && host_is_below(held, zone_of(name))) {
            found = OWNER_OTHER_BELOW;
        }
    }
    return found;
}

bool domains_covers(const struct domains *d, const struct url *url, struct str account)
{
    struct str host = str_from(url->host);
    const struct reservation *r;

    if (url->scheme != SCHEME_TCP)
        return find_owner(d, host, account) == OWNER_SELF;
    r = find_address(d, host, url->port);
    return r != NULL && is_of(r, account);
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

    if (d->auto_reserve && !(host_is_wildcard(host) && host_is_below_or_equal(base, zone_of(host))))
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
