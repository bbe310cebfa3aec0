/*
 * Unit tests of policy/fn_request, and of the names that policy/engine gives to each phase.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_actions policy/actions/set_vars
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/engine.h"
#include "tests/unit/policy/fake_host.h"

static struct fake_host h;

static int setup(void **state)
{
    (void)state;
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "Host", "app.example.com");
    fake_host_add(&h, "X-Team", "red");
    fake_host_add(&h, "x-team", "blue");
    fake_host_add(&h, "Cookie", "a=1; b=2; a=3");
    fake_host_add_response(&h, "Server", "s");
    fake_host_add_response(&h, "Set-Cookie", "c=short; Path=/a; Secure");
    fake_host_add_response(&h, "Set-Cookie", "c=long; Path=/a/b; HttpOnly");
    h.target = STR("/p?q=1&q=2+3&empty");
    h.secrets[0] = (struct fake_secret){ "vault", "name", "s3cret" };
    (void)fake_run(&h, "on_http_request: [{actions: [{type: log}]}]", POLICY_ON_HTTP_RESPONSE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_host_fini(&h);
    return 0;
}

static void functions_look_at_the_message(void **state)
{
    static const struct {
        const char *expression;
        const char *value;
    } cases[] = {
        { "getReqHeader('X-TEAM')", "[\"red\",\"blue\"]" },
        { "getReqHeader('X-Team').exists(v, v == 'blue')", "true" },
        { "getReqHeader('nope')", "[]" },
        { "size(getReqHeader('nope'))", "0" },
        { "getReqHeader('nope')[0]", "error: the index is outside of the list" },
        { "hasReqHeader('x-team') && !hasReqHeader('nope')", "true" },
        { "getReqHeader('host')[0]", "app.example.com" },
        { "getQueryParam('q')", "[\"1\",\"2 3\"]" },
        { "getQueryParam('empty')", "[\"\"]" },
        { "getQueryParam('nope')", "[]" },
        { "hasQueryParam('empty') && !hasQueryParam('nope') && !hasQueryParam('Q')", "true" },
        { "getReqCookie('a').value", "1" },
        { "getReqCookie('b').name", "b" },
        { "getReqCookie('nope').value + getReqCookie('nope').name", "" },
        { "getReqCookie('a').secure", "false" },
        { "hasReqCookie('a') && !hasReqCookie('nope')", "true" },
        { "getResHeader('server')", "[\"s\"]" },
        { "hasResHeader('Server') && !hasResHeader('x')", "true" },
        { "getResCookie('c').value", "long" },
        { "getResCookie('c').http_only && !getResCookie('c').secure", "true" },
        { "getResCookie('nope').path", "" },
        { "hasResCookie('c') && !hasResCookie('d')", "true" },
        { "secrets.get('vault', 'name')", "s3cret" },
        { "secrets.get('vault', 'other')", "error: secrets.get: there is no such secret" },
        { "req.headers['X-Team'][1]", "blue" },
        { "'X-tEaM' in req.headers", "true" },
        { "has(req.headers['nope'])", "false" },
        { "req.headers['nope']", "[]" },
        { "req.cookies['a'][1].value", "3" },
        { "res.cookies['c'].map(c, c.path)", "[\"/a/b\",\"/a\"]" },
        { "req.url.query_params['q'][1]", "2 3" },
        { "actions.ngrok.oauth == null", "true" },
        { "has(actions.ngrok.oauth.identity)", "false" },
        { "actions.ngrok.terminate_tls.sni", "error: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = fake_host_eval(&h, POLICY_ON_HTTP_RESPONSE, cases[i].expression);

        if (strcmp(cases[i].value, "error: ") == 0)
            assert_memory_equal(got, "error: ", 7);
        else if (strcmp(got, cases[i].value) != 0)
            fail_msg("%s: got %s, not %s", cases[i].expression, got, cases[i].value);
    }
}

static bool compiles(enum policy_phase phase, const char *expression)
{
    const struct cel_compile_params params = { .env = fake_host_engine()->envs[phase],
                                               .check_flags = CEL_CHECK_HAS_INDEX };
    struct cel_issue issue;
    struct cel_program *p = cel_compile(&params, str_from(expression), &issue);

    cel_program_free(p);
    return p != NULL;
}

static void names_exist_in_the_phases_that_have_them(void **state)
{
    static const struct {
        const char *expression;
        unsigned phases; /* as bits */
    } cases[] = {
        { "conn.client_ip", 0xf },
        { "endpoint.url", 0xf },
        { "time.now", 0xf },
        { "vars.x", 0xf },
        { "actions.ngrok.restrict_ips.action", 0xf },
        { "actions.sallyport.oidc", 0xf },
        { "secrets.get('a', 'b')", 0xf },
        { "req.method", 0xe },
        { "getReqHeader('a')", 0xe },
        { "hasQueryParam('a')", 0xe },
        { "getReqCookie('a').value", 0xe },
        { "res.status_code", 0xc },
        { "getResHeader('a')", 0xc },
        { "hasResCookie('a')", 0xc },
        { "attempts", 0 },
        { "last_attempt", 0 },
        { "req.path", 0 },
        { "request.host", 0 },
        { "conn.ts.end", 0 },
        { "identity.email", 0 },
        { "actions.ngrok.nope", 0 },
        { "res.status_code < '200'", 0 },
        { "res.headers['x'].contains('y')", 0 },
        { "'abc'.includes('a')", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned phase = 0; phase < POLICY_PHASE_COUNT; phase++) {
            bool expected = (cases[i].phases >> phase & 1) != 0;

            if (compiles((enum policy_phase)phase, cases[i].expression) != expected)
                fail_msg("%s in %s", cases[i].expression,
                         policy_phase_name((enum policy_phase)phase));
        }
    }
}

/* Every variable of the table can be compiled and gives a value of its type. */
static void every_variable_has_a_type(void **state)
{
    (void)state;
    for (unsigned i = 0; i < POLICY_VAR_COUNT; i++) {
        if (!compiles(POLICY_ON_HTTP_RESPONSE, policy_vars[i].name))
            fail_msg("%s", policy_vars[i].name);
    }
}

static void retry_conditions_see_the_attempts(void **state)
{
    const struct policy_engine *engine = fake_host_engine();

    (void)state;
    assert_null(engine->retry_envs[POLICY_ON_TCP_CONNECT]);
    assert_non_null(engine->retry_envs[POLICY_ON_HTTP_REQUEST]);
    assert_non_null(engine->retry_envs[POLICY_ON_HTTP_RESPONSE]);
    assert_null(engine->retry_envs[POLICY_ON_EVENT_STREAM_MESSAGE]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(functions_look_at_the_message),
        CASE(names_exist_in_the_phases_that_have_them),
        CASE(every_variable_has_a_type),
        CASE(retry_conditions_see_the_attempts),
    };

    return cmocka_run_group_tests_name("policy/fn_request", tests, NULL, NULL);
}
