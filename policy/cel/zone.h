/*
 * zone: time zones by name: how far local time is from UTC at a given moment. All zones of the
 * system's database are read once, at start, because a name may come from a request and no file is
 * read on a worker's loop; a lookup is then a binary search without a lock.
 * Owns:   what it loaded; a struct cel_zones never changes once it is there.
 * Thread: any.
 * Limits: CEL_ZONES_MAX zones of CEL_ZONE_FILE_BYTES; further and larger files are left out.
 */
#ifndef POLICY_CEL_ZONE_H
#define POLICY_CEL_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define CEL_ZONES_DIR "/usr/share/zoneinfo"

enum {
    CEL_ZONES_MAX = 4096,
    CEL_ZONE_FILE_BYTES = 64 * 1024,
    CEL_ZONE_NAME_BYTES = 64,
    CEL_ZONE_DEPTH = 3, /* folders: America/Argentina/Ushuaia is in the second */
};

struct cel_zones;

/*
 * Reads every zone below `dir` (TZif files, RFC 9636). Blocks on files: for start and reload, never
 * for a loop. NULL with E_SYSTEM or E_NOT_FOUND when there is no zone.
 */
struct cel_zones *cel_zones_load(const char *dir, struct err *e);
void cel_zones_free(struct cel_zones *z);
size_t cel_zones_count(const struct cel_zones *z);

/*
 * How many seconds local time in the zone `name` is ahead of UTC, `seconds` after 1970: "UTC",
 * "+02:00", "-09:30", "02:00", or a name of the database. `z` may be NULL: then only those without
 * a database are known. False when there is no such zone.
 */
bool cel_zone_offset(const struct cel_zones *z, struct str name, int64_t seconds, int32_t *offset);

#endif
