/*
 * Unit tests of policy/cel/lex.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/ast.h"
#include "policy/cel/lex.h"

enum { TOKENS_MAX = 16 };

#define CASES(a) (sizeof(a) / sizeof((a)[0]))

struct tokens_case {
    struct str source;
    enum cel_token_kind kinds[TOKENS_MAX]; /* ends with END, which is 0 */
};

static void check_kinds(const struct tokens_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cel_issue issue = { .text = "" };
        struct cel_lexer lexer;
        struct cel_token t;

        cel_lexer_init(&lexer, cases[i].source, &issue);
        for (size_t k = 0; k < TOKENS_MAX; k++) {
            cel_lexer_next(&lexer, &t);
            if (t.kind != cases[i].kinds[k])
                fail_msg("%.*s: token %zu is %d at %u, not %d (%s)", STR_ARG(cases[i].source), k,
                         (int)t.kind, t.at, (int)cases[i].kinds[k], issue.text);
            if (t.kind == CEL_TOKEN_END || t.kind == CEL_TOKEN_ERROR)
                break;
        }
    }
}

static void next_splits_operators_longest_first(void **state)
{
    static const struct tokens_case cases[] = {
        { STR_INIT("== != < <= > >= && ||"),
          { CEL_TOKEN_EQ, CEL_TOKEN_NE, CEL_TOKEN_LT, CEL_TOKEN_LE, CEL_TOKEN_GT, CEL_TOKEN_GE,
            CEL_TOKEN_AND, CEL_TOKEN_OR } },
        { STR_INIT("!+-*/%?:.,"),
          { CEL_TOKEN_NOT, CEL_TOKEN_PLUS, CEL_TOKEN_MINUS, CEL_TOKEN_STAR, CEL_TOKEN_SLASH,
            CEL_TOKEN_PERCENT, CEL_TOKEN_QUESTION, CEL_TOKEN_COLON, CEL_TOKEN_DOT,
            CEL_TOKEN_COMMA } },
        { STR_INIT("()[]{}"),
          { CEL_TOKEN_LPAREN, CEL_TOKEN_RPAREN, CEL_TOKEN_LBRACKET, CEL_TOKEN_RBRACKET,
            CEL_TOKEN_LBRACE, CEL_TOKEN_RBRACE } },
        { STR_INIT("<=>"), { CEL_TOKEN_LE, CEL_TOKEN_GT } },
        { STR_INIT("!!="), { CEL_TOKEN_NOT, CEL_TOKEN_NE } },
        { STR_INIT("=== 1"), { CEL_TOKEN_EQ, CEL_TOKEN_ERROR } },
        { STR_INIT("&&&"), { CEL_TOKEN_AND, CEL_TOKEN_ERROR } },
        { STR_INIT("\x7f"), { CEL_TOKEN_ERROR } },
        { STR_INIT("\xc3\xa9"), { CEL_TOKEN_ERROR } },
        { STR_INIT("a\0b"), { CEL_TOKEN_IDENT, CEL_TOKEN_ERROR } },
    };

    (void)state;
    check_kinds(cases, CASES(cases));
}

static void next_skips_space_and_comments(void **state)
{
    static const struct tokens_case cases[] = {
        { STR_INIT(""), { CEL_TOKEN_END } },
        { STR_INIT(" \t\n\f\r"), { CEL_TOKEN_END } },
        { STR_INIT("a\tb\nc\fd\re f"),
          { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT,
            CEL_TOKEN_IDENT } },
        { STR_INIT("a\vb"), { CEL_TOKEN_IDENT, CEL_TOKEN_ERROR } },
        { STR_INIT("a\xc2\xa0"), { CEL_TOKEN_IDENT, CEL_TOKEN_ERROR } },
        { STR_INIT("//"), { CEL_TOKEN_END } },
        { STR_INIT("// $ ' \" `"), { CEL_TOKEN_END } },
        { STR_INIT("a // b\nc"), { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT } },
        { STR_INIT("a // b\rc"), { CEL_TOKEN_IDENT } },
        { STR_INIT("a // \xc3\xa9\0\n//\n  b"), { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT } },
        { STR_INIT("a / /"), { CEL_TOKEN_IDENT, CEL_TOKEN_SLASH, CEL_TOKEN_SLASH } },
        { STR_INIT("'//'"), { CEL_TOKEN_STRING } },
    };

    (void)state;
    check_kinds(cases, CASES(cases));
}

static void next_tells_names_from_words(void **state)
{
    static const struct tokens_case cases[] = {
        { STR_INIT("true false null in"),
          { CEL_TOKEN_TRUE, CEL_TOKEN_FALSE, CEL_TOKEN_NULL, CEL_TOKEN_IN } },
        { STR_INIT("True in_ _in inn i"),
          { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT } },
        { STR_INIT("_ a9 A_z __9"),
          { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT } },
        { STR_INIT("as break const continue else for function if import"),
          { CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED,
            CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED,
            CEL_TOKEN_RESERVED } },
        { STR_INIT("let loop package namespace return var void while"),
          { CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED,
            CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED, CEL_TOKEN_RESERVED } },
        { STR_INIT("r b br rb"),
          { CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT, CEL_TOKEN_IDENT } },
    };

    (void)state;
    check_kinds(cases, CASES(cases));
}

