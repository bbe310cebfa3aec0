/*
 * Unit tests of policy/terms: which of the operator's documents an endpoint gets, in which order, and what
 * they may refer to.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/compiled.h"
#include "tests/unit/policy/action_scene.h"

#define Q POLICY_ON_HTTP_REQUEST

static struct policy_terms *terms;

static int set_up(void **state)
{
    terms = policy_terms_new(fake_host_engine(), &policy_default_limits, STR("example.com"));
    return scene_set_up(state);
}

static int tear_down(void **state)
{
    policy_terms_unref(terms);
    return scene_tear_down(state);
}

static struct policy_document *parse(const char *text)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        policy_document_parse(STR("test.yml"), str_from(text), &policy_default_limits, problems);

    assert_non_null(d);
    policy_problems_free(problems);
    return d;
}

/* A document that adds the field x with a value. */
static struct policy_document *adds(const char *value)
{
    return parse(scene_fmt("on_http_request: [{actions: [{type: add-headers,"
                           " config: {headers: {x: %s}}}]}]",
                           value));
}

static void add_default(const char *account, const char *domain, const char *value)
{
    policy_terms_add_default(terms, str_from(account), str_from(domain), adds(value));
}

/* Compiles for an endpoint; NULL: there is no policy. */
static struct counted *compile(const struct policy_request *request)
{
    struct policy_problems *problems = policy_problems_new();
    struct counted *policy = NULL;

    assert_int_equal(policy_terms_compile(terms, request, &policy, problems), 0);
    assert_int_equal(policy_problems_errors(problems), 0);
    policy_problems_free(problems);
    return policy;
}

/* What the documents that fit add: "a,b"; "" when none does. */
static void expect_documents(const char *account, const char *host, const char *expected)
{
    const struct policy_request request = { .account = str_from(account), .host = str_from(host) };
    struct counted *policy = compile(&request);
    const char *is = "";

    scene.messages[POLICY_REQUEST].count = 0;
    if (policy != NULL) {
        assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_CONTINUE);
        is = fake_host_values(&scene, "x");
    }
    if (strcmp(is, expected) != 0)
        fail_msg("%s at %s: %s instead of %s", account, host, is, expected);
    counted_unref(policy);
}

static void compile_without_documents_gives_no_policy(void **state)
{
    (void)state;
    expect_documents("one", "app.example.com", "");
    expect_documents("one", "", "");
}

static void compile_picks_by_account(void **state)
{
    (void)state;
    add_default("", "", "all");
    add_default("one", "", "one");
    add_default("two", "", "two");
    expect_documents("one", "app.example.com", "all,one");
    expect_documents("two", "app.example.com", "all,two");
    expect_documents("One", "app.example.com", "all");
    expect_documents("", "app.example.com", "all");
}

static void compile_picks_by_domain(void **state)
{
    static const struct {
        const char *domain;
        const char *host;
        bool fits;
    } cases[] = {
        { "", "app.example.com", true },
        { "app.example.com", "app.example.com", true },
        { "APP.example.com", "app.Example.com", true },
        { "app.example.com", "xapp.example.com", false },
        { "app.example.com", "x.app.example.com", false },
        { "*.example.com", "app.example.com", true },
        { "*.Example.com", "a.b.example.COM", true },
        { "*.example.com", "example.com", false },
        { "*.example.com", "badexample.com", false },
        { "*.example.com", "example.com.evil", false },
        { "*.app.example.com", "app.example.com", false },
        { "*.com", "app.example.com", true },
        { "example.com", "app.example.com", false },
        { "*.example.com", "*.example.com", true },
        /* A random name below example.com. */
        { "", "", true },
        { "*.example.com", "", true },
        { "*.EXAMPLE.com", "", true },
        { "*.com", "", true },
        { "*.xample.com", "", false },
        { "*.app.example.com", "", false },
        { "example.com", "", false },
        { "app.example.com", "", false },
        { "*.other.com", "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)tear_down(NULL);
        (void)set_up(NULL);
        add_default("", cases[i].domain, "a");
        expect_documents("one", cases[i].host, cases[i].fits ? "a" : "");
    }
}

static void compile_needs_account_and_domain(void **state)
{
    (void)state;
    add_default("one", "*.example.com", "both");
    expect_documents("one", "app.example.com", "both");
    expect_documents("two", "app.example.com", "");
    expect_documents("one", "app.example.org", "");
}

/* The operator's documents as they were added, then the user's. */
static void compile_keeps_the_order(void **state)
{
    struct policy_document *first = adds("u1");
    struct policy_document *second = adds("u2");
    const struct policy_document *documents[] = { first, second };
    const struct policy_request request = {
        .account = STR("one"), .host = STR("a.example.com"), .documents = documents, .count = 2
    };
    struct counted *policy;

    (void)state;
    add_default("", "", "o1");
    add_default("two", "", "not this");
    add_default("one", "*.example.com", "o2");
    policy = compile(&request);
    policy_document_free(first); /* a policy does not borrow from documents */
    policy_document_free(second);
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&scene, "x"), "o1,o2,u1,u2");
    counted_unref(policy);
}

