/*
 * There is an entry for each zone with a name and for each zone above one. What accounts have below a zone
 * stands in a table of its own, by zone and account, since below a zone such as "com" are thousands of them:
 * all that is below and not one's own is foreign. Sorted names would show what is below as well, but not
 * whose without a walk over it.
 */
#include "tunnel/zones.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tunnel/host.h"

/* An account that has names. */
struct owner {
    size_t names; /* never 0 */
    UT_hash_handle hh;
    char account[];
};

struct zone {
    struct owner *exact;    /* borrowed: has the zone's own name; NULL: nobody */
    struct owner *wildcard; /* borrowed: has the wildcard below it; NULL: nobody */
    size_t below;           /* names in zones below it */
    UT_hash_handle hh;
    char name[];
};

/* What an account has below a zone. */
struct share {
    struct share_key {
        const struct zone *zone;   /* borrowed: there is something below it */
        const struct owner *owner; /* borrowed: has that */
    } key;
    size_t names; /* never 0 */
    UT_hash_handle hh;
};

struct zones {
    struct zone *zones;   /* owned */
    struct share *shares; /* owned */
    struct owner *owners; /* owned */
};

struct zones *zones_new(void)
{
    return mem_zalloc(sizeof(struct zones));
}

/* ---- owners ---------------------------------------------------------------------------------- */

/* NULL: the account has nothing. */
static struct owner *owner_find(const struct zones *zs, struct str account)
{
    struct owner *found;

    HASH_FIND(hh, zs->owners, account.p, account.n, found);
    return found;
}

/* The owner of one more name. */
static struct owner *owner_enter(struct zones *zs, struct str account)
{
    struct owner *o = owner_find(zs, account);

    if (o == NULL) {
        o = mem_zalloc(sizeof(*o) + account.n + 1);
        memcpy(o->account, account.p, account.n);
        HASH_ADD_KEYPTR(hh, zs->owners, o->account, account.n, o);
    }
    o->names++;
    return o;
}

static void owner_leave(struct zones *zs, struct owner *o)
{
    if (--o->names > 0)
        return;
    HASH_DEL(zs->owners, o);
    mem_free(o);
}

static const char *account_of(const struct owner *o)
{
    return o != NULL ? o->account : NULL;
}

/* ---- zones ----------------------------------------------------------------------------------- */

struct str zones_of(struct str name)
{
    return host_is_wildcard(name) ? str_skip(name, 2) : name;
}

struct str zones_above(struct str zone)
{
    return str_skip(zone, str_find_char(zone, '.') + 1);
}

static struct zone *zone_find(const struct zones *zs, struct str name)
{
    struct zone *found;

    HASH_FIND(hh, zs->zones, name.p, name.n, found);
    return found;
}

static struct zone *zone_make(struct zones *zs, struct str name)
{
    struct zone *z = zone_find(zs, name);

    if (z != NULL)
        return z;
    z = mem_zalloc(sizeof(*z) + name.n + 1);
    memcpy(z->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, zs->zones, z->name, name.n, z);
    return z;
}

static void zone_drop_if_unused(struct zones *zs, struct zone *z)
{
    if (z->exact != NULL || z->wildcard != NULL || z->below > 0)
        return;
    assert(zs->zones != NULL);
    HASH_DEL(zs->zones, z);
    mem_free(z);
}

/* Where in its zone the owner of the name stands. */
static struct owner **place_of(struct zone *z, struct str name)
{
    return host_is_wildcard(name) ? &z->wildcard : &z->exact;
}

/* ---- what is below --------------------------------------------------------------------------- */

static struct share *share_find(const struct zones *zs, const struct zone *z, const struct owner *o)
{
    struct share_key key;
    struct share *found;

    memset(&key, 0, sizeof(key)); /* its bytes are hashed */
    key.zone = z;
    key.owner = o;
    HASH_FIND(hh, zs->shares, &key, sizeof(key), found);
    return found;
}

