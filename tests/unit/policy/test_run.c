/*
 * Unit tests of policy/run, policy/run_values and policy/action: phases, verdicts, suspension, results,
 * variables, limits. "deny" is replaced by an action that returns the verdict in its config, and
 * "forward-internal" by one that forwards.
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
#include "policy/run_int.h"
#include "tests/unit/policy/fake_host.h"

enum { TEXT_MAX_BYTES = 1024 * 1024 };

/* ---- the actions of the test ----------------------------------------------------------------- */

enum deny_verdict { DENY_CONTINUE, DENY_RESPOND, DENY_CLOSE, DENY_SUSPEND, DENY_RESULT, DENY_FAIL };

static const char *const verdicts[] = { "continue", "respond", "close", "suspend",
                                        "result",   "fail",    NULL };

struct deny {
    unsigned verdict;
};

static size_t deny_runs;
static size_t denies_alive;
static void *seen_state;

void *deny_compile(const struct fields *c)
{
    struct deny *d = mem_zalloc(sizeof(*d));
    struct field f = fields_find(c, "do");

    d->verdict = DENY_RESPOND;
    (void)field_choice(&f, verdicts, &d->verdict);
    denies_alive++;
    return d;
}

enum policy_verdict deny_run(const void *compiled, struct action_run *run)
{
    const struct deny *d = compiled;

    deny_runs++;
    seen_state = run->state;
    switch ((enum deny_verdict)d->verdict) {
    case DENY_CONTINUE:
        return POLICY_CONTINUE;
    case DENY_RESPOND:
        run->response->status = 403;
        action_respond_header(run, STR("x-denied"), STR("yes"));
        return POLICY_RESPOND;
    case DENY_CLOSE:
        return POLICY_CLOSE;
    case DENY_SUSPEND:
        if (run->state != NULL)
            return POLICY_CONTINUE;
        run->state = arena_zalloc(run->arena, 1);
        return POLICY_SUSPEND;
    case DENY_RESULT: /* deny has none of its own: this one leaves add-headers' */
        return POLICY_CONTINUE;
    case DENY_FAIL:
        return action_fail(run, E_IP_DENIED, "not %s", "you");
    }
    return POLICY_CONTINUE;
}

void deny_free(void *compiled)
{
    denies_alive -= compiled != NULL;
    mem_free(compiled);
}

static struct err forward_failure;

void *forward_internal_compile(const struct fields *c)
{
    struct deny *d = mem_zalloc(sizeof(*d));
    struct field f = fields_find(c, "on_error");
    static const char *const names[] = { "halt", "continue", NULL };

    d->verdict = 0;
    (void)field_choice(&f, names, &d->verdict);
    return d;
}

enum policy_verdict forward_internal_run(const void *compiled, struct action_run *run)
{
    const struct deny *d = compiled;
    const struct err *failed = run->state;

    if (failed == NULL)
        return POLICY_FORWARD;
    forward_failure = *failed;
    action_set_result(run, action_error_value(run, failed));
    return d->verdict == 0 ? action_fail_err(run, failed) : POLICY_CONTINUE;
}

void forward_internal_free(void *compiled)
{
    mem_free(compiled);
}

/* A circuit breaker only watches: its results are not read. */
static size_t upstream_calls;
static bool upstream_failed;

static void on_upstream(const void *compiled, struct action_run *run, bool failed)
{
    (void)compiled;
    upstream_calls++;
    upstream_failed = failed;
    seen_state = run->state;
}

void *circuit_breaker_compile(const struct fields *c)
{
    (void)c;
    return mem_zalloc(1);
}

enum policy_verdict circuit_breaker_run(const void *compiled, struct action_run *run)
{
    run->state = arena_zalloc(run->arena, 1);
    action_watch_upstream(run, compiled, on_upstream);
    return POLICY_CONTINUE;
}

void circuit_breaker_free(void *compiled)
{
    mem_free(compiled);
}

/* ---- running --------------------------------------------------------------------------------- */

static struct fake_host h;

static int setup(void **state)
{
    (void)state;
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "Host", "app.example.com");
    deny_runs = 0;
    upstream_calls = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_host_fini(&h);
    assert_int_equal(denies_alive, 0);
    return 0;
}

