/*
 * rand: bytes from the kernel's generator, for names, ids and keys.
 * Thread: any.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fills n bytes; aborts if the kernel has none to give, since no caller could go on safely. */
void rand_bytes(void *out, size_t n);

/* A uniform number below `bound` (bound > 0). */
uint64_t rand_below(uint64_t bound);

#endif
