/*
 * Unit tests of what expressions evaluate to: policy/cel/eval*, fn_operators, fn_conversions and
 * access, with the real parser and checker.
 * Links: tests/unit/cel/scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cel/scene.h"

static struct scene scene;

static int set_up(void **state)
{
    (void)state;
    scene_init(&scene);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_fini(&scene);
    return 0;
}

struct eval_case {
    const char *source;
    const char *want; /* "int 7", or "error" */
};

static void check_cases(const struct eval_case *cases, size_t count, unsigned flags)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = scene_eval(&scene, cases[i].source, flags);

        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s is %s instead of %s", cases[i].source, got, cases[i].want);
    }
}

#define CHECK_CASES(cases, flags) check_cases(cases, sizeof(cases) / sizeof((cases)[0]), flags)

static void arithmetic_is_exact_or_an_error(void **state)
{
    static const struct eval_case cases[] = {
        { "i + 1", "int 8" },
        { "i - 8", "int -1" },
        { "i * -3", "int -21" },
        { "-i / 2", "int -3" },
        { "-i % 4", "int -3" },
        { "i / 0", "error" },
        { "i % 0", "error" },
        { "u / 0u", "error" },
        { "u % 0u", "error" },
        { "u - 8u", "error" },
        { "9223372036854775807 + i", "error" },
        { "-9223372036854775808 - i", "error" },
        { "-9223372036854775808 / (i - 8)", "error" },
        { "-9223372036854775808 % (i - 8)", "error" },
        { "-(-9223372036854775807 - (i - 6))", "error" },
        { "9223372036854775807 * i", "error" },
        { "18446744073709551615u + u", "error" },
        { "18446744073709551615u * u", "error" },
        { "d * 2.0", "double 5" },
        { "d / 0.0", "double \"Infinity\"" },
        { "-d", "double -2.5" },
        { "-d / 0.0 + d / 0.0", "double \"NaN\"" },
        { "x + 1", "int 8" },
        { "x + 1u", "error" },
        { "x + 1.0", "error" },
        { "y + 'd'", "string \"abcd\"" },
        { "y + 1", "error" },
        { "z + 1", "error" },
        { "-x", "int -7" },
        { "!x", "error" },
        { "bad + 1", "error" },
        { "s + e", "string \"abc\"" },
        { "e + s + s", "string \"abcabc\"" },
        { "by + b'c'", "bytes \"YWJj\"" },
        { "l + [4] + []", "list [1,2,3,4]" },
        { "w + l", "list [1,\"a\",1,2,3]" },
        { "t + dur", "google.protobuf.Timestamp \"2024-07-13T00:10:17.5Z\"" },
        { "dur + t == t + dur", "bool true" },
        { "t - t", "google.protobuf.Duration \"0s\"" },
        { "(t + dur) - t == dur", "bool true" },
        { "t - dur + dur == t", "bool true" },
        { "dur - dur - dur == duration('-1.5s')", "bool true" },
        { "timestamp('9999-12-31T23:59:59Z') + dur", "error" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
}

static void comparison_works_across_types_known_at_run_time(void **state)
{
    static const struct eval_case cases[] = {
        { "i == 7", "bool true" },
        { "7 == i", "bool true" },
        { "i != 7", "bool false" },
        { "x == 7.0", "bool true" },
        { "x == 7u", "bool true" },
        { "7 == dyn(d)", "bool false" },
        { "2 != dyn(2.5)", "bool true" },
        { "s == 'abc'", "bool true" },
        { "'abd' != s", "bool true" },
        { "e == ''", "bool true" },
        { "y == 'abc'", "bool true" },
        { "x == 'abc'", "bool false" },
        { "x != 'abc'", "bool true" },
        { "x == y", "bool false" },
        { "z == null", "bool true" },
        { "gone == null", "bool true" },
        { "x == null", "bool false" },
        { "bad == 7", "error" },
        { "bad == i", "error" },
        { "fail() == true", "error" },
        { "l == [1, 2, 3]", "bool true" },
        { "w == [1.0, 'a']", "bool true" },
        { "m == {'a': 1u, 'n': {'k': 'v'}}", "bool true" },
        { "headers == {'a': ['1', '2']}", "bool true" },
        { "{'b': ['1', '2']} == headers", "bool false" },
        { "c == c", "bool true" },
        { "some(1) == some(dyn(1.0))", "bool true" },
        { "d / 0.0 - d / 0.0 == d", "bool false" },
        { "i < 8", "bool true" },
        { "i <= 6", "bool false" },
        { "u > 6u", "bool true" },
        { "d >= 2.5", "bool true" },
        { "s < 'abd'", "bool true" },
        { "by > b'aa'", "bool true" },
        { "no < yes", "bool true" },
        { "t < t + dur", "bool true" },
        { "dur >= duration('1500ms')", "bool true" },
        { "x < 7.5", "bool true" },
        { "x < 8u", "bool true" },
        { "x < y", "error" },
        { "z < z", "error" },
        { "w < w", "error" },
        { "dyn(d / 0.0 - d / 0.0) < 1", "bool false" },
        { "dyn(d / 0.0 - d / 0.0) >= 1", "bool false" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void logic_absorbs_errors(void **state)
{
    static const struct eval_case cases[] = {
        { "yes && no", "bool false" },
        { "yes && yes && yes", "bool true" },
        { "no || yes", "bool true" },
        { "bad > 0 || yes", "bool true" },
        { "yes || bad > 0", "bool true" },
        { "bad > 0 && no", "bool false" },
        { "no && bad > 0", "bool false" },
        { "bad > 0 || no", "error" },
        { "yes && bad > 0", "error" },
        { "bad > 0 || yes || bad > 0", "bool true" },
        { "bad > 0 && yes && no", "bool false" },
        { "1 / 0 > 0 || yes", "bool true" },
        { "x || yes", "bool true" },
        { "x && no", "bool false" },
        { "x && yes", "error" },
        { "y || no", "error" },
        { "!(bad > 0) || yes", "bool true" },
        { "yes ? 1 : bad", "int 1" },
        { "no ? bad : 2", "int 2" },
        { "bad > 0 ? 1 : 2", "error" },
        { "x ? 1 : 2", "error" },
        { "true ? i : bad", "int 7" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void unchecked_code_fails_only_where_it_is_evaluated(void **state)
{
    static const struct eval_case cases[] = {
        { "unknown || true", "bool true" },
        { "unknown && true", "error" },
        { "unknown.a.b == 1", "error" },
        { "f_unknown(1) || true", "bool true" },
        { "i.f_unknown()", "error" },
        { "1 + 's'", "error" },
        { "'x' && false", "bool false" },
        { "1 == '1'", "bool false" },
        { "[1][0].a", "error" },
        { "1 in 2", "error" },
        { "[1].map(q, q.r)", "error" },
        { "size(1)", "error" },
    };

    (void)state;
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void index_and_selection(void **state)
{
    static const struct eval_case cases[] = {
        { "l[0]", "int 1" },
        { "l[i - 5]", "int 3" },
        { "l[3]", "error" },
        { "l[-1]", "error" },
        { "l[dyn(1.0)]", "int 2" },
        { "l[dyn(1u)]", "int 2" },
        { "l[dyn(0.5)]", "error" },
        { "l[dyn(1e300)]", "error" },
        { "l[dyn(0.0 / 0.0)]", "error" },
        { "l[y]", "error" },
        { "l[bad]", "error" },
        { "w[1]", "string \"a\"" },
        { "m['a']", "int 1" },
        { "m.a", "int 1" },
        { "m.n.k", "string \"v\"" },
        { "m['n'][s.size() == 3 ? 'k' : 'j']", "string \"v\"" },
        { "m.b", "error" },
        { "m['b']", "error" },
        { "m[dyn(1)]", "error" },
        { "dyn(m)[dyn(b'a')]", "error" },
        { "{1: 'a', 2u: 'b', true: 'c', 'd': 4}[dyn(2.0)]", "string \"b\"" },
        { "x.a", "error" },
        { "x[0]", "error" },
        { "z.a", "error" },
        { "gone.a", "error" },
        { "c.name", "string \"n\"" },
        { "c.max_age", "int 0" },
        { "dyn(c).value", "string \"v\"" },
        { "dyn(c).other", "error" },
        { "dyn(c)['name']", "error" },
        { "[c][0].value", "string \"v\"" },
        { "headers['a'][1]", "string \"2\"" },
        { "headers.a.size()", "int 2" },
        { "headers['b']", "list []" },
        { "headers.b", "list []" },
        { "headers['b'][0]", "error" },
        { "headers['b'].exists(v, v == '1')", "bool false" },
        { "'b' in headers", "bool false" },
        { "'A' in headers", "bool true" },
        { "size(headers)", "int 1" },
        { "req.port", "int 0" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void has_says_what_is_there(void **state)
{
    static const struct eval_case cases[] = {
        { "has(m.a)", "bool true" },
        { "has(m.b)", "bool false" },
        { "has(m.n.k)", "bool true" },
        { "has(m.b.c)", "error" },
        { "has({'a': null}.a)", "bool true" },
        { "has(x.a)", "error" },
        { "has(z.a)", "error" },
        { "has(bad.a) || true", "bool true" },
        { "has(gone.a)", "bool false" },
        { "has(gone.a.b.c)", "bool false" },
        { "has(gone.a['b'].c)", "bool false" },
        { "has(gone.a['b'])", "bool false" },
        { "has(req.port)", "bool false" },
        { "has(c.name)", "bool true" },
        { "has(c.max_age)", "bool false" },
        { "has(headers.a)", "bool true" },
        { "has(headers.b)", "bool false" },
        { "has(headers['b'])", "bool false" },
        { "has(m['a'])", "bool true" },
        { "has(m['b'])", "bool false" },
        { "has(m['n']['k'])", "bool true" },
        { "has(l[2])", "bool true" },
        { "has(l[3])", "bool false" },
        { "has(l[-1])", "bool false" },
        { "has(some(m).a)", "bool true" },
        { "has(some(m).b)", "bool false" },
        { "has(m.?b.c)", "bool false" },
        { "has(some(m)['a'])", "bool true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strstr(cases[i].source, "bad") == NULL)
            check_cases(&cases[i], 1, CEL_CHECK_HAS_INDEX);
    }
    CHECK_CASES(cases, CEL_CHECK_OFF | CEL_CHECK_HAS_INDEX);
}

static void optionals_chain(void **state)
{
    static const struct eval_case cases[] = {
        { "m.?a", "optional_type 1" },
        { "m.?b", "optional_type null" },
        { "m[?'a']", "optional_type 1" },
        { "m[?'b'] == none()", "bool true" },
        { "l[?2]", "optional_type 3" },
        { "l[?3]", "optional_type null" },
        { "l[?dyn('a')]", "error" },
        { "x.?a", "error" },
        { "z[?0]", "error" },
        { "m.?n.k", "optional_type \"v\"" },
        { "m.?n.?k", "optional_type \"v\"" },
        { "m.?n.x", "optional_type null" },
        { "m.?a.k", "error" },
        { "m.?b.c.d", "optional_type null" },
        { "m.?n['k']", "optional_type \"v\"" },
        { "none()[0]", "optional_type null" },
        { "some([5])[0]", "optional_type 5" },
        { "some([5])[?1]", "optional_type null" },
        { "headers.?b", "optional_type null" },
        { "headers[?'a'].orValue([])", "list [\"1\",\"2\"]" },
        { "headers[?'b'].orValue([])", "list []" },
        { "c.?max_age", "optional_type null" },
        { "c.?name", "optional_type \"n\"" },
        { "some(1).or(some(bad))", "optional_type 1" },
        { "none().or(some(2))", "optional_type 2" },
        { "none().or(fail() ? none() : none())", "error" },
        { "some(1).orValue(bad)", "int 1" },
        { "none().orValue(2)", "int 2" },
        { "dyn(1).orValue(2)", "error" },
        { "none().or(dyn(2))", "error" },
        { "some(2).optMap(q, q * 2)", "optional_type 4" },
        { "none().optMap(q, bad)", "optional_type null" },
        { "some(2).optMap(q, q / 0)", "error" },
        { "m.?n.optFlatMap(q, q.?k)", "optional_type \"v\"" },
        { "some(2).optFlatMap(q, dyn(q))", "error" },
        { "[?m.?a, ?m.?b, 3]", "list [1,3]" },
        { "{?'a': m.?a, ?'b': m.?b}", "map {\"a\":1}" },
        { "[?x]", "error" },
        { "{?'a': x}", "error" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void literals_of_lists_and_maps(void **state)
{
    static const struct eval_case cases[] = {
        { "[i, u, d, s]", "list [7,7,2.5,\"abc\"]" },
        { "[]", "list []" },
        { "{s: i, 'x': 1 + i}", "map {\"abc\":7,\"x\":8}" },
        { "{}", "map {}" },
        { "[1, bad]", "error" },
        { "{'a': bad}", "error" },
        { "{bad: 1}", "error" },
        { "{s: 1, 'abc': 2}", "error" },
        { "{i: 1, dyn(7u): 2}", "error" },
        { "{dyn(1.5): 2}", "error" },
        { "{z: 2}", "error" },
        { "{'a': 1, 'a': 2}", "error" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
}

static void in_looks_into_lists_and_maps(void **state)
{
    static const struct eval_case cases[] = {
        { "i in l", "bool false" },
        { "2 in l", "bool true" },
        { "x in [7.0]", "bool true" },
        { "s in ['a', 'abc', 'd']", "bool true" },
        { "e in ['a', 'abc', 'd']", "bool false" },
        { "s in ['1', '2', '3', '4', '5', '6', '7', '8', '9', 'abc']", "bool true" },
        { "i in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "bool true" },
        { "dyn(u) in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "bool true" },
        { "dyn(7.0) in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "bool true" },
        { "dyn(7.5) in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "bool false" },
        { "dyn(d * 4e15) in [10000000000000001, 1]", "bool true" },
        { "dyn(b'abc') in ['abc', 'x']", "bool false" },
        { "z in [1, 'a']", "bool false" },
        { "z in [1, null]", "bool true" },
        { "yes in [false]", "bool false" },
        { "i in [1, 1, 7]", "bool true" },
        { "bad in [1]", "error" },
        { "bad in []", "error" },
        { "'a' in m", "bool true" },
        { "'b' in m", "bool false" },
        { "y in {'abc': 1}", "bool true" },
        { "x in {7u: 1}", "bool true" },
        { "x in y", "error" },
        { "[1] in [[1], [2]]", "bool true" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void macros_loop(void **state)
{
    static const struct eval_case cases[] = {
        { "l.all(q, q > 0)", "bool true" },
        { "l.all(q, q != 2 && 1 / (q - 1) >= 0)", "bool false" },
        { "l.all(q, 1 / (q - 1) >= 0)", "error" },
        { "l.exists(q, 1 / (q - 1) == 1)", "bool true" },
        { "l.exists(q, 1 / (q - 1) > 5)", "error" },
        { "l.exists(q, dyn(q))", "error" },
        { "l.exists_one(q, q == 2)", "bool true" },
        { "l.exists_one(q, q >= 2)", "bool false" },
        { "l.exists_one(q, 1 / (q - 1) == 1)", "error" },
        { "l.map(q, q * q)", "list [1,4,9]" },
        { "l.map(q, q > 1, q * q)", "list [4,9]" },
        { "l.map(q, q / 0)", "error" },
        { "l.filter(q, q != 2)", "list [1,3]" },
        { "l.filter(q, dyn(1))", "error" },
        { "m.map(k, k)", "list [\"a\",\"n\"]" },
        { "m.filter(k, k == 'n')", "list [\"n\"]" },
        { "m.exists(k, m[k] == 1)", "bool true" },
        { "l.all(a, b, a + 1 == b)", "bool true" },
        { "m.exists(k, v, v == 1)", "bool true" },
        { "l.existsOne(a, b, a == 1)", "bool true" },
        { "l.transformList(a, b, a * 10 + b)", "list [1,12,23]" },
        { "l.transformList(a, b, a > 0, b)", "list [2,3]" },
        { "m.transformMap(k, v, k == 'a', v == 1)", "map {\"a\":true}" },
        { "[5].transformMap(a, b, b)", "map {\"0\":5}" },
        { "[[1, 2], [3]].map(a, a.map(b, b + size(a)))", "list [[3,4],[4]]" },
        { "l.map(a, l.filter(b, b < a).map(c, c + a))", "list [[],[3],[4,5]]" },
        { "x.all(q, true)", "error" },
        { "y.map(q, q)", "error" },
        { "bad == 1 || [1].exists(q, bad == 2 || q == 1)", "bool true" },
        { "[3, 1, 2].sortBy(q, -q)", "list [3,2,1]" },
        { "['b', 'a'].sortBy(q, q)", "list [\"a\",\"b\"]" },
        { "[1, 2].sortBy(q, q == 1 ? dyn('a') : dyn(1))", "error" },
        { "[1, 2].sortBy(q, q / 0)", "error" },
        { "cel.bind(q, i + 1, q * q)", "int 64" },
        { "cel.bind(q, bad, yes || q == 1)", "bool true" },
        { "cel.bind(q, bad, q == 1)", "error" },
        { "cel.bind(q, 1, cel.bind(r, q + 1, [q, r]))", "list [1,2]" },
        { "cel.block([i, cel.index(0) + 1, bad], cel.index(0) * cel.index(1))", "int 56" },
        { "[1, 2].map(a, [a].exists(a, a == 2) ? a : 0)", "list [0,2]" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void calls_go_to_the_overload_that_fits(void **state)
{
    static const struct eval_case cases[] = {
        { "twice(i)", "int 14" },
        { "twice(s)", "string \"twice\"" },
        { "twice(x)", "int 14" },
        { "twice(y)", "string \"twice\"" },
        { "twice(z)", "error" },
        { "twice(bad)", "error" },
        { "w.map(q, twice(q))", "list [2,\"twice\"]" },
        { "sum(1)", "int 1" },
        { "sum(i, i, i, i, i, i)", "int 42" },
        { "sum(i, x)", "int 14" },
        { "sum(i, y)", "error" },
        { "sum(i, bad, y)", "error" },
        { "c.taste()", "string \"sweet\"" },
        { "dyn(c).taste()", "string \"sweet\"" },
        { "cake.taste()", "error" },
        { "x.taste()", "error" },
        { "no_fn(1)", "error" },
        { "no_fn(x) == 1 || yes", "bool true" },
        { "size(s) + s.size() + size(l) + size(m) + size(by)", "int 13" },
        { "size('\xe3\x81\x93\xe3\x82\x93')", "int 2" },
        { "size(y)", "int 3" },
        { "size(x)", "error" },
        { "s.matches('b+')", "bool true" },
        { "y.matches('^b')", "bool false" },
        { "x.matches('b')", "error" },
        { "s.matches(s)", "bool true" },
        { "y.matches(y)", "bool true" },
        { "s.matches(s + '(')", "error" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
    CHECK_CASES(cases, CEL_CHECK_OFF);
}

static void conversions(void **state)
{
    static const struct eval_case cases[] = {
        { "int('-9223372036854775808')", "int \"-9223372036854775808\"" },
        { "int('9223372036854775808')", "error" },
        { "int('+5')", "int 5" },
        { "int(' 5')", "error" },
        { "int('0x5')", "error" },
        { "int('')", "error" },
        { "int('-')", "error" },
        { "int(-7.9)", "int -7" },
        { "int(9223372036854775807.0)", "error" },
        { "int(-9223372036854775808.0)", "error" },
        { "int(0.0 / 0.0)", "error" },
        { "int(9223372036854775808u)", "error" },
        { "int(t)", "int 1720829416" },
        { "int(timestamp('1969-12-31T23:59:59.5Z'))", "int -1" },
        { "uint('18446744073709551615')", "uint \"18446744073709551615\"" },
        { "uint('18446744073709551616')", "error" },
        { "uint('+5')", "error" },
        { "uint(-1)", "error" },
        { "uint(-0.5)", "error" },
        { "uint(18446744073709551616.0)", "error" },
        { "uint(d)", "uint 2" },
        { "double('1e999')", "error" },
        { "double('1e-999')", "double 0" },
        { "double('.5')", "double 0.5" },
        { "double('5.')", "double 5" },
        { "double('-84.32e7')", "double -843200000" },
        { "double('+InFiNiTy')", "double \"Infinity\"" },
        { "double('-inf')", "double \"-Infinity\"" },
        { "double('nan')", "double \"NaN\"" },
        { "double('0x1p3')", "error" },
        { "double(' 1')", "error" },
        { "double('1 ')", "error" },
        { "double('.')", "error" },
        { "double('e5')", "error" },
        { "double('1e')", "error" },
        { "double('')", "error" },
        { "double('+')", "error" },
        { "double(i)", "double 7" },
        { "double(18446744073709551615u)", "double 18446744073709552000" },
        { "bool('TRUE')", "bool true" },
        { "bool('F')", "bool false" },
        { "bool('yes')", "error" },
        { "string(1.0e6)", "string \"1e+06\"" },
        { "string(-4.5e-3)", "string \"-0.0045\"" },
        { "string(1.0 / 0.0)", "string \"+Inf\"" },
        { "string(u)", "string \"7\"" },
        { "string(by)", "string \"ab\"" },
        { "string(b'\\xff')", "error" },
        { "string(t)", "string \"2024-07-13T00:10:16Z\"" },
        { "string(dur)", "string \"1.5s\"" },
        { "string(yes)", "string \"true\"" },
        { "bytes(s)", "bytes \"YWJj\"" },
        { "type(i)", "type \"int\"" },
        { "type(x) == int", "bool true" },
        { "type(z) == null_type", "bool true" },
        { "type(c)", "type \"cookie\"" },
        { "type(type(1)) == type", "bool true" },
        { "dyn(i) + 1", "int 8" },
        { "int(y)", "error" },
        { "int(z)", "error" },
    };

    (void)state;
    CHECK_CASES(cases, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(arithmetic_is_exact_or_an_error),
        CASE(comparison_works_across_types_known_at_run_time),
        CASE(logic_absorbs_errors),
        CASE(unchecked_code_fails_only_where_it_is_evaluated),
        CASE(index_and_selection),
        CASE(has_says_what_is_there),
        CASE(optionals_chain),
        CASE(literals_of_lists_and_maps),
        CASE(in_looks_into_lists_and_maps),
        CASE(macros_loop),
        CASE(calls_go_to_the_overload_that_fits),
        CASE(conversions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