static void rules_run_in_order_when_all_expressions_hold(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(
            &h,
            "on_http_request:\n"
            "- expressions: ['true', \"req.host == 'other'\", '1/0 > 0']\n"
            "  actions: [{type: deny}]\n"
            "- expressions: [\"req.method == 'GET'\", 'true']\n"
            "  actions:\n"
            "  - {type: add-headers, config: {headers: {x-a: '1'}}}\n"
            "  - {type: add-headers, config: {headers: {x-b: '${req.headers[\"X-A\"][0]}2'}}}\n"
            "- actions: [{type: deny, config: {do: continue}}]\n"
            "- expressions: []\n"
            "  actions: [{type: deny}, {type: add-headers, config: {headers: {x-c: '3'}}}]\n"
            "- actions: [{type: add-headers, config: {headers: {x-d: '4'}}}]\n",
            POLICY_ON_HTTP_REQUEST),
        POLICY_RESPOND);
    assert_int_equal(h.response->status, 403);
    assert_string_equal(fake_host_answer(&h, "x-denied"), "yes");
    assert_string_equal(fake_host_values(&h, "x-a"), "1");
    assert_string_equal(fake_host_values(&h, "x-b"), "12"); /* sees what was changed before (D23) */
    assert_null(fake_host_values(&h, "x-c"));
    assert_null(fake_host_values(&h, "x-d"));
    assert_int_equal(deny_runs, 2);
}

static void a_phase_without_rules_continues(void **state)
{
    struct counted *policy = fake_host_compile("on_http_request: [{actions: [{type: deny}]}]");

    (void)state;
    assert_true(policy_has_phase(policy, POLICY_ON_HTTP_REQUEST));
    assert_false(policy_has_phase(policy, POLICY_ON_HTTP_RESPONSE));
    assert_false(policy_has_phase(NULL, POLICY_ON_HTTP_REQUEST));
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_int_equal(deny_runs, 0);
    counted_unref(policy);
    assert_int_equal(fake_host_next(&h, POLICY_ON_HTTP_REQUEST),
                     POLICY_RESPOND); /* the run keeps it */
}

/* A connection has no answer before its first request. */
static void on_tcp_connect_closes_where_others_respond(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&h, "on_tcp_connect: [{actions: [{type: deny}]}]", POLICY_ON_TCP_CONNECT),
        POLICY_CLOSE);
    assert_int_equal(fake_run(&h, "on_tcp_connect: [{actions: [{type: deny, config: {do: fail}}]}]",
                              POLICY_ON_TCP_CONNECT),
                     POLICY_CLOSE);
    assert_int_equal(
        fake_run(&h, "on_tcp_connect: [{expressions: ['[1][2] == 1'], actions: [{type: deny}]}]",
                 POLICY_ON_TCP_CONNECT),
        POLICY_CLOSE);
    assert_int_equal(fake_run(&h,
                              "on_http_request: [{actions: [{type: deny, config: {do: close}}]}]",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CLOSE);
}

static void a_failing_expression_answers_500_without_values(void **state)
{
    (void)state;
    fake_host_add(&h, "X-Token", "secret-value");
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- actions: [{type: deny, config: {do: continue}}]\n"
                              "- name: tokens\n"
                              "  expressions: ['true', \"int(req.headers['x-token'][0]) == 1\"]\n"
                              "  actions: [{type: deny}]\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
    assert_non_null(strstr(h.response->message, "on_http_request[1].expressions[1]: "));
    assert_non_null(strstr(h.response->message, " (rule 'tokens')"));
    assert_null(strstr(h.response->message, "secret-value"));
    assert_int_equal(err_status(h.response->error), 500);
}

static void dynamic_results_that_are_no_bool_fail(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- actions: [{type: set-vars, config: {vars: [{n: 1}]}}]\n"
                              "- expressions: [vars.n]\n"
                              "  actions: [{type: deny}]\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
    assert_non_null(strstr(h.response->message, "no bool"));
}

