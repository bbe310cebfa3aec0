/*
 * Unit tests of policy/template and policy/pattern. "deny" is replaced by an action with a template and a
 * pattern.
 * Links: tests/unit/policy/fake_host
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/regex.h"
#include "tests/unit/policy/fake_host.h"

enum { TEXT_MAX_BYTES = 1024 * 1024 };

struct sample {
    struct template *text;   /* owned */
    struct pattern *pattern; /* owned */
};

static bool want_value;
static bool is_single;
static bool is_literal;

void *deny_compile(const struct fields *c)
{
    struct sample *s = mem_zalloc(sizeof(*s));
    struct field text = fields_find(c, "text");
    struct field pattern = fields_find(c, "pattern");
    struct str literal;

    s->text = field_template(&text);
    s->pattern = field_pattern(&pattern);
    is_single = template_is_single(s->text);
    is_literal = template_is_literal(s->text, &literal);
    return s;
}

static enum policy_verdict run_pattern(const struct sample *s, struct action_run *run)
{
    const struct regex *regex;
    struct err e;

    regex = pattern_get(s->pattern, run, &e);
    if (regex == NULL)
        return action_fail_err(run, &e);
    run->response->body = regex_matches(regex, STR("abc")) ? STR("yes") : STR("no");
    return POLICY_RESPOND;
}

enum policy_verdict deny_run(const void *compiled, struct action_run *run)
{
    const struct sample *s = compiled;
    struct cel_value v = cel_null();
    struct str text = STR_NONE;
    struct err e;
    int rc;

    if (s->pattern != NULL)
        return run_pattern(s, run);
    rc = want_value ? template_value(s->text, run, &v, &e) : template_text(s->text, run, &text, &e);
    if (rc == -1)
        return action_fail_err(run, &e);
    run->response->body = want_value ? cel_type_name(v) : text;
    return POLICY_RESPOND;
}

void deny_free(void *compiled)
{
    struct sample *s = compiled;

    template_free(s->text);
    pattern_free(s->pattern);
    mem_free(s);
}

/* Runs with the config {text: 'TEXT'}, in which " stands for itself. */
static struct fake_host h;

static int fini_host(void **state)
{
    (void)state;
    if (h.local != NULL)
        fake_host_fini(&h);
    h.local = NULL;
    return 0;
}

static struct fake_host *run(const char *key, const char *text)
{
    struct buf config;

    (void)fini_host(NULL);
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "Host", "app.example.com");
    h.secrets[0] = (struct fake_secret){ "v", "n", "s3cret" };
    buf_init(&config, TEXT_MAX_BYTES);
    buf_add_fmt(&config, "{%s: '%s'}%c", key, text, '\0');
    assert_int_equal(fake_run_action(&h, POLICY_ON_HTTP_REQUEST, "deny", buf_str(&config).p),
                     POLICY_RESPOND);
    buf_fini(&config);
    return &h;
}

static void expect_text(const char *text, const char *expected)
{
    const struct policy_response *response = run("text", text)->response;

    if (response->error != E_OK)
        fail_msg("%s: %s", text, response->message);
    if (!str_eq(response->body, str_from(expected)))
        fail_msg("%s: got %.*s, not %s", text, STR_ARG(response->body), expected);
}

static void expect_failure(const char *text, enum err_code code, const char *message)
{
    const struct policy_response *response = run("text", text)->response;

    assert_int_equal(response->error, code);
    assert_string_equal(response->message, message);
}

static void template_text_joins_literals_and_values(void **state)
{
    static const struct {
        const char *text;
        const char *result;
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "${req.host}", "app.example.com" },
        { "a${1}b${2}c", "a1b2c" },
        { "${1}${2}", "12" },
        { "$1 $x $ ${\"$\"}", "$1 $x $ $" },
        { "$${req.host}", "${req.host}" },
        { "$$${req.host}", "$${req.host}" },
        { "$$ $${ ${1}", "$$ ${ 1" },
        { "${ { \"a\": \"}\" }[\"a\"] }", "}" },
        { "${[\"}\", \")\"][0]}", "}" },
        { "${r\"\\\" + \"}\"}", "\\}" },
        { "${\"\"\"}\"}\"\"\"}", "}\"}" },
        { "${\"\\\"}\"}", "\"}" },
        { "${{\"a-b\": 1}.`a-b`}", "1" },
        { "${b\"}\"}", "}" },
        { "${1 // }\n\n + 2}", "3" },
        { "${size([1, 2])} ${1 > 0} ${null}. ${1.5} ${10u}", "2 true . 1.5 10" },
        { "${timestamp(\"2024-07-13T00:10:16Z\")}", "2024-07-13T00:10:16Z" },
        { "${duration(\"3600s\")}", "1h0m0s" },
        { "${[1, \"a\"]} ${{\"k\": true}}", "[1,\"a\"] {\"k\":true}" },
    };

    (void)state;
    want_value = false;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_text(cases[i].text, cases[i].result);
}

