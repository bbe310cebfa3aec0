/*
 * Unit tests of policy/doc, policy/doc_parse and policy/doc_scalar.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/doc.h"
#include "policy/problems.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

/* ---- the tree as text ------------------------------------------------------------------------ */

static void write_node(struct buf *out, const struct doc_node *n)
{
    switch (n->kind) {
    case DOC_SCALAR:
        buf_add_fmt(out, n->plain ? "%.*s" : "'%.*s'", STR_ARG(n->text));
        break;
    case DOC_LIST:
        buf_add_char(out, '[');
        for (size_t i = 0; i < n->count; i++) {
            buf_add_str(out, i > 0 ? STR(", ") : STR(""));
            write_node(out, n->items[i]);
        }
        buf_add_char(out, ']');
        break;
    case DOC_MAP:
        buf_add_char(out, '{');
        for (size_t i = 0; i < n->count; i++) {
            buf_add_str(out, i > 0 ? STR(", ") : STR(""));
            write_node(out, n->keys[i]);
            buf_add_str(out, STR(": "));
            write_node(out, n->items[i]);
        }
        buf_add_char(out, '}');
        break;
    }
}

static struct policy_document *parse(struct str text, struct policy_problems *p)
{
    return policy_document_parse(STR("t"), text, &policy_default_limits, p);
}

static void expect_tree_of(struct str text, const char *expected)
{
    struct policy_problems *p = policy_problems_new();
    struct policy_document *d = parse(text, p);
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    if (d == NULL)
        policy_problems_format(p, &out);
    else
        write_node(&out, d->root);
    buf_add_char(&out, '\0');
    assert_string_equal(buf_str(&out).p, expected);
    buf_fini(&out);
    policy_document_free(d);
    policy_problems_free(p);
}

static void expect_tree(const char *text, const char *expected)
{
    expect_tree_of(str_from(text), expected);
}

