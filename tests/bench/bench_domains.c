/*
 * What reservations cost: nanoseconds to reserve one more name and to look whether an account may have
 * one, by how many there are. Prints a line a case; the figure of a look is that of the fastest batch.
 */
#include <float.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tunnel/domains.h"
#include "tunnel/url.h"

enum { BATCHES = 30, LOOKS = 10000, ACCOUNTS = 50 };

/* CPU time, as others may be busy. */
static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Every tenth is a wildcard. */
static void make_name(size_t number, char out[HOST_MAX_BYTES + 1])
{
    (void)snprintf(out, HOST_MAX_BYTES + 1, "%sh%zu.tunnel.example.com",
                   number % 10 == 0 ? "*." : "", number);
}

static void make_account(size_t number, char out[32])
{
    (void)snprintf(out, 32, "account%zu", number % ACCOUNTS);
}

static struct domains *fill(size_t count)
{
    struct domains *d = domains_new(STR("example.org"), false);
    char name[HOST_MAX_BYTES + 1];
    char account[32];

    for (size_t i = 0; i < count; i++) {
        make_name(i, name);
        make_account(i, account);
        if (domains_add(d, str_from(name), str_from(account), NULL) == -1)
            break;
    }
    return d;
}

/* Nanoseconds a look, or 0 when an account may not have what is its own. */
static double batch(const struct domains *d, size_t count, uint64_t *random)
{
    double start = now_ns();

    for (size_t i = 0; i < LOOKS; i++) {
        size_t number = rand_next(random) % count;
        struct url url = { .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .port = 443 };
        char account[32];

        make_name(number, url.host);
        make_account(number, account);
        if (domains_check(d, &url, str_from(account), NULL) == -1)
            return 0;
    }
    return (now_ns() - start) / LOOKS;
}

static bool run(size_t count)
{
    double start = now_ns();
    struct domains *d = fill(count);
    double each = (now_ns() - start) / (double)count;
    uint64_t random = 1;
    double best = DBL_MAX;

    for (size_t i = 0; i < BATCHES; i++) {
        double ns = batch(d, count, &random);

        best = ns < best ? ns : best;
    }
    (void)printf("domains %7zu reserved   one more %8.0f ns   look %8.0f ns\n", count, each, best);
    domains_free(d);
    return best > 0;
}

int main(void)
{
    static const size_t counts[] = { 1, 100, 1000, 10000, DOMAINS_MAX };
    bool ok = true;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        ok = run(counts[i]) && ok;
    return ok ? 0 : 1;
}
