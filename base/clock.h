/*
 * clock: the two clocks, in the units used everywhere.
 * Pure code takes the time as an argument; only event handlers call these.
 * Thread: any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic time in milliseconds / microseconds; for durations and timers. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Milliseconds since 1970-01-01 UTC; for what people read. */
uint64_t clock_wall_ms(void);

enum { CLOCK_RFC3339_BYTES = 25 };
/* Writes wall_ms as 2026-01-31T12:00:00.123Z with a NUL into out. */
void clock_format_rfc3339(uint64_t wall_ms, char out[CLOCK_RFC3339_BYTES]);

#endif
