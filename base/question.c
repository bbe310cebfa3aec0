#include "base/question.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/ref.h"

struct questions {
    pthread_mutex_t lock; /* for all below, and for each question */
    pthread_cond_t answered;
    bool stopping;
};

struct question {
    struct ref ref;
    struct questions *all; /* borrowed: outlives every answer */
    bool is_answered;
    struct err answer;
};

struct questions *questions_new(void)
{
    struct questions *all = mem_zalloc(sizeof(*all));

    (void)pthread_mutex_init(&all->lock, NULL);
    (void)pthread_cond_init(&all->answered, NULL);
    return all;
}

void questions_stop(struct questions *all)
{
    (void)pthread_mutex_lock(&all->lock);
    all->stopping = true;
    (void)pthread_cond_broadcast(&all->answered);
    (void)pthread_mutex_unlock(&all->lock);
}

void questions_free(struct questions *all)
{
    if (all == NULL)
        return;
    (void)pthread_cond_destroy(&all->answered);
    (void)pthread_mutex_destroy(&all->lock);
    mem_free(all);
}

static void question_unref(struct question *q)
{
    if (ref_dec(&q->ref))
        mem_free(q);
}

struct question *question_new(struct questions *all)
{
    struct question *q = mem_zalloc(sizeof(*q));

    ref_init(&q->ref);
    ref_inc(&q->ref);
    q->all = all;
    return q;
}

void question_answer(struct question *q, const struct err *answer)
{
    struct questions *all = q->all;

    (void)pthread_mutex_lock(&all->lock);
    q->is_answered = true;
    q->answer = *answer;
    (void)pthread_cond_broadcast(&all->answered);
    (void)pthread_mutex_unlock(&all->lock);
    question_unref(q);
}

int question_await(struct question *q, struct err *e)
{
    struct questions *all = q->all;
    int rc = 0;

    (void)pthread_mutex_lock(&all->lock);
    while (!q->is_answered && !all->stopping)
        (void)pthread_cond_wait(&all->answered, &all->lock);
    if (!q->is_answered) {
        rc = err_set(e, E_DRAINING, "the server is shutting down");
    } else if (q->answer.code != E_OK) {
        *e = q->answer;
        rc = -1;
    }
    (void)pthread_mutex_unlock(&all->lock);
    question_unref(q);
    return rc;
}
