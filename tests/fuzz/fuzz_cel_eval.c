/*
 * Fuzz target of programs and their evaluation. The first byte says how the rest becomes an
 * expression: as it is, or by picking from templates, which gives deep and well-typed ones. What
 * compiles is evaluated with variables of each type, and what the language promises must hold.
 */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "policy/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Less than the defaults, so that an input is done soon. */
static const struct cel_limits limits = {
    .steps = 20000,
    .arena_bytes = 256 * 1024,
    .string_bytes = 16 * 1024,
    .entries = 1000,
    .value_depth = 16,
};

enum { SOURCE_BYTES = 4096, TEMPLATE_DEPTH = 8, COMPOSED_BYTES = 2 * SOURCE_BYTES };

/* ---- variables ---- */

static const struct {
    const char *name;
    const char *type;
} vars[] = {
    { "i", "int" },   { "u", "uint" },      { "d", "double" },    { "s", "string" },
    { "y", "bytes" }, { "b", "bool" },      { "l", "list(int)" }, { "m", "map(string,dyn)" },
    { "x", "dyn" },   { "t", "timestamp" }, { "D", "duration" },  { "gone", "dyn" },
    { "bad", "int" }, { "w", "list(dyn)" },
};

static struct cel_value mixed(struct cel_run *run)
{
    const struct cel_value items[] = { cel_int(1), cel_double(NAN), cel_string(STR("a")),
                                       cel_null(), cel_uint(UINT64_MAX) };

    return cel_list_new(run, items, sizeof(items) / sizeof(items[0]));
}

static struct cel_value map_of(struct cel_run *run)
{
    struct cel_map_builder *map = cel_map_new(run, 0);

    if (map == NULL)
        return cel_spent(run);
    (void)cel_map_put(map, cel_string(STR("a")), cel_int(1));
    (void)cel_map_put(map, cel_string(STR("b")), mixed(run));
    return cel_map_value(map);
}

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    const struct cel_value numbers[] = { cel_int(3), cel_int(-1), cel_int(INT64_MAX) };

    switch (vars[slot].name[0]) {
    case 'i':
    case 'x':
        return cel_int(42);
    case 'u':
        return cel_uint(UINT64_MAX);
    case 'd':
        return cel_double(-0.5);
    case 's':
        return cel_string(STR("a,b\xc3\xa9,c"));
    case 'y':
        return cel_bytes(STR("\xff\x00z"));
    case 'l':
        return cel_list_new(run, numbers, 3);
    case 'm':
        return map_of(run);
    case 't':
        return cel_timestamp(1720829416, 999999999);
    case 'D':
        return cel_duration(INT64_MIN);
    case 'g':
        return (struct cel_value){ .kind = CEL_NULL, .absent = true };
    case 'w':
        return mixed(run);
    default:
        return vars[slot].name[1] == '\0' ? cel_bool(true) : cel_error(run, "bad variable");
    }
}