static void template_compile_refuses_what_does_not_balance(void **state)
{
    static const struct {
        const char *config;
        const char *needle;
    } cases[] = {
        { "{text: '${'}", "test.yml:1:70: " },
        { "{text: '${'}", "it has no closing '}'" },
        { "{text: 'abc ${1'}", "it has no closing '}'" },
        { "{text: '${(1}'}", "its parentheses do not balance" },
        { "{text: '${1)}'}", "its parentheses do not balance" },
        { "{text: '${[1}}'}", "its parentheses do not balance" },
        { "{text: '${\"a}'}", "a string in it is not closed" },
        { "{text: '${\"\"\"a\"}'}", "a string in it is not closed" },
        { "{text: '${m.`a}'}", "a string in it is not closed" },
        { "{text: '${1 // }'}", "it has no closing '}'" },
        { "{text: '${}'}", "the expression is empty" },
        { "{text: '${1 + }'}", "unexpected end" },
        { "{text: '${nope}'}", "nope" },
        { "{text: '${nope} ${also}'}", "also" }, /* every one is reported */
    };
    struct buf deep;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "deny", cases[i].config,
                                        E_POLICY_TEMPLATE, cases[i].needle);
    buf_init(&deep, TEXT_MAX_BYTES);
    buf_add_str(&deep, STR("{text: '${"));
    for (int i = 0; i < 129; i++)
        buf_add_char(&deep, '(');
    buf_add_str(&deep, STR("}'}"));
    buf_add_char(&deep, '\0');
    fake_host_expect_config_refused(POLICY_ON_HTTP_REQUEST, "deny", buf_str(&deep).p,
                                    E_POLICY_TEMPLATE, "nested too deeply");
    buf_fini(&deep);
}

static void template_value_keeps_the_type_of_a_single_expression(void **state)
{
    (void)state;
    want_value = true;
    expect_text("${1}", "int");
    assert_true(is_single);
    expect_text("${[1, {\"a\": 2.0}]}", "list");
    expect_text("${req.headers}", "map");
    expect_text("${null}", "null_type");
    expect_text("${1} ", "string");
    assert_false(is_single);
    expect_text("x", "string");
    assert_true(is_literal);
    expect_text("$${1}", "string");
    assert_true(is_literal);
    want_value = false;
}

static size_t count_errors(const char *document, const struct policy_limits *limits)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        policy_document_parse(STR("t"), str_from(document), &policy_default_limits, problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = {
        .engine = fake_host_engine(), .limits = limits, .documents = documents, .document_count = 1
    };
    size_t errors;

    counted_unref(policy_compile(&params, problems));
    errors = policy_problems_errors(problems);
    policy_document_free(d);
    policy_problems_free(problems);
    return errors;
}

#define DENY(text) "on_http_request: [{actions: [{type: deny, config: {text: '" text "'}}]}]"

static void template_compile_has_limits(void **state)
{
    struct policy_limits limits = policy_default_limits;

    (void)state;
    limits.policy_rules_max = 2;
    limits.policy_expressions_max = 2; /* so all ${} may be four */
    assert_int_equal(count_errors(DENY("${1}${2}${3}${4}"), &limits), 0);
    assert_int_equal(count_errors(DENY("${1}${2}${3}${4}${5}"), &limits), 1);
    /* Of a text with nothing right in it, five problems are enough. */
    assert_int_equal(count_errors(DENY("${a}${b}${c}${d}${e}${f}${g}"), &policy_default_limits), 5);
}

/* Those of expressions, of fields and of lists count together; ones that are computed do not. */
static void patterns_of_a_policy_have_a_limit_together(void **state)
{
    static const char document[] =
        "on_http_request:\n"
        "- expressions: [\"'x'.matches('abc')\", \"'x'.matches('[abc]{10}')\"]\n"
        "  actions:\n"
        "  - {type: user-agent-filter, config: {deny: [abcd, abcde]}}\n"
        "  - {type: url-rewrite, config: {from: abcdef, to: /}}\n"
        "  - {type: url-rewrite, config: {from: 'abcdefg${req.host}', to: /}}\n";
    struct policy_limits limits = policy_default_limits;

    (void)state;
    limits.policy_patterns_max = 3 + regex_weight(STR("[abc]{10}")) + 4 + 5 + 6;
    assert_int_equal(count_errors(document, &limits), 0);
    limits.policy_patterns_max--;
    assert_int_equal(count_errors(document, &limits), 1);
}

