/*
 * Unit tests of tunnel/pool: who is chosen, how evenly, and who never is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tunnel/endpoint.h"
#include "tunnel/pool.h"

enum { MEMBERS_MAX = 16 };

struct members {
    struct pool pool;
    struct endpoint *of[MEMBERS_MAX];
    size_t count;
    uint64_t random;
};

static void members_init(struct members *m, size_t count)
{
    *m = (struct members){ .count = count, .random = 7 };
    for (size_t i = 0; i < count; i++) {
        m->of[i] = endpoint_new();
        m->of[i]->pooling = true;
        pool_add(&m->pool, m->of[i]);
    }
}

static void members_fini(struct members *m)
{
    pool_fini(&m->pool);
    for (size_t i = 0; i < m->count; i++)
        endpoint_unref(m->of[i]);
}

static size_t index_of(const struct members *m, const struct endpoint *ep)
{
    size_t i = 0;

    while (i < m->count && m->of[i] != ep)
        i++;
    return i;
}

/* Chooses n times and counts for whom. */
static void choose_often(struct members *m, size_t n, size_t counts[MEMBERS_MAX + 1])
{
    for (size_t i = 0; i <= MEMBERS_MAX; i++)
        counts[i] = 0;
    for (size_t i = 0; i < n; i++)
        counts[index_of(m, pool_choose(&m->pool, rand_next(&m->random)))]++;
}

/* ---- the first choice ---- */

static void pool_choose_of_none_or_one_needs_no_luck(void **state)
{
    struct members m;

    (void)state;
    members_init(&m, 0);
    assert_null(pool_choose(&m.pool, 1));
    members_fini(&m);
    members_init(&m, 1);
    assert_ptr_equal(pool_choose(&m.pool, UINT64_MAX), m.of[0]);
    endpoint_withdraw(m.of[0]);
    assert_ptr_equal(pool_choose(&m.pool, 0), m.of[0]); /* it may be displaced and still serve */
    members_fini(&m);
}

static void pool_choose_idle_members_get_equal_shares(void **state)
{
    enum { EACH = 10000 };

    (void)state;
    for (size_t count = 2; count <= MEMBERS_MAX; count++) {
        size_t counts[MEMBERS_MAX + 1];
        struct members m;

        members_init(&m, count);
        choose_often(&m, count * EACH, counts);
        for (size_t i = 0; i < count; i++) /* the deviation is about 100 */
            assert_in_range(counts[i], EACH - 600, EACH + 600);
        members_fini(&m);
    }
}

static void pool_choose_prefers_the_less_busy_one(void **state)
{
    size_t counts[MEMBERS_MAX + 1];
    struct members m;

    (void)state;
    members_init(&m, 2);
    endpoint_enter(m.of[0]);
    choose_often(&m, 1000, counts);
    assert_int_equal(counts[0], 0); /* of two, both are always looked at */
    endpoint_enter(m.of[1]);
    choose_often(&m, 1000, counts);
    assert_in_range(counts[0], 400, 600);
    endpoint_leave(m.of[0]);
    endpoint_leave(m.of[1]);
    members_fini(&m);
}

/* With requests that never end, all members fill up evenly. */
static void pool_choose_fills_members_evenly(void **state)
{
    enum { EACH = 500 };
    unsigned least = UINT32_MAX;
    unsigned most = 0;
    struct members m;

    (void)state;
    members_init(&m, MEMBERS_MAX);
    for (size_t i = 0; i < (size_t)MEMBERS_MAX * EACH; i++)
        endpoint_enter(pool_choose(&m.pool, rand_next(&m.random)));
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        unsigned n = endpoint_outstanding(m.of[i]);

        least = n < least ? n : least;
        most = n > most ? n : most;
        for (unsigned k = 0; k < n; k++)
            endpoint_leave(m.of[i]);
    }
    assert_true(most - least <= 10); /* random choice alone would differ by about 80 */
    members_fini(&m);
}

/* ---- members come and go ---- */

/* Any row of joins, leaves and withdrawals: the choice is a member, and withdrawn only if all are. */
static void pool_choose_is_never_one_that_is_gone(void **state)
{
    bool is_in[MEMBERS_MAX];
    struct members m;

    (void)state;
    members_init(&m, MEMBERS_MAX);
    for (size_t i = 0; i < MEMBERS_MAX; i++)
        is_in[i] = true;
    for (size_t step = 0; step < 200000; step++) {
        size_t i = rand_next(&m.random) % MEMBERS_MAX;
        size_t good = 0;
        const struct endpoint *ep;

        if (rand_next(&m.random) % 4 == 0) {
            atomic_store(&m.of[i]->withdrawn, !atomic_load(&m.of[i]->withdrawn));
        } else if (is_in[i]) {
            assert_true(pool_remove(&m.pool, m.of[i]));
            is_in[i] = false;
        } else {
            pool_add(&m.pool, m.of[i]);
            is_in[i] = true;
        }
        for (size_t k = 0; k < MEMBERS_MAX; k++) {
            assert_int_equal(pool_has(&m.pool, m.of[k]), is_in[k]);
            good += is_in[k] && !endpoint_is_withdrawn(m.of[k]);
        }
        ep = pool_choose(&m.pool, rand_next(&m.random));
        if (m.pool.count == 0) {
            assert_null(ep);
            continue;
        }
        assert_true(is_in[index_of(&m, ep)]);
        assert_true(good == 0 || !endpoint_is_withdrawn(ep));
    }
    members_fini(&m);
}

