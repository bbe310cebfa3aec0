/*
 * Unit tests of policy/ip_table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/ip_lists.h"
#include "policy/ip_table.h"

static struct cidr block(const char *text)
{
    struct cidr c;

    assert_int_equal(cidr_parse(str_from(text), &c, NULL), 0);
    return c;
}

static void add(struct ip_blocks *b, const char *text, uint16_t list)
{
    struct cidr c = block(text);

    ip_blocks_add(b, &c, list);
}

/* "1,2": the lists that the address is in. */
static const char *lists_of(const struct ip_table *t, const char *ip, char text[64])
{
    struct addr a;
    struct ip_set set;
    size_t n = 0;

    assert_int_equal(addr_parse_ip(str_from(ip), &a), 0);
    set = ip_table_set(t, ip_table_find(t, &a));
    text[0] = '\0';
    for (size_t i = 0; i < set.count; i++)
        n += (size_t)snprintf(text + n, 64 - n, "%s%u", i > 0 ? "," : "", set.lists[i]);
    return text;
}

static void find_in_nested_and_neighbouring_blocks(void **state)
{
    static const struct {
        const char *ip;
        const char *lists;
    } cases[] = {
        { "0.0.0.0", "9" },
        { "9.255.255.255", "" },
        { "10.0.0.0", "1" },
        { "10.1.0.0", "1,2" },
        { "10.1.2.2", "1,2" },
        { "10.1.2.3", "1,2,3,4" },
        { "10.1.2.4", "1,2" },
        { "10.1.255.255", "1,2" },
        { "10.2.0.0", "1" },
        { "10.255.255.255", "1" },
        { "11.0.0.0", "" },
        { "20.0.0.127", "5" },
        { "20.0.0.128", "5" },
        { "20.0.1.0", "" },
        { "255.255.255.254", "" },
        { "255.255.255.255", "6" },
        { "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "" },
        { "2001:db8::", "7" },
        { "2001:db8:0:1::5", "7,8" },
        { "2001:db8:0:1:ffff:ffff:ffff:ffff", "7,8" },
        { "2001:db8:0:2::", "7" },
        { "2001:db9::", "" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "9" },
        { "::", "" },
    };
    struct ip_blocks b = { 0 };
    struct ip_table *t;

    (void)state;
    add(&b, "10.1.2.3", 4);
    add(&b, "255.255.255.255", 6);
    add(&b, "20.0.0.128/25", 5);
    add(&b, "10.0.0.0/8", 1);
    add(&b, "10.1.2.3", 3);
    add(&b, "10.1.0.0/16", 2);
    add(&b, "10.1.2.0/24", 1); /* the wider one is in the list, too */
    add(&b, "10.0.0.0/8", 1);
    add(&b, "20.0.0.0/25", 5);
    add(&b, "2001:db8::/32", 7);
    add(&b, "2001:db8:0:1::/64", 8);
    add(&b, "ffff:ffff:ffff:ffff::/64", 9);
    add(&b, "0.0.0.0/32", 9);
    t = ip_table_new(&b, NULL);
    ip_blocks_fini(&b);
    assert_non_null(t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];

        if (strcmp(lists_of(t, cases[i].ip, text), cases[i].lists) != 0)
            fail_msg("%s is in %s", cases[i].ip, text);
    }
    ip_table_free(t);
}

static void find_in_no_blocks_is_the_empty_set(void **state)
{
    struct ip_blocks b = { 0 };
    struct ip_table *t = ip_table_new(&b, NULL);
    char text[64];

    (void)state;
    assert_non_null(t);
    assert_string_equal(lists_of(t, "1.2.3.4", text), "");
    assert_string_equal(lists_of(t, "::1", text), "");
    assert_int_equal(ip_table_set_count(t), 1);
    ip_table_free(t);
    ip_table_free(NULL);
}

