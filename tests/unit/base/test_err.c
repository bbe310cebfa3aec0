/*
 * Unit tests of base/err.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void err_set_fills_code_and_message(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(err_set(&e, E_SYNTAX, "%s at %d", "oops", 7), -1);
    assert_int_equal(e.code, E_SYNTAX);
    assert_string_equal(e.msg, "oops at 7");
}

static void err_set_without_an_err_is_fine(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, E_SYNTAX, "%d", 1), -1);
    assert_int_equal(err_prefix(NULL, "x"), -1);
    assert_int_equal(err_set_errno(NULL, ENOENT, "x"), -1);
}

static void err_set_long_message_is_cut(void **state)
{
    struct err e;

    (void)state;
    (void)err_set(&e, E_SYNTAX, "%0*d", ERR_MSG_BYTES - 1, 1);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES - 1);
    assert_int_equal(e.msg[ERR_MSG_BYTES - 2], '1');
    (void)err_set(&e, E_SYNTAX, "%0*d", ERR_MSG_BYTES, 1);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES - 1);
    assert_int_equal(e.msg[ERR_MSG_BYTES - 2], '0');
}

static void err_prefix_keeps_code_and_message(void **state)
{
    struct err e;

    (void)state;
    (void)err_set(&e, E_CIDR, "bad");
    assert_int_equal(err_prefix(&e, "line %d", 3), -1);
    assert_int_equal(e.code, E_CIDR);
    assert_string_equal(e.msg, "line 3: bad");
}

static void err_set_errno_adds_the_reason(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(err_set_errno(&e, ENOENT, "cannot open %s", "x"), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_string_equal(e.msg, "cannot open x: No such file or directory");
}

static void err_rows_are_complete(void **state)
{
    (void)state;
    assert_int_equal(err_number(E_OK), 0);
    for (unsigned i = 0; i < ERR_CODE_COUNT; i++) {
        enum err_code code = (enum err_code)i;
        unsigned status = err_status(code);

        assert_true(strlen(err_text(code)) > 0);
        assert_true(status == 0 || (status >= 400 && status <= 599));
        /* What is answered over HTTP carries a number; a rate limit is said by its status alone. */
        if (status != 0 && code != E_RATE_LIMITED)
            assert_int_not_equal(err_number(code), 0);
    }
}

static void err_numbers_are_those_of_the_documentation(void **state)
{
    (void)state;
    assert_int_equal(err_number(E_ENDPOINT_OFFLINE), 3200);
    assert_int_equal(err_status(E_ENDPOINT_OFFLINE), 404);
    assert_int_equal(err_number(E_UPSTREAM_REFUSED), 8012);
    assert_int_equal(err_status(E_UPSTREAM_REFUSED), 502);
    assert_int_equal(err_number(E_ENDPOINT_ONLINE), 334);
    assert_int_equal(err_status(E_ENDPOINT_ONLINE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_fills_code_and_message),
        cmocka_unit_test(err_set_without_an_err_is_fine),
        cmocka_unit_test(err_set_long_message_is_cut),
        cmocka_unit_test(err_prefix_keeps_code_and_message),
        cmocka_unit_test(err_set_errno_adds_the_reason),
        cmocka_unit_test(err_rows_are_complete),
        cmocka_unit_test(err_numbers_are_those_of_the_documentation),
    };

    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
