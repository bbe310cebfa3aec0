/*
 * fake_clock: base/clock whose hands stand where the test puts them; linked in its place.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_FAKE_CLOCK_H
#define TESTS_UNIT_POLICY_FAKE_CLOCK_H

#include <stdint.h>

extern uint64_t fake_mono_ms;
extern uint64_t fake_wall_ms;

#endif
