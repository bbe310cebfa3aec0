/*
 * Unit tests of policy/password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <crypt.h>

#include "policy/password.h"

static void hash_of_a_password_is_told_from_a_password(void **state)
{
    (void)state;
    assert_true(password_is_hash(STR("$2b$05$abc")));
    assert_true(password_is_hash(STR("$6$salt$x")));
    assert_false(password_is_hash(STR("secret$5$")));
    assert_false(password_is_hash(STR("$")));
    assert_false(password_is_hash(STR("$dollars-but-no-second-one")));
}

static void check_hash_accepts_what_is_affordable(void **state)
{
    static const struct {
        const char *hash;
        int rc;
    } rows[] = {
        { "$2b$05$abcdefghijklmnopqrstuuxgFXNcYgGWDpnhMhbTFYfiBaGk8MDlu", 0 },
        { "$2y$14$abcdefghijklmnopqrstuuxgFXNcYgGWDpnhMhbTFYfiBaGk8MDlu", 0 },
        { "$2b$15$abcdefghijklmnopqrstuuxgFXNcYgGWDpnhMhbTFYfiBaGk8MDlu", -1 },
        { "$2b$31$abcdefghijklmnopqrstuuxgFXNcYgGWDpnhMhbTFYfiBaGk8MDlu", -1 },
        { "$6$salt$", 0 },
        { "$5$rounds=1000000$salt$", 0 },
        { "$5$rounds=1000001$salt$", -1 },
        { "$6$rounds=x$salt$", -1 },
        { "$y$j9T$salt$", 0 },
        { "$y$jFT$salt$", -1 },
        { "$1$salt$", -1 }, /* MD5 */
        { "$9$salt$", -1 },
        { "$2b$", -1 },
        { "$y$", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(password_check_hash(str_from(rows[i].hash), NULL), rows[i].rc);
}

static void verify_matches_the_password_only(void **state)
{
    static const char *const settings[] = { "$2b$04$", "$5$rounds=1000$", "$6$rounds=1000$",
                                            "$y$j75$" };

    (void)state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        struct crypt_data data = { 0 };
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];
        const char *prefix = i == 0 ? "$2b$" : i == 1 ? "$5$" : i == 2 ? "$6$" : "$y$";
        const char *hash;

        assert_non_null(crypt_gensalt_rn(prefix,
                                         i == 0   ? 4
                                         : i == 3 ? 1
                                                  : 1000,
                                         "0123456789abcdef", 16, setting, sizeof(setting)));
        hash = crypt_rn("pass word", setting, &data, sizeof(data));
        assert_non_null(hash);
        assert_true(password_verify(STR("pass word"), str_from(hash)));
        assert_false(password_verify(STR("pass worD"), str_from(hash)));
        assert_false(password_verify(STR(""), str_from(hash)));
        assert_false(password_verify(STR("pass word\0"), str_from(hash)));
    }
}

static void verify_of_a_broken_hash_matches_nothing(void **state)
{
    (void)state;
    assert_false(password_verify(STR("x"), STR("$6$")));
    assert_false(password_verify(STR("x"), STR("*0")));
    assert_false(password_verify(STR("x"), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_of_a_password_is_told_from_a_password),
        cmocka_unit_test(check_hash_accepts_what_is_affordable),
        cmocka_unit_test(verify_matches_the_password_only),
        cmocka_unit_test(verify_of_a_broken_hash_matches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
