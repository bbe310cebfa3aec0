/*
 * Unit tests of policy/local.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/local.h"
#include "policy/run.h"

static int freed;

static void count_free(void *object)
{
    freed++;
    *(int *)object = -1;
}

static void put(struct policy_local *l, const char *key, int *object)
{
    policy_local_put(l, str_from(key), object, count_free);
}

static void local_find_gives_what_was_put(void **state)
{
    struct policy_local *l = policy_local_new();
    int a = 1;
    int b = 2;

    (void)state;
    freed = 0;
    assert_null(policy_local_find(l, STR("a")));
    put(l, "a", &a);
    put(l, "b", &b);
    assert_ptr_equal(policy_local_find(l, STR("a")), &a);
    assert_ptr_equal(policy_local_find(l, STR("b")), &b);
    assert_null(policy_local_find(l, STR("ab")));
    put(l, "a", &b); /* in its place: here b is there twice, and freed twice */
    assert_int_equal(freed, 1);
    assert_int_equal(a, -1);
    assert_ptr_equal(policy_local_find(l, STR("a")), &b);
    policy_local_free(l);
    assert_int_equal(freed, 3);
    policy_local_free(NULL);
}

static void local_keys_may_hold_any_byte(void **state)
{
    struct policy_local *l = policy_local_new();
    static char key[LOCAL_KEY_MAX_BYTES + 1];
    int a = 1;
    int b = 2;
    int c = 3;

    (void)state;
    freed = 0;
    policy_local_put(l, STR("k\0a"), &a, count_free);
    policy_local_put(l, STR("k\0b"), &b, count_free);
    assert_ptr_equal(policy_local_find(l, STR("k\0a")), &a);
    assert_ptr_equal(policy_local_find(l, STR("k\0b")), &b);
    memset(key, 'x', sizeof(key));
    policy_local_put(l, str_of(key, LOCAL_KEY_MAX_BYTES), &c, count_free);
    assert_ptr_equal(policy_local_find(l, str_of(key, LOCAL_KEY_MAX_BYTES)), &c);
    policy_local_put(l, str_of(key, sizeof(key)), &c, count_free);
    assert_null(policy_local_find(l, str_of(key, sizeof(key))));
    policy_local_free(l);
    assert_int_equal(freed, 4);
}

static void local_cache_drops_the_least_recently_used(void **state)
{
    static int objects[LOCAL_CACHE_MAX + 1];
    struct policy_local *l = policy_local_new();
    char key[32];

    (void)state;
    freed = 0;
    for (int i = 0; i < LOCAL_CACHE_MAX; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        put(l, key, &objects[i]);
    }
    assert_int_equal(freed, 0);
    assert_non_null(policy_local_find(l, STR("0")));
    put(l, "more", &objects[LOCAL_CACHE_MAX]);
    assert_int_equal(freed, 1);
    assert_non_null(policy_local_find(l, STR("0")));
    assert_null(policy_local_find(l, STR("1")));
    policy_local_free(l);
    assert_int_equal(freed, LOCAL_CACHE_MAX + 1);
}

static void local_regexes_are_made_once(void **state)
{
    struct policy_local *l = policy_local_new();

    (void)state;
    assert_non_null(policy_local_regexes(l));
    assert_ptr_equal(policy_local_regexes(l), policy_local_regexes(l));
    policy_local_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_find_gives_what_was_put),
        cmocka_unit_test(local_keys_may_hold_any_byte),
        cmocka_unit_test(local_cache_drops_the_least_recently_used),
        cmocka_unit_test(local_regexes_are_made_once),
    };

    return cmocka_run_group_tests_name("policy/local", tests, NULL, NULL);
}
