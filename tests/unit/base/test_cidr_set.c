/*
 * Unit tests of base/cidr_set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cidr_set.h"

static bool has(const struct cidr_set *s, const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(str_from(text), &a), 0);
    return cidr_set_has(s, &a);
}

static void has_addresses_of_any_block(void **state)
{
    struct cidr blocks[2];
    struct cidr_set *s;

    (void)state;
    assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &blocks[0], NULL), 0);
    assert_int_equal(cidr_parse(STR("2001:db8::1"), &blocks[1], NULL), 0);
    s = cidr_set_new(blocks, 2);
    cidr_set_ref(s);
    cidr_set_unref(s);
    assert_true(has(s, "10.1.2.3"));
    assert_true(has(s, "::ffff:10.1.2.3"));
    assert_true(has(s, "2001:db8::1"));
    assert_false(has(s, "11.0.0.1"));
    assert_false(has(s, "2001:db8::2"));
    cidr_set_unref(s);
}

static void none_and_empty_have_nothing(void **state)
{
    struct cidr_set *s = cidr_set_new(NULL, 0);

    (void)state;
    assert_false(has(s, "0.0.0.0"));
    assert_false(has(NULL, "0.0.0.0"));
    cidr_set_ref(NULL);
    cidr_set_unref(NULL);
    cidr_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_addresses_of_any_block),
        cmocka_unit_test(none_and_empty_have_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
