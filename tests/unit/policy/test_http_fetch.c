/*
 * Unit tests of policy/actions/http_fetch: what is sent, when it is sent again, and what is known
 * afterwards.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_clock
 * Links: tests/unit/policy/fetch_scene
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
#include "policy/run_int.h"
#include "tests/unit/policy/fake_clock.h"
#include "tests/unit/policy/fetch_scene.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

#define Q POLICY_ON_HTTP_REQUEST

static const struct fetch_answer ok = { .status = 200, .body = STR_INIT("hello"), .took_ms = 12 };

static enum policy_verdict run(struct fetch_scene *s, const char *config)
{
    struct counted *policy = fake_host_compile_action(Q, "http-request", config);
    enum policy_verdict verdict = fetch_scene_run(s, policy, Q);

    counted_unref(policy);
    return verdict;
}

static const char *header(const struct fetch_scene *s, size_t asked, const char *name)
{
    static char text[256];
    const struct policy_fetch *f = &s->asked[asked].fetch;

    text[0] = '\0';
    for (size_t i = 0; i < f->header_count; i++) {
        if (str_eq(f->headers[i].name, str_from(name)))
            (void)snprintf(text, sizeof(text), "%s%.*s", text[0] != '\0' ? "|" : "",
                           STR_ARG(f->headers[i].value));
    }
    return text;
}

static void expect_url(const char *config, const char *url)
{
    struct fetch_scene s;

    fetch_scene_init(&s);
    s.h.target = STR("/a?q=San+Francisco&e=%C3%A9&n=a%0Ab");
    fetch_scene_answer(&s, ok);
    assert_int_equal(run(&s, config), POLICY_CONTINUE);
    if (!str_eq(s.asked[0].fetch.url, str_from(url)))
        fail_msg("%.*s instead of %s", STR_ARG(s.asked[0].fetch.url), url);
    fetch_scene_fini(&s);
}

static void expect_eval(struct fetch_scene *s, const char *expression, const char *text)
{
    const char *is = fake_host_eval(&s->h, Q, expression);

    if (strcmp(is, text) != 0)
        fail_msg("%s: %s instead of %s", expression, is, text);
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static void defaults_are_those_of_the_spec(void **state)
{
    struct fetch_scene s;
    const struct policy_fetch *f = &s.asked[0].fetch;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, ok);
    assert_int_equal(run(&s, "{url: 'https://api.internal/x'}"), POLICY_CONTINUE);
    assert_true(str_eq(f->url, STR("https://api.internal/x")));
    assert_true(str_eq(f->method, STR("GET")));
    assert_int_equal(f->body.n, 0);
    assert_int_equal(f->timeout_ms, 3000);
    assert_int_equal(f->max_redirects, 0);
    assert_int_equal(f->response_max_bytes, 256 * 1024);
    assert_int_equal(f->header_count, 4);
    assert_string_equal(header(&s, 0, "user-agent"), "sallyport");
    assert_string_equal(header(&s, 0, "x-forwarded-for"), "192.0.2.1");
    assert_string_equal(header(&s, 0, "sallyport-req-type"), "http-request");
    assert_int_equal(strlen(s.asked[0].id), 32);
    assert_int_equal(s.h.suspended, 1);
    fetch_scene_fini(&s);
}

static void every_field_reaches_the_request(void **state)
{
    struct fetch_scene s;
    const struct policy_fetch *f = &s.asked[0].fetch;

    (void)state;
    fetch_scene_init(&s);
    fake_host_add(&s.h, "x-user-id", "u1");
    fetch_scene_answer(&s, ok);
    assert_int_equal(
        run(&s, "{url: 'http://api.internal/', method: PATCH, timeout: 30s, max_redirects: 5,"
                " headers: {X-User: \"${req.headers['x-user-id'][0]}\", User-Agent: mine,"
                " x-forwarded-for: 203.0.113.9}, body: 'ip ${conn.client_ip}'}"),
        POLICY_CONTINUE);
    assert_true(str_eq(f->method, STR("PATCH")));
    assert_int_equal(f->timeout_ms, 30000);
    assert_int_equal(f->max_redirects, 5);
    assert_true(str_eq(f->body, STR("ip 192.0.2.1")));
    assert_string_equal(header(&s, 0, "x-user"), "u1");
    assert_string_equal(header(&s, 0, "user-agent"), "mine");
    assert_string_equal(header(&s, 0, "x-forwarded-for"), "203.0.113.9");
    fetch_scene_fini(&s);
}

static void methods_are_six(void **state)
{
    static const char *const names[] = { "GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS" };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct fetch_scene s;
        char config[96];

        (void)snprintf(config, sizeof(config), "{url: 'https://a.internal', method: %s}", names[i]);
        fetch_scene_init(&s);
        fetch_scene_answer(&s, ok);
        assert_int_equal(run(&s, config), POLICY_CONTINUE);
        assert_true(str_eq(s.asked[0].fetch.method, str_from(names[i])));
        fetch_scene_fini(&s);
    }
}

static void url_is_escaped_and_its_query_grows(void **state)
{
    static const struct {
        const char *config;
        const char *url;
    } cases[] = {
        { "{url: \"https://a.internal/${req.url.query_params['q'][0]}\"}",
          "https://a.internal/San%20Francisco" },
        { "{url: \"https://a.internal/${req.url.query_params['e'][0]}/%41\"}",
          "https://a.internal/%C3%A9/%41" },
        { "{url: \"https://a.internal/${req.url.query_params['n'][0]}\"}",
          "https://a.internal/a%0Ab" },
        { "{url: 'https://a.internal', query_params: [{key: a, value: b}]}",
          "https://a.internal?a=b" },
        { "{url: 'https://a.internal/?x=1', query_params: [{key: a, value: b}, {key: a, value: "
          "c}]}",
          "https://a.internal/?x=1&a=b&a=c" },
        { "{url: 'https://a.internal/p#part', query_params: [{key: 'a b', value: '&=?#%+/'}]}",
          "https://a.internal/p?a%20b=%26%3D%3F%23%25%2B%2F" },
        { "{url: 'https://a.internal/p#part'}", "https://a.internal/p" },
        { "{url: 'https://a.internal/', query_params: [{key: '${x}', value: "
          "\"${req.method}-\xc3\xa9\"}]}",
          "https://a.internal/?%24%7Bx%7D=GET-%C3%A9" },
        { "{url: 'https://a.internal/', query_params: [{key: k, value: ''}]}",
          "https://a.internal/?k=" },
        { "{url: 'https://[2001:db8::1]:8443/'}", "https://[2001:db8::1]:8443/" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_url(cases[i].config, cases[i].url);
}

static void header_with_a_line_break_is_refused(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    s.h.target = STR("/?n=a%0D%0Ab:%20c");
    assert_int_equal(run(&s, "{url: 'https://a.internal', on_error: continue,"
                             " headers: {x: \"${req.url.query_params['n'][0]}\"}}"),
                     POLICY_RESPOND);
    assert_int_equal(s.h.response->error, E_POLICY_HEADER_VALUE);
    fetch_scene_fini(&s);
}

static void failing_interpolation_ends_the_phase_whatever_on_error_is(void **state)
{
    static const char *const configs[] = {
        "{url: \"https://a.internal/${req.headers['x'][0]}\"}",
        "{url: 'https://a.internal', body: \"${req.headers['x'][0]}\", method: POST}",
        "{url: 'https://a.internal', headers: {y: \"${req.headers['x'][0]}\"}}",
        "{url: 'https://a.internal', query_params: [{key: y, value: \"${req.headers['x'][0]}\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        struct fetch_scene s;

        fetch_scene_init(&s);
        assert_int_equal(run(&s, configs[i]), POLICY_RESPOND);
        assert_int_equal(s.h.response->error, E_POLICY_FIELD_EVALUATION);
        fetch_scene_fini(&s);
    }
}

static void long_query_value_is_refused_when_it_runs(void **state)
{
    (void)state;
    for (int n = 8192; n <= 8193; n++) {
        struct fetch_scene s;
        struct buf value;

        buf_init(&value, TEXT_MAX_BYTES);
        buf_add_fmt(&value, "%0*d", n, 0);
        fetch_scene_init(&s);
        buf_add_char(&value, '\0');
        fake_host_add(&s.h, "x", buf_str(&value).p);
        if (n == 8192)
            fetch_scene_answer(&s, ok);
        assert_int_equal(run(&s, "{url: 'https://a.internal',"
                                 " query_params: [{key: v, value: \"${req.headers['x'][0]}\"}]}"),
                         n == 8192 ? POLICY_CONTINUE : POLICY_RESPOND);
        buf_fini(&value);
        fetch_scene_fini(&s);
    }
}

static void url_that_is_none_is_a_failure_of_the_request(void **state)
{
    static const char *const urls[] = { "ftp://a.internal/", "//a.internal/",
                                        "a.internal",        "",
                                        "https://",          "https:///x",
                                        "file:///etc/passwd" };

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct fetch_scene s;

        fetch_scene_init(&s);
        fake_host_add(&s.h, "x", urls[i]);
        assert_int_equal(run(&s, "{url: \"${req.headers['x'][0]}\", on_error: halt}"),
                         POLICY_RESPOND);
        assert_int_equal(s.h.response->error, E_FETCH_FAILED);
        fetch_scene_fini(&s);
    }
}

/* ---- results --------------------------------------------------------------------------------- */

