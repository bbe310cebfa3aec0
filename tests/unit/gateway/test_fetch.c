/*
 * Unit tests of gateway/fetch: requests over real sockets to a server on loopback, and where they may
 * not go.
 * Links: tests/unit/gateway/web_server
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"
#include "gateway/http.h"
#include "tests/unit/gateway/web_server.h"

enum { DEADLINE_MS = 20000, TIMEOUT_MS = 10000, BODY_MAX = 256 * 1024, URL_BYTES = 512 };

struct scene {
    struct worker *worker;
    struct fetcher *fetcher;
    struct web_server *server;
    struct fetch_rules *rules;
};

/* One fetch, from the test's thread. */
struct call {
    struct scene *scene;
    struct policy_fetch request;
    size_t max;
    unsigned hops;
    struct fetch *fetch;
    atomic_bool over;
    enum err_code error;
    char message[ERR_MSG_BYTES];
    unsigned status;
    size_t header_count;
    char ip[64];
    char kind[64]; /* the field x-kind */
    char *body;
    uint64_t took_ms;
};

static int setup(void **state)
{
    struct scene *s = mem_zalloc(sizeof(*s));

    s->worker = worker_new("fetcher", 0);
    s->fetcher = fetcher_new(s->worker, &fetch_for_policies);
    s->server = web_server_new();
    s->rules = fetch_rules_new();
    worker_start(s->worker);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    const struct metrics *all[] = { worker_metrics(s->worker) };

    worker_stop(s->worker);
    worker_join(s->worker);
    assert_int_equal(metrics_sum(all, 1, METRIC_FETCHES), 0);
    fetcher_free(s->fetcher);
    worker_free(s->worker);
    web_server_free(s->server);
    fetch_rules_unref(s->rules);
    mem_free(s);
    return 0;
}

static void allow(struct scene *s, const char *text)
{
    struct err e = { .code = E_OK };

    if (fetch_rules_add(s->rules, str_from(text), &e) == -1)
        fail_msg("%s: %s", text, e.msg);
}

/* ---- calling ---- */

static void on_done(void *arg)
{
    struct call *c = arg;
    const struct policy_fetched *got = fetch_result(c->fetch);

    c->error = fetch_error(c->fetch)->code;
    (void)snprintf(c->message, sizeof(c->message), "%s", fetch_error(c->fetch)->msg);
    c->status = got->status;
    c->header_count = got->header_count;
    c->took_ms = got->took_ms;
    (void)snprintf(c->ip, sizeof(c->ip), "%.*s", STR_ARG(got->resolved_ip));
    for (size_t i = 0; i < got->header_count; i++) {
        if (str_eq(got->headers[i].name, STR("x-kind")))
            (void)snprintf(c->kind, sizeof(c->kind), "%.*s", STR_ARG(got->headers[i].value));
    }
    c->body = str_dup(got->body);
    fetch_free(c->fetch);
    c->fetch = NULL;
    atomic_store(&c->over, true);
}

static void start(struct worker *w, void *arg)
{
    struct call *c = arg;
    const struct fetch_params params = {
        .request = &c->request,
        .rules = c->scene->rules,
        .max = c->max,
        .hops = c->hops,
        .done = on_done,
        .arg = c,
    };

    (void)w;
    c->fetch = fetch_start(c->scene->fetcher, &params);
}

static void wait_over(struct call *c)
{
    for (int ms = 0; ms < DEADLINE_MS && !atomic_load(&c->over); ms++)
        (void)poll(NULL, 0, 1);
    assert_true(atomic_load(&c->over));
}

static struct call *call_new(struct scene *s, const char *url)
{
    struct call *c = mem_zalloc(sizeof(*c));

    c->scene = s;
    c->max = 10;
    c->request = (struct policy_fetch){ .url = str_from(url),
                                        .method = STR("GET"),
                                        .timeout_ms = TIMEOUT_MS,
                                        .response_max_bytes = BODY_MAX };
    return c;
}

static void run(struct call *c)
{
    worker_post(c->scene->worker, start, c);
    wait_over(c);
}

static void call_free(struct call *c)
{
    mem_free(c->body);
    mem_free(c);
}

/* "http://127.0.0.1:PORT" and what follows. */
static const char *url_of(const struct scene *s, const char *host, const char *rest,
                          char out[URL_BYTES])
{
    int n = snprintf(out, URL_BYTES, "http://%s:%u%s", host, web_server_port(s->server), rest);

    assert_in_range(n, 1, URL_BYTES - 1);
    return out;
}

