/*
 * Unit tests of gateway/websocket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/websocket.h"

static void accept_answers_the_key_of_the_rfc(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(str_eq(websocket_accept(&a, STR("dGhlIHNhbXBsZSBub25jZQ==")),
                       STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))); /* RFC 6455 section 1.3 */
    arena_fini(&a);
}

static void keys_are_16_bytes_and_differ(void **state)
{
    struct arena a;
    struct str one;

    (void)state;
    arena_init(&a);
    one = websocket_key_new(&a);
    assert_int_equal(one.n, 24);
    assert_true(str_ends(one, STR("==")));
    assert_false(str_eq(one, websocket_key_new(&a)));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_answers_the_key_of_the_rfc),
        cmocka_unit_test(keys_are_16_bytes_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
