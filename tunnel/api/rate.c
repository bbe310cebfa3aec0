#include "tunnel/api/rate.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

enum { WINDOW_MS = 60000, NAME_BYTES = 64 };

struct entry {
    char name[NAME_BYTES];
    uint64_t window; /* the minute that `now` counts */
    uint64_t now;
    uint64_t last; /* of the minute before */
    UT_hash_handle hh;
};

struct api_rate {
    uint64_t per_minute;
    pthread_mutex_t lock;
    struct entry *entries; /* owned: by name */
    uint64_t swept;        /* the window in which idle entries were dropped last */
};

struct api_rate *api_rate_new(uint64_t per_minute)
{
    struct api_rate *r = mem_zalloc(sizeof(*r));
    int failed = pthread_mutex_init(&r->lock, NULL);

    assert(failed == 0);
    (void)failed;
    r->per_minute = per_minute;
    return r;
}

void api_rate_free(struct api_rate *r)
{
    struct entry *e;
    struct entry *next;

    if (r == NULL)
        return;
    HASH_ITER(hh, r->entries, e, next)
    {
        HASH_DEL(r->entries, e);
        mem_free(e);
    }
    (void)pthread_mutex_destroy(&r->lock); /* fails only while it is locked */
    mem_free(r);
}

static void sweep(struct api_rate *r, uint64_t window)
{
    struct entry *e;
    struct entry *next;

    if (r->swept == window)
        return;
    r->swept = window;
    HASH_ITER(hh, r->entries, e, next)
    {
        if (e->window + 1 < window) {
            HASH_DEL(r->entries, e);
            mem_free(e);
        }
    }
}

static struct entry *find_entry(struct api_rate *r, const char *name, uint64_t window)
{
    struct entry *e;

    HASH_FIND_STR(r->entries, name, e);
    if (e == NULL) {
        e = mem_zalloc(sizeof(*e));
        (void)snprintf(e->name, sizeof(e->name), "%s", name);
        e->window = window;
        HASH_ADD_STR(r->entries, name, e);
    }
    if (e->window != window) {
        e->last = e->window + 1 == window ? e->now : 0;
        e->now = 0;
        e->window = window;
    }
    return e;
}

static bool take(struct api_rate *r, const char *name, uint64_t now_ms)
{
    uint64_t window = now_ms / WINDOW_MS;
    uint64_t left_ms = WINDOW_MS - now_ms % WINDOW_MS; /* of the last minute, still inside */
    struct entry *e;

    sweep(r, window);
    e = find_entry(r, name, window);
    if (e->now + e->last * left_ms / WINDOW_MS >= r->per_minute)
        return false;
    e->now++;
    return true;
}

bool api_rate_take(struct api_rate *r, const char *name, uint64_t now_ms)
{
    bool taken;

    if (r->per_minute == 0)
        return true;
    (void)pthread_mutex_lock(&r->lock); /* fails only when misused, as does the unlock */
    taken = take(r, name, now_ms);
    (void)pthread_mutex_unlock(&r->lock);
    return taken;
}
