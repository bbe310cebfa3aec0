#include "base/job.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/mem.h"

struct job {
    struct job *next;
    struct worker *worker; /* borrowed: outlives the pool */
    job_fn *work;
    worker_fn *done;
    void *arg;
};

struct job_pool {
    pthread_mutex_t lock; /* guards what follows, down to `stopping` */
    pthread_cond_t filled;
    struct job *first;
    struct job **tail;
    size_t queued;
    bool stopping;

    unsigned threads;
    pthread_t *thread; /* owned */
};

static void *pool_main(void *arg)
{
    struct job_pool *p = arg;

    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        struct job *j = p->first;

        if (j == NULL) {
            if (p->stopping)
                break;
            (void)pthread_cond_wait(&p->filled, &p->lock);
            continue;
        }
        p->first = j->next;
        p->queued--;
        if (p->first == NULL)
            p->tail = &p->first;
        (void)pthread_mutex_unlock(&p->lock);

        j->work(j->arg);
        log_flush(); /* what it logged must not wait for the thread's next job */
        worker_post(j->worker, j->done, j->arg);
        mem_free(j);

        (void)pthread_mutex_lock(&p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct job_pool *job_pool_new(unsigned threads)
{
    struct job_pool *p = mem_zalloc(sizeof(*p));
    sigset_t all;
    sigset_t old;

    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->filled, NULL);
    p->tail = &p->first;
    p->threads = threads;
    p->thread = mem_zalloc_array(threads, sizeof(*p->thread));
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 0; i < threads; i++) {
        int rc = pthread_create(&p->thread[i], NULL, pool_main, p);

        assert(rc == 0);
        (void)rc;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return p;
}

void job_pool_free(struct job_pool *p)
{
    if (p == NULL)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->filled);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        (void)pthread_join(p->thread[i], NULL);
    (void)pthread_cond_destroy(&p->filled);
    (void)pthread_mutex_destroy(&p->lock);
    mem_free(p->thread);
    mem_free(p);
}

size_t job_pool_queued(struct job_pool *p)
{
    size_t n;

    (void)pthread_mutex_lock(&p->lock);
    n = p->queued;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

void job_submit(struct job_pool *p, struct worker *w, job_fn *work, worker_fn *done, void *arg)
{
    struct job *j = mem_zalloc(sizeof(*j));

    j->worker = w;
    j->work = work;
    j->done = done;
    j->arg = arg;
    (void)pthread_mutex_lock(&p->lock);
    *p->tail = j;
    p->tail = &j->next;
    p->queued++;
    (void)pthread_cond_signal(&p->filled);
    (void)pthread_mutex_unlock(&p->lock);
}
