/*
 * id: identifiers of objects: "<prefix>_" and 27 base-62 characters, ordered by time (KSUID layout:
 * 32 bits of seconds, 128 random bits).
 * Thread: any.
 */
#ifndef TUNNEL_ID_H
#define TUNNEL_ID_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { ID_BYTES = 40 }; /* the longest prefix, 27 characters and a NUL */
enum { ID_DIGITS = 27, ID_RAW_BYTES = 20 };

/* Writes a new id; `prefix` is one of the spec's section 1.5 ("ep", "ts", "ev"). */
void id_new(const char *prefix, uint64_t wall_ms, char out[ID_BYTES]);

/* The id of these 160 bits, for names that are computed. */
void id_from_bytes(const char *prefix, const uint8_t raw[ID_RAW_BYTES], char out[ID_BYTES]);

/* True if s is `prefix`, "_" and 27 base-62 digits of a number below 2^160. */
bool id_is_valid(struct str s, const char *prefix);

/*
 * Ids that sort exactly as they were made: within one second, and while a clock goes back, each is
 * the last one plus a random step, so they still cannot be guessed.
 */
struct id_source {
    pthread_mutex_t lock;
    uint8_t last[ID_RAW_BYTES];
};

void id_source_init(struct id_source *s);
void id_source_fini(struct id_source *s);
/* From now on they also sort behind this id, whatever its prefix is; what is no id changes nothing. */
void id_source_follow(struct id_source *s, struct str id);
void id_source_next(struct id_source *s, const char *prefix, uint64_t wall_ms, char out[ID_BYTES]);

#endif
