/*
 * spec_rows: counts the rows of a table of the spec off as a test's own tables name them, so that none is
 * forgotten. Rows are numbered from 1: "U001", "U002" and so on.
 * Thread: any.
 */
#ifndef TESTS_UNIT_TUNNEL_SPEC_ROWS_H
#define TESTS_UNIT_TUNNEL_SPEC_ROWS_H

#include <stdbool.h>
#include <stddef.h>

enum { SPEC_ROWS_MAX = 128 };

struct spec_rows {
    char prefix;
    size_t digits;
    size_t count; /* of rows in the spec */
    bool seen[SPEC_ROWS_MAX + 1];
};

/* A test has this row; an id that is not of the table is passed over. */
void spec_rows_see(struct spec_rows *r, const char *id);
/* How many no test has; names them. */
size_t spec_rows_missing(const struct spec_rows *r);

#endif