#define RESULT "actions.ngrok.http_request"

static void results_tell_of_request_and_response(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, (struct fetch_answer){
                               .status = 201,
                               .headers = { { STR("content-type"), STR("text/plain") },
                                            { STR("x-two"), STR("a") },
                                            { STR("x-bad"), STR("\xff") },
                                            { STR("x-two"), STR("b") } },
                               .header_count = 4,
                               .body = STR("gr\xfc\xdf dich"),
                               .took_ms = 34,
                           });
    assert_int_equal(run(&s, "{url: 'https://a.internal/x', method: POST, body: hi,"
                             " headers: {X-Own: '1'}}"),
                     POLICY_CONTINUE);
    expect_eval(&s, RESULT ".res.status_code", "201");
    expect_eval(&s, "type(" RESULT ".res.status_code) == int", "true");
    expect_eval(&s, RESULT ".res.resolved_ip", "198.51.100.7");
    expect_eval(&s, RESULT ".res.time_ms", "34");
    expect_eval(&s, "type(" RESULT ".res.time_ms) == string", "true");
    expect_eval(&s, RESULT ".res.body", "gr\xef\xbf\xbd dich");
    expect_eval(&s, RESULT ".res.header['Content-Type'][0]", "text/plain");
    expect_eval(&s, RESULT ".res.header['x-two']", "[\"a\",\"b\"]");
    expect_eval(&s, RESULT ".res.header['x-bad'][0]", "\xef\xbf\xbd");
    expect_eval(&s, "size(" RESULT ".res.header)", "3");
    expect_eval(&s, "'X-TWO' in " RESULT ".res.header", "true");
    expect_eval(&s, "'nope' in " RESULT ".res.header", "false");
    expect_eval(&s, RESULT ".res.header['nope']", "[]");
    expect_eval(&s, RESULT ".req.method", "POST");
    expect_eval(&s, RESULT ".req.url", "https://a.internal/x");
    expect_eval(&s, RESULT ".req.body", "hi");
    expect_eval(&s, RESULT ".req.header['x-own'][0]", "1");
    expect_eval(&s, RESULT ".req.header['User-Agent'][0]", "sallyport");
    expect_eval(&s, "size(" RESULT ".attempts)", "1");
    expect_eval(&s, RESULT ".attempts[0].resolved_ip", "198.51.100.7");
    expect_eval(&s, RESULT ".attempts[0].response_status_code", "201");
    expect_eval(&s, RESULT ".attempts[0].response_header['x-two'][1]", "b");
    expect_eval(&s, RESULT ".attempts[0].response_time_ms", "34");
    expect_eval(&s, RESULT ".error", "{\"code\":\"\",\"message\":\"\"}");
    fetch_scene_fini(&s);
}

