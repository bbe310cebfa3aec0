/*
 * fn_scene: expressions with all functions that need no request, and what they should give.
 * Variables: big string = 64 KiB of 'a', kilo string = 1 KiB of 'a', many list(int) = 0 .. 9999.
 */
#ifndef TESTS_UNIT_CEL_FN_SCENE_H
#define TESTS_UNIT_CEL_FN_SCENE_H

#include <stddef.h>

/* An expression, and one that has the same value; NULL: an error when it is evaluated. */
struct fn_row {
    const char *source;
    const char *want;
};

/* Evaluates each checked and unchecked, in a fresh run. */
void fn_check_rows(const struct fn_row *rows, size_t count);
/* The expressions do not load. */
void fn_check_refused(const char *const *sources, size_t count);
/* The expressions need more than a run may spend, and take no more than seconds to show it. */
void fn_check_spent(const char *const *sources, size_t count);

#define FN_CHECK(rows)            fn_check_rows(rows, sizeof(rows) / sizeof((rows)[0]))
#define FN_CHECK_REFUSED(sources) fn_check_refused(sources, sizeof(sources) / sizeof((sources)[0]))
#define FN_CHECK_SPENT(sources)   fn_check_spent(sources, sizeof(sources) / sizeof((sources)[0]))

#endif