static void pool_remove_of_a_stranger_changes_nothing(void **state)
{
    struct members m;
    struct endpoint *stranger = endpoint_new();

    (void)state;
    members_init(&m, 2);
    assert_false(pool_remove(&m.pool, stranger));
    assert_int_equal(m.pool.count, 2);
    endpoint_unref(stranger);
    members_fini(&m);
}

static void pool_keeps_while_rules_for_connections_differ(void **state)
{
    struct members m;

    (void)state;
    members_init(&m, 2);
    assert_false(m.pool.keeps);
    members_fini(&m);
    members_init(&m, 3);
    assert_true(pool_remove(&m.pool, m.of[1]));
    m.of[1]->connect_rules = 5;
    pool_add(&m.pool, m.of[1]);
    assert_true(m.pool.keeps);
    assert_true(pool_remove(&m.pool, m.of[0]));
    assert_true(m.pool.keeps); /* of[2] has none */
    assert_true(pool_remove(&m.pool, m.of[2]));
    assert_false(m.pool.keeps);
    m.of[2]->connect_rules = 5;
    pool_add(&m.pool, m.of[2]);
    assert_false(m.pool.keeps);
    members_fini(&m);
}

/* ---- the next choice ---- */

/* What `from` could not take; enters it, as its choice did. */
static struct endpoint *other_than(struct members *m, struct endpoint *from,
                                   struct pool_tried *tried)
{
    struct endpoint *other;

    endpoint_enter(from);
    other = pool_choose_other(&m->pool, rand_next(&m->random), from, tried);
    if (other == NULL)
        endpoint_leave(from);
    return other;
}

static void pool_choose_other_never_comes_back_and_ends(void **state)
{
    struct members m;

    (void)state;
    members_init(&m, 5);
    for (size_t round = 0; round < 1000; round++) {
        struct pool_tried tried = { 0 };
        struct endpoint *first = pool_choose(&m.pool, rand_next(&m.random));
        struct endpoint *second = other_than(&m, first, &tried);
        struct endpoint *third = other_than(&m, second, &tried);

        assert_non_null(third);
        assert_ptr_not_equal(first, second);
        assert_ptr_not_equal(third, first);
        assert_ptr_not_equal(third, second);
        assert_null(other_than(&m, third, &tried));
        assert_int_equal(endpoint_outstanding(first), 1); /* it does not look idle for failing */
        pool_tried_fini(&tried);
        assert_int_equal(endpoint_outstanding(first), 0);
    }
    members_fini(&m);
}

static void pool_choose_other_needs_another(void **state)
{
    struct pool_tried tried = { 0 };
    struct members m;

    (void)state;
    members_init(&m, 2);
    assert_ptr_equal(other_than(&m, m.of[0], &tried), m.of[1]);
    assert_null(other_than(&m, m.of[1], &tried));
    pool_tried_fini(&tried);
    endpoint_withdraw(m.of[1]);
    assert_null(other_than(&m, m.of[0], &tried));
    assert_true(pool_remove(&m.pool, m.of[1]));
    assert_null(other_than(&m, m.of[0], &tried));
    /* The one that could not take it has left meanwhile. */
    assert_ptr_equal(other_than(&m, m.of[1], &tried), m.of[0]);
    pool_tried_fini(&tried);
    members_fini(&m);
}

static void free_policy(struct counted *c)
{
    mem_free(c);
}

static void give_policy(struct endpoint *ep, uint64_t rules)
{
    ep->policy = mem_zalloc(sizeof(*ep->policy));
    ep->policy->free = free_policy;
    ref_init(&ep->policy->ref);
    ep->rules = rules;
}

/* The policy of the first choice has run, so only one that would have done the same will do. */
static void pool_choose_other_has_the_same_rules(void **state)
{
    struct pool_tried tried = { 0 };
    struct members m;

    (void)state;
    members_init(&m, 5);
    give_policy(m.of[0], 1);
    give_policy(m.of[1], 2);
    give_policy(m.of[2], 1);
    give_policy(m.of[3], 0); /* not known: like nobody else */
    for (size_t i = 0; i < 1000; i++) {
        assert_ptr_equal(other_than(&m, m.of[0], &tried), m.of[2]);
        pool_tried_fini(&tried);
    }
    assert_null(other_than(&m, m.of[1], &tried));
    assert_null(other_than(&m, m.of[3], &tried));
    assert_null(other_than(&m, m.of[4], &tried)); /* it has none */
    members_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_choose_of_none_or_one_needs_no_luck),
        cmocka_unit_test(pool_choose_idle_members_get_equal_shares),
        cmocka_unit_test(pool_choose_prefers_the_less_busy_one),
        cmocka_unit_test(pool_choose_fills_members_evenly),
        cmocka_unit_test(pool_choose_is_never_one_that_is_gone),
        cmocka_unit_test(pool_remove_of_a_stranger_changes_nothing),
        cmocka_unit_test(pool_keeps_while_rules_for_connections_differ),
        cmocka_unit_test(pool_choose_other_never_comes_back_and_ends),
        cmocka_unit_test(pool_choose_other_needs_another),
        cmocka_unit_test(pool_choose_other_has_the_same_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