static void compile_with_problems_gives_them(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *bad =
        parse("on_http_request: [{actions: [{type: add-headers, config: {}}]}]");
    const struct policy_document *documents[] = { bad };
    const struct policy_request request = { .account = STR("one"),
                                            .documents = documents,
                                            .count = 1 };
    struct counted *policy = NULL;

    (void)state;
    add_default("", "", "fine");
    assert_int_equal(policy_terms_compile(terms, &request, &policy, problems), -1);
    assert_null(policy);
    assert_int_equal(policy_problems_errors(problems), 1);
    policy_document_free(bad);
    policy_problems_free(problems);
}

static void compile_hands_limits_and_protocols_on(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        parse("on_http_request: [{actions: [{type: deny}]}, {actions: [{type: deny}]}]");
    const struct policy_document *documents[] = { d };
    struct policy_request request = {
        .account = STR("one"), .protocols = POLICY_TCP, .documents = documents, .count = 1
    };
    struct counted *policy = NULL;
    struct err e;

    (void)state;
    assert_int_equal(policy_terms_compile(terms, &request, &policy, problems), -1);
    policy_problems_first(problems, &e);
    assert_int_equal(e.code, E_POLICY_PHASE_PROTOCOL);
    policy_problems_free(problems);
    problems = policy_problems_new();
    request.protocols = POLICY_HTTP;
    terms->limits.policy_rules_max = 1;
    assert_int_equal(policy_terms_compile(terms, &request, &policy, problems), -1);
    policy_problems_first(problems, &e);
    assert_int_equal(e.code, E_POLICY_RULES);
    policy_problems_free(problems);
    policy_document_free(d);
}

static void compile_hands_expression_errors_on(void **state)
{
    struct policy_document *d =
        parse("on_http_request: [{expressions: ['[][0]'], actions: [{type: add-headers,"
              " config: {headers: {x: a}}}]}]");
    const struct policy_document *documents[] = { d };
    const struct policy_request request = { .documents = documents, .count = 1 };
    struct counted *policy = compile(&request);

    (void)state;
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_RESPOND);
    counted_unref(policy);
    terms->expression_errors = POLICY_EXPRESSION_NO_MATCH;
    policy = compile(&request);
    assert_int_equal(fake_host_run(&scene, policy, Q), POLICY_CONTINUE);
    counted_unref(policy);
    policy_document_free(d);
}

/* ---- what documents may refer to ------------------------------------------------------------- */

struct lent {
    size_t freed;
};

static bool has_ip_policy(void *arg, struct str account, struct str name)
{
    assert_non_null(arg);
    return str_eq(account, STR("one")) && str_eq(name, STR("staff"));
}

static bool has_secret(void *arg, struct str account, struct str vault, struct str name)
{
    assert_non_null(arg);
    return str_eq(account, STR("one")) && str_eq(vault, STR("v")) && str_eq(name, STR("n"));
}

static void count_free(void *arg)
{
    ((struct lent *)arg)->freed++;
}

/* 0 or -1 of a document of one account. */
static int try_document(const char *account, const char *text)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d = parse(text);
    const struct policy_document *documents[] = { d };
    const struct policy_request request = { .account = str_from(account),
                                            .documents = documents,
                                            .count = 1 };
    struct counted *policy;
    int rc = policy_terms_compile(terms, &request, &policy, problems);

    counted_unref(policy);
    policy_document_free(d);
    policy_problems_free(problems);
    return rc;
}

static void compile_asks_for_names(void **state)
{
    static const char staff[] = "on_tcp_connect: [{actions: [{type: restrict-ips,"
                                " config: {ip_policies: [staff]}}]}]";
    static const char others[] = "on_tcp_connect: [{actions: [{type: restrict-ips,"
                                 " config: {ip_policies: [others]}}]}]";
    static const char secret[] =
        "on_http_request: [{expressions: [\"secrets.get('v', 'n') == ''\"],"
        " actions: [{type: add-headers, config: {headers: {a: b}}}]}]";
    struct lent lent = { 0 };

    (void)state;
    assert_int_equal(try_document("one", staff), -1); /* there are none */
    assert_int_equal(try_document("two", secret), 0); /* nobody knows */
    terms->has_ip_policy = has_ip_policy;
    terms->has_secret = has_secret;
    terms->arg = &lent;
    terms->free_arg = count_free;
    assert_int_equal(try_document("one", staff), 0);
    assert_int_equal(try_document("two", staff), -1);
    assert_int_equal(try_document("one", others), -1);
    assert_int_equal(try_document("one", secret), 0);
    assert_int_equal(try_document("two", secret), -1);
    policy_terms_ref(terms);
    policy_terms_unref(terms);
    assert_int_equal(lent.freed, 0);
    policy_terms_unref(terms);
    assert_int_equal(lent.freed, 1);
    terms = NULL; /* for tear_down(): NULL is fine */
    policy_terms_ref(NULL);
}