static void next_measures_numbers(void **state)
{
    static const struct tokens_case cases[] = {
        { STR_INIT("0 007 0x1F 0xaBcDeF 12u 12U 0xFu"),
          { CEL_TOKEN_INT, CEL_TOKEN_INT, CEL_TOKEN_INT, CEL_TOKEN_INT, CEL_TOKEN_UINT,
            CEL_TOKEN_UINT, CEL_TOKEN_UINT } },
        { STR_INIT("1.5 .5 1e3 1E+3 1.5e-3 .5e3 0.0"),
          { CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE,
            CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE } },
        { STR_INIT("1."), { CEL_TOKEN_INT, CEL_TOKEN_DOT } },
        { STR_INIT("42.f()"),
          { CEL_TOKEN_INT, CEL_TOKEN_DOT, CEL_TOKEN_IDENT, CEL_TOKEN_LPAREN, CEL_TOKEN_RPAREN } },
        { STR_INIT("1.e5"), { CEL_TOKEN_INT, CEL_TOKEN_DOT, CEL_TOKEN_IDENT } },
        { STR_INIT("1e"), { CEL_TOKEN_INT, CEL_TOKEN_IDENT } },
        { STR_INIT("1e+"), { CEL_TOKEN_INT, CEL_TOKEN_IDENT, CEL_TOKEN_PLUS } },
        { STR_INIT("1.5.6"), { CEL_TOKEN_DOUBLE, CEL_TOKEN_DOUBLE } },
        { STR_INIT("1.5u"), { CEL_TOKEN_DOUBLE, CEL_TOKEN_IDENT } },
        { STR_INIT("0X1F"), { CEL_TOKEN_INT, CEL_TOKEN_IDENT } },
        { STR_INIT("0x"), { CEL_TOKEN_INT, CEL_TOKEN_IDENT } },
        { STR_INIT("0xg"), { CEL_TOKEN_INT, CEL_TOKEN_IDENT } },
        { STR_INIT("1..5"), { CEL_TOKEN_INT, CEL_TOKEN_DOT, CEL_TOKEN_DOUBLE } },
        { STR_INIT("1in"), { CEL_TOKEN_INT, CEL_TOKEN_IN } },
        { STR_INIT("1uu"), { CEL_TOKEN_UINT, CEL_TOKEN_IDENT } },
        { STR_INIT("-1"), { CEL_TOKEN_MINUS, CEL_TOKEN_INT } },
    };

    (void)state;
    check_kinds(cases, CASES(cases));
}

static void next_finds_the_body_of_strings(void **state)
{
    static const struct {
        struct str source;
        enum cel_token_kind kind;
        bool raw;
        struct str body;
    } cases[] = {
        { STR_INIT("''"), CEL_TOKEN_STRING, false, STR_INIT("") },
        { STR_INIT("\"a\""), CEL_TOKEN_STRING, false, STR_INIT("a") },
        { STR_INIT("'a\"b'"), CEL_TOKEN_STRING, false, STR_INIT("a\"b") },
        { STR_INIT("'a\0b'"), CEL_TOKEN_STRING, false, STR_INIT("a\0b") },
        { STR_INIT("'a\\'b'"), CEL_TOKEN_STRING, false, STR_INIT("a\\'b") },
        { STR_INIT("'a\\\\'"), CEL_TOKEN_STRING, false, STR_INIT("a\\\\") },
        { STR_INIT("r'a\\'"), CEL_TOKEN_STRING, true, STR_INIT("a\\") },
        { STR_INIT("R\"\\\""), CEL_TOKEN_STRING, true, STR_INIT("\\") },
        { STR_INIT("b'a'"), CEL_TOKEN_BYTES, false, STR_INIT("a") },
        { STR_INIT("B'a'"), CEL_TOKEN_BYTES, false, STR_INIT("a") },
        { STR_INIT("bR'\\'"), CEL_TOKEN_BYTES, true, STR_INIT("\\") },
        { STR_INIT("Br\"\\\""), CEL_TOKEN_BYTES, true, STR_INIT("\\") },
        { STR_INIT("''''''"), CEL_TOKEN_STRING, false, STR_INIT("") },
        { STR_INIT("'''a'b''c'''"), CEL_TOKEN_STRING, false, STR_INIT("a'b''c") },
        { STR_INIT("''''a'''"), CEL_TOKEN_STRING, false, STR_INIT("'a") },
        { STR_INIT("'''a\r\nb'''"), CEL_TOKEN_STRING, false, STR_INIT("a\r\nb") },
        { STR_INIT("'''a\\''''"), CEL_TOKEN_STRING, false, STR_INIT("a\\'") },
        { STR_INIT("r'''a\\'''"), CEL_TOKEN_STRING, true, STR_INIT("a\\") },
        { STR_INIT("br\"\"\"\"\\\"\"\""), CEL_TOKEN_BYTES, true, STR_INIT("\"\\") },
        { STR_INIT("'\xc3\xa9'"), CEL_TOKEN_STRING, false, STR_INIT("\xc3\xa9") },
        { STR_INIT("`a-b c.d/e_9`"), CEL_TOKEN_QUOTED, false, STR_INIT("a-b c.d/e_9") },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct cel_issue issue = { .text = "" };
        struct cel_lexer lexer;
        struct cel_token t;

        cel_lexer_init(&lexer, cases[i].source, &issue);
        cel_lexer_next(&lexer, &t);
        if (t.kind != cases[i].kind || t.raw != cases[i].raw || !str_eq(t.body, cases[i].body) ||
            !str_eq(t.text, cases[i].source))
            fail_msg("%.*s: kind %d raw %d body %.*s %s", STR_ARG(cases[i].source), (int)t.kind,
                     t.raw, STR_ARG(t.body), issue.text);
        cel_lexer_next(&lexer, &t);
        assert_int_equal(t.kind, CEL_TOKEN_END);
    }
}