static void results_are_of_the_response_phase_too(void **state)
{
    struct counted *policy = fake_host_compile_action(
        POLICY_ON_HTTP_RESPONSE, "http-request", "{url: 'https://a.internal/${res.status_code}'}");
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, ok);
    assert_int_equal(fetch_scene_run(&s, policy, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_true(str_eq(s.asked[0].fetch.url, STR("https://a.internal/200")));
    assert_string_equal(fake_host_eval(&s.h, POLICY_ON_HTTP_RESPONSE, RESULT ".res.status_code"),
                        "200");
    counted_unref(policy);
    fetch_scene_fini(&s);
}

static void results_that_nobody_reads_are_not_made(void **state)
{
    struct counted *policy =
        fake_host_compile_action(Q, "http-request", "{url: 'https://a.internal/x'}");
    struct fetch_scene s;

    (void)state;
    ((struct policy *)policy)->results_read = 0;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, ok);
    assert_int_equal(fetch_scene_run(&s, policy, Q), POLICY_CONTINUE);
    expect_eval(&s, RESULT " == null", "true");
    counted_unref(policy);
    fetch_scene_fini(&s);
}

static void large_body_needs_memory_of_the_phase(void **state)
{
    static char body[256 * 1024];
    static const char *const config = "{url: 'https://a.internal/x'}";
    struct fetch_scene s;
    struct counted *policy;
    struct buf text;

    (void)state;
    memset(body, 'x', sizeof(body));
    fetch_scene_init(&s);
    fetch_scene_answer(&s, (struct fetch_answer){ .status = 200, .body = { body, sizeof(body) } });
    assert_int_equal(run(&s, config), POLICY_CONTINUE);
    expect_eval(&s, "size(" RESULT ".res.body)", "262144");
    fetch_scene_fini(&s);
    /* Five of them need more than a phase may keep. */
    buf_init(&text, TEXT_MAX_BYTES);
    buf_add_str(&text, STR("{on_http_request: [{actions: ["));
    fetch_scene_init(&s);
    for (int i = 0; i < 5; i++) {
        buf_add_fmt(&text, "{type: http-request, config: %s},", config);
        fetch_scene_answer(&s,
                           (struct fetch_answer){ .status = 200, .body = { body, sizeof(body) } });
    }
    buf_add_fmt(&text, "]}]}%c", '\0');
    policy = fake_host_compile(buf_str(&text).p);
    s.scripted = 4;
    assert_int_equal(fetch_scene_run(&s, policy, Q), POLICY_RESPOND);
    assert_int_equal(s.h.response->error, E_POLICY_MEMORY);
    counted_unref(policy);
    buf_fini(&text);
    fetch_scene_fini(&s);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void failures_halt_or_go_on(void **state)
{
    static const struct {
        enum err_code code;
        unsigned status; /* as far as the response was seen */
        const char *number;
        unsigned answer;
    } cases[] = {
        { E_FETCH_FAILED, 0, "ERR_NGROK_3600", 502 },
        { E_FETCH_TOO_LARGE, 200, "ERR_NGROK_3601", 502 },
        { E_FETCH_TIMEOUT, 0, "ERR_NGROK_3602", 504 },
        { E_FETCH_LOOP, 0, "ERR_NGROK_3603", 508 },
        { E_FETCH_REDIRECTS, 302, "ERR_NGROK_3214", 502 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct fetch_answer answer = { .error = cases[i].code, .status = cases[i].status };
        struct fetch_scene s;
        char status[16];

        (void)snprintf(status, sizeof(status), "%u", cases[i].status);
        fetch_scene_init(&s);
        fetch_scene_answer(&s, answer);
        assert_int_equal(run(&s, "{url: 'https://a.internal/'}"), POLICY_CONTINUE);
        expect_eval(&s, RESULT ".error.code", cases[i].number);
        expect_eval(&s, RESULT ".error.message", "http-request: it failed");
        expect_eval(&s, RESULT ".res.status_code", status);
        expect_eval(&s, "size(" RESULT ".attempts)", "1");
        fetch_scene_fini(&s);

        fetch_scene_init(&s);
        fetch_scene_answer(&s, answer);
        assert_int_equal(run(&s, "{url: 'https://a.internal/', on_error: halt}"), POLICY_RESPOND);
        assert_int_equal(s.h.response->error, cases[i].code);
        assert_int_equal(err_status(s.h.response->error), cases[i].answer);
        assert_string_equal(s.h.response->message, "http-request: it failed");
        assert_false(s.h.response->runs_response_phase);
        fetch_scene_fini(&s);
    }
}

static void error_status_is_no_failure(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, (struct fetch_answer){ .status = 503 });
    assert_int_equal(run(&s, "{url: 'https://a.internal/', on_error: halt}"), POLICY_CONTINUE);
    expect_eval(&s, RESULT ".res.status_code", "503");
    expect_eval(&s, RESULT ".error.code", "");
    fetch_scene_fini(&s);
}

/* ---- retries --------------------------------------------------------------------------------- */

static void expect_attempts(const char *condition, const struct fetch_answer *answers, size_t count)
{
    struct fetch_scene s;
    struct buf config;
    char text[16];

    buf_init(&config, TEXT_MAX_BYTES);
    buf_add_fmt(&config, "{url: 'https://a.internal/', retry_condition: \"%s\"}%c", condition,
                '\0');
    fetch_scene_init(&s);
    for (size_t i = 0; i < count; i++)
        fetch_scene_answer(&s, answers[i]);
    assert_int_equal(run(&s, buf_str(&config).p), POLICY_CONTINUE);
    (void)snprintf(text, sizeof(text), "%zu", count);
    expect_eval(&s, "size(" RESULT ".attempts)", text);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(s.asked[i].id, s.asked[i - 1].id);
    buf_fini(&config);
    fetch_scene_fini(&s);
}

static void retry_condition_decides(void **state)
{
    static const struct fetch_answer bad = { .status = 503, .body = STR_INIT("busy") };
    static const struct fetch_answer down = { .error = E_FETCH_FAILED };
    static const struct fetch_answer large = { .status = 200, .error = E_FETCH_TOO_LARGE };
    const struct {
        const char *condition;
        struct fetch_answer answers[4];
        size_t count;
    } cases[] = {
        { "false", { bad }, 1 },
        { "true", { ok, ok, ok, ok }, 4 }, /* three retries, no more */
        { "attempts < 2", { ok, ok }, 2 },
        { "attempts < 2 && last_attempt.res.status_code >= 500", { bad, bad }, 2 },
        { "attempts < 2 && last_attempt.res.status_code >= 500", { ok }, 1 },
        { "last_attempt.res.statusCode == 503", { bad, bad, ok }, 3 },
        { "last_attempt.res.body == 'busy'", { bad, ok }, 2 },
        { "has(last_attempt.error)", { down, large, ok }, 3 },
        { "has(last_attempt.error) && !has(last_attempt.res)", { down, large }, 2 },
        { "last_attempt.error.contains('failed')", { down, ok }, 2 },
        { "last_attempt.res.status_code == 503 || has(last_attempt.error)", { down, bad, ok }, 3 },
        /* What cannot be evaluated asks for nothing. */
        { "last_attempt.res.status_code >= 500", { down }, 1 },
        { "last_attempt.nonsense == 1", { ok }, 1 },
        { "last_attempt.req.method == 'GET' && last_attempt.req.url.startsWith('https://a.')"
          " && last_attempt.req.header['user-agent'][0] == 'sallyport' && attempts == 1",
          { ok, ok },
          2 },
        { "req.method == 'GET' && attempts == 1", { ok, ok }, 2 },
        { "dyn(1)", { ok }, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_attempts(cases[i].condition, cases[i].answers, cases[i].count);
}

static void last_attempt_is_the_result(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, (struct fetch_answer){ .error = E_FETCH_FAILED, .took_ms = 5 });
    fetch_scene_answer(&s, (struct fetch_answer){ .status = 200, .body = STR("now") });
    assert_int_equal(run(&s, "{url: 'https://a.internal/', on_error: halt,"
                             " retry_condition: has(last_attempt.error)}"),
                     POLICY_CONTINUE);
    expect_eval(&s, RESULT ".error.code", "");
    expect_eval(&s, RESULT ".res.body", "now");
    expect_eval(&s, RESULT ".attempts[0].response_status_code", "0");
    expect_eval(&s, RESULT ".attempts[0].response_time_ms", "5");
    expect_eval(&s, RESULT ".attempts[1].response_status_code", "200");
    expect_eval(&s, RESULT ".req.header['sallyport-req-id'][0]", s.asked[1].id);
    fetch_scene_fini(&s);
}

static void timeout_is_of_all_attempts(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, (struct fetch_answer){ .status = 503, .took_ms = 1200 });
    fetch_scene_answer(&s, (struct fetch_answer){ .status = 503, .took_ms = 800 });
    assert_int_equal(run(&s, "{url: 'https://a.internal/', timeout: 2s, on_error: halt,"
                             " retry_condition: last_attempt.res.status_code == 503}"),
                     POLICY_RESPOND);
    assert_int_equal(s.h.response->error, E_FETCH_TIMEOUT);
    assert_int_equal(s.asked[0].fetch.timeout_ms, 2000);
    assert_int_equal(s.asked[1].fetch.timeout_ms, 800);
    expect_eval(&s, RESULT ".error.code", "ERR_NGROK_3602");
    expect_eval(&s, "size(" RESULT ".attempts)", "2");
    fetch_scene_fini(&s);
}

/* A visitor that goes away while the fetch is under way. */
static void run_can_be_freed_while_it_waits(void **state)
{
    struct counted *policy =
        fake_host_compile_action(Q, "http-request", "{url: 'https://a.internal/', body: x}");
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    fetch_scene_answer(&s, ok);
    {
        const struct policy_run_params params = {
            .policy = policy, .host = &s.calls, .ctx = &s, .arena = &s.h.arena, .local = s.h.local
        };
        struct policy_run *waiting = policy_run_new(&params);

        assert_int_equal(policy_run_phase(waiting, Q), POLICY_SUSPEND);
        policy_run_free(waiting);
    }
    counted_unref(policy);
    fetch_scene_fini(&s);
}

/* ---- config ---------------------------------------------------------------------------------- */

static void bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.url: it is required" },
        { "{url: ftp://a.internal}", E_POLICY_URL, "config.url: it must be an http or https URL" },
        { "{url: api.internal}", E_POLICY_URL, "config.url" },
        { "{url: ''}", E_POLICY_URL, "config.url" },
        { "{url: 'https://'}", E_POLICY_URL, "config.url" },
        { "{url: 'https://a b'}", E_POLICY_URL, "config.url" },
        { "{url: [a]}", E_POLICY_CONFIG, "config.url: it must be a string" },
        { "{url: 'https://${'}", E_POLICY_TEMPLATE, "config.url" },
        { "{url: 'https://a.internal', method: HEAD}", E_POLICY_CHOICE, "config.method" },
        { "{url: 'https://a.internal', method: get}", E_POLICY_CHOICE, "config.method" },
        { "{url: 'https://a.internal', query_params: {a: b}}", E_POLICY_CONFIG,
          "config.query_params: it must be a list" },
        { "{url: 'https://a.internal', query_params: [{key: a}]}", E_POLICY_MISSING,
          "config.query_params[0].value: it is required" },
        { "{url: 'https://a.internal', query_params: [{value: a}]}", E_POLICY_MISSING,
          "config.query_params[0].key: it is required" },
        { "{url: 'https://a.internal', query_params: [{key: '', value: a}]}", E_POLICY_EMPTY,
          "config.query_params[0].key" },
        { "{url: 'https://a.internal', query_params: [{key: a, value: b, c: d}]}", E_POLICY_CONFIG,
          "unknown field 'c'" },
        { "{url: 'https://a.internal', query_params: [a]}", E_POLICY_CONFIG,
          "config.query_params[0]: it must be a mapping" },
        { "{url: 'https://a.internal', headers: {content-length: '1'}}", E_POLICY_NOT_SETTABLE,
          "content-length" },
        { "{url: 'https://a.internal', headers: {Sallyport-Req-Id: '1'}}", E_POLICY_NOT_SETTABLE,
          "sallyport-req-id" },
        { "{url: 'https://a.internal', headers: {x: \"a\\nb\"}}", E_POLICY_HEADER_VALUE,
          "control character" },
        { "{url: 'https://a.internal', headers: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1,"
          " i: 1, j: 1, k: 1}}",
          E_POLICY_HEADER_TOO_MANY, "11 headers, at most 10" },
        { "{url: 'https://a.internal', max_redirects: 6}", E_POLICY_RANGE, "config.max_redirects" },
        { "{url: 'https://a.internal', max_redirects: -1}", E_POLICY_RANGE,
          "config.max_redirects" },
        { "{url: 'https://a.internal', timeout: 999ms}", E_POLICY_RANGE, "config.timeout" },
        { "{url: 'https://a.internal', timeout: 30001ms}", E_POLICY_DURATION, "config.timeout" },
        { "{url: 'https://a.internal', timeout: 3}", E_POLICY_CONFIG, "config.timeout" },
        { "{url: 'https://a.internal', retry_condition: '1'}", E_POLICY_EXPRESSION,
          "config.retry_condition" },
        { "{url: 'https://a.internal', retry_condition: '${attempts}'}", E_POLICY_EXPRESSION,
          "config.retry_condition" },
        { "{url: 'https://a.internal', retry_condition: 'attempt < 1'}", E_POLICY_EXPRESSION,
          "config.retry_condition" },
        { "{url: 'https://a.internal', body: '${attempts}'}", E_POLICY_TEMPLATE, "config.body" },
        { "{url: 'https://a.internal', on_error: stop}", E_POLICY_CHOICE, "config.on_error" },
        { "{url: 'https://a.internal', uri: x}", E_POLICY_CONFIG, "unknown field 'uri'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(Q, "http-request", cases[i].config, cases[i].code,
                                        cases[i].needle);
    fake_host_expect_config_warning(Q, "http-request", "{url: 'https://a.internal', body: x}",
                                    "a body with GET");
}

