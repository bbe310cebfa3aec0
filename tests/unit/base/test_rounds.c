/*
 * Unit tests of base/rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

#include "base/rounds.h"

static void wait_for_what_is_done_returns_at_once(void **state)
{
    struct rounds *r = rounds_new(2);

    (void)state;
    assert_true(rounds_wait(r, 0));
    rounds_done(r, 0, 3);
    rounds_done(r, 1, 2);
    assert_true(rounds_wait(r, 1));
    assert_true(rounds_wait(r, 2));
    rounds_free(r);
}

static void wait_after_stop_returns(void **state)
{
    struct rounds *r = rounds_new(2);

    (void)state;
    rounds_done(r, 0, 1);
    rounds_stop(r);
    assert_false(rounds_wait(r, 1));
    rounds_done(r, 1, 1);
    assert_true(rounds_wait(r, 1)); /* it was done all the same */
    rounds_free(r);
}

/* Does each of these rounds as one of three workers. */
struct member {
    struct rounds *rounds;
    size_t number;
    uint64_t last;
    pthread_t thread;
};

static void *work(void *arg)
{
    const struct member *m = arg;

    for (uint64_t i = 1; i <= m->last; i++)
        rounds_done(m->rounds, m->number, i);
    return NULL;
}

static void wait_is_for_the_last_of_all(void **state)
{
    enum { MEMBERS = 3, ROUNDS = 1000 };
    struct rounds *r = rounds_new(MEMBERS);
    struct member members[MEMBERS];

    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){ .rounds = r, .number = i, .last = ROUNDS };
        assert_int_equal(pthread_create(&members[i].thread, NULL, work, &members[i]), 0);
    }
    for (uint64_t i = 1; i <= ROUNDS; i++)
        assert_true(rounds_wait(r, i));
    for (size_t i = 0; i < MEMBERS; i++)
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
    rounds_free(r);
}

static void *stop(void *arg)
{
    rounds_stop(arg);
    return NULL;
}

static void stop_wakes_who_waits(void **state)
{
    struct rounds *r = rounds_new(1);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop, r), 0);
    assert_false(rounds_wait(r, 1));
    assert_int_equal(pthread_join(thread, NULL), 0);
    rounds_free(r);
    rounds_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait_for_what_is_done_returns_at_once),
        cmocka_unit_test(wait_after_stop_returns),
        cmocka_unit_test(wait_is_for_the_last_of_all),
        cmocka_unit_test(stop_wakes_who_waits),
    };

    return cmocka_run_group_tests_name("base/rounds", tests, NULL, NULL);
}
