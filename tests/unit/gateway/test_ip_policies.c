/*
 * Unit tests of gateway/ip_policies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/ip_policies.h"

static struct cidr block(const char *text)
{
    struct cidr c;

    assert_int_equal(cidr_parse(str_from(text), &c, NULL), 0);
    return c;
}

static void find_is_for_the_account_only(void **state)
{
    struct ip_policies *p = ip_policies_new();

    (void)state;
    assert_true(ip_policies_add(p, STR("ipp_1"), STR("alice")));
    assert_false(ip_policies_add(p, STR("ipp_1"), STR("bob")));
    assert_non_null(ip_policies_find(p, STR("alice"), STR("ipp_1")));
    assert_null(ip_policies_find(p, STR("bob"), STR("ipp_1")));
    assert_null(ip_policies_find(p, STR("alice"), STR("ipp_2")));
    assert_null(ip_policies_find(NULL, STR("alice"), STR("ipp_1")));
    ip_policies_unref(p);
    ip_policies_unref(NULL);
}

static void rules_go_to_their_policy_and_side(void **state)
{
    struct ip_policies *p = ip_policies_new();
    const struct cidr a = block("10.0.0.0/8");
    const struct cidr b = block("2001:db8::/32");
    const struct policy_ip_rules *rules;

    (void)state;
    assert_true(ip_policies_add(p, STR("ipp_1"), STR("alice")));
    assert_true(ip_policies_add(p, STR("ipp_2"), STR("alice")));
    assert_true(ip_policies_add_rule(p, STR("ipp_1"), &a, true));
    assert_true(ip_policies_add_rule(p, STR("ipp_1"), &b, true));
    assert_true(ip_policies_add_rule(p, STR("ipp_1"), &a, false));
    assert_false(ip_policies_add_rule(p, STR("ipp_3"), &a, true));
    rules = ip_policies_find(p, STR("alice"), STR("ipp_1"));
    assert_int_equal(rules->allow_count, 2);
    assert_memory_equal(&rules->allow[1], &b, sizeof(b));
    assert_int_equal(rules->deny_count, 1);
    assert_memory_equal(&rules->deny[0], &a, sizeof(a));
    rules = ip_policies_find(p, STR("alice"), STR("ipp_2"));
    assert_int_equal(rules->allow_count + rules->deny_count, 0);
    ip_policies_unref(p);
}

static void removed_policy_is_not_found(void **state)
{
    struct ip_policies *p = ip_policies_new();
    const struct cidr a = block("10.0.0.0/8");

    (void)state;
    assert_true(ip_policies_add(p, STR("ipp_1"), STR("alice")));
    ip_policies_remove(p, STR("ipp_1"));
    ip_policies_remove(p, STR("ipp_1"));
    assert_null(ip_policies_find(p, STR("alice"), STR("ipp_1")));
    assert_false(ip_policies_add_rule(p, STR("ipp_1"), &a, true));
    ip_policies_ref(p);
    ip_policies_unref(p);
    ip_policies_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_is_for_the_account_only),
        cmocka_unit_test(rules_go_to_their_policy_and_side),
        cmocka_unit_test(removed_policy_is_not_found),
    };

    return cmocka_run_group_tests_name("gateway/ip_policies", tests, NULL, NULL);
}