/* As many query parameters, of so long keys and values. */
static void make_params(struct buf *out, size_t count, int key, int value)
{
    buf_init(out, TEXT_MAX_BYTES);
    buf_add_str(out, STR("{url: 'https://a.internal', query_params: ["));
    for (size_t i = 0; i < count; i++)
        buf_add_fmt(out, "{key: '%0*d', value: '%0*d'},", key, 0, value, 0);
    buf_add_fmt(out, "]}%c", '\0');
}

static void limits_of_query_params_hold(void **state)
{
    static const struct {
        size_t count;
        int key;
        int value;
        enum err_code code;
    } cases[] = {
        { 32, 1, 1, E_OK },   { 33, 1, 1, E_POLICY_QUERY_PARAMS },
        { 1, 128, 1, E_OK },  { 1, 129, 1, E_POLICY_QUERY_KEY },
        { 1, 1, 8192, E_OK }, { 1, 1, 8193, E_POLICY_QUERY_VALUE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf config;

        make_params(&config, cases[i].count, cases[i].key, cases[i].value);
        if (cases[i].code == E_OK)
            counted_unref(fake_host_compile_action(Q, "http-request", buf_str(&config).p));
        else
            fake_host_expect_config_refused(Q, "http-request", buf_str(&config).p, cases[i].code,
                                            "query_params");
        buf_fini(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_spec),
        cmocka_unit_test(every_field_reaches_the_request),
        cmocka_unit_test(methods_are_six),
        cmocka_unit_test(url_is_escaped_and_its_query_grows),
        cmocka_unit_test(header_with_a_line_break_is_refused),
        cmocka_unit_test(failing_interpolation_ends_the_phase_whatever_on_error_is),
        cmocka_unit_test(long_query_value_is_refused_when_it_runs),
        cmocka_unit_test(url_that_is_none_is_a_failure_of_the_request),
        cmocka_unit_test(results_tell_of_request_and_response),
        cmocka_unit_test(results_are_of_the_response_phase_too),
        cmocka_unit_test(results_that_nobody_reads_are_not_made),
        cmocka_unit_test(large_body_needs_memory_of_the_phase),
        cmocka_unit_test(failures_halt_or_go_on),
        cmocka_unit_test(error_status_is_no_failure),
        cmocka_unit_test(retry_condition_decides),
        cmocka_unit_test(last_attempt_is_the_result),
        cmocka_unit_test(timeout_is_of_all_attempts),
        cmocka_unit_test(run_can_be_freed_while_it_waits),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(limits_of_query_params_hold),
    };

    return cmocka_run_group_tests_name("policy/http_fetch", tests, NULL, NULL);
}
