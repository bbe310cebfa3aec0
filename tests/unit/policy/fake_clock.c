#include "tests/unit/policy/fake_clock.h"

#include <stdio.h>

#include "base/clock.h"

uint64_t fake_mono_ms = 5000000;
uint64_t fake_wall_ms = 1700000000000;

uint64_t clock_mono_ms(void)
{
    return fake_mono_ms;
}

uint64_t clock_mono_us(void)
{
    return fake_mono_ms * 1000;
}

uint64_t clock_wall_ms(void)
{
    return fake_wall_ms;
}

void clock_format_rfc3339(uint64_t wall_ms, char out[CLOCK_RFC3339_BYTES])
{
    (void)wall_ms;
    (void)snprintf(out, CLOCK_RFC3339_BYTES, "2023-11-14T22:13:20.000Z");
}