/* ---- internal endpoints ---- */

static const char connect_rules[] = "on_tcp_connect: [{actions: [{type: deny}]}]";

/* The code of the first problem with the user's document, which may be NULL; 0: there is none. */
static unsigned problem_of(unsigned protocols, struct policy_document *user, struct counted **out)
{
    const struct policy_document *const documents[] = { user };
    const struct policy_request request = {
        .host = STR("api.internal"),
        .protocols = protocols,
        .is_internal = true,
        .documents = documents,
        .count = user == NULL ? 0 : 1,
    };
    struct policy_problems *problems = policy_problems_new();
    struct err e = { .code = E_OK };

    if (policy_terms_compile(terms, &request, out, problems) == -1)
        policy_problems_first(problems, &e);
    policy_problems_free(problems);
    policy_document_free(user);
    return err_number(e.code);
}

static void compile_internal_http_has_no_on_tcp_connect(void **state)
{
    static const unsigned http[] = { POLICY_HTTP, POLICY_HTTPS };
    static const unsigned raw[] = { POLICY_TLS, POLICY_TCP };
    struct counted *policy;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(problem_of(http[i], parse(connect_rules), &policy), 2262);
        assert_null(policy);
        assert_int_equal(problem_of(http[i],
                                    parse("on_tcp_connect: []\n"
                                          "on_http_request: [{actions: [{type: deny}]}]"),
                                    &policy),
                         0);
        counted_unref(policy);
        assert_int_equal(problem_of(raw[i], parse(connect_rules), &policy), 0);
        assert_true(policy_has_phase(policy, POLICY_ON_TCP_CONNECT));
        counted_unref(policy);
    }
}

/* What the operator asks of connections was asked where they came in. */
static void compile_internal_http_leaves_out_the_operators_on_tcp_connect(void **state)
{
    struct counted *policy;

    (void)state;
    policy_terms_add_default(terms, STR_NONE, STR_NONE, parse(connect_rules));
    assert_int_equal(problem_of(POLICY_HTTPS, NULL, &policy), 0);
    assert_false(policy_has_phase(policy, POLICY_ON_TCP_CONNECT));
    counted_unref(policy);
    assert_int_equal(problem_of(POLICY_HTTPS, adds("user"), &policy), 0);
    assert_true(policy_has_phase(policy, Q));
    counted_unref(policy);
    assert_int_equal(problem_of(POLICY_HTTPS, parse(connect_rules), &policy), 2262);
    assert_int_equal(problem_of(POLICY_TCP, NULL, &policy), 0);
    assert_true(policy_has_phase(policy, POLICY_ON_TCP_CONNECT));
    counted_unref(policy);
}

/* Another arg under the same documents and functions. */
static void over_has_the_documents_and_asks_another(void **state)
{
    struct lent lent = { 0 };
    struct lent other = { 0 };
    struct policy_terms *base = terms;

    (void)state;
    add_default("", "", "a");
    terms->has_ip_policy = has_ip_policy;
    terms->arg = &lent;
    terms->free_arg = count_free;
    terms = policy_terms_over(base, &other);
    policy_terms_unref(base);
    assert_int_equal(lent.freed, 0);
    assert_ptr_equal(terms->arg, &other);
    assert_ptr_equal(terms->has_ip_policy, has_ip_policy);
    expect_documents("one", "a.example.com", "a");
    policy_terms_unref(terms);
    terms = NULL;
    assert_int_equal(lent.freed, 1);
    assert_int_equal(other.freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compile_without_documents_gives_no_policy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compile_picks_by_account, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_picks_by_domain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_needs_account_and_domain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_keeps_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_with_problems_gives_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_hands_limits_and_protocols_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_hands_expression_errors_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_asks_for_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_internal_http_has_no_on_tcp_connect, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            compile_internal_http_leaves_out_the_operators_on_tcp_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_has_the_documents_and_asks_another, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("policy/terms", tests, NULL, NULL);
}
