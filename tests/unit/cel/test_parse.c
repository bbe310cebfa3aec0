/*
 * Unit tests of the parser: trees are compared as text, (operator operand operand); see tree_text.h.
 * Links: tests/unit/cel/tree_text
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "policy/cel/ast.h"
#include "tests/unit/cel/tree_text.h"

#define CASES(a) (sizeof(a) / sizeof((a)[0]))

enum { TEXT_MAX_BYTES = 1 << 20 };

/* ---- tables of source -> tree or issue ---- */

struct tree_case {
    struct str source;
    const char *tree;
};

struct issue_case {
    struct str source;
    uint32_t at;
    const char *text; /* part of the issue's */
};

static void check_tree(const struct tree_case *c, unsigned flags)
{
    struct cel_issue issue = { .text = "" };
    struct cel_node *root;
    struct arena a;
    struct buf out;

    arena_init(&a);
    buf_init(&out, TEXT_MAX_BYTES);
    root = cel_parse(&a, c->source, &cel_default_parse_limits, flags, &issue);
    if (root == NULL)
        fail_msg("%.*s: at %u: %s", STR_ARG(c->source), issue.at, issue.text);
    tree_text(&out, root);
    if (!str_eq(buf_str(&out), str_from(c->tree)))
        fail_msg("%.*s: %.*s, not %s", STR_ARG(c->source), STR_ARG(buf_str(&out)), c->tree);
    buf_fini(&out);
    arena_fini(&a);
}

static void check_trees(const struct tree_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_tree(&cases[i], 0);
}

static void check_issues(const struct issue_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cel_issue issue = { .stage = CEL_STAGE_CHECK, .text = "" };
        struct arena a;

        arena_init(&a);
        if (cel_parse(&a, cases[i].source, &cel_default_parse_limits, 0, &issue) != NULL)
            fail_msg("%.*s is accepted", STR_ARG(cases[i].source));
        if (issue.stage != CEL_STAGE_PARSE || issue.at != cases[i].at ||
            strstr(issue.text, cases[i].text) == NULL)
            fail_msg("%.*s: at %u (not %u): %s", STR_ARG(cases[i].source), issue.at, cases[i].at,
                     issue.text);
        arena_fini(&a);
    }
}

/* ---- literals ---- */

