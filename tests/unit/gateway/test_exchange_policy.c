/*
 * Unit tests of gateway/exchange with policies: waiting, bodies that are wanted whole, answers, filters,
 * and what becomes of all that when a side goes. The rules are functions of the test.
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
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/outbuf.h"
#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"

#define HOST   "Host: a.example.com\r\n"
#define POST_5 "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"
#define POST_UP(n)                                                                                 \
    "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED "content-length: " n "\r\n\r\n"
#define POST_CHUNKS "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define UPGRADE     "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n\r\n"

enum { BODY_MAX = 1000 };

static int setup(void **state)
{
    fake_policy_reset();
    *state = scene_new();
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    assert_int_equal(fake_policy_runs(), 0);
    assert_int_equal(fake_filters(), 0);
    return 0;
}

static void begin(struct scene *s, unsigned phases, fake_rule_fn *rule, void *arg)
{
    s->endpoints[0]->policy = fake_policy_new(phases, rule, arg);
    scene_start(s);
}

/* ---- bodies of requests ---- */

/* Wants the whole request, then lets it pass. */
static enum policy_verdict read_request(struct policy_run *run)
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
    run->host->header_add(run->ctx, POLICY_REQUEST, STR("x-size"),
                          arena_fmt(run->arena, "%zu", body.n));
    return POLICY_CONTINUE;
}

static void exchange_gathered_request_goes_up_when_it_is_whole(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "he");
    scene_expect_silence(visitor);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    scene_send(visitor, "llo" SCENE_GET); /* the next request waits behind it */
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                           "x-size: 5\r\ncontent-length: 5\r\n\r\nhello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(fake_policy_upstream_ok(), 2);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_gathered_request_in_pieces_of_any_size_is_whole(void **state)
{
    static const char request[] = POST_CHUNKS "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct scene *s = *state;
    int upstream = -1;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    for (size_t cut = 1; cut < sizeof(request) - 1; cut += 3) {
        int visitor = scene_visit(s, 0);

        scene_send_bytes(visitor, request, cut);
        (void)usleep(1000);
        scene_send(visitor, request + cut);
        if (upstream == -1)
            upstream = scene_accept(s, 0);
        scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
        scene_expect(upstream, "abcde");
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, SCENE_OK);
        (void)close(visitor);
    }
    (void)close(upstream);
}

static void exchange_gathered_request_keeps_its_trailers(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_CHUNKS "3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_client_that_expects_100_gets_it_once(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor,
               "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_send(visitor, "hello");
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                           "x-size: 5\r\ncontent-length: 5\r\n\r\nhello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void send_zeros(int fd, size_t n)
{
    char *p = mem_zalloc(n + 1);

    memset(p, 'z', n);
    scene_send_bytes(fd, p, n);
    mem_free(p);
}

static void exchange_request_at_the_gathering_limit_passes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_CHUNKS "3e8\r\n");
    send_zeros(visitor, BODY_MAX);
    scene_send(visitor, "\r\n0\r\n\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_until(upstream, "x-size: 1000\r\n");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_request_over_the_gathering_limit_is_413(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0); /* said before it is sent */
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
    scene_expect_head(visitor, "HTTP/1.1 413 Content Too Large\r\n");
    (void)close(visitor);
    visitor = scene_visit(s, 0); /* seen while it comes */
    scene_send(visitor, POST_CHUNKS "3e9\r\n");
    send_zeros(visitor, BODY_MAX + 1);
    scene_expect_head(visitor, "HTTP/1.1 413 Content Too Large\r\n");
    (void)close(visitor);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void exchange_gathered_request_that_breaks_is_400(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_CHUNKS "3\r\nabc\r\nx");
    scene_expect_head(visitor, "HTTP/1.1 400 Bad Request\r\n");
    (void)close(visitor);
}

static void exchange_gathered_request_that_stalls_is_408(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->stall_timeout_ms = 100;
    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "he");
    scene_expect_head(visitor, "HTTP/1.1 408 Request Timeout\r\n");
    (void)close(visitor);
}

static void exchange_visitor_who_leaves_while_gathering_leaves_nothing(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, read_request, NULL);
    for (int i = 0; i < 5; i++) {
        visitor = scene_visit(s, 0);
        scene_send(visitor, POST_5 "he");
        if (i > 0)
            (void)usleep(5000);
        (void)close(visitor);
    }
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static enum policy_verdict replace_request(struct policy_run *run)
{
    struct str body;
    struct err e;

    if (run->host->body(run->ctx, POLICY_REQUEST, BODY_MAX, &body, &e) == POLICY_PENDING)
        return POLICY_SUSPEND;
    /* Part of the old body, to see that it is copied first. */
    run->host->set_body(run->ctx, POLICY_REQUEST, str_slice(body, 1, 3));
    return POLICY_CONTINUE;
}

