#include "base/rounds.h"

#include <pthread.h>

#include "base/mem.h"

struct rounds {
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t moved;
    uint64_t *done; /* owned: of each worker */
    size_t workers;
    bool stopped;
};

struct rounds *rounds_new(size_t workers)
{
    struct rounds *r = mem_zalloc(sizeof(*r));

    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->moved, NULL);
    r->done = mem_zalloc_array(workers, sizeof(*r->done));
    r->workers = workers;
    return r;
}

void rounds_free(struct rounds *r)
{
    if (r == NULL)
        return;
    (void)pthread_cond_destroy(&r->moved);
    (void)pthread_mutex_destroy(&r->lock);
    mem_free(r->done);
    mem_free(r);
}

void rounds_done(struct rounds *r, size_t worker, uint64_t round)
{
    (void)pthread_mutex_lock(&r->lock);
    r->done[worker] = round;
    (void)pthread_cond_broadcast(&r->moved);
    (void)pthread_mutex_unlock(&r->lock);
}

static bool all_did(const struct rounds *r, uint64_t round)
{
    for (size_t i = 0; i < r->workers; i++) {
        if (r->done[i] < round)
            return false;
    }
    return true;
}

bool rounds_wait(struct rounds *r, uint64_t round)
{
    bool did;

    (void)pthread_mutex_lock(&r->lock);
    while (!(did = all_did(r, round)) && !r->stopped)
        (void)pthread_cond_wait(&r->moved, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
    return did;
}

void rounds_stop(struct rounds *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->stopped = true;
    (void)pthread_cond_broadcast(&r->moved);
    (void)pthread_mutex_unlock(&r->lock);
}
