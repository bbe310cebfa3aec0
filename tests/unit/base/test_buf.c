/*
 * Unit tests of base/buf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void assert_content(const struct buf *b, const char *expected)
{
    struct str s = buf_str(b);

    assert_int_equal(s.n, strlen(expected));
    if (s.n > 0)
        assert_memory_equal(s.p, expected, s.n);
}

static void buf_new_is_empty(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_content(&b, "");
    assert_int_equal(buf_room(&b), 10);
    assert_false(buf_failed(&b));
    buf_add(&b, NULL, 0);
    buf_add_str(&b, STR_NONE);
    assert_content(&b, "");
    buf_fini(&b);
}

static void buf_add_at_the_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_add_str(&b, STR("abc"));
    buf_add_char(&b, 'd');
    buf_add_char(&b, 'e');
    assert_int_equal(buf_room(&b), 0);
    assert_false(buf_failed(&b));
    buf_add_char(&b, 'f');
    assert_true(buf_failed(&b));
    assert_content(&b, "abcde");
    buf_fini(&b);
}

static void buf_add_after_a_failure_does_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_add_str(&b, STR("abcdef"));
    buf_add_str(&b, STR("x")); /* would fit */
    buf_add_fmt(&b, "%d", 1);
    assert_null(buf_reserve(&b, 0));
    assert_int_equal(buf_room(&b), 0);
    assert_content(&b, "");
    buf_clear(&b);
    assert_false(buf_failed(&b));
    buf_add_str(&b, STR("abcde"));
    assert_content(&b, "abcde");
    buf_fini(&b);
}

static void buf_add_fmt_at_the_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 6);
    buf_add_fmt(&b, "%s-%d", "ab", 123); /* its NUL does not count */
    assert_content(&b, "ab-123");
    assert_false(buf_failed(&b));
    buf_add_fmt(&b, "%s", "");
    assert_false(buf_failed(&b));
    buf_add_fmt(&b, "x");
    assert_true(buf_failed(&b));
    assert_content(&b, "ab-123");
    buf_fini(&b);
}

static void buf_add_fmt_with_maximum_zero(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    buf_add_fmt(&b, "%s", "");
    assert_false(buf_failed(&b));
    buf_add_char(&b, 'x');
    assert_true(buf_failed(&b));
    buf_fini(&b);
}

static void buf_reserve_and_commit_part(void **state)
{
    struct buf b;
    char *at;

    (void)state;
    buf_init(&b, 1000);
    buf_add_str(&b, STR("ab"));
    at = buf_reserve(&b, 998);
    assert_non_null(at);
    at[0] = 'c';
    at[1] = 'd';
    buf_commit(&b, 2);
    assert_content(&b, "abcd");
    assert_null(buf_reserve(&b, 997));
    assert_true(buf_failed(&b));
    buf_fini(&b);
}

static void buf_consume_makes_room(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4);
    buf_add_str(&b, STR("abcd"));
    buf_consume(&b, 3);
    assert_int_equal(buf_room(&b), 3);
    buf_add_str(&b, STR("efg"));
    assert_content(&b, "defg");
    buf_consume(&b, 0);
    assert_content(&b, "defg");
    buf_consume(&b, 4);
    assert_content(&b, "");
    assert_false(buf_failed(&b));
    buf_fini(&b);
}

static void buf_consume_all_gives_large_memory_back(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1024 * 1024);
    assert_non_null(buf_reserve(&b, 500000));
    buf_commit(&b, 500000);
    assert_non_null(b.mem);
    buf_consume(&b, 500000);
    assert_null(b.mem);
    buf_add_str(&b, STR("again"));
    assert_content(&b, "again");
    buf_consume(&b, 5);
    assert_non_null(b.mem); /* a small piece is kept for the next time */
    buf_fini(&b);
    assert_null(b.mem);
}

/* A long run of appends and reads against a plain array. */
static void buf_any_order_of_calls_keeps_the_bytes(void **state)
{
    enum { MAX = 3000, STEPS = 200000 };
    static unsigned char model[MAX];
    struct buf b;
    size_t len = 0;
    uint32_t random = 1;
    unsigned char next = 0;

    (void)state;
    buf_init(&b, MAX);
    for (unsigned i = 0; i < STEPS; i++) {
        size_t n;

        random = random * 1664525 + 1013904223;
        n = (random >> 8) % 400;
        if (random >> 31 != 0 && n <= buf_room(&b)) {
            unsigned char piece[400];

            for (size_t k = 0; k < n; k++)
                piece[k] = model[len + k] = next++;
            buf_add(&b, piece, n);
            len += n;
        } else if (n <= len) {
            buf_consume(&b, n);
            memmove(model, model + n, len - n);
            len -= n;
        }
        assert_int_equal(buf_str(&b).n, len);
        assert_int_equal(buf_room(&b), MAX - len);
        if (len > 0)
            assert_int_equal(memcmp(buf_str(&b).p, model, len), 0);
    }
    assert_false(buf_failed(&b));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_new_is_empty),
        cmocka_unit_test(buf_add_at_the_maximum),
        cmocka_unit_test(buf_add_after_a_failure_does_nothing),
        cmocka_unit_test(buf_add_fmt_at_the_maximum),
        cmocka_unit_test(buf_add_fmt_with_maximum_zero),
        cmocka_unit_test(buf_reserve_and_commit_part),
        cmocka_unit_test(buf_consume_makes_room),
        cmocka_unit_test(buf_consume_all_gives_large_memory_back),
        cmocka_unit_test(buf_any_order_of_calls_keeps_the_bytes),
    };

    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
