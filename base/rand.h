/*
 * rand: bytes from the kernel's generator, for names, ids and keys; and numbers that only look random.
 * Thread: any.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fills n bytes; aborts if the kernel has none to give, since no caller could go on safely. */
void rand_bytes(void *out, size_t n);

/* The next of a sequence of numbers for what is neither secret nor to be kept from anybody, such as
 * spreading load (splitmix64); any state will do to begin with. */
uint64_t rand_next(uint64_t *state);

#endif
