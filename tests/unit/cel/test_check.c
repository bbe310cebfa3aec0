/*
 * Unit tests of policy/cel/check*: expressions in, types or messages out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/env.h"
#include "policy/cel/run.h"

/* A text that is not "good" is no time. */
static struct cel_value time_of_text(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    (void)count;
    if (str_eq(cel_str(args[0]), STR("good")))
        return cel_duration(0);
    return cel_error(run, "bad time");
}

static const struct cel_fn_row rows[] = {
    { "_+_(int, int) -> int", NULL, 0 },
    { "_+_(uint, uint) -> uint", NULL, 0 },
    { "_+_(double, double) -> double", NULL, 0 },
    { "_+_(string, string) -> string", NULL, 0 },
    { "_+_(list(T), list(T)) -> list(T)", NULL, 0 },
    { "_+_(timestamp, duration) -> timestamp", NULL, 0 },
    { "_-_(int, int) -> int", NULL, 0 },
    { "_*_(int, int) -> int", NULL, 0 },
    { "_%_(int, int) -> int", NULL, 0 },
    { "_/_(int, int) -> int", NULL, 0 },
    { "-_(int) -> int", NULL, 0 },
    { "!_(bool) -> bool", NULL, 0 },
    { "_==_(T, T) -> bool", NULL, 0 },
    { "_!=_(T, T) -> bool", NULL, 0 },
    { "_<_(int, int) -> bool", NULL, 0 },
    { "_<_(double, double) -> bool", NULL, 0 },
    { "_<_(string, string) -> bool", NULL, 0 },
    { "_>_(int, int) -> bool", NULL, 0 },
    { "_in_(T, list(T)) -> bool", NULL, 0 },
    { "_in_(K, map(K, V)) -> bool", NULL, 0 },
    { "_[_](list(T), int) -> T", NULL, 0 },
    { "_[_](map(K, V), K) -> V", NULL, 0 },
    { "_[_](optional_type(list(T)), int) -> optional_type(T)", NULL, 0 },
    { "_[_](optional_type(map(K, V)), K) -> optional_type(V)", NULL, 0 },
    { "_[?_](list(T), int) -> optional_type(T)", NULL, 0 },
    { "_[?_](map(K, V), K) -> optional_type(V)", NULL, 0 },
    { "size(string) -> int", NULL, 0 },
    { "size(list(T)) -> int", NULL, 0 },
    { "size(map(K, V)) -> int", NULL, 0 },
    { "string.size() -> int", NULL, 0 },
    { "string.contains(string) -> bool", NULL, 0 },
    { "string.startsWith(string) -> bool", NULL, 0 },
    { "string.matches(string) -> bool", NULL, CEL_FN_ARG_REGEX },
    { "matches(string, string) -> bool", NULL, CEL_FN_ARG_REGEX },
    { "string.format(list(dyn)) -> string", NULL, CEL_FN_ARG_FORMAT },
    { "string.split(string) -> list(string)", NULL, 0 },
    { "string.split(string, int) -> list(string)", NULL, CEL_FN_WARN_LIMIT },
    { "list(T).sort() -> list(T)", NULL, 0 },
    { "list(string).join() -> string", NULL, 0 },
    { "list(string).join(string) -> string", NULL, 0 },
    { "int(string) -> int", NULL, 0 },
    { "int(int) -> int", NULL, 0 },
    { "string(int) -> string", NULL, 0 },
    { "timestamp(string) -> timestamp", time_of_text, CEL_FN_ARG_CHECKED },
    { "duration(string) -> duration", time_of_text, CEL_FN_ARG_CHECKED },
    { "timestamp.getHours() -> int", NULL, 0 },
    { "timestamp.getHours(string) -> int", NULL, 0 },
    { "duration.getHours() -> int", NULL, 0 },
    { "string.many(int) -> int", NULL, 0 },
    { "string.many(uint) -> int", NULL, 0 },
    { "string.many(double) -> int", NULL, 0 },
    { "string.many(bytes) -> int", NULL, 0 },
    { "list(int).many(string) -> int", NULL, 0 },
    { "dyn(T) -> dyn", NULL, 0 },
    { "type(T) -> type(T)", NULL, 0 },
    { "math.greatest(int...) -> int", NULL, 0 },
    { "math.greatest(double...) -> double", NULL, 0 },
    { "math.abs(int) -> int", NULL, 0 },
    { "json.decode(string) -> dyn", NULL, 0 },
    { "optional.of(T) -> optional_type(T)", NULL, 0 },
    { "optional.none() -> optional_type(T)", NULL, 0 },
    { "optional_type(T).hasValue() -> bool", NULL, 0 },
    { "optional_type(T).value() -> T", NULL, 0 },
    { "getCookie(string) -> cookie", NULL, 0 },
    { "acme.twice(int) -> int", NULL, 0 },
    { "acme.corp.twice(string) -> string", NULL, 0 },
};
static const struct cel_library library = { rows, sizeof(rows) / sizeof(rows[0]) };
static const struct cel_library *const libraries[] = { &library, NULL };

static const struct cel_object_field cookie_fields[] = { { "name", "string" },
                                                         { "max_age", "duration" },
                                                         { "others", "list(cookie)" } };
static const struct cel_object_type cookie = { .name = "cookie",
                                               .fields = cookie_fields,
                                               .field_count = 3 };
static const struct cel_object_type *const objects[] = { &cookie, NULL };

