#include "base/rand.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void rand_bytes(void *out, size_t n)
{
    char *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got == -1) {
            if (errno == EINTR)
                continue;
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

uint64_t rand_below(uint64_t bound)
{
    uint64_t skip;
    uint64_t value;

    assert(bound > 0);
    /* Values below 2^64 mod bound would make the small results a little likelier. */
    skip = (0 - bound) % bound;
    do {
        rand_bytes(&value, sizeof(value));
    } while (value < skip);
    return value % bound;
}