/* The owner has one more name below the zone. */
static void share_enter(struct zones *zs, struct zone *z, const struct owner *o)
{
    struct share *s = share_find(zs, z, o);

    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        s->key = (struct share_key){ .zone = z, .owner = o };
        HASH_ADD(hh, zs->shares, key, sizeof(s->key), s);
    }
    s->names++;
    z->below++;
}

static void share_leave(struct zones *zs, struct zone *z, const struct owner *o)
{
    struct share *s = share_find(zs, z, o);

    assert(s != NULL && zs->shares != NULL && z->below > 0);
    z->below--;
    if (--s->names > 0)
        return;
    HASH_DEL(zs->shares, s);
    mem_free(s);
}

/* ---- names ----------------------------------------------------------------------------------- */

void zones_enter(struct zones *zs, struct str name, struct str account)
{
    struct owner *o = owner_enter(zs, account);
    struct str zone = zones_of(name);
    struct owner **place = place_of(zone_make(zs, zone), name);

    assert(*place == NULL);
    *place = o;
    for (struct str s = zones_above(zone); s.n > 0; s = zones_above(s))
        share_enter(zs, zone_make(zs, s), o);
}

void zones_leave(struct zones *zs, struct str name)
{
    struct str zone = zones_of(name);
    struct zone *z = zone_find(zs, zone);
    struct owner *o = z != NULL ? *place_of(z, name) : NULL;

    if (o == NULL)
        return;
    *place_of(z, name) = NULL;
    zone_drop_if_unused(zs, z);
    for (struct str s = zones_above(zone); s.n > 0; s = zones_above(s)) {
        z = zone_find(zs, s);
        assert(z != NULL); /* it is above a name */
        share_leave(zs, z, o);
        zone_drop_if_unused(zs, z);
    }
    owner_leave(zs, o);
}

const char *zones_owner(const struct zones *zs, struct str name)
{
    struct zone *z = zone_find(zs, zones_of(name));

    return z != NULL ? account_of(*place_of(z, name)) : NULL;
}

const char *zones_holder(const struct zones *zs, struct str zone)
{
    const struct zone *z = zone_find(zs, zone);

    return z != NULL ? account_of(z->exact != NULL ? z->exact : z->wildcard) : NULL;
}

const char *zones_wildcard(const struct zones *zs, struct str zone)
{
    const struct zone *z = zone_find(zs, zone);

    return z != NULL ? account_of(z->wildcard) : NULL;
}

bool zones_has_foreign_below(const struct zones *zs, struct str zone, struct str account)
{
    const struct zone *z = zone_find(zs, zone);
    const struct owner *o = owner_find(zs, account);
    const struct share *own = z != NULL && o != NULL ? share_find(zs, z, o) : NULL;

    return z != NULL && z->below > (own != NULL ? own->names : 0);
}

void zones_each(const struct zones *zs, zones_each_fn *fn, void *arg)
{
    for (const struct zone *z = zs->zones; z != NULL; z = z->hh.next) {
        char wildcard[HOST_MAX_BYTES + 1];

        if (z->exact != NULL)
            fn(arg, str_from(z->name), str_from(z->exact->account));
        if (z->wildcard == NULL)
            continue;
        (void)snprintf(wildcard, sizeof(wildcard), "*.%s", z->name);
        fn(arg, str_from(wildcard), str_from(z->wildcard->account));
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

void zones_free(struct zones *zs)
{
    struct zone *z;
    struct zone *next_zone;
    struct share *s;
    struct share *next_share;
    struct owner *o;
    struct owner *next_owner;

    if (zs == NULL)
        return;
    HASH_ITER(hh, zs->zones, z, next_zone)
    {
        HASH_DEL(zs->zones, z);
        mem_free(z);
    }
    HASH_ITER(hh, zs->shares, s, next_share)
    {
        HASH_DEL(zs->shares, s);
        mem_free(s);
    }
    HASH_ITER(hh, zs->owners, o, next_owner)
    {
        HASH_DEL(zs->owners, o);
        mem_free(o);
    }
    mem_free(zs);
}
