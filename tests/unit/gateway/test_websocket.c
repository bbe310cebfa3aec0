/*
 * Unit tests of gateway/websocket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/websocket.h"

/* The example of RFC 6455 section 1.3. */
static void websocket_accept_is_that_of_the_rfc(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(str_eq(websocket_accept(&a, STR("dGhlIHNhbXBsZSBub25jZQ==")),
                       STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_accept_is_that_of_the_rfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
