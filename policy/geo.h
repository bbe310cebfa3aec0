/*
 * geo: where an address is and whose it is, from MaxMind DB files that the operator names (spec
 * traffic-policy 4.2, 4.3, D56): City or Country, and ASN.
 * Owns:   the files, mapped into memory: replace one by renaming another over it, never by writing
 *         into it.
 * Thread: any; immutable and counted.
 * Limits: GEO_FILES_MAX files.
 */
#ifndef POLICY_GEO_H
#define POLICY_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { GEO_FILES_MAX = 8 };

struct geo;

/* A place. Names are English; numbers are text in decimal. Empty: not known. */
struct geo_place {
    struct str city;
    struct str continent;
    struct str country;
    struct str country_code; /* ISO 3166 alpha-2 */
    struct str latitude;
    struct str longitude;
    struct str metro_code;
    struct str postal_code;
    struct str radius; /* km */
    struct str subdivision;
    struct str timezone;
    bool is_eu;
};

struct geo_record {
    struct geo_place location;   /* where the address probably is */
    struct geo_place registered; /* where it is registered: of this the files know the country */
    struct str as_organization;
    uint32_t as_number; /* 0: not known */
};

/*
 * Opens the files; `count` may be 0. Blocks on them: for start and reload, on a thread of the job
 * pool. NULL with E_LIMIT, or E_CONFIG that names the file which is none. Free with geo_unref().
 */
struct geo *geo_open(const char *const *paths, size_t count, struct err *e);
struct geo *geo_ref(struct geo *g);
void geo_unref(struct geo *g);

/* What the files know about the address, the first that knows a thing wins; text is copied to the
 * arena and valid UTF-8. `g` may be NULL: nothing is known. */
void geo_lookup(const struct geo *g, struct arena *a, const struct addr *addr,
                struct geo_record *out);

#endif