/* Compiled with other settings than the defaults. */
static struct counted *compile_with(struct str text, const struct policy_limits *limits,
                                    enum policy_expression_errors expression_errors)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *d = policy_document_parse(STR("t"), text, limits, problems);
    const struct policy_document *documents[] = { d };
    const struct policy_params params = {
        .engine = fake_host_engine(),
        .limits = limits,
        .documents = documents,
        .document_count = 1,
        .expression_errors = expression_errors,
    };
    struct counted *policy = policy_compile(&params, problems);

    assert_non_null(policy);
    policy_document_free(d);
    policy_problems_free(problems);
    return policy;
}

static void no_match_takes_a_failing_expression_for_false(void **state)
{
    struct counted *policy =
        compile_with(STR("on_http_request:\n"
                         "- {expressions: ['1/0 > 0'], actions: [{type: deny}]}\n"
                         "- {actions: [{type: deny, config: {do: close}}]}\n"),
                     &policy_default_limits, POLICY_EXPRESSION_NO_MATCH);

    (void)state;
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CLOSE);
    assert_int_equal(deny_runs, 1);
    counted_unref(policy);
}

/* ---- stopping and going on ------------------------------------------------------------------- */

static void resume_calls_the_action_again_with_its_state(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- actions:\n"
                              "  - {type: deny, config: {do: continue}}\n"
                              "  - {type: deny, config: {do: suspend}}\n"
                              "  - {type: deny, config: {do: suspend}}\n"
                              "- expressions: ['true']\n"
                              "  actions: [{type: deny, config: {do: suspend}}]\n"
                              "- actions: [{type: add-headers, config: {headers: {x-end: '1'}}}]\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CONTINUE);
    assert_int_equal(h.suspended, 3);
    assert_int_equal(deny_runs, 7);
    assert_string_equal(fake_host_values(&h, "x-end"), "1");
}

static void a_suspended_run_can_be_freed(void **state)
{
    struct counted *policy =
        fake_host_compile("on_http_request: [{actions: [{type: deny, config: {do: suspend}}]}]");
    const struct policy_run_params params = {
        .policy = policy, .arena = &h.arena, .local = h.local, .ctx = &h
    };
    struct policy_run *run = policy_run_new(&params);

    (void)state;
    counted_unref(policy);
    assert_int_equal(policy_run_phase(run, POLICY_ON_HTTP_REQUEST), POLICY_SUSPEND);
    policy_run_free(run);
    policy_run_free(run); /* its memory is the arena's: a second time is nothing */
    policy_run_free(NULL);
    assert_int_equal(denies_alive, 0);
}

static const char forwards[] = "on_http_request:\n"
                               "- actions:\n"
                               "  - {type: forward-internal, config: {on_error: %s}}\n"
                               "  - type: custom-response\n"
                               "    config:\n"
                               "      body: 'no: ${actions.ngrok.forward_internal.code}'\n";

static void forward_failure_with_continue_goes_on_behind_it(void **state)
{
    char text[512];

    (void)state;
    (void)snprintf(text, sizeof(text), forwards, "continue");
    assert_int_equal(fake_run(&h, text, POLICY_ON_HTTP_REQUEST), POLICY_FORWARD);
    assert_int_equal(fake_host_forward_failed(&h, E_ENDPOINT_OFFLINE, "it is offline"),
                     POLICY_RESPOND);
    assert_string_equal(forward_failure.msg, "it is offline");
    assert_int_equal(h.response->error, E_OK);
    assert_true(str_eq(h.response->body, STR("no: ERR_NGROK_3200")));
}

static void forward_failure_with_halt_responds(void **state)
{
    char text[512];

    (void)state;
    (void)snprintf(text, sizeof(text), forwards, "halt");
    assert_int_equal(fake_run(&h, text, POLICY_ON_HTTP_REQUEST), POLICY_FORWARD);
    assert_int_equal(fake_host_forward_failed(&h, E_ENDPOINT_OFFLINE, "it is offline"),
                     POLICY_RESPOND);
    assert_int_equal(h.response->error, E_ENDPOINT_OFFLINE);
}

