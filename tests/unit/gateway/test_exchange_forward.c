/*
 * Unit tests of gateway/exchange_forward and gateway/forward: a.example.com forwards to b.internal, whose
 * session is on the other worker. What waits on the way, what fails there, and what must not stay.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/forward.h"
#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"
#include "tunnel/routes.h"

#define HOST     "Host: a.example.com\r\n"
#define POST_5   "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"
#define TARGET   "https://b.internal"
#define BODY_MAX 1000

/* The public endpoint's policy: how often its forwards failed, and with what. */
static struct {
    atomic_uint tried;
    atomic_uint forwarded;
    atomic_int error;
} front;

static int setup(void **state)
{
    struct scene *s = scene_new();
    struct endpoint *inside = s->endpoints[1];

    fake_policy_reset();
    atomic_store(&front.tried, 0);
    atomic_store(&front.forwarded, 0);
    atomic_store(&front.error, E_OK);
    inside->url = (struct url){ .scheme = SCHEME_HTTPS, .binding = BINDING_INTERNAL, .port = 443 };
    (void)snprintf(inside->url.host, sizeof(inside->url.host), "b.internal");
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        endpoint_set(&s->endpoints[i]->account, STR("alice"));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    assert_int_equal(fake_policy_runs(), 0);
    assert_int_equal(fake_filters(), 0);
    return 0;
}

/* Starts; `inner` may be NULL: the internal endpoint has no policy. */
static void begin(struct scene *s, fake_rule_fn *outer, unsigned phases, fake_rule_fn *inner,
                  void *arg)
{
    s->endpoints[0]->policy =
        fake_policy_new(FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, outer, NULL);
    if (inner != NULL)
        s->endpoints[1]->policy = fake_policy_new(phases, inner, arg);
    scene_start(s);
}

static enum policy_verdict forward_to(struct policy_run *run, struct str url)
{
    struct err e = { .code = E_OK };

    atomic_fetch_add(&front.tried, 1);
    if (run->host->forward(run->ctx, url, &e) == 0) {
        atomic_fetch_add(&front.forwarded, 1);
        return POLICY_FORWARD;
    }
    atomic_store(&front.error, (int)e.code);
    return fake_fail(run, e.code, e.msg);
}

/* Forwards once; a failure goes on to the own upstream. */
static enum policy_verdict forward_or_go_on(struct policy_run *run)
{
    if (run->phase != POLICY_ON_HTTP_REQUEST || run->calls > 1)
        return POLICY_CONTINUE;
    return forward_to(run, STR(TARGET));
}

/* ---- the way ---- */

static void forward_uses_one_upstream_for_many_requests(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 1);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_send(visitor, POST_5 "hello");
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "hello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    assert_true(fake_agent_is_quiet(&s->agents[1]));
    (void)close(visitor);
    (void)close(upstream);
}

static void forward_tunnels_an_upgrade(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n\r\n");
    upstream = scene_accept(s, 1);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nfirst");
    scene_expect(visitor, "HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nfirst");
    scene_send(visitor, "more");
    scene_expect(upstream, "more");
    (void)close(visitor);
    scene_expect_end(upstream);
}

static void find_to_another_account_is_offline(void **state)
{
    struct scene *s = *state;
    int visitor;

    endpoint_set(&s->endpoints[1]->account, STR("bob"));
    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 404 Not Found\r\n");
    assert_int_equal(atomic_load(&front.error), E_ENDPOINT_OFFLINE);
    (void)close(visitor);
}

/* ---- filters ---- */

static enum policy_verdict add_filter(struct policy_run *run)
{
    if (run->phase == POLICY_ON_HTTP_RESPONSE)
        run->host->add_filter(run->ctx, fake_filter_new(1, false));
    return POLICY_CONTINUE;
}

static enum policy_verdict forward_and_filter(struct policy_run *run)
{
    return run->phase == POLICY_ON_HTTP_RESPONSE ? add_filter(run) : forward_or_go_on(run);
}