static struct call *get(struct scene *s, const char *rest)
{
    char url[URL_BYTES];
    struct call *c = call_new(s, url_of(s, "127.0.0.1", rest, url));

    run(c);
    return c;
}

static void expect_error(struct call *c, enum err_code code, const char *needle)
{
    if (c->error != code || strstr(c->message, needle) == NULL)
        fail_msg("error %u '%s', not %u '%s'", (unsigned)c->error, c->message, (unsigned)code,
                 needle);
    call_free(c);
}

/* ---- what works ---- */

static void fetch_answer_is_given_with_all_there_is(void **state)
{
    struct scene *s = *state;
    struct call *c;

    allow(s, "127.0.0.0/8");
    c = get(s, "/hello");
    assert_int_equal(c->error, E_OK);
    assert_int_equal(c->status, 200);
    assert_string_equal(c->body, "hello");
    assert_string_equal(c->ip, "127.0.0.1");
    call_free(c);
}

static void fetch_request_is_sent_as_asked(void **state)
{
    static const struct policy_header headers[] = {
        { STR_INIT("X-One"), STR_INIT("1") },
        { STR_INIT("x-empty"), STR_INIT("") },
        { STR_INIT("Content-Length"), STR_INIT("7") }, /* framing is not the caller's */
        { STR_INIT("sallyport-req-hops"), STR_INIT("0") },
    };
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *c = call_new(s, url_of(s, "127.0.0.1", "/echo?a=b%20c", url));

    allow(s, "127.0.0.0/8");
    c->request.method = STR("PUT");
    c->request.headers = headers;
    c->request.header_count = sizeof(headers) / sizeof(headers[0]);
    c->request.body = STR("some text");
    c->hops = 1;
    run(c);
    assert_int_equal(c->error, E_OK);
    assert_string_equal(c->kind, "Echo");
    assert_non_null(strstr(c->body, "PUT /echo?a=b%20c HTTP/1.1\r\n"));
    assert_non_null(strstr(c->body, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(c->body, "\r\nx-empty:"));
    assert_non_null(strstr(c->body, "\r\nContent-Length: 9\r\n"));
    assert_non_null(strstr(c->body, "\r\nsallyport-req-hops: 2\r\n"));
    assert_null(strstr(c->body, "sallyport-req-hops: 0"));
    assert_null(strstr(c->body, "Content-Type"));
    assert_null(strstr(c->body, "Expect"));
    assert_non_null(strstr(c->body, "\r\n\r\nsome text"));
    call_free(c);
}

static void fetch_encoded_body_is_decoded(void **state)
{
    struct scene *s = *state;
    struct call *c;

    allow(s, "127.0.0.0/8");
    c = get(s, "/gzip");
    assert_int_equal(c->error, E_OK);
    assert_string_equal(c->body, "hello");
    call_free(c);
}

static void fetch_error_status_is_an_answer(void **state)
{
    struct scene *s = *state;
    struct call *c;

    allow(s, "127.0.0.0/8");
    c = get(s, "/status?503");
    assert_int_equal(c->error, E_OK);
    assert_int_equal(c->status, 503);
    call_free(c);
}

static void fetch_connection_is_kept(void **state)
{
    struct scene *s = *state;

    allow(s, "127.0.0.0/8");
    for (int i = 0; i < 5; i++)
        call_free(get(s, "/hello"));
    assert_int_equal(web_server_requests(s->server), 5);
    assert_int_equal(web_server_connections(s->server), 1);
}

/* ---- redirects ---- */

static void fetch_redirects_are_followed_up_to_the_limit(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *c;

    allow(s, "127.0.0.0/8");
    c = call_new(s, url_of(s, "127.0.0.1", "/to?/to?/hello", url));
    c->request.max_redirects = 2;
    run(c);
    assert_int_equal(c->error, E_OK);
    assert_int_equal(c->status, 200);
    assert_string_equal(c->body, "hello");
    call_free(c);
    c = call_new(s, url);
    c->request.max_redirects = 1;
    run(c);
    assert_int_equal(c->status, 302);
    expect_error(c, E_FETCH_REDIRECTS, "redirects");
    expect_error(get(s, "/to?/hello"), E_FETCH_REDIRECTS, "redirects");
}

static const struct {
    const char *path;
    const char *method;
    const char *line; /* what arrives */
    bool has_body;
} redirected[] = {
    { "/to?/echo", "POST", "GET /echo ", false },    { "/to303?/echo", "PUT", "GET /echo ", false },
    { "/to307?/echo", "POST", "POST /echo ", true }, { "/to?/echo", "PUT", "PUT /echo ", true },
    { "/to303?/echo", "GET", "GET /echo ", false },
};

static void fetch_redirect_changes_the_method_by_the_rules(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];

    allow(s, "127.0.0.0/8");
    for (size_t i = 0; i < sizeof(redirected) / sizeof(redirected[0]); i++) {
        struct call *c = call_new(s, url_of(s, "127.0.0.1", redirected[i].path, url));
        bool sends = strcmp(redirected[i].method, "GET") != 0;

        c->request.method = str_from(redirected[i].method);
        c->request.body = sends ? STR("payload") : STR_NONE;
        c->request.max_redirects = 1;
        run(c);
        assert_int_equal(c->error, E_OK);
        if (strncmp(c->body, redirected[i].line, strlen(redirected[i].line)) != 0)
            fail_msg("%s %s arrived as %.40s", redirected[i].method, redirected[i].path, c->body);
        assert_int_equal(strstr(c->body, "payload") != NULL, redirected[i].has_body);
        call_free(c);
    }
}

