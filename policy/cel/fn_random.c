/*
 * fn_random: rand.double() and rand.int() (spec traffic-policy 5.11). The kernel's generator needs
 * no state of ours and no care of what its numbers may be used for, at some 0.3 us a number.
 */
#include "base/rand.h"
#include "policy/cel/fn_policy.h"

enum { RANDOM_STEPS = 8, DOUBLE_BITS = 53 };

static struct cel_value next_double(struct cel_run *run, const struct cel_value *args, size_t count)
{
    uint64_t bits;

    (void)args;
    (void)count;
    if (!cel_charge(run, RANDOM_STEPS))
        return cel_spent(run);
    rand_bytes(&bits, sizeof(bits));
    return cel_double((double)(bits >> (64 - DOUBLE_BITS)) / (double)(UINT64_C(1) << DOUBLE_BITS));
}

/* 0 <= result <= last, each as likely as the other: numbers of the last, incomplete round are drawn
 * again. */
static uint64_t draw(uint64_t last)
{
    uint64_t count = last + 1; /* last is below 2^63 */
    uint64_t rounds_end = UINT64_MAX - UINT64_MAX % count;
    uint64_t bits;

    do {
        rand_bytes(&bits, sizeof(bits));
    } while (bits >= rounds_end);
    return bits % count;
}

static struct cel_value next_int(struct cel_run *run, const struct cel_value *args, size_t count)
{
    int64_t min = count == 2 ? args[0].as.i : 0;
    int64_t max = count == 2 ? args[1].as.i : 1;

    if (min < 0 || min > max)
        return cel_error(run, "the smallest number must not be negative or above the largest");
    if (!cel_charge(run, RANDOM_STEPS))
        return cel_spent(run);
    return cel_int(min + (int64_t)draw((uint64_t)max - (uint64_t)min));
}

static const struct cel_fn_row rows[] = {
    { "rand.double() -> double", next_double, CEL_FN_IMPURE },
    { "rand.int() -> int", next_int, CEL_FN_IMPURE },
    { "rand.int(int, int) -> int", next_int, CEL_FN_IMPURE },
};

const struct cel_library cel_random_library = { rows, sizeof(rows) / sizeof(rows[0]) };