static const struct cel_env *env(void)
{
    static struct cel_env *made;

    if (made == NULL) {
        struct cel_env_params params = { .libraries = cel_standard_libraries };

        made = cel_env_new(&params);
        for (unsigned i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
            assert(cel_env_add_var(made, str_from(vars[i].name), vars[i].type, i) == 0);
    }
    return made;
}

/* ---- expressions from templates ---- */

/* %X is an expression of type X: b i u d s y t D as above, l list(int), w list(string), m map, o
 * optional(int), x dyn. Those without one come first: they end the nesting. */
static const struct {
    char type;
    const char *templates; /* each ends with ';' */
} grammar[] = {
    { 'b', "b;true;(bad == 1);(%b && %b);(%b || %b);!%b;(%i == %i);(%i < %i);(%x == %x);(%s == %s);"
           "(%s >= 'a');(%i in %l);(%s in ['a', 'b', %s]);(%i in [1, 2, 3]);%l.all(v, v > %i);"
           "%l.exists(v, 1 / v > %i);%l.exists_one(v, v == %i);has(%m.a);has(%m.c);has(%m['a']);"
           "%o.hasValue();%s.contains(%s);(%b ? %b : %b);(%x < %x);%s.matches('a|b');(%s in %m);"
           "(%d <= %d);(%x in %x);" },
    { 'i', "i;0;-9223372036854775808;bad;(%i + %i);(%i - %i);(%i * %i);(%i / %i);(%i % %i);-(%i);"
           "size(%s);size(%l);%l[%i];int(%d);int(%s);%o.orValue(%i);(%b ? %i : %i);"
           "cel.bind(q, %i, q + q);int(%u);size(%m);%s.indexOf(%s);size(%w);%t.getHours();"
           "%o.value();int(%t);math.greatest(%i, %i);" },
    { 'u', "u;1u;(%u + %u);(%u - 1u);uint(%i);(%u % 7u);uint(%d);" },
    { 'd', "d;1e300;(0.0 / 0.0);(%d + %d);(%d * %d);(%d / %d);-(%d);double(%i);double(%s);"
           "double(%u);" },
    { 's', "s;'';'caf\xc3\xa9';(%s + %s);string(%i);string(%d);string(%x);%s.substring(%i);"
           "%s.replace(%s, %s);%w.join(%s);(%b ? %s : %s);'%d'.format([%i]);%s.upperAscii();"
           "%s.reverse();string(%t);%w.map(v, v + %s)[0];cel.bind(q, %s, q + q);string(%D);" },
    { 'y', "y;b'\\x00';(%y + %y);bytes(%s);" },
    { 'l',
      "l;[];[%i, %i];(%l + %l);%l.map(v, v + %i);%l.filter(v, v > %i);%l.map(v, v > 0, v * %i);"
      "%l.slice(0, %i);%l.sort();%l.sortBy(v, -v);%l.transformList(a, v, a * v);%l.distinct();"
      "[[%i], %l].flatten();[?%o, 1];lists.range(%i);" },
    { 'w', "['a', 'b'];%s.split(',');[%s, %s];%w.filter(v, v != %s);%m.map(k, k);" },
    { 'm', "m;{};{'a': %i, %s: %x};{?'a': %o};(%l == [] ? m : {'a': %x});"
           "%l.transformMap(a, v, v > 1, %i);%m.transformMap(k, v, %i);" },
    { 'o', "optional.none();optional.of(%i);%l[?%i];%o.or(%o);%o.optMap(v, v + %i);" },
    { 't', "t;timestamp(0);(%t + %D);timestamp(%s);" },
    { 'D', "D;duration('1.5s');(%t - %t);(%D + %D);" },
    { 'x', "x;w;null;gone;gone.a;dyn(%i);dyn(%s);dyn(%d);dyn(%l);%m.b;%m['a'];[%i, %s, %x];dyn(%m);"
           "type(%x);dyn(%o);%m.?a;dyn(%t);w[%i];dyn(%b);dyn(%y);dyn(%u);%x[%x];" },
};

static const char types[] = "biudsylwmotDx";

struct chooser {
    const uint8_t *data;
    size_t size;
};

static unsigned choose(struct chooser *c, unsigned count)
{
    if (c->size == 0)
        return 0;
    c->size--;
    return *c->data++ % count;
}

static struct str pick(struct chooser *c, char type, unsigned depth)
{
    struct str rest = STR_NONE;
    struct str template = STR_NONE;
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(grammar) / sizeof(grammar[0]); i++) {
        if (grammar[i].type == type)
            rest = str_from(grammar[i].templates);
    }
    for (struct str s = rest; str_next(&s, ';', &template) && template.n > 0; count++) {
        if (depth == 0 && str_find_char(template, '%') < template.n)
            break;
    }
    for (unsigned i = choose(c, count) + 1; i > 0; i--)
        (void)str_next(&rest, ';', &template);
    return template;
}

