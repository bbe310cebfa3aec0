/*
 * question: waiting for the answer of another thread, which may never come once the process ends.
 * Owns:   a question belongs to who asks and who answers, and ends with the last of them.
 * Thread: question_answer() on the one that answers; question_await() on one that may block; all else any,
 *         but questions_new() and questions_free() while nobody uses them.
 */
#ifndef BASE_QUESTION_H
#define BASE_QUESTION_H

#include "base/err.h"

struct question;
struct questions;

struct questions *questions_new(void);
/* Whoever waits gets E_DRAINING, now and from now on. */
void questions_stop(struct questions *all);
/* When no answer can come any more. NULL is fine. */
void questions_free(struct questions *all);

/* For both sides: each gives its part back by the call below. */
struct question *question_new(struct questions *all);
/* The answer; E_OK: yes. Gives one part back. */
void question_answer(struct question *q, const struct err *answer);
/* Gives the other part back. Returns 0; or -1 with what the answer was, or E_DRAINING. */
int question_await(struct question *q, struct err *e);

#endif