/* Slot i is variables[i]. */
static const struct {
    const char *name;
    const char *type;
} variables[] = {
    { "i", "int" },
    { "u", "uint" },
    { "d", "double" },
    { "s", "string" },
    { "b", "bool" },
    { "any", "dyn" },
    { "l", "list(string)" },
    { "m", "map(string, int)" },
    { "im", "map(int, string)" },
    { "o", "optional_type(map(string, int))" },
    { "t", "timestamp" },
    { "c", "cookie" },
    { "addr", "net.IP" },
    { "req.url", "string" },
    { "req.url.path", "string" },
    { "req.url.raw_path", "string" },
    { "req.url.port", "int" },
    { "req.headers", "map(string, list(string))" },
    { "req.host", "string" },
    { "conn.ts.start", "timestamp" },
    { "y.z", "int" },
    { "vars", "dyn" },
    { "acme.corp.x", "int" },
    { "acme.x", "string" },
    { "x", "bool" },
    { "acme.only", "double" },
    { "acme.corp.p.q", "uint" },
    { "size", "bytes" },
};

static struct cel_env *env_new(const char *container)
{
    const struct cel_env_params params = { .libraries = libraries,
                                           .objects = objects,
                                           .container = str_from(container) };
    struct cel_env *env = cel_env_new(&params);