/* Each filter ends with "!", which the next one gets too. */
static void forward_filters_of_both_run_inside_out(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_and_filter, FAKE_PHASES_RESPONSE, add_filter, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 1);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect(visitor, "2\r\nOK\r\n2\r\n!!\r\n0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

/* Puts what it read of the body into a header, and another one behind it. */
static enum policy_verdict forward_and_read(struct policy_run *run)
{
    struct str body;
    struct err e;

    if (run->phase == POLICY_ON_HTTP_REQUEST)
        return forward_or_go_on(run);
    switch (run->host->body(run->ctx, POLICY_RESPONSE, BODY_MAX, &body, &e)) {
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return fake_fail(run, e.code, e.msg);
    case POLICY_READY:
        break;
    }
    run->host->header_add(run->ctx, POLICY_RESPONSE, STR("x-read"), body);
    run->host->set_body(run->ctx, POLICY_RESPONSE, STR("new"));
    return add_filter(run);
}

static void forward_body_is_read_as_the_internal_endpoint_leaves_it(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_and_read, FAKE_PHASES_RESPONSE, add_filter, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 1);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect_until(visitor, "x-read: OK!\r\n");
    scene_expect_until(visitor, "\r\n\r\n");
    scene_expect(visitor, "3\r\nNEW\r\n1\r\n!\r\n0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static enum policy_verdict add_failing_filter(struct policy_run *run)
{
    run->host->add_filter(run->ctx, fake_filter_failing(1));
    return POLICY_CONTINUE;
}

static void forward_body_that_a_filter_fails_is_an_error(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_and_read, FAKE_PHASES_RESPONSE, add_failing_filter, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 1);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect_head(visitor, "HTTP/1.1 500 Internal Server Error\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- waiting ---- */

static void forward_waits_in_every_phase(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_and_read, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    atomic_store(&gate.go, true);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5);
    scene_send(visitor, "hello");
    upstream = scene_accept(s, 1);
    scene_expect_until(upstream, "hello");
    scene_send(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
    fake_gate_wait_started(&gate, 2);
    scene_send(upstream, "ok");
    scene_expect_until(visitor, "x-read: ok\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void forward_visitor_who_leaves_while_the_target_waits_is_forgotten(void **state)
{
    static struct fake_gate request_gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    begin(s, forward_or_go_on, FAKE_PHASES_REQUEST, fake_gate_rule, &request_gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5); /* the end before the body is no half-close */
    fake_gate_wait_started(&request_gate, 1);
    (void)close(visitor);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    fake_gate_open(&request_gate);
    assert_true(fake_agent_is_quiet(&s->agents[1]));
}

static void forward_visitor_who_leaves_while_the_response_waits_is_forgotten(void **state)
{
    static struct fake_gate response_gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_or_go_on, FAKE_PHASES_RESPONSE, fake_gate_rule, &response_gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5);
    upstream = scene_accept(s, 1);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
    fake_gate_wait_started(&response_gate, 1);
    (void)close(visitor);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    fake_gate_open(&response_gate);
    scene_expect_end(upstream);
}

/* ---- failures ---- */

/* What the internal endpoint's policy does to a request that then goes elsewhere. */
static enum policy_verdict spoil(struct policy_run *run)
{
    struct str body;
    struct err e;

    switch (run->host->body(run->ctx, POLICY_REQUEST, BODY_MAX, &body, &e)) {
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return fake_fail(run, e.code, e.msg);
    case POLICY_READY:
        break;
    }
    run->host->header_add(run->ctx, POLICY_REQUEST, STR("x-spoiled"), STR("1"));
    run->host->header_add(run->ctx, POLICY_REQUEST, STR("host"), STR("spoiled"));
    (void)run->host->header_remove(run->ctx, POLICY_REQUEST, STR("x-forwarded-for"));
    run->host->set_target(run->ctx, STR("/spoiled"));
    run->host->set_body(run->ctx, POLICY_REQUEST, STR("spoiled"));
    run->host->set_body(run->ctx, POLICY_REQUEST, STR("spoiled again"));
    return POLICY_CONTINUE;
}

static void forward_that_fails_leaves_the_request_as_it_was(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    begin(s, forward_or_go_on, FAKE_PHASES_REQUEST, spoil, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hello");
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                           "content-length: 5\r\n\r\nhello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void forward_that_fails_at_once_goes_on(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&s->agents[1].mode, FAKE_FAILS);
    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "he");
    upstream = scene_accept(s, 0);
    scene_send(visitor, "llo");
    scene_expect_until(upstream, "\r\n\r\nhello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* It was told to send its body by the policy that failed, and must not be told again. */
static void forward_that_fails_behind_100_continue_goes_on(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    begin(s, forward_or_go_on, FAKE_PHASES_REQUEST, spoil, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor,
               "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_send(visitor, "hello");
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                           "content-length: 5\r\n\r\nhello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void forward_whose_body_was_sent_ends_with_the_error(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "he");
    upstream = scene_accept(s, 1);
    scene_expect_until(upstream, "he");
    (void)close(upstream);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    assert_int_equal(atomic_load(&front.tried), 1);
    (void)close(visitor);
}

static void short_wait(struct config *c)
{
    c->response_head_timeout_ms = 200;
}

static void forward_that_gets_no_answer_goes_on_if_it_is_safe(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->response_head_timeout_ms = 2500;
    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 1);
    scene_expect(upstream, SCENE_GET_UP);
    scene_expect_end(upstream);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_expect_silence(visitor); /* the next one has all of its time */
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_reconfigure(s, short_wait);
    scene_send(visitor, POST_5 "hello");
    (void)close(upstream);
    upstream = scene_accept(s, 1);
    scene_expect_until(upstream, "hello");
    scene_expect_head(visitor, "HTTP/1.1 504 Gateway Timeout\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void forward_session_that_is_lost_is_an_error(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hello");
    upstream = scene_accept(s, 1);
    scene_expect_until(upstream, "hello");
    fake_agent_lose(&s->agents[1]);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    scene_remove(s, 1);
    (void)close(visitor);
    (void)close(upstream);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 404 Not Found\r\n");
    (void)close(visitor);
}

/* Its policy answers nothing. That is no failure after which the policy in front goes on: its rules for
 * responses see the error. */
static void forward_to_a_cloud_endpoint_that_lets_pass_is_unhandled(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->endpoints[1]->agent = (struct agent){ 0 };
    begin(s, forward_or_go_on, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 500 Internal Server Error\r\n");
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    assert_int_equal(atomic_load(&front.tried), 1);
    (void)close(visitor);
}

/* ---- how far ---- */

static enum policy_verdict forward_always(struct policy_run *run)
{
    return run->phase == POLICY_ON_HTTP_REQUEST ? forward_to(run, STR(TARGET)) : POLICY_CONTINUE;
}

static void forward_in_a_circle_ends_at_the_ninth(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, forward_always, FAKE_PHASES_REQUEST, forward_always, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 508 Loop Detected\r\n");
    assert_int_equal(atomic_load(&front.forwarded), 8);
    assert_int_equal(atomic_load(&front.error), E_FORWARD_HOPS);
    (void)close(visitor);
}

/* Tries again and again, whatever fails. */
static enum policy_verdict forward_again(struct policy_run *run)
{
    return run->phase == POLICY_ON_HTTP_REQUEST ? forward_to(run, STR(TARGET)) : POLICY_CONTINUE;
}

static void forward_tries_are_bounded(void **state)
{
    struct scene *s = *state;
    int visitor;

    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    s->config->forwards_max = 20;
    begin(s, forward_again, 0, NULL, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 508 Loop Detected\r\n");
    assert_int_equal(atomic_load(&front.forwarded), 20);
    (void)close(visitor);
}

/* ---- targets ---- */

static void find_takes_only_the_schemes_it_may(void **state)
{
    static const struct {
        const char *url;
        unsigned schemes;
        bool found;
    } cases[] = {
        { "https://b.internal", FORWARD_HTTP, true },
        { "https://b.internal:443", FORWARD_HTTP, true },
        { "HTTPS://B.Internal", FORWARD_HTTP, true },
        { "http://b.internal", FORWARD_HTTP, false },
        { "http://b.internal:443", FORWARD_HTTP, false },
        { "https://b.internal:444", FORWARD_HTTP, false },
        { "https://b.internal", FORWARD_TCP | FORWARD_TLS, false },
        { "tls://b.internal", FORWARD_TCP | FORWARD_TLS, false },
        { "tcp://b.internal:443", FORWARD_TCP, false },
        { "https://a.example.com", FORWARD_HTTP, false },
        { "https://b.internal/path", FORWARD_HTTP, false },
        { "https://", FORWARD_HTTP, false },
        { "", FORWARD_HTTP, false },
    };
    struct scene *s = *state;
    struct gateway *g;

    scene_start(s);
    g = s->gateways[0];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = { .code = E_OK };
        struct endpoint *ep =
            forward_find(g, s->endpoints[0], str_from(cases[i].url), cases[i].schemes, &e);

        if ((ep != NULL) != cases[i].found)
            fail_msg("%s: %s", cases[i].url, ep != NULL ? "found" : "not found");
        assert_int_equal(e.code, ep != NULL ? E_OK : E_ENDPOINT_OFFLINE);
        endpoint_leave(ep);
    }
    assert_int_equal(endpoint_outstanding(s->endpoints[1]), 0);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(forward_uses_one_upstream_for_many_requests),
        WITH_SCENE(forward_tunnels_an_upgrade),
        WITH_SCENE(find_to_another_account_is_offline),
        WITH_SCENE(forward_filters_of_both_run_inside_out),
        WITH_SCENE(forward_body_is_read_as_the_internal_endpoint_leaves_it),
        WITH_SCENE(forward_body_that_a_filter_fails_is_an_error),
        WITH_SCENE(forward_waits_in_every_phase),
        WITH_SCENE(forward_visitor_who_leaves_while_the_target_waits_is_forgotten),
        WITH_SCENE(forward_visitor_who_leaves_while_the_response_waits_is_forgotten),
        WITH_SCENE(forward_that_fails_leaves_the_request_as_it_was),
        WITH_SCENE(forward_that_fails_at_once_goes_on),
        WITH_SCENE(forward_that_fails_behind_100_continue_goes_on),
        WITH_SCENE(forward_whose_body_was_sent_ends_with_the_error),
        WITH_SCENE(forward_that_gets_no_answer_goes_on_if_it_is_safe),
        WITH_SCENE(forward_session_that_is_lost_is_an_error),
        WITH_SCENE(forward_to_a_cloud_endpoint_that_lets_pass_is_unhandled),
        WITH_SCENE(forward_in_a_circle_ends_at_the_ninth),
        WITH_SCENE(forward_tries_are_bounded),
        WITH_SCENE(find_takes_only_the_schemes_it_may),
    };
#undef WITH_SCENE

    return cmocka_run_group_tests_name("gateway/exchange_forward", tests, NULL, NULL);
}
