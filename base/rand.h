/*
 * rand: bytes from the kernel's generator, for names, ids and keys.
 * Thread: any.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>

/* Fills n bytes; aborts if the kernel has none to give, since no caller could go on safely. */
void rand_bytes(void *out, size_t n);

#endif
