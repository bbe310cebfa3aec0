/*
 * run: see run.h. A limit that is hit uses up all steps at once: every loop and every node asks for
 * a step before it goes on, so one comparison there stops whatever is still to be evaluated.
 */
#include "policy/cel/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"

enum {
    ALLOC_ALIGN = 16, /* the arena's: what is asked for counts as it is handed out */
    BYTES_PER_STEP = 64,
    ERROR_BYTES = 256,
};

const struct cel_limits cel_default_limits = {
    .steps = 100000,
    .arena_bytes = 1024 * 1024,
    .string_bytes = 64 * 1024,
    .entries = 10000,
    .value_depth = 64,
};

void *cel_alloc(struct cel_run *run, size_t n)
{
    size_t max = run->limits->arena_bytes;
    size_t need;

    if (n <= max) {
        need = (n + ALLOC_ALIGN - 1) / ALLOC_ALIGN * ALLOC_ALIGN;
        if (run->bytes <= max && need <= max - run->bytes) {
            run->bytes += need;
            return arena_alloc(run->arena, n);
        }
    }
    (void)cel_spent(run);
    return NULL;
}

bool cel_charge(struct cel_run *run, size_t steps)
{
    uint32_t max = run->limits->steps;

    if (run->steps <= max && steps <= max - run->steps) {
        run->steps += (uint32_t)steps;
        return true;
    }
    (void)cel_spent(run);
    return false;
}

bool cel_charge_bytes(struct cel_run *run, size_t bytes)
{
    return bytes < BYTES_PER_STEP || cel_charge(run, bytes / BYTES_PER_STEP);
}

char *cel_text_alloc(struct cel_run *run, size_t n)
{
    if (n > run->limits->string_bytes) {
        (void)cel_spent(run);
        return NULL;
    }
    return cel_charge_bytes(run, n) ? cel_alloc(run, n) : NULL;
}

struct cel_value cel_copy(struct cel_run *run, enum cel_kind kind, struct str s)
{
    char *p = cel_text_alloc(run, s.n);

    if (p == NULL)
        return cel_spent(run);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return (struct cel_value){ .kind = (uint8_t)kind, .n = (uint32_t)s.n, .as.p = p };
}

static struct cel_value error_of(struct str text)
{
    return (struct cel_value){ .kind = CEL_ERROR, .n = (uint32_t)text.n, .as.p = text.p };
}

/* A text without arguments is static: an error inside a loop that absorbs it then costs nothing. */
struct cel_value cel_error(struct cel_run *run, const char *fmt, ...)
{
    char text[ERROR_BYTES];
    va_list ap;
    char *p;
    int n;

    if (strchr(fmt, '%') == NULL)
        return error_of(str_from(fmt));
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(text))
        n = sizeof(text) - 1;
    p = cel_alloc(run, (size_t)n);
    if (p == NULL)
        return cel_spent(run);
    memcpy(p, text, (size_t)n);
    return error_of(str_of(p, (size_t)n));
}

struct cel_value cel_spent(struct cel_run *run)
{
    run->spent = true;
    run->steps = run->limits->steps;
    return error_of(STR("the expression needs too many steps, too much memory or too deep values"));
}

uint64_t cel_run_seed(struct cel_run *run)
{
    if (run->seed == 0)
        rand_bytes(&run->seed, sizeof(run->seed));
    return run->seed;
}