static void expect_problems_of(struct str text, const char *expected)
{
    struct policy_problems *p = policy_problems_new();
    struct buf out;

    assert_null(parse(text, p));
    buf_init(&out, TEXT_MAX_BYTES);
    policy_problems_format(p, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(buf_str(&out).p, expected);
    buf_fini(&out);
    policy_problems_free(p);
}

static void expect_problems(const char *text, const char *expected)
{
    expect_problems_of(str_from(text), expected);
}

#define E "error[ERR_SALLYPORT_2236]: "
#define QUOTE_HINT                                                                                 \
    "    hint: YAML takes an unquoted '!' for a tag; quote the expression: \"!...\"\n"

/* ---- parsing --------------------------------------------------------------------------------- */

static void parse_reads_yaml_and_json_alike(void **state)
{
    static const struct {
        const char *text;
        const char *tree;
    } cases[] = {
        { "", "" },
        { "# nothing\n", "" },
        { "a: 1\nb: [x, 'y', \"z\"]\n", "{a: 1, b: [x, 'y', 'z']}" },
        { "- a: b\n  c: d\n-\n- ~\n", "[{a: b, c: d}, , ~]" },
        { "{\"a\": [1, 2.5, true, null, \"x\"]}", "{'a': [1, 2.5, true, null, 'x']}" },
        { "{\n\t\"a\":\n\t\t[\"b\"]\n}\n", "{'a': ['b']}" },
        { "{\"a\":\"\\u00e9\\ud83d\\ude00\\/\\n\"}", "{'a': '\xc3\xa9\xf0\x9f\x98\x80/\n'}" },
        { "\xef\xbb\xbf"
          "a: b\r\nc: d\r\n",
          "{a: b, c: d}" },
        { "a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{a: 'x\ny\n', b: 'x y'}" },
        { "a: \"\\\\b\"\nb: '\\b'\n", "{a: '\\b', b: '\\b'}" },
        { "a: ${req.headers['x'][0]}", "{a: ${req.headers['x'][0]}}" },
        { "a: !!str 1.3\nb: ! 2\nc: !!int 3\nd: !!seq [x]", "{a: '1.3', b: '2', c: 3, d: [x]}" },
        { "%YAML 1.2\n---\na: b\n...\n", "{a: b}" },
        { "a: b # c\n", "{a: b}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_tree(cases[i].text, cases[i].tree);
}

/* What libfyaml makes of scalars is not used: these are among those that it has wrong. */
static void parse_reads_scalars_of_every_style(void **state)
{
    static const struct {
        const char *text;
        const char *tree;
    } cases[] = {
        { "a: ''''", "{a: '''}" },
        { "a: 'x == '''''", "{a: 'x == '''}" },
        { "a: '''a''''b'", "{a: ''a''b'}" },
        { "a: ' a \n\n  b '", "{a: ' a\nb '}" },
        { "a: 'a\n  b\t\n  '", "{a: 'a b '}" },
        { "a: \"\\\\\\\n  b\"", "{a: '\\b'}" },
        { "a: \"x \\\n\n  \\ y\\t\n z\"", "{a: 'x \n y\t z'}" },
        { "a: \"\\x41\\u00e9\\U0001F600\\L\\_\\N\\e\\/\"",
          "{a: 'A\303\251\360\237\230\200\342\200\250\302\240\302\205\033/'}" },
        { "a: \"\\uD83D\\uDE00\"", "{a: '\360\237\230\200'}" },
        { "a: x\n  y\n\n  z # c\n", "{a: x y\nz}" },
        { "a: |\n\n  x\n   y\n\n  z\n\n\n", "{a: '\nx\n y\n\nz\n'}" },
        { "a: |-\n  x\n\n", "{a: 'x'}" },
        { "a: |+\n  x\n\n", "{a: 'x\n\n'}" },
        { "a: |\n  x", "{a: 'x'}" },
        { "a: |2 # c > d\n   x\n  y\n", "{a: ' x\ny\n'}" },
        { "- a: |-2\n     x\n    y\n", "[{a: ' x\ny'}]" },
        { "- - >1-\n    x\n", "[[' x']]" },
        { "\"k|>\": !!str &x |\r\n  a\r\n  b\r\n", "{'k|>': 'a\nb\n'}" },
        { "a: >\n  x\n  y\n\n  z\n   w\n  v\n", "{a: 'x y\nz\n w\nv\n'}" },
        { "a: >-\n\n  x\n  \n   y\n", "{a: '\nx\n\n y'}" },
        { "a: |\nb: >+\n\nc: 1\n", "{a: '', b: '\n', c: 1}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_tree(cases[i].text, cases[i].tree);
}

static void parse_keeps_places(void **state)
{
    struct policy_problems *p = policy_problems_new();
    struct policy_document *d = parse(
        STR("on: \xc3\xa9\nlist:\n  - \"a b\"\n  - x: 'it''s'\n    y: |\n      two\n      l\n"), p);
    const struct doc_node *list = doc_find(d->root, "list");
    const struct doc_node *text = list->items[0];
    const struct doc_node *map = list->items[1];

    (void)state;
    assert_int_equal(doc_find(d->root, "on")->at.column, 5);
    assert_int_equal(d->root->keys[1]->at.line, 2);
    assert_int_equal(text->at.line, 3);
    assert_int_equal(text->at.column, 6); /* behind the quote: the text itself */
    assert_true(text->verbatim);
    assert_int_equal(map->at.line, 4);
    assert_int_equal(map->at.column, 5);
    assert_false(doc_find(map, "x")->verbatim); /* '' stands for ' */
    assert_false(doc_find(map, "y")->verbatim);
    assert_null(doc_find(map, "z"));
    assert_null(doc_find(list, "x"));
    assert_null(doc_find(NULL, "x"));
    policy_document_free(d);
    policy_problems_free(p);
}

static void parse_expands_aliases_and_merges(void **state)
{
    static const struct {
        const char *text;
        const char *tree;
    } cases[] = {
        { "a: &x [1]\nb: *x\n", "{a: [1], b: [1]}" },
        { "a: &x 1\nb: &x 2\nc: *x\n", "{a: 1, b: 2, c: 2}" },
        { "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n", "{a: {k: 1, l: 2}, b: {l: 3, k: 1}}" },
        { "a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y]}\n",
          "{a: {k: 1}, b: {k: 2, m: 3}, c: {k: 1, m: 3}}" },
        { "a: {'<<': 1}\n", "{a: {'<<': 1}}" }, /* quoted: a key like any other */
        { "&k a: b\n*k : c\n", "t:1:4: " E "the key 'a' is given twice\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_tree(cases[i].text, cases[i].tree);
}

static void parse_refuses_with_place_and_hint(void **state)
{
    static const struct {
        const char *text;
        const char *problems;
    } cases[] = {
        { "a: b\na: c\n'a': d\n",
          "t:2:1: " E "the key 'a' is given twice\nt:3:2: " E "the key 'a' is given twice\n" },
        { "e:\n- !req.url.path.startsWith('/x')\n",
          "t:2:3: " E "the tag '!req.url.path.startsWith('/x')' is not allowed\n" QUOTE_HINT },
        { "e:\n- !req.url.path.startsWith(\"/x\")\n",
          "t:2:28: " E "invalid tag terminator\n" QUOTE_HINT },
        { "e: !x && y\n", "t:1:4: " E "the tag '!x' is not allowed\n" QUOTE_HINT },
        { "a: 1\n---\nb: 2\n", "t:2:1: " E "only one document is allowed in a file\n" },
        { "a: [1\n", "t:2:1: " E "flow sequence without a closing bracket\n" },
        { "a:\n\t- b\n", "t:2:1: " E "tab character may not be used as indentation\n" },
        { "a: *b\n", "t:1:5: " E "the alias '*b' names no anchor that is complete here\n" },
        { "a: &a [*a]\n", "t:1:9: " E "the alias '*a' names no anchor that is complete here\n" },
        { "? [a]\n: b\n", "t:1:3: " E "a key must be a string, not a list\n" },
        { "a: {<<: 1, b: 2}\n",
          "t:1:9: " E "'<<' takes a mapping or a list of mappings, not a number\n" },
        { "a: &x {}\nb: {<<: [*x, 1]}\n",
          "t:2:14: " E "'<<' takes a mapping or a list of mappings, not a number\n" },
        { "a: \xff", "t:1:4: " E "the document is not UTF-8 here\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_problems(cases[i].text, cases[i].problems);
    expect_problems_of(STR("a: b\nc\0d"), "t:2:2: " E "a NUL character is not allowed\n");
}

/* libfyaml reads an UTF-16 document as an empty one, which would be a policy that lets all through. */
static void parse_utf16_is_refused(void **state)
{
    (void)state;
    expect_problems_of(STR("\xff\xfe"
                           "a\0:\0"),
                       "t:1:1: " E "the document is not UTF-8 here\n");
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void add_times(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_add_str(b, str_from(text));
}

/* Parses `head`, `times` times `piece`, `tail`; the text of the problems, or "". */
static const char *problems_of(const char *head, const char *piece, size_t times, const char *tail)
{
    static char text[512];
    struct policy_problems *p = policy_problems_new();
    struct buf document;
    struct buf out;

    buf_init(&document, TEXT_MAX_BYTES);
    add_times(&document, head, 1);
    add_times(&document, piece, times);
    add_times(&document, tail, 1);
    assert_false(buf_failed(&document));
    policy_document_free(parse(buf_str(&document), p));
    buf_init(&out, TEXT_MAX_BYTES);
    policy_problems_format(p, &out);
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&out)));
    buf_fini(&out);
    buf_fini(&document);
    policy_problems_free(p);
    return text;
}

static void parse_size_is_limited(void **state)
{
    size_t max = policy_default_limits.policy_document_max_bytes;

    (void)state;
    assert_string_equal(problems_of("#", "x", max - 1, ""), "");
    assert_string_equal(problems_of("#", "x", max, ""),
                        "t:1:1: " E "the document has 262145 bytes, at most 262144 are allowed\n");
}

static void parse_depth_is_limited(void **state)
{
    static char closed[DOC_DEPTH_MAX + 2];

    (void)state;
    memset(closed, ']', sizeof(closed) - 1);
    assert_string_equal(problems_of("", "[", DOC_DEPTH_MAX, closed + 1), "");
    assert_string_equal(problems_of("", "[", DOC_DEPTH_MAX + 1, closed),
                        "t:1:65: " E "the document is nested too deeply\n");
    assert_string_equal(problems_of("", "- ", 100000, "x"),
                        "t:1:129: " E "the document is nested too deeply\n");
}

static void parse_nodes_are_limited(void **state)
{
    (void)state;
    /* A list and its items are nodes. */
    assert_string_equal(problems_of("", "- \n", 80000, ""), "");
    assert_string_equal(problems_of("[", "1,", DOC_NODES_MAX - 1, "]"), "");
    assert_string_equal(problems_of("[", "1,", DOC_NODES_MAX, "]"),
                        "t:1:200000: " E
                        "the document has too many values (with aliases written out)\n");
}

static void parse_aliases_are_counted_as_written_out(void **state)
{
    (void)state;
    /* 1000 nodes, 99 more times: with the two lists below the limit, then above it. */
    assert_string_equal(problems_of("- &a [", "1,", 998, "]\n- [*a]\n"), "");
    assert_string_equal(problems_of("a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                                    "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                    "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                                    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
                                    "", 0, ""),
                        "");
    assert_string_equal(problems_of("a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                                    "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                    "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                                    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                                    "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
                                    "", 0, ""),
                        "t:5:30: " E
                        "the document has too many values (with aliases written out)\n");
}

/* Whoever walks the tree goes as deep as aliases lead. */
static void parse_depth_counts_through_aliases(void **state)
{
    struct policy_problems *p = policy_problems_new();
    struct policy_document *d;
    struct buf text;
    struct err e;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("a0: &a0 [x]\n"));
    for (int i = 1; i < DOC_DEPTH_MAX - 1; i++)
        buf_add_fmt(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    d = parse(buf_str(&text), p);
    assert_non_null(d);
    policy_document_free(d);
    buf_add_fmt(&text, "z: [*a%d]\n", DOC_DEPTH_MAX - 2);
    assert_null(parse(buf_str(&text), p));
    policy_problems_first(p, &e);
    assert_string_equal(e.msg, "the document is nested too deeply");
    buf_fini(&text);
    policy_problems_free(p);
}

static void parse_many_duplicates_are_found_in_order(void **state)
{
    (void)state;
    assert_true(strncmp(problems_of("", "k: 1\n", 40000, ""),
                        "t:2:1: " E "the key 'k' is given twice\n"
                        "t:3:1: " E "the key 'k' is given twice\n",
                        100) == 0);
}

/* Inside of brackets libfyaml keeps every token until the last is closed. */
static void parse_marks_are_limited(void **state)
{
    struct policy_limits limits = policy_default_limits;
    struct policy_problems *p = policy_problems_new();
    struct buf text;
    struct err e;

    (void)state;
    limits.policy_document_max_bytes = TEXT_MAX_BYTES;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("a: |\n  "));
    for (size_t i = 0; i < 3 * DOC_NODES_MAX - 1; i++)
        buf_add_char(&text, '[');
    policy_document_free(policy_document_parse(STR("t"), buf_str(&text), &limits, p));
    assert_int_equal(policy_problems_errors(p), 0);
    buf_add_char(&text, '[');
    assert_null(policy_document_parse(STR("t"), buf_str(&text), &limits, p));
    policy_problems_first(p, &e);
    assert_string_equal(e.msg, "the document has too many values");
    buf_fini(&text);
    policy_problems_free(p);
}

static void parse_anchors_are_limited(void **state)
{
    struct policy_problems *p = policy_problems_new();
    struct policy_document *d;
    struct buf text;
    struct err e;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    for (int i = 0; i < 1000; i++)
        buf_add_fmt(&text, "- &a%d x\n", i);
    d = parse(buf_str(&text), p);
    assert_non_null(d);
    policy_document_free(d);
    buf_add_str(&text, STR("- &b x\n"));
    assert_null(parse(buf_str(&text), p));
    policy_problems_first(p, &e);
    assert_string_equal(e.msg, "the document has too many anchors");
    buf_fini(&text);
    policy_problems_free(p);
}

/* ---- scalars --------------------------------------------------------------------------------- */

static struct doc_node scalar(const char *text, bool plain)
{
    return (struct doc_node){ .kind = DOC_SCALAR, .plain = plain, .text = str_from(text) };
}

static void scalar_numbers_follow_the_core_schema(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } ints[] = {
        { "0", 0 },
        { "-0", 0 },
        { "+7", 7 },
        { "007", 7 },
        { "0x1F", 31 },
        { "0o17", 15 },
        { "9223372036854775807", INT64_MAX },
        { "-9223372036854775808", INT64_MIN },
    };
    static const char *const no_ints[] = {
        "",
        "-",
        "1.0",
        "1_000",
        "9223372036854775808",
        "-9223372036854775809",
        "0x",
        "0o8",
        "1 ",
        "0x8000000000000000",
        "a",
        "+-1",
    };
    int64_t i = 0;

    (void)state;
    for (size_t k = 0; k < sizeof(ints) / sizeof(ints[0]); k++) {
        struct doc_node n = scalar(ints[k].text, true);
        struct doc_node quoted = scalar(ints[k].text, false);

        assert_true(doc_to_int(&n, &i));
        assert_true(i == ints[k].value);
        assert_false(doc_to_int(&quoted, &i));
        assert_string_equal(doc_kind_text(&n), "a number");
        assert_string_equal(doc_kind_text(&quoted), "a string");
    }
    for (size_t k = 0; k < sizeof(no_ints) / sizeof(no_ints[0]); k++) {
        struct doc_node n = scalar(no_ints[k], true);

        assert_false(doc_to_int(&n, &i));
    }
}

static void scalar_doubles_follow_the_core_schema(void **state)
{
    static const struct {
        const char *text;
        double value;
    } doubles[] = {
        { "1", 1 },
        { "1.", 1 },
        { ".5", 0.5 },
        { "-1.5e-3", -0.0015 },
        { "1e5", 1e5 },
        { "1E+2", 100 },
        { ".inf", (double)INFINITY },
        { "-.Inf", -(double)INFINITY },
    };
    static const char *const none[] = { "",    ".",   "e5",  "1e",  "1.5.2", "0x1F", "inf",
                                        "nan", "1e+", "1 2", "- 1", "1f",    ".e1" };
    struct doc_node nan = scalar(".nan", true);
    struct doc_node endless = scalar("1111111111111111111111111111111111111111111111111111111111111"
                                     "1111111111111111111",
                                     true);
    double d = 0;

    (void)state;
    for (size_t k = 0; k < sizeof(doubles) / sizeof(doubles[0]); k++) {
        struct doc_node n = scalar(doubles[k].text, true);

        assert_true(doc_to_double(&n, &d));
        assert_true(d >= doubles[k].value && d <= doubles[k].value);
    }
    for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
        struct doc_node n = scalar(none[k], true);

        assert_false(doc_to_double(&n, &d));
    }
    assert_true(doc_to_double(&nan, &d));
    assert_true(isnan(d));
    assert_false(doc_to_double(&endless, &d));
}

static void scalar_words_follow_the_core_schema(void **state)
{
    static const struct {
        const char *text;
        int meaning; /* 0, 1: bool; 2: null; 3: a string */
    } words[] = {
        { "true", 1 }, { "True", 1 }, { "TRUE", 1 }, { "false", 0 }, { "FALSE", 0 },
        { "tRue", 3 }, { "yes", 3 },  { "on", 3 },   { "null", 2 },  { "~", 2 },
        { "", 2 },     { "NULL", 2 }, { "none", 3 }, { "nil", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct doc_node n = scalar(words[i].text, true);
        struct doc_node quoted = scalar(words[i].text, false);
        bool b = false;

        assert_int_equal(doc_is_null(&n), words[i].meaning == 2);
        assert_int_equal(doc_to_bool(&n, &b), words[i].meaning < 2);
        if (words[i].meaning < 2)
            assert_int_equal(b, words[i].meaning);
        assert_false(doc_is_null(&quoted));
        assert_false(doc_to_bool(&quoted, &b));
    }
    assert_false(doc_is_null(NULL));
    assert_string_equal(doc_kind_text(NULL), "nothing");
}

/* ---- documents that are built ---------------------------------------------------------------- */

static void document_add_appends_rules_by_phase(void **state)
{
    struct policy_document *d = policy_document_new(STR("flags"));
    struct buf out;

    (void)state;
    policy_document_add(d, POLICY_ON_HTTP_REQUEST, "deny", NULL);
    policy_document_add(d, POLICY_ON_HTTP_RESPONSE, "log",
                        json_pack("{s:[i,f,b,n]}", "a", -3, 0.5, 1));
    policy_document_add(d, POLICY_ON_HTTP_REQUEST, "x", json_pack("{s:s}", "k", "v"));
    buf_init(&out, TEXT_MAX_BYTES);
    write_node(&out, d->root);
    buf_add_char(&out, '\0');
    assert_string_equal(buf_str(&out).p,
                        "{'on_http_request': [{'actions': [{'type': 'deny'}]}, "
                        "{'actions': [{'type': 'x', 'config': {'k': 'v'}}]}], "
                        "'on_http_response': [{'actions': [{'type': 'log', 'config': "
                        "{'a': [-3, 0.5, true, null]}}]}]}");
    assert_int_equal(d->root->at.line, 0);
    buf_fini(&out);
    policy_document_free(d);
    policy_document_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_yaml_and_json_alike),
        cmocka_unit_test(parse_reads_scalars_of_every_style),
        cmocka_unit_test(parse_keeps_places),
        cmocka_unit_test(parse_expands_aliases_and_merges),
        cmocka_unit_test(parse_refuses_with_place_and_hint),
        cmocka_unit_test(parse_utf16_is_refused),
        cmocka_unit_test(parse_size_is_limited),
        cmocka_unit_test(parse_depth_is_limited),
        cmocka_unit_test(parse_nodes_are_limited),
        cmocka_unit_test(parse_aliases_are_counted_as_written_out),
        cmocka_unit_test(parse_depth_counts_through_aliases),
        cmocka_unit_test(parse_many_duplicates_are_found_in_order),
        cmocka_unit_test(parse_marks_are_limited),
        cmocka_unit_test(parse_anchors_are_limited),
        cmocka_unit_test(scalar_numbers_follow_the_core_schema),
        cmocka_unit_test(scalar_doubles_follow_the_core_schema),
        cmocka_unit_test(scalar_words_follow_the_core_schema),
        cmocka_unit_test(document_add_appends_rules_by_phase),
    };

    return cmocka_run_group_tests_name("policy/doc", tests, NULL, NULL);
}
