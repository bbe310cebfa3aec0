/*
 * mem: allocation that cannot fail, and the care of secrets.
 * When the machine is out of memory the process logs one line and aborts: no caller handles it.
 * Sizes that a peer controls are checked against their named limit before they get here.
 * Thread: any.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* Returns n bytes of undefined content; n may be 0. Free with mem_free(). */
void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));

/* Returns n zeroed bytes. */
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));

/* Returns `count` zeroed elements of `size` bytes; aborts if the product overflows. */
void *mem_zalloc_array(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));

/* Resizes p (may be NULL) to n bytes; the old pointer is dead afterwards. */
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull, alloc_size(2)));

/* Returns a NUL-terminated copy of the n bytes at p. */
char *mem_strndup(const char *p, size_t n) __attribute__((malloc, returns_nonnull));

/* Returns a copy of the C string s. */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* Frees p; NULL is fine. */
void mem_free(void *p);

/* Overwrites n bytes so that the compiler cannot drop the store. For keys and passwords. */
void mem_wipe(void *p, size_t n);

/* Compares n bytes in time that does not depend on their content. */
bool mem_equal_secret(const void *a, const void *b, size_t n);

#endif
