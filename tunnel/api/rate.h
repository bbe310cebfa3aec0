/*
 * rate: how many requests a credential made in the last minute.
 * A window that slides: what the last full minute had counts for the part of it that is still
 * inside. So there is one small entry for each credential, and idle ones are dropped.
 * Thread: any; it has its own lock.
 */
#ifndef TUNNEL_API_RATE_H
#define TUNNEL_API_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct api_rate;

/* `per_minute` 0: no limit. */
struct api_rate *api_rate_new(uint64_t per_minute);
/* NULL is fine. */
void api_rate_free(struct api_rate *r);
/* Counts a request of `name` and returns true, or returns false when there were too many. */
bool api_rate_take(struct api_rate *r, const char *name, uint64_t now_ms);

#endif
