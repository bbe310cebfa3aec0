/*
 * id: identifiers of objects: "<prefix>_" and 27 base-62 characters, ordered by time (KSUID layout:
 * 32 bits of seconds, 128 random bits).
 * Thread: any.
 */
#ifndef TUNNEL_ID_H
#define TUNNEL_ID_H

#include <stdint.h>

enum { ID_BYTES = 40 }; /* the longest prefix, 27 characters and a NUL */
enum { ID_DIGITS = 27, ID_RAW_BYTES = 20 };

/* Writes a new id; `prefix` is one of the spec's section 1.5 ("ep", "ts", "ev"). */
void id_new(const char *prefix, uint64_t wall_ms, char out[ID_BYTES]);

/* The id of these 160 bits, for names that are computed. */
void id_from_bytes(const char *prefix, const uint8_t raw[ID_RAW_BYTES], char out[ID_BYTES]);

#endif
