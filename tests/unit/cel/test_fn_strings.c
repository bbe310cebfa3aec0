/*
 * Unit tests of policy/cel/fn_strings and policy/cel/unicode.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/unicode.h"
#include "tests/unit/cel/fn_scene.h"

static void contains_and_its_like_compare_bytes(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello'.contains('ell')", "true" },
        { "'hello'.contains('')", "true" },
        { "''.contains('')", "true" },
        { "''.contains('x')", "false" },
        { "'abababc'.contains('ababc')", "true" },
        { "'Straße'.contains('aß')", "true" },
        { "'a\\u0000b'.contains('\\u0000b')", "true" },
        { "'hello'.startsWith('he')", "true" },
        { "'hello'.startsWith('')", "true" },
        { "'he'.startsWith('hello')", "false" },
        { "'forté'.endsWith('té')", "true" },
        { "'forté'.endsWith('')", "true" },
        { "'forté'.endsWith('e')", "false" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void char_at_counts_code_points(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello'.charAt(4)", "'o'" },
        { "'hello'.charAt(5)", "''" },
        { "'hello'.charAt(6)", NULL },
        { "'hello'.charAt(-1)", NULL },
        { "''.charAt(0)", "''" },
        { "''.charAt(1)", NULL },
        { "'aé€😀z'.charAt(3)", "'😀'" },
        { "'aé€😀z'.charAt(4)", "'z'" },
        { "'aé€😀z'.charAt(5)", "''" },
        { "'aé€😀z'.charAt(6)", NULL },
        { "'aé€😀z'.charAt(9223372036854775807)", NULL },
        { "'aé€😀z'.charAt(-9223372036854775808)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void index_of_gives_the_first_position(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello mellow'.indexOf('')", "0" },
        { "'hello mellow'.indexOf('ello')", "1" },
        { "'hello mellow'.indexOf('jello')", "-1" },
        { "'hello mellow'.indexOf('', 2)", "2" },
        { "'hello mellow'.indexOf('ello', 2)", "7" },
        { "'hello mellow'.indexOf('ello', 7)", "7" },
        { "'hello mellow'.indexOf('ello', 8)", "-1" },
        { "'hello mellow'.indexOf('', 12)", "12" },
        { "'hello mellow'.indexOf('x', 12)", "-1" },
        { "'hello mellow'.indexOf('ello', 20)", NULL },
        { "'hello mellow'.indexOf('', 13)", NULL },
        { "'hello mellow'.indexOf('ello', -1)", NULL },
        { "'ta©o©αT'.indexOf('©')", "2" },
        { "'ta©o©αT'.indexOf('©', 3)", "4" },
        { "''.indexOf('')", "0" },
        { "''.indexOf('', 0)", "0" },
        { "''.indexOf('a')", "-1" },
        { "''.indexOf('a', 1)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void last_index_of_gives_the_last_position(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello mellow'.lastIndexOf('')", "12" },
        { "'hello mellow'.lastIndexOf('ello')", "7" },
        { "'hello mellow'.lastIndexOf('jello')", "-1" },
        { "'hello mellow'.lastIndexOf('ello', 6)", "1" },
        { "'hello mellow'.lastIndexOf('ello', 7)", "7" },
        { "'hello mellow'.lastIndexOf('ello', 0)", "-1" },
        { "'hello mellow'.lastIndexOf('h', 0)", "0" },
        { "'hello mellow'.lastIndexOf('', 3)", "3" },
        { "'hello mellow'.lastIndexOf('ello', 12)", "7" },
        { "'hello mellow'.lastIndexOf('ello', 13)", NULL },
        { "'hello mellow'.lastIndexOf('ello', -1)", NULL },
        { "'ta©o©αT'.lastIndexOf('©')", "4" },
        { "'ta©o©αT'.lastIndexOf('©', 3)", "2" },
        { "'ab'.lastIndexOf('abc')", "-1" },
        { "'aab'.lastIndexOf('ab')", "1" },
        { "'bab'.lastIndexOf('ba')", "0" },
        { "''.lastIndexOf('@@')", "-1" },
        { "''.lastIndexOf('')", "0" },
        { "''.lastIndexOf('', 0)", "0" },
        { "''.lastIndexOf('a', 1)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void substring_is_half_open(void **state)
{
    static const struct fn_row rows[] = {
        { "'tacocat'.substring(4)", "'cat'" },        { "'tacocat'.substring(7)", "''" },
        { "'tacocat'.substring(0, 4)", "'taco'" },    { "'tacocat'.substring(4, 4)", "''" },
        { "'tacocat'.substring(0, 7)", "'tacocat'" }, { "'ta©o©αT'.substring(2, 6)", "'©o©α'" },
        { "'ta©o©αT'.substring(7, 7)", "''" },        { "''.substring(0)", "''" },
        { "'tacocat'.substring(8)", NULL },           { "'tacocat'.substring(-1)", NULL },
        { "'tacocat'.substring(-1, 2)", NULL },       { "'tacocat'.substring(1, 8)", NULL },
        { "'tacocat'.substring(4, 3)", NULL },        { "'ta©o©αT'.substring(2, 8)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void replace_changes_plain_text(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello hello'.replace('he', 'we')", "'wello wello'" },
        { "'hello hello'.replace('he', 'we', -1)", "'wello wello'" },
        { "'hello hello'.replace('he', 'we', 1)", "'wello hello'" },
        { "'hello hello'.replace('he', 'we', 0)", "'hello hello'" },
        { "'hello mellow'.replace('l', 'L', 2)", "'heLLo mellow'" },
        { "'hello hello'.replace('', '_')", "'_h_e_l_l_o_ _h_e_l_l_o_'" },
        { "'aé€'.replace('', '-')", "'-a-é-€-'" },
        { "'abc'.replace('', '-', 2)", "'-a-bc'" },
        { "'abc'.replace('', '-', 4)", "'-a-b-c-'" },
        { "'abc'.replace('', '-', 99)", "'-a-b-c-'" },
        { "'abc'.replace('', '-', 0)", "'abc'" },
        { "''.replace('', '-')", "'-'" },
        { "''.replace('a', '-')", "''" },
        { "'aaa'.replace('aa', 'b')", "'ba'" },
        { "'a.b.c'.replace('.', '')", "'abc'" },
        { "'a.b'.replace('.', '$0')", "'a$0b'" },
        { "'1 ©αT taco'.replace('αT', 'o©α')", "'1 ©o©α taco'" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void split_gives_the_pieces(void **state)
{
    static const struct fn_row rows[] = {
        { "'hello world'.split(' ')", "['hello', 'world']" },
        { "'a,b,c'.split(',')", "['a', 'b', 'c']" },
        { "'a,b,c'.split(',', -1)", "['a', 'b', 'c']" },
        { "'a,b,c'.split(',', 0)", "[]" },
        { "'a,b,c'.split(',', 1)", "['a,b,c']" },
        { "'a,b,c'.split(',', 2)", "['a', 'b,c']" },
        { "'a,b,c'.split(',', 3)", "['a', 'b', 'c']" },
        { "'a,b,c'.split(',', 4)", "['a', 'b', 'c']" },
        { "',a,,'.split(',')", "['', 'a', '', '']" },
        { "'a--b-c'.split('--')", "['a', 'b-c']" },
        { "'a'.split(',')", "['a']" },
        { "''.split(',')", "['']" },
        { "''.split(',', 1)", "['']" },
        { "','.split(',')", "['', '']" },
        { "'aé€'.split('')", "['a', 'é', '€']" },
        { "'abc'.split('', 2)", "['a', 'bc']" },
        { "''.split('')", "[]" },
        { "' a  b\\tc\\u3000d\\n'.split()", "['a', 'b', 'c', 'd']" },
        { "'   '.split()", "[]" },
        { "''.split()", "[]" },
        { "'abc'.split()", "['abc']" },
        { "'a\\u200bb'.split()", "['a\\u200bb']" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void case_is_changed_for_ascii_or_all(void **state)
{
    static const struct fn_row rows[] = {
        { "'TacoCÆt'.lowerAscii()", "'tacocÆt'" },
        { "'tacoCæt'.upperAscii()", "'TACOCæT'" },
        { "''.lowerAscii()", "''" },
        { "'@[`{'.lowerAscii()", "'@[`{'" },
        { "'@[`{'.upperAscii()", "'@[`{'" },
        { "'HELLO'.lower()", "'hello'" },
        { "'hello'.upper()", "'HELLO'" },
        { "''.upper()", "''" },
        { "'ÉCOLE'.lower()", "'école'" },
        { "'école'.upper()", "'ÉCOLE'" },
        { "'İSTANBUL'.lower()", "'istanbul'" },
        { "'ıi'.upper()", "'II'" },
        { "'straße'.upper()", "'STRAßE'" },
        { "'ΑΣΑΣ'.lower()", "'ασασ'" },
        { "'ς'.upper()", "'Σ'" },
        { "'ǅ'.lower() + 'ǅ'.upper()", "'ǆǄ'" },
        { "'ᾳ'.upper()", "'ᾼ'" },
        { "'K'.lower()", "'k'" },
        { "'Ⱥ'.lower()", "'ⱥ'" },
        { "'𐐀'.lower()", "'𐐨'" },
        { "'日本😀'.lower()", "'日本😀'" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void trim_and_reverse_know_code_points(void **state)
{
    static const struct fn_row rows[] = {
        { "' \\f\\n\\r\\t\\vtext  '.trim()", "'text'" },
        { "'\\u0085\\u00a0\\u1680text\\u2000\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'.trim()",
          "'text'" },
        { "'\\u180etext\\u200b\\u200c\\u200d\\u2060\\ufeff'.trim()",
          "'\\u180etext\\u200b\\u200c\\u200d\\u2060\\ufeff'" },
        { "' a b '.trim()", "'a b'" },
        { "'   '.trim()", "''" },
        { "''.trim()", "''" },
        { "'gums'.reverse()", "'smug'" },
        { "'aé€😀'.reverse()", "'😀€éa'" },
        { "''.reverse()", "''" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void quote_escapes_few_characters(void **state)
{
    static const struct fn_row rows[] = {
        { "strings.quote('a\"b')", "'\"a\\\\\"b\"'" },
        { "strings.quote('')", "'\"\"'" },
        { "strings.quote(\"\\a\\b\\f\\n\\r\\t\\v\\\\'\")",
          "r'''\"\\a\\b\\f\\n\\r\\t\\v\\\\'\"'''" },
        { "strings.quote('é€\\u0001\\u0000')", "'\"é€\\u0001\\u0000\"'" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void strings_wrong_types_are_refused_at_load(void **state)
{
    static const char *const sources[] = {
        "42.charAt(2)",        "'a'.charAt(true)", "'42'.indexOf('4', 0, 1)",
        "'a'.replace(2, 1)",   "'a'.split(2)",     "'a'.substring(1, 2, 3)",
        "['a'].contains('a')", "'a'.lower(1)",     "strings.quote(1)",
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
}

static void strings_results_have_limits(void **state)
{
    static const char *const sources[] = {
        "big.replace('', 'a')",
        "big.replace('a', 'aa')",
        "big.split('')",
        "big.split('a')",
        "strings.quote(big)",
        "many.all(i, big.contains('b' + string(i)) || true)",
        "many.all(i, big.lastIndexOf('b' + kilo) == -1)",
        "many.all(i, big.upper() != '')",
        "many.all(i, big.charAt(65536) == '')",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static void unicode_case_mappings_agree_with_each_other(void **state)
{
    unsigned pairs = 0;

    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint32_t lower = unicode_lower(c);

        assert_true(lower <= 0x10ffff && unicode_upper(c) <= 0x10ffff);
        assert_int_equal(unicode_lower(lower), lower);
        pairs += lower != c && unicode_upper(lower) == c;
    }
    assert_true(pairs > 1300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contains_and_its_like_compare_bytes),
        cmocka_unit_test(char_at_counts_code_points),
        cmocka_unit_test(index_of_gives_the_first_position),
        cmocka_unit_test(last_index_of_gives_the_last_position),
        cmocka_unit_test(substring_is_half_open),
        cmocka_unit_test(replace_changes_plain_text),
        cmocka_unit_test(split_gives_the_pieces),
        cmocka_unit_test(case_is_changed_for_ascii_or_all),
        cmocka_unit_test(trim_and_reverse_know_code_points),
        cmocka_unit_test(quote_escapes_few_characters),
        cmocka_unit_test(strings_wrong_types_are_refused_at_load),
        cmocka_unit_test(strings_results_have_limits),
        cmocka_unit_test(unicode_case_mappings_agree_with_each_other),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_strings", tests, NULL, NULL);
}
