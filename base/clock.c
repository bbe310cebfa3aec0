#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);

    assert(rc == 0); /* fails only for an unknown clock */
    (void)rc;
    return ts;
}

uint64_t clock_mono_us(void)
{
    struct timespec ts = read_clock(CLOCK_MONOTONIC);

    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

uint64_t clock_wall_ms(void)
{
    struct timespec ts = read_clock(CLOCK_REALTIME);

    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct tm to_utc(uint64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm = { 0 };

    (void)gmtime_r(&t, &tm); /* fails only for years that do not fit an int */
    return tm;
}

void clock_format_rfc3339(uint64_t wall_ms, char out[CLOCK_RFC3339_BYTES])
{
    struct tm tm = to_utc(wall_ms);

    (void)snprintf(out, CLOCK_RFC3339_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                   (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
                   (unsigned)(wall_ms % 1000));
}
