#include "tests/unit/tunnel/spec_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

void spec_rows_see(struct spec_rows *r, const char *id)
{
    uint64_t number;

    assert_true(r->count <= SPEC_ROWS_MAX);
    if (id[0] != r->prefix || strlen(id) != r->digits + 1 ||
        str_to_u64(str_from(id + 1), r->count, &number) == -1)
        return;
    r->seen[number] = true;
}

size_t spec_rows_missing(const struct spec_rows *r)
{
    size_t missing = 0;

    for (size_t i = 1; i <= r->count; i++) {
        if (r->seen[i])
            continue;
        print_error("no test has row %c%0*zu\n", r->prefix, (int)r->digits, i);
        missing++;
    }
    return missing;
}