static void find_in_all_addresses(void **state)
{
    struct ip_blocks b = { 0 };
    struct ip_table *t;
    char text[64];

    (void)state;
    add(&b, "0.0.0.0/0", 1);
    add(&b, "::/0", 2);
    add(&b, "::/1", 3);
    add(&b, "8000::/1", 4);
    t = ip_table_new(&b, NULL);
    ip_blocks_fini(&b);
    assert_string_equal(lists_of(t, "0.0.0.0", text), "1");
    assert_string_equal(lists_of(t, "255.255.255.255", text), "1");
    assert_string_equal(lists_of(t, "::", text), "2,3");
    assert_string_equal(lists_of(t, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", text), "2,4");
    ip_table_free(t);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* A random block that differs in the last byte only, of either family. */
static struct cidr random_block(uint32_t *seed)
{
    bool v6 = next_random(seed) % 2 == 0;
    unsigned bits = next_random(seed) % 9;
    struct addr a = { .family = v6 ? 6 : 4 };

    memset(a.ip, v6 ? 0x20 : 10, v6 ? 15 : 3);
    a.ip[v6 ? 15 : 3] = (uint8_t)next_random(seed);
    return cidr_of(&a, (v6 ? 120 : 24) + bits);
}

static void assert_lists(const struct ip_table *t, const struct cidr *cidrs, size_t count,
                         const struct addr *a)
{
    struct ip_set set = ip_table_set(t, ip_table_find(t, a));
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (!cidr_contains(&cidrs[i], a))
            continue;
        assert_true(n < set.count);
        assert_int_equal(set.lists[n], i);
        n++;
    }
    assert_int_equal(n, set.count);
}

/* Against asking each block, for all addresses that they could hold. */
static void find_in_random_blocks_agrees_with_each(void **state)
{
    enum { ROUNDS = 100, BLOCKS = 24 };
    uint32_t seed = 1;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct cidr cidrs[BLOCKS];
        struct ip_blocks b = { 0 };
        struct ip_table *t;

        for (uint16_t i = 0; i < BLOCKS; i++) {
            cidrs[i] = random_block(&seed);
            ip_blocks_add(&b, &cidrs[i], i);
        }
        t = ip_table_new(&b, NULL);
        ip_blocks_fini(&b);
        assert_non_null(t);
        for (unsigned last = 0; last < 256; last++) {
            struct addr a4 = { .family = 4, .ip = { 10, 10, 10, (uint8_t)last } };
            struct addr a6 = { .family = 6 };

            memset(a6.ip, 0x20, 15);
            a6.ip[15] = (uint8_t)last;
            assert_lists(t, cidrs, BLOCKS, &a4);
            assert_lists(t, cidrs, BLOCKS, &a6);
        }
        ip_table_free(t);
    }
}

static void new_of_deepest_nesting(void **state)
{
    struct ip_blocks b = { 0 };
    struct addr a = { .family = 6, .ip = { [15] = 1 } };
    struct ip_table *t;

    (void)state;
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct cidr c = cidr_of(&a, bits);

        ip_blocks_add(&b, &c, (uint16_t)bits);
    }
    t = ip_table_new(&b, NULL);
    ip_blocks_fini(&b);
    assert_non_null(t);
    assert_int_equal(ip_table_set(t, ip_table_find(t, &a)).count, 129);
    a.ip[15] = 0;
    assert_int_equal(ip_table_set(t, ip_table_find(t, &a)).count, 128);
    a.ip[0] = 0x80;
    assert_int_equal(ip_table_set(t, ip_table_find(t, &a)).count, 1);
    ip_table_free(t);
}

/* Each address in the two lists that its bytes name. */
static void new_with_too_many_sets_is_refused(void **state)
{
    struct ip_blocks b = { 0 };
    struct addr a = { .family = 4, .ip = { 10 } };
    struct ip_table *t;
    struct err e;

    (void)state;
    for (unsigned i = 1; i < IP_LISTS_SETS_MAX; i++) { /* and the empty set */
        struct cidr c;

        a.ip[2] = (uint8_t)(i >> 8);
        a.ip[3] = (uint8_t)i;
        c = cidr_of(&a, 32);
        ip_blocks_add(&b, &c, (uint16_t)(i >> 8));
        ip_blocks_add(&b, &c, (uint16_t)(256 + (i & 0xff)));
    }
    t = ip_table_new(&b, &e);
    assert_non_null(t);
    assert_int_equal(ip_table_set_count(t), IP_LISTS_SETS_MAX);
    ip_table_free(t);
    add(&b, "11.0.0.0", 4000);
    assert_null(ip_table_new(&b, &e));
    assert_int_equal(e.code, E_LIMIT);
    ip_blocks_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_in_nested_and_neighbouring_blocks),
        cmocka_unit_test(find_in_no_blocks_is_the_empty_set),
        cmocka_unit_test(find_in_all_addresses),
        cmocka_unit_test(find_in_random_blocks_agrees_with_each),
        cmocka_unit_test(new_of_deepest_nesting),
        cmocka_unit_test(new_with_too_many_sets_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