static void fetch_redirect_to_another_host_takes_no_credentials_along(void **state)
{
    static const struct policy_header headers[] = {
        { STR_INIT("authorization"), STR_INIT("Bearer secret") },
        { STR_INIT("x-other"), STR_INIT("kept") },
    };
    struct scene *s = *state;
    char other[URL_BYTES];
    char url[URL_BYTES];

    allow(s, "127.0.0.0/8");
    for (int same = 0; same < 2; same++) {
        struct call *c;
        int n;

        (void)url_of(s, same ? "127.0.0.1" : "127.0.0.2", "/echo", other);
        n = snprintf(url, sizeof(url), "http://127.0.0.1:%u/to?%s", web_server_port(s->server),
                     other);
        assert_in_range(n, 1, URL_BYTES - 1);
        c = call_new(s, url);
        c->request.headers = headers;
        c->request.header_count = 2;
        c->request.max_redirects = 1;
        run(c);
        assert_int_equal(c->error, E_OK);
        assert_int_equal(strstr(c->body, "Bearer") != NULL, same);
        assert_non_null(strstr(c->body, "x-other: kept"));
        call_free(c);
    }
}

/* ---- where it may not go ---- */

static void fetch_without_a_rule_goes_nowhere(void **state)
{
    struct scene *s = *state;

    expect_error(get(s, "/hello"), E_FETCH_FAILED, "not allowed");
    assert_int_equal(web_server_connections(s->server), 0);
}

static void fetch_private_address_needs_its_block(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "127.1", "0x7f000001",
                                         "2130706433" };
    struct scene *s = *state;
    char url[URL_BYTES];

    allow(s, "*");
    allow(s, "localhost");
    allow(s, "10.0.0.0/8");
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct call *c = call_new(s, url_of(s, hosts[i], "/hello", url));

        run(c);
        expect_error(c, E_FETCH_FAILED, "not allowed");
    }
    assert_int_equal(web_server_connections(s->server), 0);
}

static void fetch_name_that_leads_to_a_listed_block_is_allowed(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *c = call_new(s, url_of(s, "localhost", "/hello", url));

    allow(s, "127.0.0.1");
    run(c);
    assert_int_equal(c->error, E_OK);
    assert_string_equal(c->body, "hello");
    call_free(c);
}

static void fetch_redirect_meets_the_rules_too(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    char rest[URL_BYTES];
    struct call *c;

    allow(s, "127.0.0.1/32");
    (void)snprintf(rest, sizeof(rest), "/to?http://127.0.0.2:%u/hello", web_server_port(s->server));
    c = call_new(s, url_of(s, "127.0.0.1", rest, url));
    c->request.max_redirects = 3;
    run(c);
    expect_error(c, E_FETCH_FAILED, "not allowed");
    assert_int_equal(web_server_requests(s->server), 1);
    c = call_new(s, url_of(s, "127.0.0.1", "/to?file:///etc/passwd", url));
    c->request.max_redirects = 3;
    run(c);
    expect_error(c, E_FETCH_FAILED, "");
    c = call_new(s, url_of(s, "127.0.0.1", "/to?http://a.internal/", url));
    c->request.max_redirects = 3;
    run(c);
    expect_error(c, E_FETCH_FAILED, "offline");
}