static void parse_numbers(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("0"), "0" },
        { STR_INIT("007"), "7" },
        { STR_INIT("0x10"), "16" },
        { STR_INIT("0xfFu"), "255u" },
        { STR_INIT("-0"), "0" },
        { STR_INIT("9223372036854775807"), "9223372036854775807" },
        { STR_INIT("-9223372036854775808"), "-9223372036854775808" },
        { STR_INIT("0x7fffffffffffffff"), "9223372036854775807" },
        { STR_INIT("-0x8000000000000000"), "-9223372036854775808" },
        { STR_INIT("00000000000000000000000001"), "1" },
        { STR_INIT("0x00000000000000000000000000001"), "1" },
        { STR_INIT("18446744073709551615u"), "18446744073709551615u" },
        { STR_INIT("0xffffffffffffffffU"), "18446744073709551615u" },
        { STR_INIT("1.5"), "1.5d" },
        { STR_INIT("-1.5e2"), "-150d" },
        { STR_INIT(".5"), "0.5d" },
        { STR_INIT("-.5E+1"), "-5d" },
        { STR_INIT("1e-324"), "0d" },
        { STR_INIT("-0.0"), "-0d" },
        { STR_INIT("1.7976931348623157e308"), "1.7976931348623157e+308d" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("9223372036854775808"), 0, "9223372036854775808 does not fit an int" },
        { STR_INIT("-9223372036854775809"), 1, "-9223372036854775809 does not fit an int" },
        { STR_INIT("99999999999999999999"), 0, "does not fit an int" },
        { STR_INIT("0x8000000000000000"), 0, "does not fit an int" },
        { STR_INIT("0x10000000000000000"), 0, "does not fit an int" },
        { STR_INIT("1 + 18446744073709551616u"), 4, "does not fit a uint" },
        { STR_INIT("0x10000000000000000u"), 0, "does not fit a uint" },
        { STR_INIT("1e309"), 0, "does not fit a double" },
        { STR_INIT("-1e309"), 1, "-1e309 does not fit a double" },
        { STR_INIT("1."), 2, "expected a name after '.'" },
        { STR_INIT("0X1F"), 1, "unexpected 'X1F'" },
        { STR_INIT("1 2"), 2, "unexpected '2'" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

static void parse_words(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("true"), "true" },
        { STR_INIT("false"), "false" },
        { STR_INIT("null"), "null" },
        { STR_INIT("True"), "True" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
}

static void parse_strings(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("''"), "\"\"" },
        { STR_INIT("\"a\""), "\"a\"" },
        { STR_INIT("'a\0b'"), "\"a<00>b\"" },
        { STR_INIT("'\\a\\b\\f\\n\\r\\t\\v\\\\\\?\\\"\\'\\`'"),
          "\"<07><08><0C><0A><0D><09><0B>\\?<22>'`\"" },
        { STR_INIT("'\\x41\\X4a\\xff\\377\\000'"), "\"AJ<C3><BF><C3><BF><00>\"" },
        { STR_INIT("'\\u00e9\\U0001F62C\\uD7FF\\uE000\\U0010FFFF'"),
          "\"<C3><A9><F0><9F><98><AC><ED><9F><BF><EE><80><80><F4><8F><BF><BF>\"" },
        { STR_INIT("'\\U00088888'"), "\"<F2><88><A2><88>\"" },
        { STR_INIT("'\xc3\xa9'"), "\"<C3><A9>\"" },
        { STR_INIT("r'\\d\\'"), "\"\\d\\\"" },
        { STR_INIT("'''a\n'b'\\\''''"), "\"a<0A>'b''\"" },
        { STR_INIT("'''a\r\nb'''"), "\"a<0D><0A>b\"" },
        { STR_INIT("\"\"\"\\t\"\"\""), "\"<09>\"" },
        { STR_INIT("b'\\xff\\377\\000'"), "b\"<FF><FF><00>\"" },
        { STR_INIT("b'\xc3\xa9'"), "b\"<C3><A9>\"" },
        { STR_INIT("BR'\\x00\\u0041'"), "b\"\\x00\\u0041\"" },
        { STR_INIT("b'''\n'''"), "b\"<0A>\"" },
        { STR_INIT("'\\1234'"), "\"S4\"" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
}

static void parse_bad_escapes_are_refused(void **state)
{
    static const struct issue_case cases[] = {
        { STR_INIT("'a\\d'"), 2, "unknown escape '\\d'; write '\\\\d', or a raw string" },
        { STR_INIT("x == '\\/'"), 6, "unknown escape" },
        { STR_INIT("'\\\xc3\xa9'"), 1, "begins an escape" },
        { STR_INIT("'\\\n'"), 1, "begins an escape" },
        { STR_INIT("'\\N'"), 1, "unknown escape" },
        { STR_INIT("'\\x4'"), 1, "\\x needs 2 hexadecimal digits" },
        { STR_INIT("'\\xg0'"), 1, "\\x needs 2 hexadecimal digits" },
        { STR_INIT("'\\u004'"), 1, "\\u needs 4 hexadecimal digits" },
        { STR_INIT("'\\U0000004'"), 1, "\\U needs 8 hexadecimal digits" },
        { STR_INIT("'\\0'"), 1, "three digits" },
        { STR_INIT("'\\01'"), 1, "three digits" },
        { STR_INIT("'\\018'"), 1, "three digits" },
        { STR_INIT("'\\400'"), 1, "three digits" },
        { STR_INIT("b'\\400'"), 2, "three digits" },
        { STR_INIT("'\\8'"), 1, "three digits" },
        { STR_INIT("'''\\ud800'''"), 3, "surrogate" },
        { STR_INIT("'\\uDFFF'"), 1, "surrogate" },
        { STR_INIT("'\\U0000d800'"), 1, "surrogate" },
        { STR_INIT("'\\U00110000'"), 1, "above U+10FFFF" },
        { STR_INIT("'\\UFFFFFFFF'"), 1, "above U+10FFFF" },
        { STR_INIT("b'\\u0041'"), 2, "for strings" },
        { STR_INIT("b'\\U00000041'"), 2, "for strings" },
    };

    (void)state;
    check_issues(cases, CASES(cases));
}

static void parse_invalid_utf8_is_refused(void **state)
{
    static const struct issue_case cases[] = {
        { STR_INIT("'a\xff'"), 2, "not valid UTF-8" },
        { STR_INIT("'\xed\xa0\x80'"), 1, "not valid UTF-8" },
        { STR_INIT("'\xc0\x80'"), 1, "not valid UTF-8" },
        { STR_INIT("1 // \xc3"), 5, "not valid UTF-8" },
        { STR_INIT("1 + + \x80"), 6, "not valid UTF-8" },
    };

    (void)state;
    check_issues(cases, CASES(cases));
}

static void parse_text_without_escapes_borrows(void **state)
{
    static const char *const sources[] = { "'abc'", "r'a\\c'", "b'''abc'''", "br'\\\\c'" };

    (void)state;
    for (size_t i = 0; i < CASES(sources); i++) {
        struct cel_issue issue;
        struct cel_node *n;
        struct arena a;

        arena_init(&a);
        n = cel_parse(&a, str_from(sources[i]), &cel_default_parse_limits, 0, &issue);
        assert_non_null(n);
        assert_int_equal(n->as.literal.n, 3);
        assert_ptr_equal(n->as.literal.as.p, strpbrk(sources[i], "a\\"));
        arena_fini(&a);
    }
}

/* ---- operators ---- */

static void parse_operators_by_level(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("1 + 2 * 3"), "(_+_ 1 (_*_ 2 3))" },
        { STR_INIT("1 * 2 + 3"), "(_+_ (_*_ 1 2) 3)" },
        { STR_INIT("(1 + 2) * 3"), "(_*_ (_+_ 1 2) 3)" },
        { STR_INIT("1 - 2 - 3"), "(_-_ (_-_ 1 2) 3)" },
        { STR_INIT("a / b % c"), "(_%_ (_/_ a b) c)" },
        { STR_INIT("a < b == c"), "(_==_ (_<_ a b) c)" },
        { STR_INIT("a == b < c"), "(_<_ (_==_ a b) c)" },
        { STR_INIT("a <= b != c"), "(_!=_ (_<=_ a b) c)" },
        { STR_INIT("a > b >= c"), "(_>=_ (_>_ a b) c)" },
        { STR_INIT("a + b in c"), "(_in_ (_+_ a b) c)" },
        { STR_INIT("!a in b"), "(_in_ (!_ a) b)" },
        { STR_INIT("a && b && c"), "(&& a b c)" },
        { STR_INIT("a || b && c || d"), "(|| a (&& b c) d)" },
        { STR_INIT("a && b || c && d"), "(|| (&& a b) (&& c d))" },
        { STR_INIT("a && (b && c)"), "(&& a (&& b c))" },
        { STR_INIT("(a || b) || c"), "(|| (|| a b) c)" },
        { STR_INIT("a == b && c"), "(&& (_==_ a b) c)" },
        { STR_INIT("a ? b : c"), "(? a b c)" },
        { STR_INIT("a ? b : c ? d : e"), "(? a b (? c d e))" },
        { STR_INIT("a ? (b ? c : d) : e"), "(? a (? b c d) e)" },
        { STR_INIT("(a ? b : c) ? d : e"), "(? (? a b c) d e)" },
        { STR_INIT("a || b ? c || d : e || f"), "(? (|| a b) (|| c d) (|| e f))" },
        { STR_INIT("a?.b:c"), "(? a .b c)" },
        { STR_INIT("1in[1]"), "(_in_ 1 [1])" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
}

static void parse_minus_folds_into_numbers(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("-1"), "-1" },
        { STR_INIT("- 1"), "-1" },
        { STR_INIT("-1.5"), "-1.5d" },
        { STR_INIT("--1"), "(-_ -1)" },
        { STR_INIT("---1"), "(-_ (-_ -1))" },
        { STR_INIT("--9223372036854775808"), "(-_ -9223372036854775808)" },
        { STR_INIT("-1u"), "(-_ 1u)" },
        { STR_INIT("-(1)"), "(-_ 1)" },
        { STR_INIT("-a"), "(-_ a)" },
        { STR_INIT("-a.b"), "(-_ (. a b))" },
        { STR_INIT("-a[0]"), "(-_ (_[_] a 0))" },
        { STR_INIT("-1.f()"), "(~f -1)" },
        { STR_INIT("1-1"), "(_-_ 1 1)" },
        { STR_INIT("1--1"), "(_-_ 1 -1)" },
        { STR_INIT("a -1"), "(_-_ a 1)" },
        { STR_INIT("-1 - -1"), "(_-_ -1 -1)" },
        { STR_INIT("-2 * 3"), "(_*_ -2 3)" },
        { STR_INIT("!a"), "(!_ a)" },
        { STR_INIT("!!a.b"), "(!_ (!_ (. a b)))" },
        { STR_INIT("!(-a)"), "(!_ (-_ a))" },
        { STR_INIT("-(!a)"), "(-_ (!_ a))" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("!-a"), 1, "do not mix" },
        { STR_INIT("-!a"), 1, "do not mix" },
        { STR_INIT("!-1"), 1, "do not mix" },
        { STR_INIT("-"), 1, "unexpected end of the expression" },
        { STR_INIT("+1"), 0, "unexpected '+'" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

/* ---- members, calls, literals of lists and maps ---- */

static void parse_members(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("a.b.c"), "(. (. a b) c)" },
        { STR_INIT(".a.b"), "(. .a b)" },
        { STR_INIT(" . a . b "), "(. .a b)" },
        { STR_INIT("a.?b"), "(.? a b)" },
        { STR_INIT("a . ? b.c"), "(. (.? a b) c)" },
        { STR_INIT("a[0]"), "(_[_] a 0)" },
        { STR_INIT("a[?0][1]"), "(_[_] (_[?_] a 0) 1)" },
        { STR_INIT("a[b ? c : d]"), "(_[_] a (? b c d))" },
        { STR_INIT("a.`content-type`"), "(. a content-type)" },
        { STR_INIT("a.?`/api v1.x_`.b"), "(. (.? a /api v1.x_) b)" },
        { STR_INIT("a.package.if"), "(. (. a package) if)" },
        { STR_INIT("a.if(b)"), "(~if a b)" },
        { STR_INIT("a.f()"), "(~f a)" },
        { STR_INIT("a.b.f(1, 2).c"), "(. (~f (. a b) 1 2) c)" },
        { STR_INIT("f()"), "(f)" },
        { STR_INIT("f(a, g(b), -1)"), "(f a (g b) -1)" },
        { STR_INIT(".f(a)"), "(.f a)" },
        { STR_INIT(".a.f()"), "(~f .a)" },
        { STR_INIT("f(a)[0].b"), "(. (_[_] (f a) 0) b)" },
        { STR_INIT("'a'.size()"), "(~size \"a\")" },
        { STR_INIT("1.0.f()"), "(~f 1d)" },
        { STR_INIT("[1].f()"), "(~f [1])" },
        { STR_INIT("{}.a"), "(. {} a)" },
        { STR_INIT("(a).b"), "(. a b)" },
        { STR_INIT("size(size) > size"), "(_>_ (size size) size)" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
}

static void parse_lists_and_maps(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("[]"), "[]" },
        { STR_INIT("[,]"), "[]" },
        { STR_INIT("[1]"), "[1]" },
        { STR_INIT("[1,]"), "[1]" },
        { STR_INIT("[1, 'a', [2]]"), "[1 \"a\" [2]]" },
        { STR_INIT("[?a, b, ?c.d,]"), "[?a b ?(. c d)]" },
        { STR_INIT("{}"), "{}" },
        { STR_INIT("{,}"), "{}" },
        { STR_INIT("{'a': 1}"), "{\"a\":1}" },
        { STR_INIT("{1: 2, ?true: a,}"), "{1:2 ?true:a}" },
        { STR_INIT("{a ? b : c : d ? e : f}"), "{(? a b c):(? d e f)}" },
        { STR_INIT("{a: {b: c}}"), "{a:{b:c}}" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("[,,]"), 2, "expected ',' or ']' but found ','" },
        { STR_INIT("[1,,]"), 3, "unexpected ','" },
        { STR_INIT("[,1]"), 2, "expected ',' or ']' but found '1'" },
        { STR_INIT("[1 2]"), 3, "expected ',' or ']' but found '2'" },
        { STR_INIT("[1"), 2, "expected ',' or ']' but found end of the expression" },
        { STR_INIT("[1)"), 2, "expected ',' or ']' but found ')'" },
        { STR_INIT("{1}"), 2, "expected ':' but found '}'" },
        { STR_INIT("{1: 2"), 5, "expected ',' or '}'" },
        { STR_INIT("{1: 2, 3}"), 8, "expected ':' but found '}'" },
        { STR_INIT("{1:}"), 3, "unexpected '}'" },
        { STR_INIT("f(?a)"), 2, "unexpected '?'" },
        { STR_INIT("f(a,)"), 4, "unexpected ')'" },
        { STR_INIT("f(,)"), 2, "unexpected ','" },
        { STR_INIT("f(a b)"), 4, "expected ',' or ')' but found 'b'" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

static void parse_reserved_words_name_only_members(void **state)
{
    static const char *const words[] = { "as",   "break",    "const",     "continue", "else",
                                         "for",  "function", "if",        "import",   "let",
                                         "loop", "package",  "namespace", "return",   "var",
                                         "void", "while" };
    char text[64];

    (void)state;
    for (size_t i = 0; i < CASES(words); i++) {
        char tree[64];
        struct issue_case refused = { .text = "unexpected reserved word" };

        (void)snprintf(text, sizeof(text), "m.%s", words[i]);
        (void)snprintf(tree, sizeof(tree), "(. m %s)", words[i]);
        check_tree(&(struct tree_case){ str_from(text), tree }, 0);
        (void)snprintf(text, sizeof(text), "m.%s()", words[i]);
        (void)snprintf(tree, sizeof(tree), "(~%s m)", words[i]);
        check_tree(&(struct tree_case){ str_from(text), tree }, 0);
        refused.source = str_from(words[i]);
        check_issues(&refused, 1);
        (void)snprintf(text, sizeof(text), "%s(1)", words[i]);
        refused.source = str_from(text);
        check_issues(&refused, 1);
        (void)snprintf(text, sizeof(text), "[1].all(%s, true)", words[i]);
        refused = (struct issue_case){ str_from(text), 8, "unexpected reserved word" };
        check_issues(&refused, 1);
    }
}

static void parse_says_what_is_out_of_place(void **state)
{
    static const struct issue_case cases[] = {
        { STR_INIT(""), 0, "the expression is empty" },
        { STR_INIT(" // nothing"), 11, "the expression is empty" },
        { STR_INIT(")"), 0, "unexpected ')'" },
        { STR_INIT("(1"), 2, "expected ')' but found end of the expression" },
        { STR_INIT("(1]"), 2, "expected ')' but found ']'" },
        { STR_INIT("()"), 1, "unexpected ')'" },
        { STR_INIT("1 +"), 3, "unexpected end of the expression" },
        { STR_INIT("a b"), 2, "unexpected 'b'" },
        { STR_INIT("a 'secret'"), 2, "unexpected string" },
        { STR_INIT("a b'secret'"), 2, "unexpected bytes literal" },
        { STR_INIT("a ? b"), 5, "expected ':' but found end of the expression" },
        { STR_INIT("a ? b ? c : d : e"), 6, "needs parentheses" },
        { STR_INIT("a ?"), 3, "unexpected end of the expression" },
        { STR_INIT("a ? : b"), 4, "unexpected ':'" },
        { STR_INIT("a[]"), 2, "unexpected ']'" },
        { STR_INIT("a[1, 2]"), 3, "expected ']' but found ','" },
        { STR_INIT("a."), 2, "expected a name after '.'" },
        { STR_INIT("a.1"), 1, "unexpected '.1'" },
        { STR_INIT("a.'b'"), 2, "expected a name after '.' but found string" },
        { STR_INIT("a.?(b)"), 3, "expected a name after '.'" },
        { STR_INIT("a.?f(b)"), 3, "a method has a plain name" },
        { STR_INIT("a.`f`(b)"), 2, "a method has a plain name" },
        { STR_INIT("`a`"), 0, "unexpected back-quoted name, which only follows a dot" },
        { STR_INIT(".`a`"), 1, "expected a name but found back-quoted name" },
        { STR_INIT(".if"), 1, "expected a name but found reserved word 'if'" },
        { STR_INIT("."), 1, "expected a name" },
        { STR_INIT("a.in"), 2, "'in' is a keyword; as a field write .`in`" },
        { STR_INIT("a.true()"), 2, "'true' is a keyword" },
        { STR_INIT("a(b)(c)"), 4, "unexpected '('" },
        { STR_INIT("1 = 2"), 2, "use ==" },
        { STR_INIT("a === b"), 4, "use ==" },
        { STR_INIT("a & b"), 2, "use && for 'and'" },
        { STR_INIT("a | b"), 2, "use || for 'or'" },
        { STR_INIT("a and b"), 2, "unexpected 'and'; write && instead of 'and'" },
        { STR_INIT("a or b"), 2, "write || instead of 'or'" },
        { STR_INIT("not a"), 4, "unexpected 'a'; write ! instead of 'not'" },
        { STR_INIT("a not in b"), 2, "write ! instead of 'not'" },
        { STR_INIT("a contains 'b'"), 2, "write a.contains(b)" },
        { STR_INIT("if a then b"), 0, "reserved word 'if'; write condition ? a : b" },
        { STR_INIT("var a = 1"), 0, "reserved word 'var'; write cel.bind(" },
        { STR_INIT("[x for x in y]"), 3, "reserved word 'for'; write list.map(" },
        { STR_INIT("a; b"), 1, "an expression is one value without statements" },
        { STR_INIT("M{a: 1}"), 1, "no message literals" },
        { STR_INIT("a.b.M{}"), 5, "no message literals" },
        { STR_INIT("1{}"), 1, "unexpected '{'" },
        { STR_INIT("a < b >"), 7, "unexpected end of the expression" },
        { STR_INIT("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde 1"), 42, "unexpected '1'" },
        { STR_INIT("1 aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde"), 2, "ccccccccccdddddddddd...'" },
    };

    (void)state;
    check_issues(cases, CASES(cases));
}

/* ---- macros ---- */

static void parse_has_takes_a_selection(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("has(a.b)"), "(has a b)" },
        { STR_INIT("has(a.b.c)"), "(has (. a b) c)" },
        { STR_INIT("has((a.b))"), "(has a b)" },
        { STR_INIT("has(a.`b-c`)"), "(has a b-c)" },
        { STR_INIT("has(a.?b.c)"), "(has (.? a b) c)" },
        { STR_INIT("has(f().b)"), "(has (f) b)" },
        { STR_INIT("has(a['k'])"), "(has a [\"k\"])" },
        { STR_INIT("has(a.b[0])"), "(has (. a b) [0])" },
        { STR_INIT("has(a, b)"), "(has a b)" },
        { STR_INIT(".has(a.b)"), "(.has (. a b))" },
        { STR_INIT("a.has(b.c)"), "(~has a (. b c))" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("has(a)"), 4, "has() asks for a field: has(a.b)" },
        { STR_INIT("has(1)"), 4, "has() asks" },
        { STR_INIT("has(a.b())"), 6, "has() asks" },
        { STR_INIT("has(a.?b)"), 7, "has() asks" },
        { STR_INIT("has(a[?b])"), 5, "has() asks" },
        { STR_INIT("has(a.b && c)"), 8, "has() asks" },
        { STR_INIT("has(has(a.b))"), 4, "has() asks" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

static void parse_macros_by_name_and_count(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("a.all(x, x > 0)"), "(@all a x (_>_ x 0))" },
        { STR_INIT("a.all(i, v, v)"), "(@all a i v v)" },
        { STR_INIT("a.exists(x, x)"), "(@exists a x x)" },
        { STR_INIT("a.exists(i, v, v)"), "(@exists a i v v)" },
        { STR_INIT("a.exists_one(x, x)"), "(@one a x x)" },
        { STR_INIT("a.existsOne(x, x)"), "(@one a x x)" },
        { STR_INIT("a.exists_one(i, v, v)"), "(@one a i v v)" },
        { STR_INIT("a.existsOne(i, v, v)"), "(@one a i v v)" },
        { STR_INIT("a.map(x, t)"), "(@map a x t)" },
        { STR_INIT("a.map(x, p, t)"), "(@map a x ?p t)" },
        { STR_INIT("a.filter(x, p)"), "(@filter a x p)" },
        { STR_INIT("a.transformList(i, v, t)"), "(@tlist a i v t)" },
        { STR_INIT("a.transformList(i, v, p, t)"), "(@tlist a i v ?p t)" },
        { STR_INIT("a.transformMap(i, v, t)"), "(@tmap a i v t)" },
        { STR_INIT("a.transformMap(i, v, p, t)"), "(@tmap a i v ?p t)" },
        { STR_INIT("a.sortBy(x, x.n)"), "(@sortBy a x (. x n))" },
        { STR_INIT("a.optMap(x, x)"), "(@optMap a x x)" },
        { STR_INIT("a.optFlatMap(x, x)"), "(@optFlatMap a x x)" },
        { STR_INIT("a.or(b).orValue(c)"), "(@orValue (@or a b) c)" },
        { STR_INIT("cel.bind(x, 1, x + x)"), "(@bind 1 x (_+_ x x))" },
        { STR_INIT("a.b.c().filter(x, p)[0]"), "(_[_] (@filter (~c (. a b)) x p) 0)" },
        { STR_INIT("a.map((x), t)"), "(@map a x t)" },
        /* Not macros. */
        { STR_INIT("a.all(x)"), "(~all a x)" },
        { STR_INIT("a.all(x, y, p, z)"), "(~all a x y p z)" },
        { STR_INIT("a.filter(x, y, p)"), "(~filter a x y p)" },
        { STR_INIT("a.or()"), "(~or a)" },
        { STR_INIT("a.or(b, c)"), "(~or a b c)" },
        { STR_INIT("all(a, x, p)"), "(all a x p)" },
        { STR_INIT("cel.bind(x, 1)"), "(~bind cel x 1)" },
        { STR_INIT(".cel.bind(x, 1, x)"), "(~bind .cel x 1 x)" },
        { STR_INIT("a.cel.bind(x, 1, x)"), "(~bind (. a cel) x 1 x)" },
        { STR_INIT("cel.map(x, 1)"), "(@map cel x 1)" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("a.all(1, p)"), 6, "argument 1 of all() is a variable" },
        { STR_INIT("a.map(x.y, p)"), 8, "argument 1 of map() is a variable" },
        { STR_INIT("a.map(.x, p)"), 6, "argument 1 of map() is a variable" },
        { STR_INIT("a.map(true, p)"), 6, "argument 1 of map() is a variable" },
        { STR_INIT("a.exists(i, 'v', p)"), 12, "argument 2 of exists() is a variable" },
        { STR_INIT("a.all(x, x, p)"), 9, "both variables of all() have the same name" },
        { STR_INIT("cel.bind(1, 1, x)"), 9, "argument 1 of bind() is a variable" },
        { STR_INIT("a.optMap(f(), x)"), 9, "argument 1 of optMap() is a variable" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

static void parse_block_of_an_optimizer(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("cel.block([1, cel.index(0)], cel.index(1))"), "(@block [1 @index0] @index1)" },
        { STR_INIT("cel.block([], 1)"), "(@block [] 1)" },
        { STR_INIT("a.map(cel.iterVar(0, 1), cel.iterVar(0, 1) + 1)"),
          "(@map a @it0:1 (_+_ @it0:1 1))" },
        { STR_INIT("a.all(cel.iterVar(0, 0), cel.iterVar(0, 1), true)"),
          "(@all a @it0:0 @it0:1 true)" },
        { STR_INIT("cel.index(0, 1)"), "(~index cel 0 1)" },
    };
    static const struct issue_case refused[] = {
        { STR_INIT("cel.block(a, 1)"), 10, "argument 1 of cel.block() is a list literal" },
        { STR_INIT("cel.block([?a], 1)"), 12, "not optional" },
        { STR_INIT("cel.index(-1)"), 10, "argument 1 of cel.index() is a number" },
        { STR_INIT("cel.index(1u)"), 10, "argument 1 of cel.index() is a number" },
        { STR_INIT("cel.index(a)"), 10, "argument 1 of cel.index() is a number" },
        { STR_INIT("cel.iterVar(0, a)"), 15, "argument 2 of cel.iterVar() is a number" },
        { STR_INIT("@index0"), 0, "unexpected character '@'" },
    };

    (void)state;
    check_trees(cases, CASES(cases));
    check_issues(refused, CASES(refused));
}

static void parse_without_macros_leaves_calls(void **state)
{
    static const struct tree_case cases[] = {
        { STR_INIT("a.all(x, x > 0)"), "(~all a x (_>_ x 0))" },
        { STR_INIT("a.map(1, 2)"), "(~map a 1 2)" },
        { STR_INIT("has(a.b)"), "(has (. a b))" },
        { STR_INIT("cel.bind(x, 1, x)"), "(~bind cel x 1 x)" },
        { STR_INIT("a.or(b)"), "(~or a b)" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check_tree(&cases[i], CEL_PARSE_NO_MACROS);
}

/* ---- places ---- */

static void parse_places_nodes_where_messages_point(void **state)
{
    static const struct {
        const char *source;
        uint32_t at;
    } cases[] = {
        { " abc", 1 },
        { " .abc", 1 },
        { "abc.de", 4 },
        { "a.?b", 3 },
        { "a + b * c", 2 },
        { "f(a) - 1", 5 },
        { " f(a)", 1 },
        { "a.f(b)", 2 },
        { "a[b]", 1 },
        { "a && b && c", 2 },
        { "a ? b : c", 2 },
        { " - 1", 1 },
        { "a.all(x, true)", 2 },
        { " has(a.b)", 1 },
        { " [1]", 1 },
        { " {1: 2}", 1 },
        { "!!a", 0 },
        { " (abc)", 2 },
        { "cel.bind(a, b, c)", 4 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct cel_issue issue;
        struct cel_node *n;
        struct arena a;

        arena_init(&a);
        n = cel_parse(&a, str_from(cases[i].source), &cel_default_parse_limits, 0, &issue);
        assert_non_null(n);
        if (n->at != cases[i].at)
            fail_msg("%s: at %u, not %u", cases[i].source, n->at, cases[i].at);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_numbers),
        cmocka_unit_test(parse_words),
        cmocka_unit_test(parse_strings),
        cmocka_unit_test(parse_bad_escapes_are_refused),
        cmocka_unit_test(parse_invalid_utf8_is_refused),
        cmocka_unit_test(parse_text_without_escapes_borrows),
        cmocka_unit_test(parse_operators_by_level),
        cmocka_unit_test(parse_minus_folds_into_numbers),
        cmocka_unit_test(parse_members),
        cmocka_unit_test(parse_lists_and_maps),
        cmocka_unit_test(parse_reserved_words_name_only_members),
        cmocka_unit_test(parse_says_what_is_out_of_place),
        cmocka_unit_test(parse_has_takes_a_selection),
        cmocka_unit_test(parse_macros_by_name_and_count),
        cmocka_unit_test(parse_block_of_an_optimizer),
        cmocka_unit_test(parse_without_macros_leaves_calls),
        cmocka_unit_test(parse_places_nodes_where_messages_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
