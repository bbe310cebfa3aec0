/*
 * Unit tests of gateway/fetch_rules: what the operator's list lets pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/fetch_rules.h"

static struct addr ip(const char *text)
{
    struct addr a = { .family = 0 };

    if (addr_parse_ip(str_from(text), &a) == -1)
        fail_msg("%s", text);
    return a;
}

static const struct {
    const char *ip;
    bool is_public;
} addresses[] = {
    { "93.184.216.34", true },
    { "8.8.8.8", true },
    { "100.63.255.255", true },
    { "100.64.0.0", false },
    { "100.127.255.255", false },
    { "100.128.0.0", true },
    { "0.0.0.0", false },
    { "10.0.0.1", false },
    { "127.0.0.1", false },
    { "127.255.255.254", false },
    { "169.254.169.254", false },
    { "172.15.255.255", true },
    { "172.16.0.0", false },
    { "172.31.255.255", false },
    { "172.32.0.0", true },
    { "192.168.1.1", false },
    { "192.169.0.0", true },
    { "192.0.2.1", false },
    { "198.17.255.255", true },
    { "198.18.0.0", false },
    { "198.19.255.255", false },
    { "203.0.113.9", false },
    { "223.255.255.255", true },
    { "224.0.0.1", false },
    { "255.255.255.255", false },
    { "::", false },
    { "::1", false },
    { "::ffff:127.0.0.1", false },
    { "::ffff:8.8.8.8", true }, /* is IPv4 */
    { "::7f00:1", false },
    { "64:ff9b::7f00:1", false },
    { "100::1", false },
    { "2001::1", false },
    { "2001:200::1", true },
    { "2001:db8::1", false },
    { "2002:7f00:1::", false },
    { "2606:4700::1111", true },
    { "3fff::1", false },
    { "fc00::1", false },
    { "fd12::1", false },
    { "fe80::1", false },
    { "fec0::1", false },
    { "ff02::1", false },
};

static void fetch_is_public_tells_special_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct addr a = ip(addresses[i].ip);

        if (fetch_is_public(&a) != addresses[i].is_public)
            fail_msg("%s is %spublic", addresses[i].ip, addresses[i].is_public ? "not " : "");
    }
    assert_false(fetch_is_public(&(struct addr){ .family = 0 }));
}

static const struct {
    const char *rule;
    const char *host;
    enum fetch_reach reach;
    const char *ip;
    bool allowed;
} cases[] = {
    { "api.example.com", "api.example.com", FETCH_PUBLIC, "8.8.8.8", true },
    { "API.Example.com", "api.example.com", FETCH_PUBLIC, "8.8.8.8", true },
    { "api.example.com", "api.example.com", FETCH_PUBLIC, "127.0.0.1", false },
    { "api.example.com", "example.com", FETCH_NOWHERE, "8.8.8.8", false },
    { "api.example.com", "x.api.example.com", FETCH_NOWHERE, "8.8.8.8", false },
    { "*.example.com", "a.b.example.com", FETCH_PUBLIC, "8.8.8.8", true },
    { "*.example.com", "example.com", FETCH_NOWHERE, "8.8.8.8", false },
    { "*.example.com", "badexample.com", FETCH_NOWHERE, "8.8.8.8", false },
    { "*", "anything.test", FETCH_PUBLIC, "8.8.8.8", true },
    { "*", "anything.test", FETCH_PUBLIC, "10.1.2.3", false },
    { "10.0.0.0/8", "anything.test", FETCH_BLOCKS, "10.1.2.3", true },
    { "10.0.0.0/8", "anything.test", FETCH_BLOCKS, "8.8.8.8", false },
    { "10.1.2.3", "10.1.2.3", FETCH_BLOCKS, "10.1.2.3", true },
    { "10.1.2.3", "10.1.2.3", FETCH_BLOCKS, "10.1.2.4", false },
    { "fd00::/8", "x.test", FETCH_BLOCKS, "fd12::1", true },
    { "0.0.0.0/0", "x.test", FETCH_BLOCKS, "127.0.0.1", true },
    { "0.0.0.0/0", "x.test", FETCH_BLOCKS, "::1", false },
};

static void fetch_rules_allow_what_is_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_rules *r = fetch_rules_new();
        struct addr a = ip(cases[i].ip);
        enum fetch_reach reach;

        assert_int_equal(fetch_rules_add(r, str_from(cases[i].rule), NULL), 0);
        reach = fetch_rules_reach(r, str_from(cases[i].host));
        if (reach != cases[i].reach || fetch_rules_allow(r, reach, &a) != cases[i].allowed)
            fail_msg("case %zu: %s, %s, %s", i, cases[i].rule, cases[i].host, cases[i].ip);
        fetch_rules_unref(r);
    }
}

static void fetch_rules_empty_allow_nothing(void **state)
{
    struct fetch_rules *r = fetch_rules_new();
    struct addr a = ip("8.8.8.8");

    (void)state;
    assert_int_equal(fetch_rules_reach(r, STR("example.com")), FETCH_NOWHERE);
    assert_false(fetch_rules_allow(r, FETCH_NOWHERE, &a));
    fetch_rules_unref(r);
}

static void fetch_rules_of_two_kinds_add_up(void **state)
{
    struct fetch_rules *r = fetch_rules_new();
    struct addr outside = ip("8.8.8.8");
    struct addr inside = ip("10.1.2.3");
    enum fetch_reach reach;

    (void)state;
    assert_int_equal(fetch_rules_add(r, STR("api.test"), NULL), 0);
    assert_int_equal(fetch_rules_add(r, STR("10.0.0.0/8"), NULL), 0);
    reach = fetch_rules_reach(r, STR("api.test"));
    assert_true(fetch_rules_allow(r, reach, &outside));
    assert_true(fetch_rules_allow(r, reach, &inside));
    reach = fetch_rules_reach(r, STR("other.test"));
    assert_false(fetch_rules_allow(r, reach, &outside));
    assert_true(fetch_rules_allow(r, reach, &inside));
    fetch_rules_unref(r);
}

static void fetch_rules_add_refuses_what_is_neither(void **state)
{
    static const char *const bad[] = { "",       "10.0.0.0/33",  "10.0.0", "1.2.3.4.5",
                                       "a..b",   "http://a",     "a b",    "*.*.com",
                                       "::/129", "example.com/8" };
    struct fetch_rules *r = fetch_rules_new();
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (fetch_rules_add(r, str_from(bad[i]), &e) == 0)
            fail_msg("taken: '%s'", bad[i]);
    }
    assert_int_equal(fetch_rules_reach(r, STR("a")), FETCH_NOWHERE);
    fetch_rules_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetch_is_public_tells_special_addresses),
        cmocka_unit_test(fetch_rules_allow_what_is_listed),
        cmocka_unit_test(fetch_rules_empty_allow_nothing),
        cmocka_unit_test(fetch_rules_of_two_kinds_add_up),
        cmocka_unit_test(fetch_rules_add_refuses_what_is_neither),
    };

    return cmocka_run_group_tests_name("gateway/fetch_rules", tests, NULL, NULL);
}