/* "%d" in a format string stands behind a quote; the operator % is not followed by a type. */
static void expand(struct chooser *c, char type, unsigned depth, struct buf *out)
{
    struct str s = pick(c, type, depth);

    for (size_t i = 0; i < s.n; i++) {
        bool quoted = i > 0 && s.p[i - 1] == '\'';

        if (s.p[i] == '%' && !quoted && i + 1 < s.n && strchr(types, s.p[i + 1]) != NULL)
            expand(c, s.p[++i], depth - 1, out);
        else
            buf_add_char(out, s.p[i]);
    }
}

/* ---- properties ---- */

struct result {
    struct cel_value value;
    bool spent;
};

static struct cel_program *compile(struct str source, unsigned flags)
{
    struct cel_compile_params params = { .env = env(), .check_flags = flags };
    struct cel_issue issue = { 0 };
    struct cel_program *p = cel_compile(&params, source, &issue);

    assert(p != NULL || issue.text[0] != '\0');
    return p;
}

static struct cel_run run_in(struct arena *arena)
{
    return (struct cel_run){ .arena = arena, .limits = &limits, .var = var };
}

static struct result evaluate(const struct cel_program *p, struct arena *arena)
{
    struct cel_run run = run_in(arena);
    size_t before = arena_used(arena);
    struct result r = { .value = cel_eval(p, &run) };

    r.spent = run.spent;
    assert(!r.spent || cel_is_error(r.value));
    assert(run.steps <= limits.steps && run.bytes <= limits.arena_bytes);
    assert(arena_used(arena) - before <= run.bytes);
    return r;
}

/* The same to the last bit, which == is not for: NaN is itself here, 1 is not 1.0. */
static bool is_same(struct arena *arena, struct cel_value a, struct cel_value b)
{
    struct cel_run run = run_in(arena);

    if (a.kind != b.kind)
        return false;
    if (a.kind == CEL_DOUBLE)
        return memcmp(&a.as.d, &b.as.d, sizeof(a.as.d)) == 0 || (isnan(a.as.d) && isnan(b.as.d));
    if (a.kind == CEL_OPTIONAL)
        return (a.as.held == NULL) == (b.as.held == NULL) &&
               (a.as.held == NULL || is_same(arena, *a.as.held, *b.as.held));
    if (a.kind == CEL_LIST) {
        for (size_t i = 0; a.as.list->count == b.as.list->count && i < a.as.list->count; i++) {
            if (!is_same(arena, a.as.list->items[i], b.as.list->items[i]))
                return false;
        }
        return a.as.list->count == b.as.list->count;
    }
    if (a.kind == CEL_MAP) {
        for (size_t i = 0; cel_map_size(a) == cel_map_size(b) && i < cel_map_size(a); i++) {
            struct cel_value key;
            struct cel_value value;
            struct cel_value other;

            run = run_in(arena);
            cel_map_entry(&run, a, i, &key, &value);
            if (!cel_map_find(&run, b, key, &other) || !is_same(arena, value, other))
                return false;
        }
        return cel_map_size(a) == cel_map_size(b);
    }
    return cel_is_error(a) || cel_is_true(cel_equal(&run, a, b));
}

static bool has_nan(struct arena *arena, struct cel_value v)
{
    struct cel_run run = run_in(arena);
    bool found = v.kind == CEL_DOUBLE && isnan(v.as.d);

    if (v.kind == CEL_OPTIONAL && v.as.held != NULL)
        return has_nan(arena, *v.as.held);
    for (size_t i = 0; v.kind == CEL_LIST && i < v.as.list->count; i++)
        found = found || has_nan(arena, v.as.list->items[i]);
    for (size_t i = 0; v.kind == CEL_MAP && i < cel_map_size(v); i++) {
        struct cel_value key;
        struct cel_value value;

        cel_map_entry(&run, v, i, &key, &value);
        found = found || has_nan(arena, value);
    }
    return found;
}

static void check_reflexive(struct arena *arena, struct cel_value v)
{
    struct cel_run run = run_in(arena);
    struct cel_value same = cel_equal(&run, v, v);

    if (!run.spent)
        assert(same.kind == CEL_BOOL && same.as.b != has_nan(arena, v));
}