static void forward_that_succeeds_leaves_the_response_phase(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request: [{actions: [{type: forward-internal}]}]\n"
                              "on_http_response: [{actions: [{type: add-headers, config: "
                              "{headers: {x-r: '${res.status_code}'}}}]}]\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_FORWARD);
    assert_int_equal(fake_host_next(&h, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&h, "x-r"), "200");
}

static void upstream_result_reaches_each_watcher_once(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request: [{actions: [{type: circuit-breaker}, "
                              "{type: circuit-breaker}, {type: deny, config: {do: continue}}]}]",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CONTINUE);
    seen_state = NULL;
    policy_run_upstream_result(h.run, true);
    assert_int_equal(upstream_calls, 2);
    assert_true(upstream_failed);
    assert_non_null(seen_state); /* what the watcher had, not the last action */
    policy_run_upstream_result(h.run, false);
    assert_int_equal(upstream_calls, 2);
}

/* ---- results and variables ------------------------------------------------------------------- */

static void results_survive_into_the_response_phase(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&h,
                 "on_http_request:\n"
                 "- expressions: ['actions.ngrok.add_headers == null', "
                 "'actions.ngrok.oauth == null', '!has(actions.ngrok.oauth.identity)']\n"
                 "  actions: [{type: add-headers, config: {headers: {x-a: '1'}}}]\n"
                 "- expressions: ['actions.ngrok.add_headers.headers_added[\"x-a\"] == \"1\"',"
                 " 'actions.sallyport.add_headers != null']\n"
                 "  actions: [{type: add-headers, config: {headers: {x-b: '2'}}}]\n"
                 "on_http_response:\n"
                 "- expressions: ['\"x-b\" in actions.ngrok.add_headers.headers_added', "
                 "'!(\"x-a\" in actions.ngrok.add_headers.headers_added)']\n"
                 "  actions: [{type: add-headers, config: {headers: {x-c: '3'}}}]\n",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-b"), "2");
    assert_int_equal(fake_host_next(&h, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&h, "x-c"), "3");
}

static void selecting_below_an_absent_result_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request: [{expressions: "
                              "['actions.ngrok.rate_limit.limited'], actions: [{type: deny}]}]",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
    /* The documented idiom: || absorbs it. */
    assert_int_equal(
        fake_run(&h,
                 "on_http_request: [{expressions: "
                 "['actions.ngrok.rate_limit.limited || true'], actions: [{type: deny}]}]",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_RESPOND);
    assert_int_equal(h.response->status, 403);
}

/* D25: what on_tcp_connect left can be read by every request of the connection. */
static void results_of_the_connection_can_be_read_by_the_same_policy(void **state)
{
    static const char text[] =
        "on_tcp_connect: [{actions: [{type: log, config: {metadata: {a: 1}}}]}]\n"
        "on_http_request: [{expressions: ['actions.ngrok.log.metadata.a == 1'], "
        "actions: [{type: deny}]}]\n";
    struct counted *policy = fake_host_compile(text);
    struct counted *other = fake_host_compile(text);
    struct policy_run *connection;
    struct policy_run_params params;
    struct policy_run *run;

    (void)state;
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_TCP_CONNECT), POLICY_CONTINUE);
    connection = h.run;
    params = connection->params;
    params.connection = connection;
    run = policy_run_new(&params);
    assert_int_equal(policy_run_phase(run, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(policy_run_response(run)->status, 403);
    policy_run_free(run);

    params.policy = other; /* the policy was changed since */
    run = policy_run_new(&params);
    assert_int_equal(policy_run_phase(run, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(policy_run_response(run)->error, E_POLICY_EVALUATION);
    policy_run_free(run);
    counted_unref(policy);
    counted_unref(other);
}

static void vars_live_in_their_phase(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&h,
                 "on_http_request:\n"
                 "- actions:\n"
                 "  - type: set-vars\n"
                 "    config:\n"
                 "      vars:\n"
                 "      - tenant: \"${req.host.split('.')[0]}\"\n"
                 "      - known: [app, 2]\n"
                 "      - ok: '${vars.tenant in vars.known}'\n"
                 "      - tenant: '${vars.tenant}!'\n"
                 "- expressions: [vars.ok, 'vars.tenant == \"app!\"', '!has(vars.nope)']\n"
                 "  actions: [{type: add-headers, config: {headers: {x-ok: '${vars.tenant}'}}}]\n"
                 "on_http_response:\n"
                 "- expressions: ['!has(vars.tenant)', 'size(vars) == 0']\n"
                 "  actions: [{type: add-headers, config: {headers: {x-none: '1'}}}]\n"
                 "- expressions: ['vars.tenant == \"\"']\n"
                 "  actions: [{type: log, config: {metadata: {a: 1}}}]\n",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-ok"), "app!");
    assert_int_equal(fake_host_next(&h, POLICY_ON_HTTP_RESPONSE), POLICY_RESPOND);
    assert_string_equal(fake_host_response_values(&h, "x-none"), "1");
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
}

/* What a variable was made of may be gone when it is read. */
static void vars_are_copies(void **state)
{
    (void)state;
    assert_int_equal(
        fake_run(&h,
                 "on_http_request:\n"
                 "- actions:\n"
                 "  - {type: set-vars, config: {vars: [{h: '${req.headers}'}]}}\n"
                 "  - {type: add-headers, config: {headers: {x-new: '1'}}}\n"
                 "  - {type: add-headers, config: {headers: "
                 "{x-n: '${size(vars.h)} ${\"x-new\" in vars.h} ${\"x-new\" in req.headers}'}}}\n",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-n"), "1 false true");
}

static void vars_have_a_maximum(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("on_http_request:\n- actions:\n"));
    for (unsigned i = 0; i < 129; i++)
        buf_add_fmt(&text, "  - {type: set-vars, config: {vars: [{v%u: 1}]}}\n%s", i,
                    i % 43 == 42 ? "- actions:\n" : "");
    buf_add_str(&text, STR("  - {type: set-vars, config: {vars: [{v1: 2}]}}\n"));
    buf_add_char(&text, '\0');
    assert_int_equal(fake_run(&h, buf_str(&text).p, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_TOO_MANY);
    buf_fini(&text);
}

static void variables_are_asked_for_once_until_the_message_changes(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- {expressions: ['req.host == \"x\"'], actions: [{type: deny}]}\n"
                              "- {expressions: ['req.host != \"\"'], actions: [{type: deny, "
                              "config: {do: continue}}]}\n"
                              "- {expressions: ['req.host == \"y\"'], actions: [{type: deny}]}\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CONTINUE);
    assert_int_equal(h.var_count, 1);
    h.var_count = 0;
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- {expressions: ['req.host != \"\"'], actions: [{type: add-headers, "
                              "config: {headers: {x: '1'}}}]}\n"
                              "- {expressions: ['req.host == \"y\"'], actions: [{type: deny}]}\n"
                              "- {expressions: ['conn.bytes_in > 5 || conn.bytes_in > 6'], "
                              "actions: [{type: deny}]}\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CONTINUE);
    assert_int_equal(h.var_count, 4); /* the host twice, and what grows at each use */
}

static void time_now_stays_the_same_in_a_phase(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&h,
                              "on_http_request:\n"
                              "- actions:\n"
                              "  - {type: set-vars, config: {vars: [{a: '${time.now}'}]}}\n"
                              "  - {type: deny, config: {do: suspend}}\n"
                              "- expressions: ['vars.a == time.now', "
                              "'timestamp(time.now) > timestamp(\"2024-01-01T00:00:00Z\")']\n"
                              "  actions: [{type: deny, config: {do: close}}]\n",
                              POLICY_ON_HTTP_REQUEST),
                     POLICY_CLOSE);
}

/* ---- secrets and logs ------------------------------------------------------------------------ */

static void secrets_are_remembered(void **state)
{
    struct action_run action;

    (void)state;
    h.secrets[0] = (struct fake_secret){ "team", "pw", "hunter2" };
    assert_int_equal(
        fake_run(&h,
                 "on_http_request: [{actions: [{type: add-headers, config: {headers: "
                 "{x-s: \"${secrets.get('team', 'pw')}${secrets.get('team', 'pw')}\"}}}]}]",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-s"), "hunter2hunter2");
    action = (struct action_run){ .run = h.run };
    assert_true(action_is_secret(&action, STR("hunter2")));
    assert_false(action_is_secret(&action, STR("hunter")));
    assert_int_equal(
        fake_run(&h,
                 "on_http_request: [{expressions: ['secrets.get(\"team\", \"no\") == \"\"'], "
                 "actions: [{type: deny}]}]",
                 POLICY_ON_HTTP_REQUEST),
        POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
}

static void log_entries(size_t count, const char *entry)
{
    struct counted *policy = fake_host_compile("on_http_request: [{actions: [{type: deny, config: "
                                               "{do: continue}}]}]");
    struct action_run action;

    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    action = (struct action_run){ .run = h.run };
    for (size_t i = 0; i < count; i++)
        action_log(&action, str_from(entry));
    counted_unref(policy);
}

static void action_log_keeps_within_its_limits(void **state)
{
    char large[5000];
    json_t *list;

    (void)state;
    log_entries(2, "{\"metadata\":{\"a\":1}}");
    assert_true(
        str_eq(h.outcome->logs, STR("[{\"metadata\":{\"a\":1}},{\"metadata\":{\"a\":1}}]")));
    log_entries(64, "{}");
    assert_true(str_ends(h.outcome->logs, STR(",{}]")));
    log_entries(70, "{}");
    assert_true(str_ends(h.outcome->logs, STR(",{},{\"truncated\":true}]")));
    list = json_loadb(h.outcome->logs.p, h.outcome->logs.n, 0, NULL);
    assert_int_equal(json_array_size(list), 65);
    json_decref(list);
    memset(large, 'x', sizeof(large));
    large[0] = '"';
    large[sizeof(large) - 2] = '"';
    large[sizeof(large) - 1] = '\0';
    log_entries(10, large);
    list = json_loadb(h.outcome->logs.p, h.outcome->logs.n, 0, NULL);
    assert_int_equal(json_array_size(list), 4); /* three in 16 KiB, and the mark */
    json_decref(list);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* What expressions make is gone with each; only what is kept stays in the exchange. */
static void expressions_do_not_pile_up_in_the_exchange(void **state)
{
    struct counted *policy;
    struct buf text;
    size_t before;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("on_http_request:\n"));
    for (int i = 0; i < 200; i++)
        buf_add_str(&text,
                    STR("- {expressions: "
                        "['size(\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\".replace(\"x\", "
                        "req.host + req.host + req.host + req.host)) == 0'], actions: "
                        "[{type: deny}]}\n"));
    buf_add_char(&text, '\0');
    policy = fake_host_compile(buf_str(&text).p);
    before = arena_used(&h.arena);
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    assert_in_range(arena_used(&h.arena) - before, 1, 16 * 1024);
    counted_unref(policy);
    buf_fini(&text);
}

static void a_phase_that_keeps_too_much_fails(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("on_http_request:\n- actions:\n"));
    for (int i = 0; i < 40; i++)
        buf_add_str(&text,
                    STR("  - {type: set-vars, config: {vars: [{v: \"${'xxxxxxxxxx"
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                        "xxxxxxxxxxxxxxxxxxx'.replace('x', '0000000000').replace('0', "
                        "'01234567890123456789012345678901')}\"}]}}\n"));
    buf_add_str(&text, STR("- actions: [{type: deny}]\n"));
    buf_add_char(&text, '\0');
    assert_int_equal(fake_run(&h, buf_str(&text).p, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_MEMORY);
    assert_in_range(arena_used(&h.arena), 1, 2 * 1024 * 1024);
    buf_fini(&text);
}

/* The steps of so many equal rules. */
static uint64_t run_counting(size_t rules, uint64_t max, enum policy_verdict verdict)
{
    struct policy_limits limits = policy_default_limits;
    struct counted *policy;
    struct buf text;
    uint64_t steps;

    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("on_http_request:\n"));
    for (size_t i = 0; i < rules; i++)
        buf_add_str(&text, STR("- {expressions: ['[1, 2, 3].exists(x, string(x) == req.host)'], "
                               "actions: [{type: deny}]}\n"));
    limits.policy_phase_steps_max = max;
    policy = compile_with(buf_str(&text), &limits, POLICY_EXPRESSION_FAILS);
    buf_fini(&text);
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), verdict);
    steps = h.run->steps;
    counted_unref(policy);
    return steps;
}

static void the_expressions_of_a_phase_have_a_limit_together(void **state)
{
    uint64_t one = run_counting(1, policy_default_limits.policy_phase_steps_max, POLICY_CONTINUE);

    (void)state;
    assert_in_range(one, 10, 100);
    assert_int_equal(run_counting(100, 100 * one, POLICY_CONTINUE), 100 * one);
    assert_int_equal(run_counting(100, 100 * one - 1, POLICY_RESPOND), 100 * one - 1);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
    assert_non_null(strstr(h.response->message, "on_http_request[99].expressions[0]: "));
    assert_int_equal(run_counting(100, 99 * one, POLICY_RESPOND), 99 * one);
    assert_non_null(strstr(h.response->message,
                           "on_http_request[99].expressions[0]: the expressions of the phase need "
                           "too many steps"));
}

static void patterns_of_actions_count_as_steps(void **state)
{
    static const struct str text = STR_INIT(
        "on_http_request: [{actions: [{type: user-agent-filter, config: {deny: ['[ab]{900}']}}]}]");
    struct policy_limits limits = policy_default_limits;
    struct counted *policy = compile_with(text, &limits, POLICY_EXPRESSION_FAILS);
    char agent[1001] = ""; /* times 900 turns are more than 1,000 steps */

    (void)state;
    memset(agent, 'x', sizeof(agent) - 1);
    fake_host_add(&h, "User-Agent", agent);
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    counted_unref(policy);
    limits.policy_phase_steps_max = 1000;
    policy = compile_with(text, &limits, POLICY_EXPRESSION_FAILS);
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_POLICY_EVALUATION);
    counted_unref(policy);
}

static void a_policy_of_literals_makes_nothing_but_the_run(void **state)
{
    struct counted *policy =
        fake_host_compile("on_http_request: [{actions: [{type: deny, config: {do: continue}}]}]");
    size_t before = arena_used(&h.arena);

    (void)state;
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    assert_in_range(arena_used(&h.arena) - before, 1, sizeof(struct policy_run) + 16);
    assert_int_equal(h.var_count, 0);
    counted_unref(policy);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rules_run_in_order_when_all_expressions_hold),
        CASE(a_phase_without_rules_continues),
        CASE(on_tcp_connect_closes_where_others_respond),
        CASE(a_failing_expression_answers_500_without_values),
        CASE(dynamic_results_that_are_no_bool_fail),
        CASE(no_match_takes_a_failing_expression_for_false),
        CASE(resume_calls_the_action_again_with_its_state),
        CASE(a_suspended_run_can_be_freed),
        CASE(forward_failure_with_continue_goes_on_behind_it),
        CASE(forward_failure_with_halt_responds),
        CASE(forward_that_succeeds_leaves_the_response_phase),
        CASE(upstream_result_reaches_each_watcher_once),
        CASE(results_survive_into_the_response_phase),
        CASE(selecting_below_an_absent_result_is_an_error),
        CASE(results_of_the_connection_can_be_read_by_the_same_policy),
        CASE(vars_live_in_their_phase),
        CASE(vars_are_copies),
        CASE(vars_have_a_maximum),
        CASE(variables_are_asked_for_once_until_the_message_changes),
        CASE(time_now_stays_the_same_in_a_phase),
        CASE(secrets_are_remembered),
        CASE(action_log_keeps_within_its_limits),
        CASE(expressions_do_not_pile_up_in_the_exchange),
        CASE(a_phase_that_keeps_too_much_fails),
        CASE(the_expressions_of_a_phase_have_a_limit_together),
        CASE(patterns_of_actions_count_as_steps),
        CASE(a_policy_of_literals_makes_nothing_but_the_run),
    };

    return cmocka_run_group_tests_name("policy/run", tests, NULL, NULL);
}