static void exchange_replaced_request_has_its_own_length(void **state)
{
    static const char *const requests[] = { POST_5 "hello",
                                            POST_CHUNKS "5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n" };
    struct scene *s = *state;
    int upstream = -1;

    begin(s, FAKE_PHASES_REQUEST, replace_request, NULL);
    for (size_t i = 0; i < 2; i++) {
        int visitor = scene_visit(s, 0);

        scene_send(visitor, requests[i]);
        if (upstream == -1)
            upstream = scene_accept(s, 0);
        scene_expect(upstream, POST_UP("2") "el");
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, SCENE_OK);
        (void)close(visitor);
    }
    (void)close(upstream);
}

/* The request is larger than what the upstream takes at once. */
static enum policy_verdict replace_by_much(struct policy_run *run)
{
    size_t n = 4 * 1024 * 1024;
    struct str body;
    struct err e;
    char *p;

    if (run->host->body(run->ctx, POLICY_REQUEST, BODY_MAX, &body, &e) == POLICY_PENDING)
        return POLICY_SUSPEND;
    p = arena_alloc(run->arena, n);
    memset(p, 'z', n);
    run->host->set_body(run->ctx, POLICY_REQUEST, str_of(p, n));
    return POLICY_CONTINUE;
}

static void exchange_large_replaced_request_waits_for_the_upstream(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, replace_by_much, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hello");
    upstream = scene_accept(s, 0);
    scene_expect(upstream, POST_UP("4194304"));
    (void)usleep(20000);
    for (size_t i = 0; i < 4194304 / 64; i++)
        scene_expect(upstream, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
    scene_expect_silence(upstream);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- jobs ---- */

static void exchange_job_done_goes_on_with_the_request(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hello" SCENE_GET);
    fake_gate_wait_started(&gate, 1);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    atomic_store(&gate.go, true);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, POST_UP("5") "hello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(atomic_load(&gate.freed), 2);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_job_done_answers_and_the_connection_goes_on(void **state)
{
    static struct fake_gate gate = { .after = POLICY_RESPOND };
    struct scene *s = *state;
    int visitor;

    atomic_store(&gate.go, true);
    begin(s, FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    for (int i = 0; i < 3; i++) {
        scene_send(visitor, SCENE_GET);
        scene_expect(visitor, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    }
    scene_send(visitor, POST_5); /* nobody reads the rest */
    scene_expect(visitor,
                 "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    scene_expect_end(visitor);
}

static void exchange_visitor_who_leaves_during_a_job_is_forgotten(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5); /* the end before the body is no half-close */
    fake_gate_wait_started(&gate, 1);
    (void)close(visitor);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5);
    fake_gate_wait_started(&gate, 2);
    scene_drain(s); /* the second one stays until it is answered */
    atomic_store(&gate.go, true);
    scene_send(visitor, "hello");
    (void)close(scene_accept(s, 0));
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_int_equal(atomic_load(&gate.freed), 2);
    (void)close(visitor);
}

static void exchange_cut_with_a_job_under_way_frees_it(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    fake_gate_wait_started(&gate, 1);
    scene_cut(s, 0);
    scene_cut(s, 1);
    atomic_store(&gate.go, true);
    (void)close(visitor);
}

static void exchange_job_that_lasts_too_long_is_given_up(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    s->config->stall_timeout_ms = 100;
    begin(s, FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_until(visitor, "\r\n\r\n");
    fake_gate_open(&gate);
    (void)close(visitor);
}

static void exchange_upgrade_waits_for_a_job_and_becomes_a_tunnel(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, UPGRADE "early");
    fake_gate_wait_started(&gate, 1);
    atomic_store(&gate.go, true);
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nfirst");
    scene_expect(visitor, "HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nfirst");
    scene_expect(upstream, "early");
    scene_send(visitor, "more");
    scene_expect(upstream, "more");
    (void)close(visitor);
    scene_expect_end(upstream);
}

/* The upstream is asked before the visitor sends the body, or both would wait for each other. */
static void exchange_client_that_expects_100_is_not_left_alone_behind_a_job(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&gate.go, true);
    begin(s, FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
                        "Expect: 100-continue\r\n\r\n");
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n"); /* over the stream that was kept */
    scene_send(upstream, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_send(visitor, "hello");
    scene_expect(upstream, "hello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* Nothing of a tunnel may pass before the policy has let it begin. */
static void exchange_upgrade_says_nothing_before_its_response_may_pass(void **state)
{
    static struct fake_gate gate = { .after = POLICY_RESPOND };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, UPGRADE);
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    fake_gate_wait_started(&gate, 1);
    scene_send(visitor, SCENE_GET);
    scene_expect_silence(upstream);
    atomic_store(&gate.go, true);
    scene_expect_head(visitor, "HTTP/1.1 403 Forbidden\r\n");
    scene_expect_end(upstream);
    (void)close(visitor);
}

/* ---- the response waits ---- */

static void exchange_response_waits_for_a_job_unread(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    size_t n = 8 * 1024 * 1024;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    fake_gate_wait_started(&gate, 1);
    assert_in_range(scene_stuff(upstream), 0, n - 1); /* it is not read */
    scene_expect_silence(visitor);
    atomic_store(&gate.go, true);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_short_response_waits_for_a_job_and_its_stream_is_kept(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    fake_gate_wait_started(&gate, 1);
    scene_expect_silence(visitor);
    atomic_store(&gate.go, true);
    scene_expect(visitor, SCENE_OK);
    scene_send(visitor, SCENE_GET);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 204 No\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 204 No\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

/* What an upstream sends unasked must never become the answer to another request. */
static void exchange_bytes_behind_a_response_that_waits_end_the_stream(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 Forged\r\n\r\n");
    fake_gate_wait_started(&gate, 1);
    scene_send(visitor, SCENE_GET);
    atomic_store(&gate.go, true);
    scene_expect(visitor, "HTTP/1.1 204 No\r\n\r\n");
    scene_expect_end(upstream);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_upstream_that_fails_while_the_response_waits_is_502(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    fake_gate_wait_started(&gate, 1);
    (void)close(upstream);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    atomic_store(&gate.go, true);
    (void)close(visitor);
}

static void exchange_visitor_who_leaves_while_the_response_waits_is_forgotten(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hel");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    fake_gate_wait_started(&gate, 1);
    (void)close(visitor);
    scene_expect_until(upstream, "hel");
    scene_expect_end(upstream);
    atomic_store(&gate.go, true);
}

/* Wants the whole response; a larger one is an error. */
static enum policy_verdict read_response(struct policy_run *run)
{
    struct str body;
    struct err e;

    switch (run->host->body(run->ctx, POLICY_RESPONSE, BODY_MAX, &body, &e)) {
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return fake_fail(run, e.code, e.msg);
    case POLICY_READY:
        break;
    }
    run->host->header_add(run->ctx, POLICY_RESPONSE, STR("x-size"),
                          arena_fmt(run->arena, "%zu", body.n));
    if (str_eq(body, STR("replace me")))
        run->host->set_body(run->ctx, POLICY_RESPONSE, STR("done"));
    return POLICY_CONTINUE;
}

static const struct {
    const char *from_upstream;
    const char *to_visitor;
} gathered[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nx-size: 2\r\ncontent-length: 2\r\n\r\nok" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx-size: 3\r\ncontent-length: 3\r\n\r\nabc" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx-size: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: "
      "1\r\n\r\n" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nreplace me",
      "HTTP/1.1 200 OK\r\nx-size: 10\r\ncontent-length: 4\r\n\r\ndone" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx-size: 0\r\ncontent-length: 0\r\n\r\n" },
    { "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\nx-size: 0\r\n\r\n" },
    { "HTTP/1.1 304 Same\r\n\r\n", "HTTP/1.1 304 Same\r\nx-size: 0\r\n\r\n" },
};

static void exchange_gathered_response_passes_when_it_is_whole(void **state)
{
    struct scene *s = *state;
    int upstream = -1;
    int visitor;

    begin(s, FAKE_PHASES_RESPONSE, read_response, NULL);
    visitor = scene_visit(s, 0);
    for (size_t i = 0; i < sizeof(gathered) / sizeof(gathered[0]); i++) {
        scene_send(visitor, SCENE_GET);
        if (upstream == -1)
            upstream = scene_accept(s, 0);
        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, gathered[i].from_upstream);
        scene_expect(visitor, gathered[i].to_visitor);
    }
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_gathered_response_byte_by_byte_is_whole(void **state)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "a\r\nreplace me\r\n0\r\n\r\n";
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, read_response, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    for (const char *p = response; *p != '\0'; p++) {
        scene_send_bytes(upstream, p, 1);
        (void)usleep(300);
    }
    scene_expect(visitor, "HTTP/1.1 200 OK\r\nx-size: 10\r\ncontent-length: 4\r\n\r\ndone");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_gathered_response_until_close_is_whole(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, read_response, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.0 200 OK\r\n\r\nabc");
    scene_expect_silence(visitor);
    (void)close(upstream);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\nx-size: 3\r\ncontent-length: 3\r\n\r\nabc");
    (void)close(visitor);
}

static void exchange_response_over_the_gathering_limit_is_502(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
    };
    struct scene *s = *state;

    begin(s, FAKE_PHASES_RESPONSE, read_response, NULL);
    for (size_t i = 0; i < 2; i++) {
        int visitor = scene_visit(s, 0);
        int upstream;

        scene_send(visitor, SCENE_GET);
        upstream = scene_accept(s, 0);
        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, heads[i]);
        if (i == 1)
            send_zeros(upstream, BODY_MAX + 1);
        scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
        scene_expect_until(visitor, "traffic policy can handle\n");
        (void)close(visitor);
        (void)close(upstream);
    }
}

static void short_limits(struct config *c)
{
    c->stall_timeout_ms = 200;
    c->response_head_timeout_ms = 200;
}

static void exchange_gathered_response_that_is_cut_or_stalls_is_an_error(void **state)
{
    struct scene *s = *state;

    begin(s, FAKE_PHASES_RESPONSE, read_response, NULL);
    for (int cut = 1; cut >= 0; cut--) {
        int visitor = scene_visit(s, 0);
        int upstream;

        scene_send(visitor, SCENE_GET);
        upstream = scene_accept(s, 0);
        scene_expect(upstream, SCENE_GET_UP);
        if (!cut)
            scene_reconfigure(s, short_limits);
        scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        if (cut)
            (void)close(upstream);
        scene_expect_head(visitor, cut ? "HTTP/1.1 502 " : "HTTP/1.1 504 ");
        if (!cut)
            (void)close(upstream);
        (void)close(visitor);
    }
}

/* ---- answers ---- */

/* Answers, and lets rules see the answer. */
static enum policy_verdict answer_large(struct policy_run *run)
{
    size_t n = 3 * 1024 * 1024;
    char *p;

    if (run->phase == POLICY_ON_HTTP_RESPONSE) {
        run->host->header_add(run->ctx, POLICY_RESPONSE, STR("x-seen"), STR("1"));
        return POLICY_CONTINUE;
    }
    p = arena_alloc(run->arena, n);
    memset(p, 'z', n);
    run->response.status = 200;
    run->response.body = str_of(p, n);
    run->response.runs_response_phase = true;
    return POLICY_RESPOND;
}

static void expect_zeros(int fd, size_t n)
{
    for (; n > 0; n -= 64)
        scene_expect(fd, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
}

static void exchange_large_answer_goes_in_pieces(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, answer_large, NULL);
    visitor = scene_visit(s, 0);
    for (int i = 0; i < 2; i++) {
        scene_send(visitor, SCENE_GET);
        (void)usleep(20000); /* the visitor is slow */
        scene_expect(visitor, "HTTP/1.1 200 OK\r\nx-seen: 1\r\ncontent-length: 3145728\r\n\r\n");
        expect_zeros(visitor, 3145728);
    }
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    assert_int_equal(fake_policy_upstream_ok() + fake_policy_upstream_failed(), 0);
    (void)close(visitor);
}

/* The visitor sends its body before it reads: nobody wants it, and it must not hold up the answer. */
static void exchange_large_answer_to_a_request_that_still_comes(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, answer_large, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    send_zeros(visitor, 3000000);
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\nx-seen: 1\r\n");
    expect_zeros(visitor, 3145728);
    scene_expect_end(visitor);
}

static void exchange_visitor_who_leaves_a_large_answer_is_forgotten(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST | FAKE_PHASES_RESPONSE, answer_large, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    (void)close(visitor);
}

static enum policy_verdict answer_with_fields(struct policy_run *run)
{
    run->response.headers[0] = (struct policy_header){ STR_INIT("x-a"), STR_INIT("1") };
    run->response.header_count = 1;
    return fake_answer(run, (unsigned)(uintptr_t)run->policy->arg, "text", false);
}

static const struct {
    unsigned status;
    const char *method;
    const char *answer;
} answers[] = {
    { 200, "GET", "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 4\r\n\r\ntext" },
    { 200, "HEAD", "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 4\r\n\r\n" },
    { 204, "GET", "HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n" },
    { 599, "GET", "HTTP/1.1 599 \r\nx-a: 1\r\ncontent-length: 4\r\n\r\ntext" },
};

static void exchange_answer_has_the_status_and_fields_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct scene *s = scene_new();
        char request[128];
        int visitor;

        begin(s, FAKE_PHASES_REQUEST, answer_with_fields, (void *)(uintptr_t)answers[i].status);
        visitor = scene_visit(s, 0);
        (void)snprintf(request, sizeof(request), "%s / HTTP/1.1\r\n" HOST "\r\n",
                       answers[i].method);
        for (int again = 0; again < 2; again++) {
            scene_send(visitor, request);
            scene_expect(visitor, answers[i].answer);
        }
        (void)close(visitor);
        scene_free(s);
    }
}

static enum policy_verdict challenge(struct policy_run *run)
{
    run->response.headers[0] =
        (struct policy_header){ STR_INIT("www-authenticate"), STR_INIT("Basic") };
    run->response.header_count = 1;
    return fake_fail(run, E_CREDENTIALS, "who are you");
}

static void exchange_error_page_has_the_fields_of_the_policy(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, challenge, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_until(visitor, "HTTP/1.1 401 Unauthorized\r\n");
    scene_expect_until(visitor, "Sallyport-Error-Code: ERR_SALLYPORT_3401\r\n");
    scene_expect_until(visitor, "www-authenticate: Basic\r\n");
    scene_expect_until(visitor, "who are you\n");
    scene_send(visitor, SCENE_GET);
    scene_expect_until(visitor, "HTTP/1.1 401 Unauthorized\r\n");
    (void)close(visitor);
}

static enum policy_verdict fail_without_number(struct policy_run *run)
{
    return fake_fail(run, E_RATE_LIMITED, "slow down");
}

static void exchange_error_without_a_number_shows_none(void **state)
{
    struct scene *s = *state;
    char page[1024] = "";
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, fail_without_number, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (size_t n = 0; n < sizeof(page) - 1;) {
        ssize_t got = recv(visitor, page + n, sizeof(page) - 1 - n, 0);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    assert_non_null(strstr(page, "429 Too Many Requests"));
    assert_non_null(strstr(page, "slow down"));
    assert_null(strstr(page, "ERR_SALLYPORT"));
    (void)close(visitor);
}

static enum policy_verdict replace_by_answer(struct policy_run *run)
{
    return fake_answer(run, 410, "gone", false);
}

static void exchange_answer_in_the_response_phase_replaces_the_response(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_RESPONSE, replace_by_answer, NULL);
    visitor = scene_visit(s, 0);
    for (int i = 0; i < 2; i++) {
        int upstream;

        scene_send(visitor, SCENE_GET);
        upstream = scene_accept(s, 0);
        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, "HTTP/1.1 200 OK\r\nX-Old: 1\r\nContent-Length: 100\r\n\r\nabc");
        scene_expect(visitor, "HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\ngone");
        (void)close(upstream);
    }
    (void)close(visitor);
}

static enum policy_verdict close_now(struct policy_run *run)
{
    (void)run;
    return POLICY_CLOSE;
}

static void exchange_closed_by_the_policy_says_nothing(void **state)
{
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_REQUEST, close_now, NULL);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET SCENE_GET);
    scene_expect_end(visitor);
}

/* ---- circuit breakers ---- */

static enum policy_verdict pass(struct policy_run *run)
{
    (void)run;
    return POLICY_CONTINUE;
}

static void exchange_upstream_results_are_told_once(void **state)
{
    static const struct {
        const char *response; /* NULL: none, it times out */
        unsigned ok;
        unsigned failed;
    } cases[] = {
        { SCENE_OK, 1, 0 },
        { "HTTP/1.1 100 Continue\r\n\r\n" SCENE_OK, 1, 0 },
        { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 1, 0 },
        { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 0, 1 },
        { "nonsense\r\n\r\n", 0, 1 },
        { NULL, 0, 1 },
    };
    struct scene *s = *state;

    begin(s, FAKE_PHASES_REQUEST, pass, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int visitor = scene_visit(s, 0);
        int upstream;

        fake_policy_reset();
        if (cases[i].response == NULL)
            scene_reconfigure(s, short_limits);
        scene_send(visitor, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        upstream = scene_accept(s, 0);
        scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
        if (cases[i].response != NULL)
            scene_send(upstream, cases[i].response);
        scene_expect_until(visitor, "\r\n\r\n");
        if (fake_policy_upstream_ok() != cases[i].ok ||
            fake_policy_upstream_failed() != cases[i].failed)
            fail_msg("case %zu: %u ok, %u failed", i, fake_policy_upstream_ok(),
                     fake_policy_upstream_failed());
        (void)close(visitor);
        (void)close(upstream);
        scene_wait_metric(s, METRIC_STREAMS, 0);
    }
}

static void exchange_without_a_policy_makes_no_run(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(fake_policy_made(), 0);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- filters ---- */

struct filters {
    size_t factor;
    bool hoard;
    size_t fails_after;
    bool gathers;
};

static enum policy_verdict add_filters(struct policy_run *run)
{
    const struct filters *f = run->policy->arg;
    struct str body;
    struct err e;

    if (f->gathers &&
        run->host->body(run->ctx, POLICY_RESPONSE, BODY_MAX, &body, &e) == POLICY_PENDING)
        return POLICY_SUSPEND;
    if (!run->host->has_body(run->ctx, POLICY_RESPONSE))
        return POLICY_CONTINUE;
    run->host->add_filter(run->ctx, f->fails_after > 0 ? fake_filter_failing(f->fails_after)
                                                       : fake_filter_new(f->factor, f->hoard));
    return POLICY_CONTINUE;
}

static int ask(struct scene *s, int visitor, const char *response)
{
    int upstream;

    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, response);
    return upstream;
}

static void exchange_filtered_response_is_chunked(void **state)
{
    struct filters two = { .factor = 2 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, add_filters, &two);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                          "a\r\nHHEELLLLOO\r\n1\r\n!\r\n0\r\n\r\n");
    scene_send(visitor, SCENE_GET);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 304 Same\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 304 Same\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_gathered_response_passes_filters(void **state)
{
    struct filters one = { .factor = 1, .gathers = true };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_RESPONSE, add_filters, &one);
    visitor = scene_visit(s, 0);
    (void)close(ask(s, visitor,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"));
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                          "3\r\nABC\r\n1\r\n!\r\n0\r\n\r\n");
    (void)close(visitor);
}

/* Much comes out of the filter, and the visitor is slow: the upstream is read no faster. */
static void exchange_filter_that_makes_much_of_little_is_held_back(void **state)
{
    struct filters many = { .factor = 64 };
    struct scene *s = *state;
    size_t taken;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, add_filters, &many);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    taken = scene_stuff(upstream);
    assert_in_range(taken, 1, 8 * 1024 * 1024); /* sockets and buffers on the way */
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_filtered_response_of_any_size_is_whole(void **state)
{
    struct filters one = { .factor = 1 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, add_filters, &one);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    for (int i = 0; i < 30; i++) {
        int total = 0;

        send_zeros(upstream, 100000);
        if (i == 0)
            scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
        while (total < 100000) { /* chunks of whatever size */
            char line[16] = "";
            unsigned size = 0;

            for (size_t k = 0; k < sizeof(line) - 1 && !str_ends(str_from(line), STR("\r\n")); k++)
                assert_int_equal(recv(visitor, line + k, 1, 0), 1);
            for (const char *p = line; char_hex_value(*p) >= 0; p++)
                size = size * 16 + (unsigned)char_hex_value(*p);
            for (unsigned k = 0; k < size; k++) {
                char c;

                assert_int_equal(recv(visitor, &c, 1, 0), 1);
                assert_int_equal(c, 'Z');
            }
            scene_expect(visitor, "\r\n");
            total += (int)size;
        }
    }
    scene_expect(visitor, "1\r\n!\r\n0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_filter_that_fails_cuts_the_response(void **state)
{
    struct filters bad = { .fails_after = 5 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE, add_filters, &bad);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect(visitor, "5\r\nHELLO\r\n");
    scene_send(upstream, "!");
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

static void exchange_event_stream_is_flushed_piece_by_piece(void **state)
{
    struct filters hoard = { .factor = 1, .hoard = true };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE | FAKE_PHASES_STREAM, add_filters, &hoard);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor,
                   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect(visitor, "6\r\nFIRST\n\r\n");
    scene_send(upstream, "7\r\nsecond\n\r\n");
    scene_expect(visitor, "7\r\nSECOND\n\r\n");
    scene_send(upstream, "0\r\n\r\n");
    scene_expect(visitor, "2\r\n!!\r\n0\r\n\r\n"); /* both have finished */
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_other_response_is_not_flushed_before_its_end(void **state)
{
    struct filters hoard = { .factor = 1, .hoard = true };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_RESPONSE | FAKE_PHASES_STREAM, add_filters, &hoard);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect_silence(visitor);
    scene_send(upstream, "3\r\ndef\r\n0\r\n\r\n");
    scene_expect(visitor, "7\r\nABCDEF!\r\n0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_stalled_filtered_response_is_cut(void **state)
{
    struct filters one = { .factor = 1 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->stall_timeout_ms = 100;
    begin(s, FAKE_PHASES_RESPONSE, add_filters, &one);
    visitor = scene_visit(s, 0);
    upstream = ask(s, visitor, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect(visitor, "3\r\nABC\r\n");
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* ---- on_tcp_connect ---- */

struct connects {
    atomic_uint count;
    bool refuse;
};

static enum policy_verdict count_connects(struct policy_run *run)
{
    struct connects *c = run->policy->arg;

    if (run->phase != POLICY_ON_TCP_CONNECT)
        return POLICY_CONTINUE;
    atomic_fetch_add(&c->count, 1);
    return c->refuse ? POLICY_CLOSE : POLICY_CONTINUE;
}

static void exchange_on_tcp_connect_runs_once_a_connection(void **state)
{
    struct connects c = { .refuse = false };
    struct scene *s = *state;
    int upstream = -1;

    begin(s, FAKE_PHASES_CONNECT | FAKE_PHASES_REQUEST, count_connects, &c);
    for (unsigned i = 1; i <= 2; i++) {
        int visitor = scene_visit(s, 0);

        for (int k = 0; k < 3; k++) {
            scene_send(visitor, SCENE_GET);
            if (upstream == -1)
                upstream = scene_accept(s, 0);
            scene_expect(upstream, SCENE_GET_UP);
            scene_send(upstream, SCENE_OK);
            scene_expect(visitor, SCENE_OK);
        }
        assert_int_equal(atomic_load(&c.count), i);
        (void)close(visitor);
    }
    (void)close(upstream);
}

static void exchange_refused_on_tcp_connect_is_closed(void **state)
{
    struct connects c = { .refuse = true };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_CONNECT, count_connects, &c);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_end(visitor);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void exchange_waits_for_a_job_on_tcp_connect(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    begin(s, FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5 "hello" SCENE_GET);
    fake_gate_wait_started(&gate, 1);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    atomic_store(&gate.go, true);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, POST_UP("5") "hello");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(atomic_load(&gate.started), 1);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_denied_by_a_job_on_tcp_connect_is_closed(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CLOSE };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_CONNECT | FAKE_PHASES_REQUEST, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    fake_gate_wait_started(&gate, 1);
    fake_gate_open(&gate);
    scene_expect_end(visitor);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void exchange_visitor_who_leaves_during_a_job_on_tcp_connect_is_forgotten(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    begin(s, FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    visitor = scene_visit(s, 0);
    scene_send(visitor, POST_5);
    fake_gate_wait_started(&gate, 1);
    (void)close(visitor);
    scene_wait_metric(s, METRIC_CONNS, 0);
    fake_gate_open(&gate);
}

/* ---- what policies fetch ---- */

static enum policy_verdict fetch_something(struct policy_run *run)
{
    const struct policy_fetch request = { .url = STR("http://192.0.2.1/"),
                                          .method = STR("GET"),
                                          .timeout_ms = 5000,
                                          .response_max_bytes = 100 };
    const struct policy_shared_fetch shared = { .url = STR("http://192.0.2.1/keys"),
                                                .timeout_ms = 5000,
                                                .response_max_bytes = 100,
                                                .fresh_ms = 1000 };
    bool is_shared = run->policy->arg != NULL;
    struct policy_shared_fetched keys;
    struct policy_fetched got;
    struct err e = { .code = E_OK };
    enum policy_ready ready = is_shared ? run->host->fetch_shared(run->ctx, &shared, &keys, &e)
                                        : run->host->fetch(run->ctx, &request, &got, &e);

    if (ready == POLICY_PENDING)
        return POLICY_SUSPEND;
    return fake_fail(run, e.code, e.msg);
}

/* There is no rule that allows it. */
static void exchange_fetch_that_is_refused_is_told(void **state)
{
    static int yes;

    (void)state;
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        struct scene *s = scene_new();
        int visitor;

        begin(s, FAKE_PHASES_REQUEST, fetch_something, is_shared ? &yes : NULL);
        visitor = scene_visit(s, 0);
        scene_send(visitor, SCENE_GET);
        scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
        scene_expect_until(visitor, "not allowed by the operator\n");
        (void)close(visitor);
        scene_free(s);
    }
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(exchange_gathered_request_goes_up_when_it_is_whole),
        WITH_SCENE(exchange_gathered_request_in_pieces_of_any_size_is_whole),
        WITH_SCENE(exchange_gathered_request_keeps_its_trailers),
        WITH_SCENE(exchange_client_that_expects_100_gets_it_once),
        WITH_SCENE(exchange_request_at_the_gathering_limit_passes),
        WITH_SCENE(exchange_request_over_the_gathering_limit_is_413),
        WITH_SCENE(exchange_gathered_request_that_breaks_is_400),
        WITH_SCENE(exchange_gathered_request_that_stalls_is_408),
        WITH_SCENE(exchange_visitor_who_leaves_while_gathering_leaves_nothing),
        WITH_SCENE(exchange_replaced_request_has_its_own_length),
        WITH_SCENE(exchange_large_replaced_request_waits_for_the_upstream),
        WITH_SCENE(exchange_job_done_goes_on_with_the_request),
        WITH_SCENE(exchange_job_done_answers_and_the_connection_goes_on),
        WITH_SCENE(exchange_visitor_who_leaves_during_a_job_is_forgotten),
        WITH_SCENE(exchange_cut_with_a_job_under_way_frees_it),
        WITH_SCENE(exchange_job_that_lasts_too_long_is_given_up),
        WITH_SCENE(exchange_upgrade_waits_for_a_job_and_becomes_a_tunnel),
        WITH_SCENE(exchange_client_that_expects_100_is_not_left_alone_behind_a_job),
        WITH_SCENE(exchange_upgrade_says_nothing_before_its_response_may_pass),
        WITH_SCENE(exchange_response_waits_for_a_job_unread),
        WITH_SCENE(exchange_short_response_waits_for_a_job_and_its_stream_is_kept),
        WITH_SCENE(exchange_bytes_behind_a_response_that_waits_end_the_stream),
        WITH_SCENE(exchange_upstream_that_fails_while_the_response_waits_is_502),
        WITH_SCENE(exchange_visitor_who_leaves_while_the_response_waits_is_forgotten),
        WITH_SCENE(exchange_gathered_response_passes_when_it_is_whole),
        WITH_SCENE(exchange_gathered_response_byte_by_byte_is_whole),
        WITH_SCENE(exchange_gathered_response_until_close_is_whole),
        WITH_SCENE(exchange_response_over_the_gathering_limit_is_502),
        WITH_SCENE(exchange_gathered_response_that_is_cut_or_stalls_is_an_error),
        WITH_SCENE(exchange_large_answer_goes_in_pieces),
        WITH_SCENE(exchange_large_answer_to_a_request_that_still_comes),
        WITH_SCENE(exchange_visitor_who_leaves_a_large_answer_is_forgotten),
        cmocka_unit_test(exchange_answer_has_the_status_and_fields_it_says),
        WITH_SCENE(exchange_error_page_has_the_fields_of_the_policy),
        WITH_SCENE(exchange_error_without_a_number_shows_none),
        WITH_SCENE(exchange_answer_in_the_response_phase_replaces_the_response),
        WITH_SCENE(exchange_closed_by_the_policy_says_nothing),
        WITH_SCENE(exchange_upstream_results_are_told_once),
        WITH_SCENE(exchange_without_a_policy_makes_no_run),
        WITH_SCENE(exchange_filtered_response_is_chunked),
        WITH_SCENE(exchange_gathered_response_passes_filters),
        WITH_SCENE(exchange_filter_that_makes_much_of_little_is_held_back),
        WITH_SCENE(exchange_filtered_response_of_any_size_is_whole),
        WITH_SCENE(exchange_filter_that_fails_cuts_the_response),
        WITH_SCENE(exchange_event_stream_is_flushed_piece_by_piece),
        WITH_SCENE(exchange_other_response_is_not_flushed_before_its_end),
        WITH_SCENE(exchange_stalled_filtered_response_is_cut),
        WITH_SCENE(exchange_on_tcp_connect_runs_once_a_connection),
        WITH_SCENE(exchange_refused_on_tcp_connect_is_closed),
        WITH_SCENE(exchange_waits_for_a_job_on_tcp_connect),
        WITH_SCENE(exchange_denied_by_a_job_on_tcp_connect_is_closed),
        WITH_SCENE(exchange_visitor_who_leaves_during_a_job_on_tcp_connect_is_forgotten),
        cmocka_unit_test(exchange_fetch_that_is_refused_is_told),
    };

    return cmocka_run_group_tests_name("gateway/exchange with policies", tests, NULL, NULL);
}
