/*
 * Unit tests of gateway/config_text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/config_text.h"

static void config_text_widen_adds_l_to_whole_numbers_only(void **state)
{
    static const struct {
        const char *text;
        const char *wide;
    } cases[] = {
        { "", "" },
        { "a = 1;", "a = 1L;" },
        { "a = -12; b = +3;", "a = -12L; b = +3L;" },
        { "a = 0xFf;", "a = 0xFfL;" },
        { "a = 5L; b = 1.5; c = .5; d = 1e3;", "a = 5L; b = 1.5; c = .5; d = 1e3;" },
        { "a = [1,2 ,3];", "a = [1L,2L ,3L];" },
        { "a1 = true; a-2 = 2; *3 = 3;", "a1 = true; a-2 = 2L; *3 = 3L;" },
        { "a = \"1 2\"; b = 3;", "a = \"1 2\"; b = 3L;" },
        { "a = \"x\\\" 1\"; b = 3;", "a = \"x\\\" 1\"; b = 3L;" },
        { "a = 1; # 2\nb = 3;", "a = 1L; # 2\nb = 3L;" },
        { "a = 1; // @include 2\nb = 3;", "a = 1L; // @include 2\nb = 3L;" },
        { "/* 1\n @ 2 */ a = 3;", "/* 1\n @ 2 */ a = 3L;" },
        { "/* 1", "/* 1" },
        { "\"1", "\"1" },
        { "\"1\\", "\"1\\" },
        { "a = 0x;", "a = 0x;" },
        { "a = -;", "a = -;" },
        { "7", "7L" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        struct err e;
        unsigned line;

        buf_init(&out, 4096);
        assert_int_equal(config_text_widen(str_from(cases[i].text), &out, &line, &e), 0);
        buf_add_char(&out, '\0');
        assert_string_equal(buf_str(&out).p, cases[i].wide);
        buf_fini(&out);
    }
}

static void config_text_widen_include_is_refused_with_its_line(void **state)
{
    struct buf out;
    struct err e;
    unsigned line;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(
        config_text_widen(STR("/* 1\n2 */\n\"a\nb\"\n@include \"x\"\n"), &out, &line, &e), -1);
    assert_int_equal(line, 5);
    assert_int_equal(e.code, E_SYNTAX);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_text_widen_adds_l_to_whole_numbers_only),
        cmocka_unit_test(config_text_widen_include_is_refused_with_its_line),
    };

    return cmocka_run_group_tests_name("gateway/config_text", tests, NULL, NULL);
}
