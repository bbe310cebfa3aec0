/*
 * Unit tests of base/shared_text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/shared_text.h"

static void shared_text_new_keeps_a_copy_until_the_last_holder_lets_go(void **state)
{
    char source[] = "on_http_request: []\0and more";
    struct str whole = str_of(source, sizeof(source));
    struct shared_text *t = shared_text_new(whole);

    (void)state;
    memset(source, 'x', sizeof(source));
    shared_text_ref(t);
    shared_text_unref(t);
    assert_int_equal(shared_text_str(t).n, sizeof(source));
    assert_memory_equal(shared_text_str(t).p, "on_http_request: []\0and more", sizeof(source));
    shared_text_unref(t);
}

static void shared_text_of_nothing_is_empty(void **state)
{
    struct shared_text *t = shared_text_new(STR_NONE);

    (void)state;
    assert_int_equal(shared_text_str(t).n, 0);
    shared_text_unref(t);
    shared_text_ref(NULL);
    shared_text_unref(NULL);
    assert_int_equal(shared_text_str(NULL).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_text_new_keeps_a_copy_until_the_last_holder_lets_go),
        cmocka_unit_test(shared_text_of_nothing_is_empty),
    };

    return cmocka_run_group_tests_name("base/shared_text", tests, NULL, NULL);
}