    for (unsigned i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        assert_int_equal(cel_env_add_var(env, str_from(variables[i].name), variables[i].type, i),
                         0);
    cel_env_add_hint(env, "includes", "contains");
    cel_env_add_hint(env, "sort", "sortBy");
    cel_env_add_hint(env, "request", "req");
    cel_env_add_hint(env, "get", "an index: m['key']");
    return env;
}

/* One expression checked; what it gave stays until fini. */
struct checked {
    struct cel_env *env;
    struct arena arena;
    struct cel_node *root;
    struct cel_issue issue;
    unsigned locals;
    unsigned warnings;
    int result;
};

static void on_warning(void *arg, uint32_t at, const char *text)
{
    struct checked *ch = arg;

    (void)at;
    (void)text;
    ch->warnings++;
}

static void check_init(struct checked *ch, const char *container, const char *expression,
                       unsigned flags, const struct cel_type *want)
{
    struct cel_check_params params = { .flags = flags, .want = want, .warn = on_warning };

    *ch = (struct checked){ .env = env_new(container) };
    arena_init(&ch->arena);
    params.env = ch->env;
    params.arena = &ch->arena;
    params.warn_arg = ch;
    ch->root =
        cel_parse(&ch->arena, str_from(expression), &cel_default_parse_limits, 0, &ch->issue);
    if (ch->root == NULL)
        fail_msg("%s: %s", expression, ch->issue.text);
    ch->result = cel_check(ch->root, &params, &ch->locals, &ch->issue);
}

static void check_fini(struct checked *ch)
{
    arena_fini(&ch->arena);
    cel_env_free(ch->env);
}

struct expectation {
    const char *expression;
    const char *outcome; /* the type, or "OFFSET: message" */
};

static void assert_outcome(const char *container, const struct expectation *e, unsigned flags,
                           const struct cel_type *want)
{
    char got[256];
    struct checked ch;

    check_init(&ch, container, e->expression, flags, want);
    if (ch.result == 0)
        (void)snprintf(got, sizeof(got), "%.*s", STR_ARG(cel_type_text(&ch.arena, ch.root->type)));
    else
        (void)snprintf(got, sizeof(got), "%u: %s", ch.issue.at, ch.issue.text);
    if (strcmp(got, e->outcome) != 0)
        fail_msg("%s\n  got:  %s\n  want: %s", e->expression, got, e->outcome);
    check_fini(&ch);
}

static void assert_outcomes(const char *container, const struct expectation *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_outcome(container, &cases[i], 0, NULL);
}

#define ASSERT_OUTCOMES(container, cases)                                                          \
    assert_outcomes(container, cases, sizeof(cases) / sizeof((cases)[0]))

static void cel_check_of_literals_gives_their_types(void **state)
{
    static const struct expectation cases[] = {
        { "null", "null" },
        { "true", "bool" },
        { "1", "int" },
        { "1u", "uint" },
        { "1.5", "double" },
        { "'x'", "string" },
        { "b'x'", "bytes" },
        { "[]", "list(dyn)" },
        { "{}", "map(dyn,dyn)" },
        { "[1, 2]", "list(int)" },
        { "[1, 'a']", "list(dyn)" },
        { "[1, any]", "list(dyn)" },
        { "[[1], ['a']]", "list(dyn)" },
        { "[[], [1]]", "list(list(int))" },
        { "[[1], []]", "list(list(int))" },
        { "[[[[[]]]], [], [[[]]]]", "list(list(list(list(list(dyn)))))" },
        { "[[1], [any]]", "list(list(dyn))" },
        { "[null, t]", "list(timestamp)" },
        { "[t, null]", "list(timestamp)" },
        { "[c, null]", "list(cookie)" },
        { "[null, addr]", "list(net.IP)" },
        { "[1, null]", "list(dyn)" },
        { "[null]", "list(null)" },
        { "{'a': 1, 'b': 2}", "map(string,int)" },
        { "{'a': 1, 2: 2u}", "map(dyn,dyn)" },
        { "{'a': [], 'b': [1]}", "map(string,list(int))" },
        { "{true: 1}", "map(bool,int)" },
        { "{any: 1}", "map(dyn,int)" },
        { "{1.5: 1}", "1: a map's key must be a string, int, uint or bool, not double" },
        { "{'a': 1, null: 2}", "9: a map's key must be a string, int, uint or bool, not null" },
        { "[int, int]", "list(type(int))" },
        { "[int, list]", "list(type(dyn))" },
        { "[{}, {'a': 1}]", "list(map(string,int))" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_names_finds_the_longest(void **state)
{
    static const struct expectation cases[] = {
        { "i", "int" },
        { ".i", "int" },
        { "req.url", "string" },
        { "req.url.path", "string" },
        { "req.url.port", "int" },
        { ".req.url.port", "int" },
        { "req.headers", "map(string,list(string))" },
        { "req.headers.accept", "list(string)" },
        { "req.headers['accept'][0]", "string" },
        { "req.headers.`x-y`", "list(string)" },
        { "vars.a.b.c", "dyn" },
        { "m.a", "int" },
        { "im.a", "string" },
        { "o.a", "optional_type(int)" },
        { "o.?a", "optional_type(int)" },
        { "m.?a", "optional_type(int)" },
        { "any.?a", "optional_type(dyn)" },
        { "optional.of({'a': {'b': 1}}).a.b", "optional_type(int)" },
        { "optional.of({'a': {'b': 1}}).?a.?b", "optional_type(int)" },
        { "c.name", "string" },
        { "c.others[0].max_age", "duration" },
        { "getCookie('a').name", "string" },
        { "int", "type(int)" },
        { "list", "type(list(dyn))" },
        { "type", "type(type)" },
        { "null_type", "type(null)" },
        { "google.protobuf.Timestamp", "type(timestamp)" },
        { "optional_type", "type(optional_type(dyn))" },
        { "net.IP", "type(net.IP)" },
        { "size", "bytes" }, /* variables and functions have names of their own */
        { "size('a') + i", "int" },
        { "type(1) == string", "bool" },
        { "type(type(1)) == type", "bool" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_unknown_names_offers_a_known_one(void **state)
{
    static const struct expectation cases[] = {
        { "nothing", "0: unknown variable nothing" },
        { "1 + nothing.a.b", "4: unknown variable nothing" },
        { "req.path", "0: unknown variable req.path; did you mean req.url.path?" },
        { "req.path.contains('a')", "0: unknown variable req.path; did you mean req.url.path?" },
        { "req.url.paht", "0: unknown variable req.url.paht; did you mean req.url.path?" },
        { "req.hots.size()", "0: unknown variable req.hots; did you mean req.host?" },
        { "request.path", "0: unknown variable request.path; did you mean req.url.path?" },
        { "request.host", "0: unknown variable request.host; did you mean req.host?" },
        { "request.zzzzzz", "0: unknown variable request.zzzzzz; did you mean req?" },
        { "conn.ts.end", "0: unknown variable conn.ts.end" },
        { "req", "0: req is no variable itself, only names below it are, such as req.url" },
        { "conn.ts",
          "0: conn.ts is no variable itself, only names below it are, such as conn.ts.start" },
        { "has(req.heders.a)", "4: unknown variable req.heders; did you mean req.headers?" },
        { "[1].map(item, itm)", "14: unknown variable itm; did you mean item?" },
        { "strng", "0: unknown variable strng; did you mean string?" },
        { "dyn", "0: unknown variable dyn" },
        { "zz.`a.b`", "0: unknown variable zz" },
        { "y.`z`", "int" },
        { ".nothing", "0: unknown variable nothing" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_unknown_functions_offers_a_known_one(void **state)
{
    static const struct expectation cases[] = {
        { "nothing(1)", "0: unknown function nothing()" },
        { "s.includes('a')", "2: unknown function includes(); did you mean contains?" },
        { "s.contians('a')", "2: unknown function contians(); did you mean contains?" },
        { "m.get('a')", "2: unknown function get(); did you mean an index: m['key']?" },
        { "json.decod(s)", "5: unknown function json.decod(); did you mean json.decode?" },
        { "json.parse(s)", "5: unknown function json.parse()" },
        { "jsn.decode(s)", "0: unknown variable jsn" },
        { "contains(s, 'a')", "0: contains() is a method: write x.contains()" },
        { "s.int()", "2: int() is no method: write int(x)" },
        { "l.sort(a, b)", "2: sort() does not take 2 arguments; did you mean sortBy?" },
        { "s.contains()", "2: contains() does not take 0 arguments; it takes (string)" },
        { "s.split(1, 2, 3)",
          "2: split() does not take 3 arguments; it takes (string) or (string, int)" },
        { "math.abs()", "5: math.abs() does not take 0 arguments; it takes (int)" },
        { "math.greatest()",
          "5: math.greatest() does not take 0 arguments; it takes (int...) or (double...)" },
        { "nothing.includes('a')", "0: unknown variable nothing" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_calls_selects_overloads(void **state)
{
    static const struct expectation cases[] = {
        { "1 + 2", "int" },
        { "'a' + s", "string" },
        { "[1] + []", "list(int)" },
        { "[] + []", "list(dyn)" },
        { "[1] + [any]", "list(dyn)" },
        { "t + duration('good')", "timestamp" },
        { "any + 1", "int" },
        { "any + any", "dyn" },
        { "any[0]", "dyn" },
        { "any == 1", "bool" },
        { "size(any)", "int" },
        { "any.getHours()", "int" },
        { "any.contains('a')", "bool" },
        { "dyn(1) == 'a'", "bool" },
        { "math.greatest(1, 2, 3)", "int" },
        { "math.greatest(1.5)", "double" },
        { "math.greatest(1, any)", "int" },
        { "math.greatest(any)", "dyn" },
        { "[1, 2].sort()[0]", "int" },
        { "l.join(',')", "string" },
        { "[].join()", "string" },
        { "{'a': 1}['a']", "int" },
        { "{}['a']", "dyn" },
        { "[][0]", "dyn" },
        { "m['a'] + 1", "int" },
        { "m[?'a']", "optional_type(int)" },
        { "o['a']", "optional_type(int)" },
        { "i in [1, 2]", "bool" },
        { "s in m", "bool" },
        { "1 in []", "bool" },
        { "1 in any", "bool" },
        { "t == null", "bool" },
        { "null == c", "bool" },
        { "optional.of(1) == null", "bool" },
        { "optional.of(1).value() + 1", "int" },
        { "optional.none()", "optional_type(dyn)" },
        { "[optional.of(1), optional.none()]", "list(optional_type(int))" },
        { "[optional.none(), optional.of(1)]", "list(optional_type(int))" },
        { "[optional.of(1), optional.of(dyn(1))]", "list(optional_type(dyn))" },
        { "[optional.of(dyn(1)), optional.of(1)]", "list(optional_type(dyn))" },
        { "[optional.of(1), null][0]", "optional_type(int)" },
        { "acme.twice(1)", "int" },
        { "!any", "bool" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_wrong_types_is_refused(void **state)
{
    static const struct expectation cases[] = {
        { "1 + 1u", "2: cannot apply '+' to int and uint" },
        { "1 == '1'", "2: cannot apply '==' to int and string" },
        { "1 < 2.0", "2: cannot apply '<' to int and double" },
        { "s == null", "2: cannot apply '==' to string and null" },
        { "-b", "0: cannot apply '-' to bool" },
        { "!i", "0: cannot apply '!' to int" },
        { "[1] == ['a']", "4: cannot apply '==' to list(int) and list(string)" },
        { "1 in s", "2: cannot apply 'in' to int and string" },
        { "'a' in [1]", "4: cannot apply 'in' to string and list(int)" },
        { "l['a']", "1: cannot index list(string) with string" },
        { "m[1]", "1: cannot index map(string,int) with int" },
        { "i[0]", "1: cannot index int with int" },
        { "i.x", "2: int has no fields, so there is no .x" },
        { "req.host.x", "9: string has no fields, so there is no .x" },
        { "req.url.x", "0: unknown variable req.url.x" },
        { "c.nothing", "2: cookie has no field nothing" },
        { "optional.of(1).a", "15: int has no fields, so there is no .a" },
        { "l.contains('a')", "2: list(string) has no method contains()" },
        { "s.contains(1)", "2: contains() does not take (int); it takes (string)" },
        { "size(1)",
          "0: size() does not take (int); it takes (string) or (list(T)) or (map(K,V))" },
        { "math.abs('a')", "5: math.abs() does not take (string); it takes (int)" },
        { "math.greatest(1, 1.5)",
          "5: math.greatest() does not take (int, double); it takes (int...) or (double...)" },
        { "[1, 2].join()", "7: list(int) has no method join()" },
        { "t.getHours(1)", "2: getHours() does not take (int); it takes () or (string)" },
        { "s.many(b)", "2: many() does not take (bool)" },
        { "[1].many(b)", "4: many() does not take (bool); it takes (string)" },
        { "any.getHours(1)", "4: getHours() does not take (int); it takes () or (string)" },
        { "any.getHours(1, 2)",
          "4: getHours() does not take 2 arguments; it takes () or (string)" },
        { "i && b", "0: what '&&' joins must be a bool, not int" },
        { "b || s", "5: what '||' joins must be a bool, not string" },
        { "i ? 1 : 2", "0: the condition of '?:' must be a bool, not int" },
        { "b ? 1 : 'a'", "8: the branches of '?:' have types int and string" },
        { "[?1]", "2: what follows '?' must be an optional, not int" },
        { "{?'a': 1}", "7: what follows '?' must be an optional, not int" },
        { "has(i.x)", "0: int has no fields, so there is no .x" },
        { "has(c.nothing)", "0: cookie has no field nothing" },
        { "has(m['a'])", "0: has() asks for a field: has(a.b)" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_logic_gives_types(void **state)
{
    static const struct expectation cases[] = {
        { "b && any && has(m.a)", "bool" },
        { "b ? 1 : 2", "int" },
        { "b ? 1 : any", "dyn" },
        { "b ? [] : [1]", "list(int)" },
        { "any ? null : t", "timestamp" },
        { "b ? optional.of(dyn(1)) : optional.of(1)", "optional_type(dyn)" },
        { "[?optional.of(1), 2]", "list(int)" },
        { "[?any]", "list(dyn)" },
        { "[?optional.none()]", "list(dyn)" },
        { "{?'a': optional.of(1)}", "map(string,int)" },
        { "has(m.a)", "bool" },
        { "has(any.a.b)", "bool" },
        { "has(o.a)", "bool" },
        { "has(c.name)", "bool" },
        { "has(req.url.port)", "bool" },
        { "has(req.headers.a)", "bool" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_macros_gives_types(void **state)
{
    static const struct expectation cases[] = {
        { "l.all(x, x == 'a')", "bool" },
        { "m.exists(k, k == 'a')", "bool" },
        { "l.exists_one(x, any)", "bool" },
        { "l.map(x, size(x))", "list(int)" },
        { "m.map(k, k)", "list(string)" },
        { "l.map(x, x == 'a', [x])", "list(list(string))" },
        { "l.filter(x, true)", "list(string)" },
        { "im.filter(k, k > 1)", "list(int)" },
        { "any.map(x, x)", "list(dyn)" },
        { "any.filter(x, x)", "list(dyn)" },
        { "[].map(x, x)", "list(dyn)" },
        { "([].map(x, x))[0].foo", "dyn" },
        { "[].map(x, x + 1)", "list(int)" },
        { "[].map(x, x + x)", "list(dyn)" },
        { "l.all(i, v, i > 0 && v == 'a')", "bool" },
        { "m.exists(k, v, k == 'a' && v > 1)", "bool" },
        { "l.transformList(i, v, i)", "list(int)" },
        { "m.transformList(k, v, v > 1, k)", "list(string)" },
        { "l.transformMap(i, v, v)", "map(int,string)" },
        { "m.transformMap(k, v, [v])", "map(string,list(int))" },
        { "l.sortBy(x, size(x))", "list(string)" },
        { "any.sortBy(x, x.n)", "list(dyn)" },
        { "cel.bind(x, 1, x + x)", "int" },
        { "cel.bind(y, {'z': 'a'}, y.z)", "string" }, /* not the variable y.z */
        { "l.map(y, y)[0]", "string" },
        { "[{'z': 'a'}].map(y, .y.z)", "list(int)" },
        { "optional.of(1).optMap(x, x + 1)", "optional_type(int)" },
        { "optional.none().optMap(x, x + 1)", "optional_type(int)" },
        { "optional.of(1).optFlatMap(x, optional.of('a'))", "optional_type(string)" },
        { "any.optMap(x, 'a')", "optional_type(string)" },
        { "optional.none().or(optional.of(1))", "optional_type(int)" },
        { "optional.of(1).orValue(2)", "int" },
        { "optional.none().orValue(2)", "int" },
        { "optional.of([]).orValue(['a'])", "list(string)" },
        { "any.orValue(1)", "dyn" },
        { "m[?'a'].orValue(0) + 1", "int" },
        { "cel.block([1, cel.index(0) + 1, 'a'], [cel.index(1)])", "list(int)" },
        { "[1].map(cel.iterVar(0, 0), cel.iterVar(0, 0) + 1)", "list(int)" },
        { "l.map(x, l.map(y, x + y))", "list(list(string))" },
        { "l.map(x, im.map(x, x))", "list(list(int))" }, /* the inner one hides the outer */
        { "l.map(int, int)", "list(string)" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_wrong_macros_is_refused(void **state)
{
    static const struct expectation cases[] = {
        { "i.all(x, true)", "0: only a list or a map has elements, int has none" },
        { "s.map(x, x)", "0: only a list or a map has elements, string has none" },
        { "l.all(x, x)", "9: the condition must be a bool, not string" },
        { "l.filter(x, 1)", "12: the condition must be a bool, not int" },
        { "l.map(x, 1, x)", "9: the filter must be a bool, not int" },
        { "l.map(x, x + 1)", "11: cannot apply '+' to string and int" },
        { "l.map(x, x)[0] + x", "15: cannot apply '+' to string and bool" },
        { "l.sortBy(x, [x])", "12: sortBy() cannot sort by list(string)" },
        { "m.sortBy(k, k)", "2: sortBy() sorts lists only" },
        { "i.optMap(x, x)", "0: optMap() is of optionals only, not of int" },
        { "optional.of(1).optFlatMap(x, x)", "29: optFlatMap() must give an optional, not int" },
        { "i.or(optional.of(1))", "0: or() is of optionals only, not of int" },
        { "optional.of(1).or(2)", "18: or() is of optionals only, not of int" },
        { "optional.of(1).or(optional.of('a'))", "27: or() gives string in place of int" },
        { "optional.of(1).orValue('a')", "23: orValue() gives string in place of int" },
        { "cel.bind(x, 1, x + 'a')", "17: cannot apply '+' to int and string" },
        { "cel.bind(n, n, n)", "12: unknown variable n" },
        { "cel.block([cel.index(0)], 1)", "11: unknown variable @index0" },
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_in_a_container_looks_outwards(void **state)
{
    static const struct expectation cases[] = {
        { "x", "int" },
        { ".x", "bool" },
        { "acme.x", "string" },
        { "corp.x", "int" },
        { "only", "double" },
        { "p.q", "uint" },
        { ".acme.corp.p.q", "uint" },
        { "i", "int" },
        { "twice('a')", "string" },
        { "acme.twice(1)", "int" },
        { ".twice(1)", "0: unknown function twice()" },
        { "[1u].map(x, x)", "list(uint)" },
        { "[1u].map(x, .x)", "list(bool)" },
        { "[{'q': 'a'}].map(p, p.q)", "list(string)" },
    };

    (void)state;
    ASSERT_OUTCOMES("acme.corp", cases);
}

static void cel_check_of_constants_tries_them(void **state)
{
    static const struct expectation cases[] = {
        { "s.matches('a+')", "bool" },
        { "s.matches('a(')", "10: bad regular expression: missing ): a(" },
        { "matches(s, '[')", "11: bad regular expression: missing ]: [" },
        { "any.matches('(?!x)')", "12: bad regular expression: invalid perl operator: (?!" },
        { "s.matches(s)", "bool" },
        { "timestamp('good')", "timestamp" },
        { "timestamp('bad')", "10: bad time" },
        { "timestamp(s)", "timestamp" },
        { "b || timestamp('bad') == t", "15: bad time" },
        { "'%d'.format([1])", "string" },
        { "s.format([1])", "string" },
        { "1 / 0 > 0 || b", "bool" }, /* an error in the making, but not of these */
    };

    (void)state;
    ASSERT_OUTCOMES("", cases);
}

static void cel_check_of_bad_formats_is_refused(void **state)
{
    static const char *const cases[] = { "'%d'.format([])", "'%d'.format([1, 2])",
                                         "'%d'.format(['a'])", "'%y'.format([1])",
                                         "'%y'.format(any)" };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i], 0, NULL);
        if (ch.result != -1)
            fail_msg("%s was accepted", cases[i]);
        assert_int_equal(ch.issue.at, 0);
        assert_int_equal(ch.issue.stage, CEL_STAGE_CHECK);
        check_fini(&ch);
    }
}

static void cel_check_wants_a_type(void **state)
{
    static const struct expectation cases[] = {
        { "b", "bool" },
        { "any", "dyn" },
        { "[].map(x, x)[0]", "bool" },
        { "s", "0: the result must be bool, not string" },
        { "1 + i", "2: the result must be bool, not int" },
        { "null", "0: the result must be bool, not null" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_outcome("", &cases[i], 0, cel_type_basic(CEL_T_BOOL));
}

static void cel_check_has_index_is_a_policy_s_extension(void **state)
{
    static const struct expectation cases[] = {
        { "has(m['a'])", "bool" },
        { "has(l[0])", "bool" },
        { "has(o['a'])", "bool" },
        { "has(any[0].b)", "bool" },
        { "has(any['a'])", "bool" },
        { "has(m[1])", "6: cannot index map(string,int) with int" },
        { "has(l['a'])", "6: cannot index list(string) with string" },
        { "has(i[0])", "6: cannot index int with int" },
        { "has(m[nothing])", "6: unknown variable nothing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_outcome("", &cases[i], CEL_CHECK_HAS_INDEX, NULL);
}

static void cel_check_warns_of_a_literal_limit(void **state)
{
    static const struct {
        const char *expression;
        unsigned warnings;
    } cases[] = {
        { "s.split(',')", 0 },
        { "s.split(',', 2)", 1 },
        { "s.split(',', -1)", 0 },
        { "s.split(',', 0)", 0 },
        { "s.split(',', i)", 0 },
        { "any.split(',', 1)[0]", 1 },
        { "'a'.split(',', 1).map(x, x.split('.', 3))", 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i].expression, 0, NULL);
        assert_int_equal(ch.result, 0);
        assert_int_equal(ch.warnings, cases[i].warnings);
        check_fini(&ch);
    }
}

static void cel_check_rewrites_dotted_variables(void **state)
{
    struct checked ch;
    struct cel_node *n;

    (void)state;
    check_init(&ch, "", "req.url.path == req.headers.a[0]", 0, NULL);
    assert_int_equal(ch.result, 0);
    n = ch.root->as.call.args[0];
    assert_int_equal(n->kind, CEL_NODE_IDENT);
    assert_int_equal(n->ref.kind, CEL_REF_SLOT);
    assert_string_equal(variables[n->ref.index].name, "req.url.path");
    assert_true(str_eq(n->as.ident.name, STR("req.url.path")));
    n = ch.root->as.call.args[1]->as.call.args[0];
    assert_int_equal(n->kind, CEL_NODE_SELECT);
    assert_int_equal(n->as.select.operand->ref.kind, CEL_REF_SLOT);
    assert_string_equal(variables[n->as.select.operand->ref.index].name, "req.headers");
    check_fini(&ch);
}

static void cel_check_has_of_a_variable_has_no_field(void **state)
{
    struct checked ch;
    struct cel_node *operand;

    (void)state;
    check_init(&ch, "", "has(req.url.port)", 0, NULL);
    assert_int_equal(ch.result, 0);
    assert_int_equal(ch.root->kind, CEL_NODE_HAS);
    assert_int_equal(ch.root->as.has.field.n, 0);
    operand = ch.root->as.has.operand;
    assert_int_equal(operand->ref.kind, CEL_REF_SLOT);
    assert_string_equal(variables[operand->ref.index].name, "req.url.port");
    check_fini(&ch);
}

static void cel_check_makes_functions_of_dotted_calls(void **state)
{
    struct checked ch;

    (void)state;
    check_init(&ch, "", "math.abs(1)", 0, NULL);
    assert_int_equal(ch.result, 0);
    assert_null(ch.root->as.call.target);
    assert_true(str_eq(ch.root->as.call.name, STR("math.abs")));
    assert_int_equal(ch.root->as.call.overload_count, 1);
    check_fini(&ch);
}

static void cel_check_leaves_the_overloads_that_fit(void **state)
{
    static const struct {
        const char *expression;
        size_t count;
    } cases[] = {
        { "1 + 2", 1 },     { "any + 2", 1 },        { "any + any", 6 },          { "any == 1", 1 },
        { "size(any)", 3 }, { "any.getHours()", 2 }, { "math.greatest(any)", 2 }, { "any[any]", 4 },
        { "[] + any", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i].expression, 0, NULL);
        assert_int_equal(ch.result, 0);
        if (ch.root->as.call.overload_count != cases[i].count)
            fail_msg("%s: %zu overloads", cases[i].expression, ch.root->as.call.overload_count);
        check_fini(&ch);
    }
}

static void cel_check_counts_locals(void **state)
{
    static const struct {
        const char *expression;
        unsigned locals;
    } cases[] = {
        { "1", 0 },
        { "l.all(x, true)", 1 },
        { "l.all(x, true) && l.all(x, true)", 1 },
        { "l.map(x, l.map(y, x + y))", 2 },
        { "l.map(x, x).map(y, y)", 1 },
        { "l.transformMap(k, v, l.all(x, x == v))", 3 },
        { "cel.bind(x, l.map(y, y), x)", 1 },
        { "cel.block([1, l.map(x, x), 3], l.map(x, x))", 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i].expression, 0, NULL);
        assert_int_equal(ch.result, 0);
        if (ch.locals != cases[i].locals)
            fail_msg("%s: %u locals", cases[i].expression, ch.locals);
        check_fini(&ch);
    }
}

static void cel_check_gives_nested_macros_places_of_their_own(void **state)
{
    struct checked ch;
    const struct cel_node *inner;

    (void)state;
    check_init(&ch, "", "l.map(x, l.transformList(i, v, x + v))", 0, NULL);
    assert_int_equal(ch.result, 0);
    inner = ch.root->as.macro.body;
    assert_int_equal(ch.root->as.macro.local1, 0);
    assert_int_equal(inner->as.macro.local1, 1);
    assert_int_equal(inner->as.macro.local2, 2);
    assert_int_equal(inner->as.macro.body->as.call.args[0]->ref.index, 0);
    assert_int_equal(inner->as.macro.body->as.call.args[1]->ref.index, 2);
    check_fini(&ch);
}

/* What the node that stands for an unknown name says. */
static struct str error_text(const struct cel_node *n)
{
    while (n->kind == CEL_NODE_SELECT)
        n = n->as.select.operand;
    return n->kind == CEL_NODE_ERROR ? n->as.text : STR("no error");
}

static void cel_check_off_makes_errors_of_unknown_names(void **state)
{
    static const struct {
        const char *expression;
        const char *text;
    } cases[] = {
        { "nothing", "unknown variable nothing" },
        { "nothing.a", "unknown variable nothing.a" },
        { "dyn", "unknown variable dyn" },
        { "nothing(1)", "unknown function nothing()" },
        { "s.nothing(zero)", "unknown function nothing()" },
        { "a.continue()", "unknown function continue()" },
        { "json.nothing(zero)", "unknown function json.nothing()" },
        { "s.contains(1, 2)", "contains() does not take 2 arguments; it takes (string)" },
        { "i", "no error" },
        { "req.url.nothing", "no error" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i].expression, CEL_CHECK_OFF, NULL);
        assert_int_equal(ch.result, 0);
        assert_null(ch.root->type);
        if (!str_eq(error_text(ch.root), str_from(cases[i].text)))
            fail_msg("%s: %.*s", cases[i].expression, STR_ARG(error_text(ch.root)));
        check_fini(&ch);
    }
}

static void cel_check_off_accepts_all_types(void **state)
{
    static const char *const cases[] = {
        "1 + 'a'",          "'a' && false",   "true ? 'a' : 1",    "i.all(x, x + 1)",
        "null > null",      "-false",         "42.contains(true)", "[?1]",
        "{1.5: 2}",         "i.nothing",      "timestamp('bad')",  "s.matches('(')",
        "'%y'.format(1)",   "1.optMap(x, x)", "c.nothing",         "cel.bind(x, 1, x + 'a')",
        "l.sortBy(x, [x])",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i], CEL_CHECK_OFF, cel_type_basic(CEL_T_BOOL));
        if (ch.result != 0)
            fail_msg("%s: %s", cases[i], ch.issue.text);
        check_fini(&ch);
    }
}

static void cel_check_off_keeps_all_overloads_of_the_count(void **state)
{
    static const struct {
        const char *expression;
        size_t count;
    } cases[] = {
        { "1 + 'a'", 6 },
        { "s.split(1)", 1 },
        { "s.split(1, 2)", 1 },
        { "size(1)", 3 },
        { "math.greatest(1, 's')", 2 },
        { "[1] == 1", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;

        check_init(&ch, "", cases[i].expression, CEL_CHECK_OFF, NULL);
        assert_int_equal(ch.result, 0);
        if (ch.root->as.call.overload_count != cases[i].count)
            fail_msg("%s: %zu overloads", cases[i].expression, ch.root->as.call.overload_count);
        check_fini(&ch);
    }
}

static void cel_check_of_declared_overloads_with_abstract_types(void **state)
{
    static const struct cel_type t = { .kind = CEL_T_PARAM, .name = STR_INIT("T") };
    static const struct cel_type u = { .kind = CEL_T_PARAM, .name = STR_INIT("U") };
    static const struct cel_type v = { .kind = CEL_T_PARAM, .name = STR_INIT("V") };
    static const struct cel_type *const params[] = { &t, &u, &v };
    static const struct cel_type tuple = {
        .kind = CEL_T_ABSTRACT, .name = STR_INIT("tuple"), .count = 3, .params = { &t, &u, &v }
    };
    static const struct cel_overload overload = {
        .name = STR_INIT("tuple"), .params = params, .count = 3, .result = &tuple
    };
    static const struct expectation cases[] = {
        { "tuple(1, 2u, 3.0)", "tuple(int,uint,double)" },
        { "tuple(1, 2u, 3.0) == tuple(1, dyn(2u), dyn(3.0))", "bool" },
        { "[tuple(1, 2u, 3.0), tuple(dyn(1), 2u, 3.0)]", "list(tuple(dyn,uint,double))" },
        { "[null, tuple(1, 2u, 3.0)]", "list(tuple(int,uint,double))" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_env *env = env_new("");
        struct cel_check_params check = { .env = env };
        struct cel_issue issue;
        struct arena a;
        struct cel_node *n;
        unsigned locals;

        arena_init(&a);
        cel_env_add_overload(env, &overload);
        check.arena = &a;
        n = cel_parse(&a, str_from(cases[i].expression), &cel_default_parse_limits, 0, &issue);
        assert_non_null(n);
        assert_int_equal(cel_check(n, &check, &locals, &issue), 0);
        assert_true(str_eq(cel_type_text(&a, n->type), str_from(cases[i].outcome)));
        arena_fini(&a);
        cel_env_free(env);
    }
}

/* The type of each item is a map from the type before to the type before. */
static struct str exploding(struct arena *a, int levels)
{
    struct str text = STR("cel.block([1");

    for (int i = 0; i < levels; i++)
        text = arena_fmt(a, "%.*s, cel.bind(x, {}, x[cel.index(%d)] == cel.index(%d) ? x : x)",
                         STR_ARG(text), i, i);
    return arena_fmt(a, "%.*s], true)%c", STR_ARG(text), '\0');
}

static void cel_check_of_exploding_types_is_refused(void **state)
{
    static const struct {
        int levels;
        int result;
    } cases[] = { { 4, 0 }, { 16, -1 }, { 60, -1 } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct checked ch;
        struct arena a;

        arena_init(&a);
        check_init(&ch, "", exploding(&a, cases[i].levels).p, 0, NULL);
        assert_int_equal(ch.result, cases[i].result);
        if (ch.result == -1)
            assert_string_equal(ch.issue.text, "the types in this expression are too large");
        check_fini(&ch);
        arena_fini(&a);
    }
}

/* N times `open`, then `middle`, then N times `close`. */
static struct str repeated(struct arena *a, size_t n, const char *open, const char *middle,
                           const char *close)
{
    struct str text = STR_NONE;

    for (size_t i = 0; i < n; i++)
        text = arena_fmt(a, "%.*s%s", STR_ARG(text), open);
    text = arena_fmt(a, "%.*s%s", STR_ARG(text), middle);
    for (size_t i = 0; i < n; i++)
        text = arena_fmt(a, "%.*s%s", STR_ARG(text), close);
    return text;
}

static void cel_check_of_deep_and_long_expressions_is_fine(void **state)
{
    static const struct {
        size_t n;
        const char *open;
        const char *middle;
        const char *close;
    } cases[] = {
        { 100, "[", "", "]" },        { 100, "", "any", ".a" },   { 100, "size([", "", "])" },
        { 1000, "1+", "1", "" },      { 1000, "b&&", "b", "" },   { 90, "b?1:(", "1", ")" },
        { 100, "", "vars", "['a']" }, { 100, "", "req", ".url" },
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = repeated(&a, cases[i].n, cases[i].open, cases[i].middle, cases[i].close);
        struct cel_parse_limits limits = cel_default_parse_limits;
        struct cel_env *env = env_new("");
        struct cel_check_params params = { .env = env, .arena = &a };
        struct cel_issue issue;
        struct cel_node *n;
        unsigned locals;

        limits.depth = 2000;
        n = cel_parse(&a, text, &limits, 0, &issue);
        if (n == NULL)
            fail_msg("case %zu: %s", i, issue.text);
        if (cel_check(n, &params, &locals, &issue) != 0 && i != 7)
            fail_msg("case %zu: %s", i, issue.text);
        cel_env_free(env);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cel_check_of_literals_gives_their_types),
        cmocka_unit_test(cel_check_of_names_finds_the_longest),
        cmocka_unit_test(cel_check_of_unknown_names_offers_a_known_one),
        cmocka_unit_test(cel_check_of_unknown_functions_offers_a_known_one),
        cmocka_unit_test(cel_check_of_calls_selects_overloads),
        cmocka_unit_test(cel_check_of_wrong_types_is_refused),
        cmocka_unit_test(cel_check_of_logic_gives_types),
        cmocka_unit_test(cel_check_of_macros_gives_types),
        cmocka_unit_test(cel_check_of_wrong_macros_is_refused),
        cmocka_unit_test(cel_check_in_a_container_looks_outwards),
        cmocka_unit_test(cel_check_of_constants_tries_them),
        cmocka_unit_test(cel_check_of_bad_formats_is_refused),
        cmocka_unit_test(cel_check_wants_a_type),
        cmocka_unit_test(cel_check_has_index_is_a_policy_s_extension),
        cmocka_unit_test(cel_check_warns_of_a_literal_limit),
        cmocka_unit_test(cel_check_rewrites_dotted_variables),
        cmocka_unit_test(cel_check_has_of_a_variable_has_no_field),
        cmocka_unit_test(cel_check_makes_functions_of_dotted_calls),
        cmocka_unit_test(cel_check_leaves_the_overloads_that_fit),
        cmocka_unit_test(cel_check_counts_locals),
        cmocka_unit_test(cel_check_gives_nested_macros_places_of_their_own),
        cmocka_unit_test(cel_check_off_makes_errors_of_unknown_names),
        cmocka_unit_test(cel_check_off_accepts_all_types),
        cmocka_unit_test(cel_check_off_keeps_all_overloads_of_the_count),
        cmocka_unit_test(cel_check_of_declared_overloads_with_abstract_types),
        cmocka_unit_test(cel_check_of_exploding_types_is_refused),
        cmocka_unit_test(cel_check_of_deep_and_long_expressions_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