/* A connection that was allowed when it was made is looked at again when it is used. */
static void fetch_kept_connection_meets_new_rules(void **state)
{
    struct scene *s = *state;
    struct call *c;

    allow(s, "127.0.0.0/8");
    call_free(get(s, "/hello"));
    fetch_rules_unref(s->rules);
    s->rules = fetch_rules_new();
    allow(s, "*");
    allow(s, "192.0.2.0/24");
    c = get(s, "/hello");
    expect_error(c, E_FETCH_FAILED, "not allowed");
    assert_int_equal(web_server_requests(s->server), 1);
}

static const struct {
    const char *url;
    const char *needle;
} bad_urls[] = {
    { "ftp://127.0.0.1/", "not http" },
    { "file:///etc/passwd", "" },
    { "gopher://127.0.0.1/", "not http" },
    { "", "malformed" },
    { "http://", "malformed" },
    { "http://a b/", "malformed" },
    { "/path", "" },
    { "https://auth.internal/x", "offline" },
};

static void fetch_other_urls_are_refused(void **state)
{
    struct scene *s = *state;

    allow(s, "0.0.0.0/0");
    for (size_t i = 0; i < sizeof(bad_urls) / sizeof(bad_urls[0]); i++) {
        struct call *c = call_new(s, bad_urls[i].url);

        run(c);
        expect_error(c, E_FETCH_FAILED, bad_urls[i].needle);
    }
}

/* ---- limits ---- */

static void fetch_body_at_the_limit_and_one_more(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *c;

    allow(s, "127.0.0.0/8");
    c = call_new(s, url_of(s, "127.0.0.1", "/bytes?1000", url));
    c->request.response_max_bytes = 1000;
    run(c);
    assert_int_equal(c->error, E_OK);
    assert_int_equal(strlen(c->body), 1000);
    call_free(c);
    c = call_new(s, url);
    c->request.response_max_bytes = 999;
    run(c);
    assert_int_equal(c->status, 200);
    expect_error(c, E_FETCH_TOO_LARGE, "too large");
}

static void fetch_header_fields_at_the_limit_and_one_more(void **state)
{
    struct scene *s = *state;
    char rest[64];
    struct call *c;

    allow(s, "127.0.0.0/8");
    (void)snprintf(rest, sizeof(rest), "/fields?%d",
                   FETCH_HEADERS_MAX - 1); /* and content-length */
    c = get(s, rest);
    assert_int_equal(c->error, E_OK);
    assert_int_equal(c->header_count, FETCH_HEADERS_MAX);
    call_free(c);
    (void)snprintf(rest, sizeof(rest), "/fields?%d", FETCH_HEADERS_MAX);
    expect_error(get(s, rest), E_FETCH_TOO_LARGE, "too large");
}

static void fetch_that_lasts_too_long_times_out(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *c = call_new(s, url_of(s, "127.0.0.1", "/never", url));

    allow(s, "127.0.0.0/8");
    c->request.timeout_ms = 200;
    run(c);
    assert_in_range(c->took_ms, 190, DEADLINE_MS);
    expect_error(c, E_FETCH_TIMEOUT, "timed out");
}

static void fetch_cut_answer_fails(void **state)
{
    struct scene *s = *state;

    allow(s, "127.0.0.0/8");
    expect_error(get(s, "/cut"), E_FETCH_FAILED, "");
}

static void fetch_refused_connection_fails(void **state)
{
    struct scene *s = *state;
    struct call *c = call_new(s, "http://127.0.0.1:1/");

    allow(s, "127.0.0.0/8");
    run(c);
    expect_error(c, E_FETCH_FAILED, "");
}

static void cancel(struct worker *w, void *arg)
{
    struct call *c = arg;

    (void)w;
    fetch_free(c->fetch);
    atomic_store(&c->over, true);
}

/* Both in one turn of the loop, so that no answer can come in between. */
static void start_and_cancel(struct worker *w, void *arg)
{
    start(w, arg);
    cancel(w, arg);
}