/* Codes and the field's name, but no values of the request (spec traffic-policy 8.3). */
static void template_failures_name_the_field(void **state)
{
    (void)state;
    expect_failure("${[1][3]}", E_POLICY_FIELD_EVALUATION,
                   "deny: text: the index is outside of the list");
    expect_failure("a ${1 / 0} b", E_POLICY_FIELD_EVALUATION, "deny: text: division by zero");
    want_value = true;
    expect_failure("${1 / 0}", E_POLICY_FIELD_EVALUATION, "deny: text: division by zero");
    want_value = false;
}

static void template_text_is_limited_by_the_memory_of_the_phase(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    /* Each is 40 KB, which one evaluation may make; 30 of them are more than 1 MiB. */
    for (int i = 0; i < 30; i++)
        buf_add_str(&text,
                    STR("${[\"xxxxxxxxxxxxxxxxxxxx\"].map(x, x + x + x + x + x + x + x + x + x + "
                        "x).map(x, x + x + x + x + x + x + x + x + x + x).map(x, x + x + x + x + "
                        "x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x)[0]}"));
    buf_add_char(&text, '\0');
    expect_failure(buf_str(&text).p, E_POLICY_MEMORY, "text: the text is too large");
    buf_fini(&text);
}

static void template_find_char_skips_expressions(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        { "user:pass", 4 },
        { "${a}:b", 4 },
        { "${a ? \"x:y\" : \"z\"}", 18 },
        { "$${:", 3 },
        { "${a:", 4 },
        { "", 0 },
        { "abc", 3 },
        { "${{\"a\":1}}:x", 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(template_find_char(str_from(cases[i].text), ':'), cases[i].at);
}

static void template_literal_copies_its_text(void **state)
{
    char text[] = "abc";
    struct template *t = template_literal(str_of(text, 3));
    struct str out;

    (void)state;
    text[0] = 'x';
    assert_true(template_is_literal(t, &out));
    assert_true(str_eq(out, STR("abc")));
    assert_true(template_is_literal(NULL, &out));
    assert_int_equal(out.n, 0);
    assert_false(template_is_single(t));
    template_free(t);
    template_free(NULL);
}

static void pattern_get_compiles_when_the_text_is_known(void **state)
{
    static const struct {
        const char *pattern;
        const char *result;
    } cases[] = {
        { "^a.c$", "yes" },        { "x", "no" },        { "^${\"a\"}", "yes" },
        { "${\"[ac]b\"}", "yes" }, { "${\"x\"}", "no" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct policy_response *response = run("pattern", cases[i].pattern)->response;

        assert_true(str_eq(response->body, str_from(cases[i].result)));
    }
}

static void pattern_get_hides_what_a_bad_pattern_is(void **state)
{
    const struct policy_response *response;

    (void)state;
    response = run("pattern", "${\"(\" + secrets.get(\"v\", \"n\")}")->response;
    assert_int_equal(response->error, E_POLICY_REGEX);
    assert_string_equal(response->message,
                        "the computed regular expression is invalid or too long");
    response = run("pattern", "${[\"a\"][2]}")->response;
    assert_int_equal(response->error, E_POLICY_FIELD_EVALUATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(template_text_joins_literals_and_values),
        cmocka_unit_test(template_compile_refuses_what_does_not_balance),
        cmocka_unit_test(template_value_keeps_the_type_of_a_single_expression),
        cmocka_unit_test(template_compile_has_limits),
        cmocka_unit_test(patterns_of_a_policy_have_a_limit_together),
        cmocka_unit_test(template_failures_name_the_field),
        cmocka_unit_test(template_text_is_limited_by_the_memory_of_the_phase),
        cmocka_unit_test(template_find_char_skips_expressions),
        cmocka_unit_test(template_literal_copies_its_text),
        cmocka_unit_test(pattern_get_compiles_when_the_text_is_known),
        cmocka_unit_test(pattern_get_hides_what_a_bad_pattern_is),
    };

    return cmocka_run_group_tests_name("policy/template", tests, NULL, fini_host);
}