/* What was read back from JSON is the same text again. */
static void check_json(struct arena *arena, struct cel_value v)
{
    struct cel_run run = run_in(arena);
    struct cel_value json = cel_to_json(&run, v, true);
    struct cel_value again;

    (void)cel_to_text(&run, v);
    if (cel_is_error(json) || run.spent)
        return;
    again = cel_from_json(&run, cel_str(json));
    if (cel_is_error(again))
        return; /* keys that differ in type only, U+0000 in a key, a limit */
    again = cel_to_json(&run, again, true);
    if (!run.spent)
        assert(str_eq(cel_str(json), cel_str(again)));
}

/* An expression around the source must give the same. */
static void check_composed(struct arena *arena, const char *before, struct str source,
                           const char *after, struct result want)
{
    struct buf text;
    struct cel_program *p;
    struct result got;

    buf_init(&text, COMPOSED_BYTES);
    buf_add_str(&text, str_from(before));
    buf_add_str(&text, source);
    buf_add_str(&text, str_from(after)); /* begins with a line: the source may end in a comment */
    p = compile(buf_str(&text), CEL_CHECK_OFF);
    buf_fini(&text);
    if (p == NULL)
        return; /* too deep now */
    got = evaluate(p, arena);
    if (!got.spent && !want.spent)
        assert(is_same(arena, want.value, got.value));
    cel_program_free(p);
}

static void check_algebra(struct arena *arena, struct str source, struct result r)
{
    check_composed(arena, "(", source, "\n)", r);
    check_composed(arena, "[", source, "\n][0]", r);
    check_composed(arena, "cel.bind(q9, ", source, "\n, q9)", r);
    check_composed(arena, "true ? (", source, "\n) : 1", r);
    check_composed(arena, "dyn(", source, "\n)", r);
    if (r.value.kind != CEL_BOOL)
        return;
    check_composed(arena, "!(!(", source, "\n))", r);
    check_composed(arena, "false || (", source, "\n)", r);
    check_composed(arena, "(", source, "\n) && true", r);
    check_composed(arena, "[1].all(q9, ", source, "\n)", r);
}

static void check_program(struct str source, const struct cel_program *unchecked,
                          const struct cel_program *checked)
{
    struct arena arena;
    struct result r;
    struct result other;

    arena_init(&arena);
    r = evaluate(unchecked, &arena);
    other = evaluate(unchecked, &arena);
    assert(is_same(&arena, r.value, other.value));
    if (checked != NULL) {
        other = evaluate(checked, &arena);
        assert(r.spent || other.spent || is_same(&arena, r.value, other.value));
    }
    check_algebra(&arena, source, r);
    if (!cel_is_error(r.value)) {
        check_reflexive(&arena, r.value);
        check_json(&arena, r.value);
    }
    arena_fini(&arena);
}

static void check_source(struct str source)
{
    struct cel_program *checked = compile(source, CEL_CHECK_HAS_INDEX);
    struct cel_program *unchecked = compile(source, CEL_CHECK_OFF | CEL_CHECK_HAS_INDEX);

    assert(checked == NULL || unchecked != NULL);
    if (unchecked != NULL)
        check_program(source, unchecked, checked);
    cel_program_free(checked);
    cel_program_free(unchecked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chooser c = { .data = data, .size = size };
    unsigned mode = choose(&c, sizeof(grammar) / sizeof(grammar[0]) + 1);
    struct buf source;

    if (mode == 0) {
        check_source(str_of((const char *)c.data, c.size < SOURCE_BYTES ? c.size : SOURCE_BYTES));
        return 0;
    }
    buf_init(&source, SOURCE_BYTES);
    expand(&c, grammar[mode - 1].type, TEMPLATE_DEPTH, &source);
    if (!buf_failed(&source))
        check_source(buf_str(&source));
    buf_fini(&source);
    return 0;
}