/* Also those behind the limit do no harm to those before it. */
static void fetch_more_than_the_limit_fail(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];
    struct call *first = call_new(s, url_of(s, "127.0.0.1", "/never", url));
    struct call *second = call_new(s, url);

    allow(s, "127.0.0.0/8");
    first->max = second->max = 1;
    worker_post(s->worker, start, first);
    run(second);
    expect_error(second, E_FETCH_FAILED, "too many");
    worker_post(s->worker, cancel, first);
    wait_over(first);
    call_free(first);
    second = get(s, "/hello");
    assert_int_equal(second->error, E_OK);
    call_free(second);
}

static void fetch_cancelled_at_once_says_nothing(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];

    allow(s, "127.0.0.0/8");
    for (int i = 0; i < 20; i++) {
        struct call *c =
            call_new(s, url_of(s, i % 2 == 0 ? "localhost" : "none.invalid", "/hello", url));

        worker_post(s->worker, start_and_cancel, c);
        wait_over(c);
        assert_null(c->body);
        call_free(c);
    }
}

static void fetch_after_too_many_hops_is_a_loop(void **state)
{
    struct scene *s = *state;
    char url[URL_BYTES];

    allow(s, "127.0.0.0/8");
    for (unsigned hops = FETCH_HOPS_MAX - 1; hops <= FETCH_HOPS_MAX; hops++) {
        struct call *c = call_new(s, url_of(s, "127.0.0.1", "/hello", url));

        c->hops = hops;
        run(c);
        assert_int_equal(c->error, hops < FETCH_HOPS_MAX ? E_OK : E_FETCH_LOOP);
        call_free(c);
    }
}

static const struct {
    const char *values[3];
    unsigned hops;
} hop_fields[] = {
    { { NULL }, 0 },
    { { "0", NULL }, 0 },
    { { "1", NULL }, 1 },
    { { "2", "1", NULL }, 2 },
    { { "3", NULL }, 3 },
    { { "4", NULL }, FETCH_HOPS_MAX },
    { { "", NULL }, FETCH_HOPS_MAX },
    { { "-1", NULL }, FETCH_HOPS_MAX },
    { { "x", NULL }, FETCH_HOPS_MAX },
};

static void fetch_hops_are_read_from_the_request(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(hop_fields) / sizeof(hop_fields[0]); i++) {
        struct http_headers h = { 0 };

        for (const char *const *v = hop_fields[i].values; *v != NULL; v++)
            http_headers_add(&h, &a, STR("Sallyport-Req-Hops"), str_from(*v));
        assert_int_equal(fetch_hops(&h), hop_fields[i].hops);
    }
    arena_fini(&a);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(fetch_answer_is_given_with_all_there_is),
        WITH_SCENE(fetch_request_is_sent_as_asked),
        WITH_SCENE(fetch_encoded_body_is_decoded),
        WITH_SCENE(fetch_error_status_is_an_answer),
        WITH_SCENE(fetch_connection_is_kept),
        WITH_SCENE(fetch_redirects_are_followed_up_to_the_limit),
        WITH_SCENE(fetch_redirect_changes_the_method_by_the_rules),
        WITH_SCENE(fetch_redirect_to_another_host_takes_no_credentials_along),
        WITH_SCENE(fetch_without_a_rule_goes_nowhere),
        WITH_SCENE(fetch_private_address_needs_its_block),
        WITH_SCENE(fetch_name_that_leads_to_a_listed_block_is_allowed),
        WITH_SCENE(fetch_redirect_meets_the_rules_too),
        WITH_SCENE(fetch_kept_connection_meets_new_rules),
        WITH_SCENE(fetch_other_urls_are_refused),
        WITH_SCENE(fetch_body_at_the_limit_and_one_more),
        WITH_SCENE(fetch_header_fields_at_the_limit_and_one_more),
        WITH_SCENE(fetch_that_lasts_too_long_times_out),
        WITH_SCENE(fetch_cut_answer_fails),
        WITH_SCENE(fetch_refused_connection_fails),
        WITH_SCENE(fetch_more_than_the_limit_fail),
        WITH_SCENE(fetch_cancelled_at_once_says_nothing),
        WITH_SCENE(fetch_after_too_many_hops_is_a_loop),
        cmocka_unit_test(fetch_hops_are_read_from_the_request),
    };

    return cmocka_run_group_tests_name("gateway/fetch", tests, NULL, NULL);
}