static void next_refuses_and_says_why(void **state)
{
    static const struct {
        struct str source;
        uint32_t at;
        const char *text;
    } cases[] = {
        { STR_INIT("'a"), 0, "not closed" },
        { STR_INIT("  \"a\\\""), 2, "not closed" },
        { STR_INIT("'a\\"), 0, "not closed" },
        { STR_INIT("'a\nb'"), 0, "on its line" },
        { STR_INIT("'a\rb'"), 0, "on its line" },
        { STR_INIT("r'a\nb'"), 0, "on its line" },
        { STR_INIT("r'a\\"), 0, "not closed" },
        { STR_INIT("'''a'"), 0, "triple-quoted string is not closed" },
        { STR_INIT("'''a\\'''"), 0, "triple-quoted string is not closed" },
        { STR_INIT("r'''a''"), 0, "triple-quoted string is not closed" },
        { STR_INIT("``"), 0, "not empty" },
        { STR_INIT("`a"), 0, "back-quoted" },
        { STR_INIT("`a:b`"), 0, "back-quoted" },
        { STR_INIT("`a\nb`"), 0, "back-quoted" },
        { STR_INIT("="), 0, "'='; use ==" },
        { STR_INIT("&"), 0, "'&'; use &&" },
        { STR_INIT(" |"), 1, "'|'; use ||" },
        { STR_INIT(";"), 0, "';'; an expression is one value" },
        { STR_INIT("#"), 0, "'#'; a comment" },
        { STR_INIT("${a}"), 0, "'$'; inside an expression write x" },
        { STR_INIT("\xe2\x80\x9c"), 0, "U+201C; strings have straight quotes" },
        { STR_INIT("^"), 0, "unexpected character '^'" },
        { STR_INIT("@"), 0, "unexpected character '@'" },
        { STR_INIT("\v"), 0, "unexpected character U+000B" },
        { STR_INIT("\0"), 0, "unexpected character U+0000" },
        { STR_INIT("\xf0\x9f\x98\x80"), 0, "unexpected character U+1F600" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct cel_issue issue = { .text = "" };
        struct cel_lexer lexer;
        struct cel_token t;

        cel_lexer_init(&lexer, cases[i].source, &issue);
        cel_lexer_next(&lexer, &t);
        if (t.kind != CEL_TOKEN_ERROR || issue.at != cases[i].at || t.at != cases[i].at ||
            strstr(issue.text, cases[i].text) == NULL)
            fail_msg("%.*s: kind %d at %u: %s", STR_ARG(cases[i].source), (int)t.kind, issue.at,
                     issue.text);
    }
}

static void next_reads_no_further_than_its_token(void **state)
{
    struct cel_lexer lexer;
    struct cel_token t;

    (void)state;
    cel_lexer_init(&lexer, STR("a} \xff $"), NULL);
    cel_lexer_next(&lexer, &t);
    assert_int_equal(t.kind, CEL_TOKEN_IDENT);
    cel_lexer_next(&lexer, &t);
    assert_int_equal(t.kind, CEL_TOKEN_RBRACE);
    assert_int_equal(lexer.at, 2);
    cel_lexer_next(&lexer, &t); /* without an issue to fill */
    assert_int_equal(t.kind, CEL_TOKEN_ERROR);
}

static void next_at_the_end_stays_there(void **state)
{
    struct cel_lexer lexer;
    struct cel_token t;

    (void)state;
    cel_lexer_init(&lexer, STR_NONE, NULL);
    for (int i = 0; i < 3; i++) {
        cel_lexer_next(&lexer, &t);
        assert_int_equal(t.kind, CEL_TOKEN_END);
        assert_int_equal(t.at, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_splits_operators_longest_first),
        cmocka_unit_test(next_skips_space_and_comments),
        cmocka_unit_test(next_tells_names_from_words),
        cmocka_unit_test(next_measures_numbers),
        cmocka_unit_test(next_finds_the_body_of_strings),
        cmocka_unit_test(next_refuses_and_says_why),
        cmocka_unit_test(next_reads_no_further_than_its_token),
        cmocka_unit_test(next_at_the_end_stays_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
