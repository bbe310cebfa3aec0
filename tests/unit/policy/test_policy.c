/*
 * Unit tests of policy/policy, policy/compile and policy/compiler: what a document may look like, and that
 * each problem has its code and place. Actions take any config here.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_actions
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/compiled.h"
#include "tests/unit/policy/fake_host.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

static void compile_takes_every_documented_shape(void **state)
{
    static const char *const documents[] = {
        "on_http_request: [{actions: [{type: deny}]}]",
        "{\"on_http_request\": [{\"actions\": [{\"type\": \"deny\", \"config\": {}}]}]}",
        "on_http_request: []\non_http_response: [{actions: [{type: log}]}]",
        "on_http_request:\non_http_response: [{actions: [{type: log}]}]",
        "on_tcp_connect: [{name: x, expressions: [], actions: [{type: deny, name: y, config: ~}]}]",
        "on_tcp_connect: [{name: 5, expressions: , actions: [{type: deny}]}]",
        "on_event_stream_message: [{actions: [{type: sse-find-replace}, {type: set-vars}]}]",
        "on_http_request: [{expressions: [false, \"req.host != 'a: b'\"], actions: [{type: log}]}]",
        "on_http_request: [{actions: [{type: webhook-validation}]}]",
        "on_http_request:\n- actions: &a\n  - type: deny\n- actions: *a\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
        counted_unref(fake_host_compile(documents[i]));
}

/* Spec traffic-policy 1.10, and everything else that is no policy. */
static void compile_refuses_other_shapes(void **state)
{
    static const struct {
        const char *document;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "", E_POLICY_NO_ACTION, "test.yml:1:1: " },
        { "{}", E_POLICY_NO_ACTION, "the policy has no action" },
        { "on_http_request: []", E_POLICY_NO_ACTION, "the policy has no action" },
        { "- a", E_POLICY_DOCUMENT, "a policy must be a mapping of phases, not a list" },
        { "text", E_POLICY_DOCUMENT, "not a string" },
        { "on_http_requests: []", E_POLICY_DOCUMENT, "test.yml:1:1: " },
        { "on_http_requests: []", E_POLICY_DOCUMENT, "unknown key 'on_http_requests'" },
        { "on_http_request: {actions: []}", E_POLICY_DOCUMENT,
          "on_http_request: it must be a list of rules, not a mapping" },
        { "on_http_request: deny", E_POLICY_DOCUMENT, "not a string" },
        { "on_http_request: [deny]", E_POLICY_DOCUMENT,
          "on_http_request[0]: a rule must be a mapping, not a string" },
        { "on_http_request: [{type: deny}]", E_POLICY_NO_ACTION,
          "on_http_request[0]: a rule needs at least one action" },
        { "on_http_request: [{name: x}]", E_POLICY_NO_ACTION, "(rule 'x')" },
        { "on_http_request: [{actions: []}]", E_POLICY_NO_ACTION, "at least one action" },
        { "on_http_request: [{actions: }]", E_POLICY_NO_ACTION, "at least one action" },
        { "on_http_request: [{actions: {type: deny}}]", E_POLICY_DOCUMENT,
          "on_http_request[0].actions: it must be a list, not a mapping" },
        { "on_http_request: [{actions: [deny]}]", E_POLICY_DOCUMENT,
          "on_http_request[0].actions[0]: an action must be a mapping, not a string" },
        { "on_http_request: [{actions: [{actions: [{type: deny}]}]}]", E_POLICY_DOCUMENT,
          "a rule stands where an action must be" },
        { "on_http_request: [{if: x, actions: [{type: deny}]}]", E_POLICY_DOCUMENT,
          "unknown key 'if'" },
        { "on_http_request: [{actions: [{type: deny, when: x}]}]", E_POLICY_DOCUMENT,
          "on_http_request[0].actions[0]: unknown key 'when'" },
        { "on_http_request: [{name: [], actions: [{type: deny}]}]", E_POLICY_DOCUMENT,
          "on_http_request[0].name: it must be a string" },
        { "on_http_request: [{actions: [{type: dney}]}]", E_POLICY_ACTION,
          "unknown action 'dney'" },
        { "on_http_request: [{actions: [{}]}]", E_POLICY_MISSING, "actions[0].type: " },
        { "on_http_request: [{actions: [{type: }]}]", E_POLICY_MISSING, "actions[0].type: " },
        { "on_http_request: [{actions: [{type: []}]}]", E_POLICY_DOCUMENT, "actions[0].type: " },
        { "on_http_request: [{actions: [{type: deny, config: text}]}]", E_POLICY_CONFIG,
          "actions[0].config: it must be a mapping, not a string" },
        { "on_http_request: [{expressions: 'true', actions: [{type: deny}]}]", E_POLICY_DOCUMENT,
          "on_http_request[0].expressions: it must be a list, not a string" },
        { "on_http_request: [{expressions: [{a: b}], actions: [{type: deny}]}]",
          E_POLICY_EXPRESSION, "expressions[0]: it must be a string, not a mapping" },
        { "on_http_request: [{expressions: [~], actions: [{type: deny}]}]", E_POLICY_EXPRESSION,
          "expressions[0]: it must be a string, not nothing" },
        { "on_http_request: [{expressions: ['${vars.x} == 1'], actions: [{type: deny}]}]",
          E_POLICY_EXPRESSION, "expressions[0]: " },
        { "on_http_request: [{expressions: [req.host], actions: [{type: deny}]}]",
          E_POLICY_EXPRESSION, "expressions[0]: " },
        { "on_http_request: [{expressions: ['req.path == \"\"'], actions: [{type: deny}]}]",
          E_POLICY_EXPRESSION, "expressions[0]: " },
        { "on_http_response: [{expressions: ['res.status_code < \"200\"'], actions: [{type: "
          "log}]}]",
          E_POLICY_EXPRESSION, "expressions[0]: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_refused(cases[i].document, cases[i].code, cases[i].needle);
}

static void compile_names_line_and_column(void **state)
{
    (void)state;
    fake_host_expect_refused("on_http_request:\n"
                             "  - name: bots\n"
                             "    expressions:\n"
                             "      - \"req.host == 'a' && nope\"\n"
                             "    actions:\n"
                             "      - type: deny\n",
                             E_POLICY_EXPRESSION, "test.yml:4:29: ");
    fake_host_expect_refused("on_http_request:\n"
                             "  - expressions:\n"
                             "      - >\n"
                             "        req.host ==\n"
                             "        nope\n"
                             "    actions: [{type: deny}]\n",
                             E_POLICY_EXPRESSION, "(at character 13)");
}

static void compile_reports_every_problem(void **state)
{
    static const char document[] = "on_http_request:\n"
                                   "- if: x\n"
                                   "  expressions: [nope1, nope2]\n"
                                   "  actions:\n"
                                   "  - type: unknown1\n"
                                   "  - {type: unknown2, more: 1}\n"
                                   "- 5\n"
                                   "on_nothing: []\n"
                                   "on_http_response: [{}]\n";
    static const struct {
        enum err_code code;
        const char *needle;
    } all[] = {
        { E_POLICY_DOCUMENT, "test.yml:2:3: " },    { E_POLICY_EXPRESSION, "test.yml:3:17: " },
        { E_POLICY_EXPRESSION, "test.yml:3:24: " }, { E_POLICY_ACTION, "test.yml:5:11: " },
        { E_POLICY_ACTION, "test.yml:6:12: " },     { E_POLICY_DOCUMENT, "test.yml:6:22: " },
        { E_POLICY_DOCUMENT, "test.yml:7:3: " },    { E_POLICY_DOCUMENT, "test.yml:8:1: " },
        { E_POLICY_NO_ACTION, "test.yml:9:20: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        fake_host_expect_refused(document, all[i].code, all[i].needle);
}

/* ---- actions and phases ---------------------------------------------------------------------- */

static void each_action_stands_in_its_phases_only(void **state)
{
    char document[256];

    (void)state;
    for (size_t i = 0; i < ACTION_TYPE_COUNT; i++) {
        for (unsigned phase = 0; phase < POLICY_PHASE_COUNT; phase++) {
            const char *name = policy_phase_name((enum policy_phase)phase);

            (void)snprintf(document, sizeof(document), "%s: [{actions: [{type: %s}]}]", name,
                           action_types[i].name);
            if ((action_types[i].phases >> phase & 1) != 0)
                counted_unref(fake_host_compile(document));
            else
                fake_host_expect_refused(document, E_POLICY_PHASE, "is not available in");
        }
    }
}

static void actions_that_are_not_here_say_so(void **state)
{
    static const char *const names[] = { "oauth",
                                         "openid-connect",
                                         "oidc",
                                         "saml",
                                         "ai-gateway",
                                         "owasp-crs-request",
                                         "owasp-crs-response" };
    char document[256];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(document, sizeof(document), "on_http_request: [{actions: [{type: %s}]}]",
                       names[i]);
        fake_host_expect_refused(document, E_POLICY_ACTION,
                                 "this gateway does not have the action");
    }
}

/* D44: several logins need an auth_id of their own. */
static void logins_are_told_apart_by_auth_id(void **state)
{
    static const char twice[] =
        "on_http_request: [{actions: [{type: oauth, config: {auth_id: %s}}, "
        "{type: oidc, config: {auth_id: %s}}]}]";
    struct policy_problems *problems = policy_problems_new();
    const struct policy_document *documents[1];
    struct policy_document *d;
    char document[256];
    struct buf text;

    (void)state;
    (void)snprintf(document, sizeof(document), twice, "a", "a");
    fake_host_expect_refused(document, E_POLICY_AUTH_TWICE, "a second login action");
    fake_host_expect_refused("on_http_request: [{actions: [{type: oauth}, {type: oidc}]}]",
                             E_POLICY_AUTH_TWICE, "a second login action");
    (void)snprintf(document, sizeof(document), twice, "a", "b");
    d = policy_document_parse(STR("t"), str_from(document), &policy_default_limits, problems);
    documents[0] = d;
    assert_null(policy_compile(&(struct policy_params){ .engine = fake_host_engine(),
                                                        .limits = &policy_default_limits,
                                                        .documents = documents,
                                                        .document_count = 1 },
                               problems));
    buf_init(&text, TEXT_MAX_BYTES);
    policy_problems_format(problems, &text);
    assert_true(str_find(buf_str(&text), STR("2239")) == buf_str(&text).n);
    buf_fini(&text);
    policy_document_free(d);
    policy_problems_free(problems);
}

static void unreachable_actions_are_warned_about(void **state)
{
    struct policy_problems *problems = policy_problems_new();

    (void)state;
    fake_host_expect_warning(
        "on_http_request: [{actions: [{type: custom-response}, {type: deny}]}]",
        "actions[1]: it can never run, because custom-response before it");
    fake_host_expect_warning("on_http_request: [{actions: [{type: forward-internal, config: "
                             "{on_error: halt}}, {type: deny}]}]",
                             "it can never run");
    counted_unref(fake_host_compile("on_http_request: [{actions: [{type: forward-internal, config: "
                                    "{on_error: continue}}, {type: deny}]}]"));
    policy_problems_free(problems);
}

static void old_names_of_phases_are_understood(void **state)
{
    struct counted *policy = fake_host_compile("inbound: [{actions: [{type: deny}]}]\n"
                                               "outbound: [{actions: [{type: log}]}]\n");

    (void)state;
    assert_true(policy_has_phase(policy, POLICY_ON_HTTP_REQUEST));
    assert_true(policy_has_phase(policy, POLICY_ON_HTTP_RESPONSE));
    counted_unref(policy);
    fake_host_expect_warning("inbound: [{actions: [{type: deny}]}]",
                             "'inbound' is an old name of 'on_http_request'");
    fake_host_expect_refused("inbound: [{actions: [{type: deny}]}]\non_http_response: []",
                             E_POLICY_DOCUMENT, "old and new names of phases");
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* Compiles for endpoints of these protocols; the formatted problems, or "". */
static const char *problems_for(unsigned protocols, const char *document, struct counted **out)
{
    static char text[1024];
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        policy_document_parse(STR("t"), str_from(document), &policy_default_limits, problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = { .engine = fake_host_engine(),
                                          .limits = &policy_default_limits,
                                          .documents = documents,
                                          .document_count = 1,
                                          .protocols = protocols };
    struct counted *policy = policy_compile(&params, problems);
    struct buf formatted;

    buf_init(&formatted, TEXT_MAX_BYTES);
    policy_problems_format(problems, &formatted);
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&formatted)));
    buf_fini(&formatted);
    policy_document_free(d);
    policy_problems_free(problems);
    if (out != NULL)
        *out = policy;
    else
        counted_unref(policy);
    return text;
}

static void phases_fit_the_protocol(void **state)
{
    static const char http[] = "on_http_request: [{actions: [{type: deny}]}]";
    static const char tcp[] = "on_tcp_connect: [{actions: [{type: deny}]}]";
    static const char forward[] = "on_tcp_connect: [{actions: [{type: forward-internal}]}]";
    struct counted *policy;

    (void)state;
    assert_string_equal(problems_for(0, http, NULL), "");
    assert_string_equal(problems_for(POLICY_HTTP | POLICY_HTTPS, http, NULL), "");
    assert_non_null(strstr(problems_for(POLICY_TCP, http, NULL), "[ERR_SALLYPORT_2230]"));
    assert_non_null(strstr(problems_for(POLICY_TLS | POLICY_HTTPS, http, NULL), "2230"));
    assert_string_equal(problems_for(POLICY_TLS,
                                     "on_http_request: []\non_tcp_connect: "
                                     "[{actions: [{type: deny}]}]",
                                     NULL),
                        "");
    assert_string_equal(problems_for(POLICY_HTTPS, tcp, NULL), "");
    assert_string_equal(problems_for(POLICY_TCP, forward, NULL), "");
    assert_string_equal(problems_for(0, forward, NULL), "");
    assert_non_null(strstr(problems_for(POLICY_HTTPS, forward, NULL), "[ERR_SALLYPORT_2205]"));
    (void)problems_for(POLICY_TCP, "inbound: [{actions: [{type: deny}]}]", &policy);
    assert_true(policy_has_phase(policy, POLICY_ON_TCP_CONNECT));
    counted_unref(policy);
}

static void documents_run_in_their_order(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *flags = policy_document_new(STR("flags"));
    struct policy_document *file;
    const struct policy_document *documents[2];
    const struct policy_params params = { .engine = fake_host_engine(),
                                          .limits = &policy_default_limits,
                                          .documents = documents,
                                          .document_count = 2 };
    struct counted *policy;
    const struct compiled_phase *phase;

    (void)state;
    policy_document_add(flags, POLICY_ON_HTTP_REQUEST, "deny", NULL);
    file = policy_document_parse(STR("f"),
                                 STR("on_http_request: [{name: second, actions: [{type: log}]}]"),
                                 &policy_default_limits, problems);
    documents[0] = flags;
    documents[1] = file;
    policy = policy_compile(&params, problems);
    policy_document_free(flags);
    policy_document_free(file);
    assert_non_null(policy);
    phase = &policy_of(policy)->phases[POLICY_ON_HTTP_REQUEST];
    assert_int_equal(phase->count, 2);
    assert_null(phase->rules[0].name);
    assert_string_equal(phase->rules[1].name, "second");
    assert_int_equal(phase->rules[1].index, 0); /* in its own document */
    counted_unref(policy);
    policy_problems_free(problems);
}

static void a_policy_without_documents_is_refused(void **state)
{
    struct policy_problems *problems = policy_problems_new();
    const struct policy_params params = { .engine = fake_host_engine(),
                                          .limits = &policy_default_limits };
    struct err e;

    (void)state;
    assert_null(policy_compile(&params, problems));
    policy_problems_first(problems, &e);
    assert_int_equal(e.code, E_POLICY_NO_ACTION);
    policy_problems_free(problems);
}

/* D56, D57: once for each kind of data. */
static void variables_without_data_are_warned_about(void **state)
{
    static const char document[] =
        "on_http_request: [{expressions: [conn.geo.city != '', conn.client_ip.geo.location.is_eu, "
        "conn.server_ip.as.number == 1, conn.client_ip.is_tor_node], actions: [{type: log}]}]";
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d =
        policy_document_parse(STR("t"), str_from(document), &policy_default_limits, problems);
    const struct policy_document *documents[] = { d };
    struct policy_params params = { .engine = fake_host_engine(),
                                    .limits = &policy_default_limits,
                                    .documents = documents,
                                    .document_count = 1 };

    (void)state;
    counted_unref(policy_compile(&params, problems));
    assert_int_equal(policy_problems_warnings(problems), 0);
    params.lacks = POLICY_LACKS_GEO;
    counted_unref(policy_compile(&params, problems));
    assert_int_equal(policy_problems_warnings(problems), 1);
    params.lacks |= POLICY_LACKS_IP_LISTS;
    counted_unref(policy_compile(&params, problems));
    assert_int_equal(policy_problems_warnings(problems), 3);
    assert_int_equal(policy_problems_errors(problems), 0);
    policy_document_free(d);
    policy_problems_free(problems);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static bool has_secret(void *arg, struct str vault, struct str name)
{
    (void)arg;
    return str_eq(vault, STR("v")) && str_eq(name, STR("known"));
}

static const char *secret_problems(const char *expression)
{
    static char text[512];
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d;
    const struct policy_document *documents[1];
    const struct policy_params params = { .engine = fake_host_engine(),
                                          .limits = &policy_default_limits,
                                          .documents = documents,
                                          .document_count = 1,
                                          .has_secret = has_secret };
    char document[512];
    struct err e = { .code = E_OK };

    (void)snprintf(document, sizeof(document),
                   "on_http_request:\n- expressions:\n  - \"%s\"\n  actions: [{type: deny}]\n",
                   expression);
    d = policy_document_parse(STR("t"), str_from(document), &policy_default_limits, problems);
    documents[0] = d;
    counted_unref(policy_compile(&params, problems));
    policy_problems_first(problems, &e);
    (void)snprintf(text, sizeof(text), "%s", e.code == E_OK ? "" : e.msg);
    policy_document_free(d);
    policy_problems_free(problems);
    return text;
}

/* D29: what is written out is looked for at load, wherever it stands. */
static void literal_secrets_are_looked_for(void **state)
{
    static const char *const unknown[] = {
        "secrets.get('v', 'nope') == ''",
        "[1].exists(x, secrets.get('v', 'nope') == '')",
        "{'a': [secrets.get('v', 'nope')]}.size() == 1",
        "true ? secrets.get('v', 'nope') == '' : false",
        "secrets.get('v', 'nope').startsWith('a') || false",
        "secrets.get('v', 'known') == secrets.get('v', 'nope')",
    };

    (void)state;
    assert_string_equal(secret_problems("secrets.get('v', 'known') == ''"), "");
    assert_string_equal(secret_problems("secrets.get('v', req.host) == ''"), "");
    assert_string_equal(secret_problems("'secrets.get(1)' == req.host"), "");
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        if (strstr(secret_problems(unknown[i]), "there is no secret 'nope' in a vault 'v'") == NULL)
            fail_msg("%s: %s", unknown[i], secret_problems(unknown[i]));
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void add_times(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_add_str(b, str_from(text));
}

/* `head`, `times` times `piece`, `tail` compiles, and once more is refused with the code. */
static void expect_limit(const char *head, const char *piece, size_t times, const char *tail,
                         enum err_code code, const char *needle)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    add_times(&text, head, 1);
    add_times(&text, piece, times);
    add_times(&text, tail, 1);
    buf_add_char(&text, '\0');
    counted_unref(fake_host_compile(buf_str(&text).p));
    buf_clear(&text);
    add_times(&text, head, 1);
    add_times(&text, piece, times + 1);
    add_times(&text, tail, 1);
    buf_add_char(&text, '\0');
    fake_host_expect_refused(buf_str(&text).p, code, needle);
    buf_fini(&text);
}

static void documents_have_limits(void **state)
{
    (void)state;
    expect_limit("on_http_response: [{actions: [{type: log}]}]\non_http_request:\n",
                 "- actions: [{type: deny}]\n", 199, "", E_POLICY_RULES, "more than 200 rules");
    expect_limit("on_http_request: [{actions: [", "{type: log},", 50, "]}]", E_POLICY_RULE_ITEMS,
                 "on_http_request[0].actions: 51 actions, at most 50 are allowed");
    expect_limit("on_http_request: [{expressions: [", "true,", 50, "], actions: [{type: log}]}]",
                 E_POLICY_RULE_ITEMS,
                 "on_http_request[0].expressions: 51 expressions, at most 50 are allowed");
    expect_limit("on_http_request: [{expressions: [\"'", "a", 16384 - 8,
                 "' != ''\"], actions: "
                 "[{type: log}]}]",
                 E_POLICY_EXPRESSION, "expressions[0]: ");
}

/* Limits are those of the configuration, and a policy keeps its own copy. */
static void limits_come_with_the_params(void **state)
{
    struct policy_limits limits = policy_default_limits;
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d = policy_document_parse(
        STR("t"), STR("on_http_request: [{actions: [{type: log}, {type: log}]}]"), &limits,
        problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = {
        .engine = fake_host_engine(), .limits = &limits, .documents = documents, .document_count = 1
    };
    struct counted *policy = policy_compile(&params, problems);

    (void)state;
    limits.policy_actions_max = 1;
    assert_int_equal(policy_of(policy)->limits.policy_actions_max, 50);
    assert_null(policy_compile(&params, problems));
    limits.policy_document_max_bytes = 10;
    assert_null(policy_document_parse(STR("t"), STR("12345678901"), &limits, problems));
    counted_unref(policy);
    policy_document_free(d);
    policy_problems_free(problems);
}

static void policy_handles_all_needs_an_end_without_conditions(void **state)
{
    static const struct {
        const char *document;
        unsigned protocols;
        bool handles;
    } cases[] = {
        { "on_http_request: [{actions: [{type: deny}]}]", POLICY_HTTPS, true },
        { "on_http_request: [{actions: [{type: deny}]}]", POLICY_HTTP, true },
        { "on_http_request: [{actions: [{type: log}]}]", POLICY_HTTPS, false },
        { "on_http_request: [{expressions: [\"req.method == 'GET'\"], actions: [{type: deny}]}]",
          POLICY_HTTPS, false },
        { "on_http_request: [{expressions: [\"req.method == 'GET'\"], actions: [{type: deny}]}, "
          "{actions: [{type: log}, {type: custom-response}]}]",
          POLICY_HTTPS, true },
        { "on_http_request: [{actions: [{type: redirect}]}]", POLICY_HTTPS, true },
        { "on_http_request: [{actions: [{type: forward-internal}]}]", POLICY_HTTPS, true },
        { "on_http_request: [{actions: [{type: forward-internal, config: {on_error: halt}}]}]",
          POLICY_HTTPS, true },
        { "on_http_request: [{actions: [{type: forward-internal, config: {on_error: continue}}]}]",
          POLICY_HTTPS, false },
        { "on_http_response: [{actions: [{type: custom-response}]}]", POLICY_HTTPS, false },
        { "on_tcp_connect: [{actions: [{type: deny}]}]", POLICY_HTTPS, true },
        { "on_tcp_connect: [{actions: [{type: close-connection}]}]", POLICY_TCP, true },
        { "on_tcp_connect: [{actions: [{type: restrict-ips}]}]", POLICY_TLS, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct counted *policy = fake_host_compile(cases[i].document);

        assert_int_equal(policy_handles_all(policy, cases[i].protocols), cases[i].handles);
        counted_unref(policy);
    }
    assert_false(policy_handles_all(NULL, POLICY_HTTPS));
}

/* ---- digests ---- */

struct digests {
    uint64_t connect;
    uint64_t all;
};

static struct digests digests_of(const char *document)
{
    struct counted *policy = fake_host_compile(document);
    struct digests d = {
        .connect = policy_phase_digest(policy, POLICY_ON_TCP_CONNECT),
        .all = policy_digest(policy),
    };

    counted_unref(policy);
    return d;
}

static void digests_of_what_reads_the_same_are_equal(void **state)
{
    static const char first[] = "on_tcp_connect: [{actions: [{type: deny, config: {a: 1}}]}]";
    static const char *const same[] = {
        first,
        "# another place\non_tcp_connect:\n- actions:\n  - type: deny\n    config:\n      a: 1",
        "on_http_request: []\non_tcp_connect: [{actions: [{type: deny, config: {a: 1}}]}]",
    };
    static const char *const others[] = {
        "on_tcp_connect: [{actions: [{type: deny, config: {a: 2}}]}]",
        "on_tcp_connect: [{actions: [{type: deny, config: {a: '1'}}]}]",
        "on_tcp_connect: [{actions: [{type: deny, config: {a: [1]}}]}]",
        "on_tcp_connect: [{actions: [{type: deny, config: {b: 1}}]}]",
        "on_tcp_connect: [{actions: [{type: deny, config: {a: 1}}, {type: log}]}]",
        "on_tcp_connect: [{expressions: ['true'], actions: [{type: deny, config: {a: 1}}]}]",
        "on_tcp_connect: [{actions: [{type: deny, config: {a: 1}}]}, {actions: [{type: log}]}]",
        "on_http_request: [{actions: [{type: deny, config: {a: 1}}]}]",
    };
    const struct digests d = digests_of(first);

    (void)state;
    assert_int_not_equal(d.connect, 0);
    assert_int_not_equal(d.all, 0);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(digests_of(same[i]).connect, d.connect);
        assert_int_equal(digests_of(same[i]).all, d.all);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_not_equal(digests_of(others[i]).connect, d.connect);
        assert_int_not_equal(digests_of(others[i]).all, d.all);
    }
}

static void digests_are_of_each_phase(void **state)
{
    static const char document[] = "on_tcp_connect: [{actions: [{type: deny}]}]\n"
                                   "on_http_request: [{actions: [{type: log}]}]";
    struct counted *policy = fake_host_compile(document);

    (void)state;
    assert_int_equal(policy_phase_digest(policy, POLICY_ON_TCP_CONNECT),
                     digests_of("on_tcp_connect: [{actions: [{type: deny}]}]").connect);
    assert_int_equal(policy_phase_digest(policy, POLICY_ON_HTTP_RESPONSE), 0);
    assert_int_equal(policy_phase_digest(NULL, POLICY_ON_TCP_CONNECT), 0);
    assert_int_equal(policy_digest(NULL), 0);
    counted_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compile_takes_every_documented_shape),
        cmocka_unit_test(compile_refuses_other_shapes),
        cmocka_unit_test(compile_names_line_and_column),
        cmocka_unit_test(compile_reports_every_problem),
        cmocka_unit_test(each_action_stands_in_its_phases_only),
        cmocka_unit_test(actions_that_are_not_here_say_so),
        cmocka_unit_test(logins_are_told_apart_by_auth_id),
        cmocka_unit_test(unreachable_actions_are_warned_about),
        cmocka_unit_test(old_names_of_phases_are_understood),
        cmocka_unit_test(phases_fit_the_protocol),
        cmocka_unit_test(documents_run_in_their_order),
        cmocka_unit_test(a_policy_without_documents_is_refused),
        cmocka_unit_test(variables_without_data_are_warned_about),
        cmocka_unit_test(literal_secrets_are_looked_for),
        cmocka_unit_test(documents_have_limits),
        cmocka_unit_test(limits_come_with_the_params),
        cmocka_unit_test(policy_handles_all_needs_an_end_without_conditions),
        cmocka_unit_test(digests_of_what_reads_the_same_are_equal),
        cmocka_unit_test(digests_are_of_each_phase),
    };

    return cmocka_run_group_tests_name("policy/policy", tests, NULL, NULL);
}
